//! Rotary position embedding.

use backend::RopeLayout;

use super::{Rows, RowsMut};
use crate::simd::{Kernel, Simd};

/// Pairs rotated at a time; bounds the space for their angles.
const BLOCK: usize = 64;

/// Rotates the heads of each row; row `i` of `x` has its angles in row `first_row + i` of `table`.
pub struct Rope<'a> {
    pub x: RowsMut<'a>,
    pub head_dim: usize,
    pub table: Rows<'a>,
    pub first_row: usize,
    pub layout: RopeLayout,
}

impl Kernel for Rope<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let (head_dim, table, first_row) = (self.head_dim, self.table, self.first_row);
        for (i, row) in self.x.iter_mut().enumerate() {
            let angles = table.row(first_row + i);
            let blocks = angles.chunks(2 * BLOCK).enumerate();
            for (block, angles) in blocks {
                let heads = row.chunks_exact_mut(head_dim);
                match self.layout {
                    RopeLayout::Neox => {
                        neox(s, heads, table.cols / 2, block * BLOCK, angles);
                    }
                    RopeLayout::Norm => neighbours(s, heads, 2 * BLOCK * block, angles),
                }
            }
        }
    }
}

/// Pairs `(x[first + p], x[first + p + half])`.
#[inline(always)]
fn neox<'a, S: Simd>(
    s: S,
    heads: impl Iterator<Item = &'a mut [f32]>,
    half: usize,
    first: usize,
    angles: &[f32],
) {
    let (mut cos, mut sin) = ([0.0; BLOCK], [0.0; BLOCK]);
    for (p, cos_sin) in angles.chunks_exact(2).enumerate() {
        (cos[p], sin[p]) = (cos_sin[0], cos_sin[1]);
    }
    let n = angles.len() / 2;
    for head in heads {
        let (low, high) = head.split_at_mut(half);
        let (low, high) = (&mut low[first..][..n], &mut high[first..][..n]);
        let whole = n - n % S::LANES;
        for at in (0..whole).step_by(S::LANES) {
            let (a, b) = (s.load(&low[at..]), s.load(&high[at..]));
            let (x, y) = rotate(s, a, b, s.load(&cos[at..]), s.load(&sin[at..]));
            s.store(x, &mut low[at..]);
            s.store(y, &mut high[at..]);
        }
        if whole < n {
            let (a, b) = (s.load_partial(&low[whole..]), s.load_partial(&high[whole..]));
            let (cos, sin) = (s.load_partial(&cos[whole..n]), s.load_partial(&sin[whole..n]));
            let (x, y) = rotate(s, a, b, cos, sin);
            s.store_partial(x, &mut low[whole..]);
            s.store_partial(y, &mut high[whole..]);
        }
    }
}

#[inline(always)]
fn rotate<S: Simd>(s: S, a: S::V, b: S::V, cos: S::V, sin: S::V) -> (S::V, S::V) {
    let minus_sin = s.sub(s.splat(0.0), sin);
    (s.mul_add(b, minus_sin, s.mul(a, cos)), s.mul_add(a, sin, s.mul(b, cos)))
}

/// Pairs `(x[first + 2p], x[first + 2p + 1])`.
#[inline(always)]
fn neighbours<'a, S: Simd>(
    s: S,
    heads: impl Iterator<Item = &'a mut [f32]>,
    first: usize,
    angles: &[f32],
) {
    // x · (cos, cos, …) + swapped x · (-sin, sin, …)
    let (mut cos, mut sin) = ([0.0; 2 * BLOCK], [0.0; 2 * BLOCK]);
    for (p, cos_sin) in angles.chunks_exact(2).enumerate() {
        cos[2 * p..][..2].fill(cos_sin[0]);
        sin[2 * p..][..2].copy_from_slice(&[-cos_sin[1], cos_sin[1]]);
    }
    let n = angles.len();
    for head in heads {
        let x = &mut head[first..][..n];
        let whole = n - n % S::LANES;
        for at in (0..whole).step_by(S::LANES) {
            let v = s.load(&x[at..]);
            let turned = s.mul(s.swap_pairs(v), s.load(&sin[at..]));
            s.store(s.mul_add(v, s.load(&cos[at..]), turned), &mut x[at..]);
        }
        if whole < n {
            let v = s.load_partial(&x[whole..]);
            let turned = s.mul(s.swap_pairs(v), s.load_partial(&sin[whole..n]));
            let y = s.mul_add(v, s.load_partial(&cos[whole..n]), turned);
            s.store_partial(y, &mut x[whole..]);
        }
    }
}
