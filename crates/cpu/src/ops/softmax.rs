//! Softmax of rows.

use super::RowsMut;
use crate::simd::{Kernel, Simd, exp};

/// Each row's softmax.
pub struct Softmax<'a> {
    pub x: RowsMut<'a>,
}

impl Kernel for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        for row in self.x.iter_mut() {
            let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let mut sum = 0.0;
            for x in row.chunks_mut(S::LANES) {
                if x.len() == S::LANES {
                    s.store(exp(s, s.sub(s.load(x), s.splat(most))), x);
                } else {
                    s.store_partial(exp(s, s.sub(s.load_partial(x), s.splat(most))), x);
                }
                sum += x.iter().map(|&x| f64::from(x)).sum::<f64>();
            }
            let factor = (1.0 / sum) as f32;
            row.iter_mut().for_each(|x| *x *= factor);
        }
    }
}
