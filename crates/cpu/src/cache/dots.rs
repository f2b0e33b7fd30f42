//! Products of vectors with vectors.

use super::PAD;
use crate::simd::{Kernel, Simd};

/// `c[i][j] = a[i]·b[j]` for rows of `width` values, a multiple of [`PAD`].
///
/// Each is summed by itself, so that it doesn't depend on how many there are.
pub struct Dots<'a> {
    pub width: usize,
    /// `[m][width]`
    pub a: &'a [f32],
    /// `[n][width]`
    pub b: &'a [f32],
    /// Rows `c_stride` apart.
    pub c: &'a mut [f32],
    pub c_stride: usize,
}

impl Kernel for Dots<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        debug_assert!(self.width.is_multiple_of(PAD));
        // Sums and factors for each step, in 32 or 16 registers.
        match S::LANES {
            16 => self.rows::<S, 4, 4>(s),
            _ => self.rows::<S, 3, 3>(s),
        }
    }
}

impl Dots<'_> {
    #[inline(always)]
    fn rows<S: Simd, const R: usize, const C: usize>(&mut self, s: S) {
        let m = self.a.len() / self.width;
        let whole = m - m % R;
        for row in (0..whole).step_by(R) {
            self.columns::<S, R, C>(s, row);
        }
        for row in whole..m {
            self.columns::<S, 1, C>(s, row);
        }
    }

    #[inline(always)]
    fn columns<S: Simd, const R: usize, const C: usize>(&mut self, s: S, row: usize) {
        let n = self.b.len() / self.width;
        let whole = n - n % C;
        for col in (0..whole).step_by(C) {
            self.tile::<S, R, C>(s, row, col);
        }
        for col in whole..n {
            self.tile::<S, R, 1>(s, row, col);
        }
    }

    /// `R` rows and `C` columns, kept in registers.
    #[allow(clippy::needless_range_loop)]
    #[inline(always)]
    fn tile<S: Simd, const R: usize, const C: usize>(&mut self, s: S, row: usize, col: usize) {
        let width = self.width;
        let (mut a, mut b) = ([&self.a[..0]; R], [&self.b[..0]; C]);
        for r in 0..R {
            a[r] = &self.a[(row + r) * width..][..width];
        }
        for c in 0..C {
            b[c] = &self.b[(col + c) * width..][..width];
        }
        let mut sums = [[s.splat(0.0); C]; R];
        for at in (0..width).step_by(S::LANES) {
            let mut columns = [s.splat(0.0); C];
            for c in 0..C {
                columns[c] = s.load(&b[c][at..]);
            }
            for r in 0..R {
                let a = s.load(&a[r][at..]);
                for c in 0..C {
                    sums[r][c] = s.mul_add(a, columns[c], sums[r][c]);
                }
            }
        }
        for r in 0..R {
            let out = &mut self.c[(row + r) * self.c_stride + col..][..C];
            for c in 0..C {
                out[c] = s.reduce_add(sums[r][c]);
            }
        }
    }
}
