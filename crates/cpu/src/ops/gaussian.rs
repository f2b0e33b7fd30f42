//! Sparsity by a threshold that follows from the row itself.

use super::RowsMut;
use crate::simd::{Kernel, Simd};

/// Keeps of each row what exceeds its mean by `cutoff` standard deviations.
pub struct GaussianTop<'a> {
    pub x: RowsMut<'a>,
    pub cutoff: f32,
}

impl Kernel for GaussianTop<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, _: S) {
        for x in self.x.iter_mut() {
            let mean = sum(x, |v| v) / x.len() as f64;
            let squares = sum(x, |v| (v - mean) * (v - mean));
            let deviation = (squares / (x.len() as f64 - 1.0)).sqrt();
            let threshold = (mean + f64::from(self.cutoff) * deviation) as f32;
            x.iter_mut().for_each(|v| *v = (*v - threshold).max(0.0));
        }
    }
}

/// `Σ f(x)`, in eight interleaved sums that compilers turn into vectors.
#[inline(always)]
fn sum(x: &[f32], f: impl Fn(f64) -> f64) -> f64 {
    let mut sums = [0.0; 8];
    let mut eights = x.chunks_exact(8);
    for eight in &mut eights {
        for (sum, &v) in sums.iter_mut().zip(eight) {
            *sum += f(f64::from(v));
        }
    }
    for (sum, &v) in sums.iter_mut().zip(eights.remainder()) {
        *sum += f(f64::from(v));
    }
    sums.iter().sum()
}
