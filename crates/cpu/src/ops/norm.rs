//! Root-mean-square norm.

use super::{Rows, RowsMut};
use crate::simd::{Kernel, Simd};

/// Norms each `group` columns; row `i` of `out` is row `first_row + i` of `x`.
pub struct RmsNorm<'a> {
    pub x: Rows<'a>,
    pub first_row: usize,
    pub group: usize,
    pub weight: Option<&'a [f32]>,
    pub eps: f32,
    pub out: RowsMut<'a>,
}

impl Kernel for RmsNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        for (i, out) in self.out.iter_mut().enumerate() {
            let x = self.x.row(self.first_row + i).chunks_exact(self.group);
            for (x, out) in x.zip(out.chunks_exact_mut(self.group)) {
                norm(s, x, self.weight, self.eps, out);
            }
        }
    }
}

#[inline(always)]
fn norm<S: Simd>(s: S, x: &[f32], weight: Option<&[f32]>, eps: f32, out: &mut [f32]) {
    let mean = sum_of_squares(s, x) / x.len() as f64;
    let factor = s.splat((1.0 / (mean + f64::from(eps)).sqrt()) as f32);

    let whole = x.len() - x.len() % S::LANES;
    for at in (0..whole).step_by(S::LANES) {
        let mut y = s.mul(s.load(&x[at..]), factor);
        if let Some(weight) = weight {
            y = s.mul(y, s.load(&weight[at..]));
        }
        s.store(y, &mut out[at..]);
    }
    if whole < x.len() {
        let mut y = s.mul(s.load_partial(&x[whole..]), factor);
        if let Some(weight) = weight {
            y = s.mul(y, s.load_partial(&weight[whole..]));
        }
        s.store_partial(y, &mut out[whole..]);
    }
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
