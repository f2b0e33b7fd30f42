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
    let mut sum = s.sum_zero();
    let mut vectors = x.chunks_exact(S::LANES);
    for x in &mut vectors {
        sum = s.sum_squares(sum, s.load(x));
    }
    if !vectors.remainder().is_empty() {
        sum = s.sum_squares(sum, s.load_partial(vectors.remainder()));
    }
    let mean = s.sum_total(sum) / x.len() as f64;
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
