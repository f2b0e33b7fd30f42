//! Mixing and sorting of parallel streams.

use super::{Rows, RowsMut};
use crate::simd::{Kernel, Simd};

/// Each row's streams of `width` columns times its own matrix; row `i` of `out` is row
/// `first_row + i` of the others.
pub struct MixStreams<'a> {
    pub x: Rows<'a>,
    pub coefs: Rows<'a>,
    pub first_row: usize,
    pub width: usize,
    pub out: RowsMut<'a>,
}

impl Kernel for MixStreams<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let (width, m) = (self.width, self.x.cols / self.width);
        for (i, out) in self.out.iter_mut().enumerate() {
            let row = self.first_row + i;
            let (x, coefs) = (self.x.row(row), self.coefs.row(row));
            for (out, coefs) in out.chunks_exact_mut(width).zip(coefs.chunks_exact(m)) {
                mix(s, x, coefs, out);
            }
        }
    }
}

/// `out = Σ_j coefs[j] · x[j]` of streams as wide as `out`.
#[inline(always)]
fn mix<S: Simd>(s: S, x: &[f32], coefs: &[f32], out: &mut [f32]) {
    let width = out.len();
    let whole = width - width % S::LANES;
    for at in (0..whole).step_by(S::LANES) {
        let mut sum = s.splat(0.0);
        for (x, &coef) in x.chunks_exact(width).zip(coefs) {
            sum = s.mul_add(s.load(&x[at..]), s.splat(coef), sum);
        }
        s.store(sum, &mut out[at..]);
    }
    if whole < width {
        let mut sum = s.splat(0.0);
        for (x, &coef) in x.chunks_exact(width).zip(coefs) {
            sum = s.mul_add(s.load_partial(&x[whole..]), s.splat(coef), sum);
        }
        s.store_partial(sum, &mut out[whole..]);
    }
}

/// Sorts the parts of a row's groups.
pub fn deinterleave(x: &[f32], widths: &[usize], mut out: &mut [f32]) {
    let mut start = 0;
    for &width in widths {
        for group in x.chunks_exact(widths.iter().sum()) {
            let (to, rest) = out.split_at_mut(width);
            to.copy_from_slice(&group[start..start + width]);
            out = rest;
        }
        start += width;
    }
}
