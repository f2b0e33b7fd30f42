//! Norms.

use super::{Rows, RowsMut};
use crate::simd::{Kernel, Simd};

/// Norms each `group` columns; row `i` of `out` is row `first_row + i` of `x`. Weights and biases
/// repeat along a row.
pub struct Norm<'a> {
    pub x: Rows<'a>,
    pub first_row: usize,
    pub group: usize,
    /// Whether the mean is taken out: layer norm.
    pub centred: bool,
    pub weight: Option<&'a [f32]>,
    pub bias: Option<&'a [f32]>,
    pub eps: f32,
    pub out: RowsMut<'a>,
}

impl Kernel for Norm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let Self { group, centred, weight, bias, eps, .. } = self;
        for (i, out) in self.out.iter_mut().enumerate() {
            let groups = self.x.row(self.first_row + i).chunks_exact(group).enumerate();
            for ((g, x), out) in groups.zip(out.chunks_exact_mut(group)) {
                let own = |all: Option<&'_ [f32]>| -> Option<std::ops::Range<usize>> {
                    all.map(|all| g * group % all.len()..g * group % all.len() + group)
                };
                let weight = own(weight).and_then(|range| weight.map(|all| &all[range]));
                let bias = own(bias).and_then(|range| bias.map(|all| &all[range]));
                norm(s, x, centred, weight, bias, eps, out);
            }
        }
    }
}

#[inline(always)]
fn norm<S: Simd>(
    s: S,
    x: &[f32],
    centred: bool,
    weight: Option<&[f32]>,
    bias: Option<&[f32]>,
    eps: f32,
    out: &mut [f32],
) {
    let mean = if centred { sum(s, x) / x.len() as f64 } else { 0.0 };
    let shift = s.splat(mean as f32);
    let squares = if centred { sum_of_squares_around(s, x, shift) } else { sum_of_squares(s, x) };
    let factor = s.splat((1.0 / (squares / x.len() as f64 + f64::from(eps)).sqrt()) as f32);
    let whole = x.len() - x.len() % S::LANES;
    for at in (0..whole).step_by(S::LANES) {
        let load = |all: &[f32]| s.load(&all[at..]);
        let y = transform(s, load(x), shift, factor, weight.map(load), bias.map(load));
        s.store(y, &mut out[at..]);
    }
    if whole < x.len() {
        let load = |all: &[f32]| s.load_partial(&all[whole..]);
        let y = transform(s, load(x), shift, factor, weight.map(load), bias.map(load));
        s.store_partial(y, &mut out[whole..]);
    }
}

/// `(x - shift) · factor · weight + bias`.
#[inline(always)]
fn transform<S: Simd>(
    s: S,
    x: S::V,
    shift: S::V,
    factor: S::V,
    weight: Option<S::V>,
    bias: Option<S::V>,
) -> S::V {
    let mut y = s.mul(s.sub(x, shift), factor);
    if let Some(weight) = weight {
        y = s.mul(y, weight);
    }
    match bias {
        Some(bias) => s.add(y, bias),
        None => y,
    }
}

/// `Σ x`, in `f64`.
#[inline(always)]
fn sum<S: Simd>(s: S, x: &[f32]) -> f64 {
    let mut sum = s.sum_zero();
    let mut vectors = x.chunks_exact(S::LANES);
    for x in &mut vectors {
        sum = s.sum_values(sum, s.load(x));
    }
    if !vectors.remainder().is_empty() {
        sum = s.sum_values(sum, s.load_partial(vectors.remainder()));
    }
    s.sum_total(sum)
}

/// `Σ (x - shift)²`, in `f64`.
#[inline(always)]
fn sum_of_squares_around<S: Simd>(s: S, x: &[f32], shift: S::V) -> f64 {
    let mut sum = s.sum_zero();
    let mut vectors = x.chunks_exact(S::LANES);
    for x in &mut vectors {
        sum = s.sum_squares(sum, s.sub(s.load(x), shift));
    }
    let rest = vectors.remainder();
    let mut differences = [0.0; 16];
    if !rest.is_empty() {
        s.store_partial(s.sub(s.load_partial(rest), shift), &mut differences[..rest.len()]);
        sum = s.sum_squares(sum, s.load(&differences));
    }
    s.sum_total(sum)
}

/// `Σ x²`, in `f64`.
#[inline(always)]
pub fn sum_of_squares<S: Simd>(s: S, x: &[f32]) -> f64 {
    let mut sum = s.sum_zero();
    let mut vectors = x.chunks_exact(S::LANES);
    for x in &mut vectors {
        sum = s.sum_squares(sum, s.load(x));
    }
    if !vectors.remainder().is_empty() {
        sum = s.sum_squares(sum, s.load_partial(vectors.remainder()));
    }
    s.sum_total(sum)
}

/// Gives each group of `target.cols` columns the length of a row of `target`; row `i` of `x` meets
/// row `first_row + i`.
pub struct MatchLength<'a> {
    pub x: RowsMut<'a>,
    pub target: Rows<'a>,
    pub first_row: usize,
}

impl Kernel for MatchLength<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let group = self.target.cols;
        for (i, row) in self.x.iter_mut().enumerate() {
            let target = sum_of_squares(s, self.target.row(self.first_row + i));
            for x in row.chunks_exact_mut(group) {
                let own = sum_of_squares(s, x);
                if own > 0.0 {
                    let factor = (target / own).sqrt() as f32;
                    x.iter_mut().for_each(|v| *v *= factor);
                }
            }
        }
    }
}
