//! The product of small matrices that attention is made of.

use super::format::BLOCK;
use super::store::PAD;
use crate::simd::{Kernel, Simd};

/// Rows of numbers, however stored.
pub trait Operand: Copy {
    /// `V` vectors of a row, from column `col` on.
    fn load<S: Simd, const V: usize>(self, s: S, row: usize, col: usize) -> [S::V; V];
}

/// A number format.
pub trait Number: Copy {
    /// How it is stored.
    type Bits: Copy;
    fn load<S: Simd>(s: S, x: &[Self::Bits]) -> S::V;
}

/// 32-bit floats.
#[derive(Clone, Copy)]
pub struct F32;
/// Half floats.
#[derive(Clone, Copy)]
pub struct F16;
/// Upper halves of floats.
#[derive(Clone, Copy)]
pub struct Bf16;

impl Number for F32 {
    type Bits = f32;

    #[inline(always)]
    fn load<S: Simd>(s: S, x: &[f32]) -> S::V {
        s.load(x)
    }
}

impl Number for F16 {
    type Bits = u16;

    #[inline(always)]
    fn load<S: Simd>(s: S, x: &[u16]) -> S::V {
        s.load_f16(x)
    }
}

impl Number for Bf16 {
    type Bits = u16;

    #[inline(always)]
    fn load<S: Simd>(s: S, x: &[u16]) -> S::V {
        s.load_bf16(x)
    }
}

/// Rows `stride` apart.
#[derive(Clone, Copy)]
pub struct Matrix<'a, N: Number> {
    pub data: &'a [N::Bits],
    pub stride: usize,
}

impl<N: Number> Operand for Matrix<'_, N> {
    #[inline(always)]
    fn load<S: Simd, const V: usize>(self, s: S, row: usize, col: usize) -> [S::V; V] {
        let data = &self.data[row * self.stride + col..][..V * S::LANES];
        let mut vectors = [s.splat(0.0); V];
        for (v, vector) in vectors.iter_mut().enumerate() {
            *vector = N::load(s, &data[v * S::LANES..]);
        }
        vectors
    }
}

/// Rows of signed codes, each with a scale per [`BLOCK`] columns.
#[derive(Clone, Copy)]
pub struct CodedRows<'a> {
    pub codes: &'a [u8],
    /// Codes per row.
    pub stride: usize,
    /// `[row][stride / BLOCK]`.
    pub scales: &'a [f32],
    /// As many, or none.
    pub mins: &'a [f32],
}

impl Operand for CodedRows<'_> {
    #[inline(always)]
    fn load<S: Simd, const V: usize>(self, s: S, row: usize, col: usize) -> [S::V; V] {
        let codes = &self.codes[row * self.stride + col..][..V * S::LANES];
        let mut vectors = [s.splat(0.0); V];
        for (v, vector) in vectors.iter_mut().enumerate() {
            let block = row * (self.stride / BLOCK) + (col + v * S::LANES) / BLOCK;
            *vector = s.mul(s.load_i8(&codes[v * S::LANES..]), s.splat(self.scales[block]));
            if !self.mins.is_empty() {
                *vector = s.add(*vector, s.splat(self.mins[block]));
            }
        }
        vectors
    }
}

/// What will be read next. Tiles are shorter than what a processor needs to notice a stream, so it
/// is asked for along with the rows of the tile at hand.
#[derive(Clone, Copy)]
pub struct Ahead {
    start: *const u8,
    /// Bytes per row of the tile at hand.
    share: usize,
}

impl Ahead {
    /// Nothing.
    pub const NONE: Ahead = Ahead { start: std::ptr::null(), share: 0 };

    /// Spreads `data` over `rows` rows.
    #[inline(always)]
    pub fn new(data: &[u8], rows: usize) -> Self {
        Self { start: data.as_ptr(), share: data.len().div_ceil(rows.max(1)) }
    }

    /// Asks for the share of row `row`.
    #[inline(always)]
    pub fn fetch<S: Simd>(self, s: S, row: usize) {
        for at in (0..self.share).step_by(64) {
            s.prefetch(self.start.wrapping_add(row * self.share + at));
        }
    }
}

/// `c[i] = keep[i] · c[i] + Σ_k a[i][k] b[first_row + k]`, without the first term where `keep` is `None`, for
/// rows `c[i]` of `n` values, a multiple of [`PAD`].
///
/// Sums are taken in the order of `k`, whatever the other sizes are.
pub struct Product<'a, B> {
    /// Rows of `c`, columns of `c`, and rows of `b`.
    pub size: [usize; 3],
    pub a: Matrix<'a, F32>,
    pub b: B,
    pub first_row: usize,
    pub c: &'a mut [f32],
    pub c_stride: usize,
    pub keep: Option<&'a [f32]>,
    pub ahead: Ahead,
}

impl<B: Operand> Kernel for Product<'_, B> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let [m, n, _] = self.size;
        debug_assert!(n.is_multiple_of(PAD));
        let mut col = 0;
        while col < n {
            // As many columns as leave registers for six rows: 4 vectors of 32, or 2 of 16.
            let vectors = match (n - col) / S::LANES {
                4.. if S::LANES == 16 => self.strip::<S, 4>(s, m, col),
                2.. => self.strip::<S, 2>(s, m, col),
                _ => self.strip::<S, 1>(s, m, col),
            };
            col += vectors * S::LANES;
        }
    }
}

impl<B: Operand> Product<'_, B> {
    /// All rows of `V` vectors of columns; returns `V`.
    #[inline(always)]
    fn strip<S: Simd, const V: usize>(&mut self, s: S, m: usize, col: usize) -> usize {
        let mut row = 0;
        while row < m {
            row += match (m - row).min(S::TILE_ROWS) {
                6.. => self.tile::<S, 6, V>(s, row, col),
                4.. => self.tile::<S, 4, V>(s, row, col),
                3 => self.tile::<S, 3, V>(s, row, col),
                2 => self.tile::<S, 2, V>(s, row, col),
                _ => self.tile::<S, 1, V>(s, row, col),
            };
            self.ahead = Ahead::NONE;
        }
        V
    }

    /// `R` rows of `V` vectors, kept in registers; returns `R`.
    #[allow(clippy::needless_range_loop)]
    #[inline(always)]
    fn tile<S: Simd, const R: usize, const V: usize>(
        &mut self,
        s: S,
        row: usize,
        col: usize,
    ) -> usize {
        let Self { size: [_, _, k], a, b, first_row, ref mut c, c_stride, keep, ahead } = *self;
        let mut a_rows = [&a.data[..0]; R];
        for (r, a_row) in a_rows.iter_mut().enumerate() {
            *a_row = &a.data[(row + r) * a.stride..][..k];
        }
        let c = &mut c[row * c_stride + col..];
        let mut sums = [[s.splat(0.0); V]; R];
        if let Some(keep) = keep {
            let keep = &keep[row..][..R];
            for r in 0..R {
                for v in 0..V {
                    let c = s.load(&c[r * c_stride + v * S::LANES..]);
                    sums[r][v] = s.mul(c, s.splat(keep[r]));
                }
            }
        }
        for i in 0..k {
            ahead.fetch(s, i);
            let columns: [S::V; V] = b.load(s, first_row + i, col);
            for r in 0..R {
                let a = s.splat(a_rows[r][i]);
                for v in 0..V {
                    sums[r][v] = s.mul_add(a, columns[v], sums[r][v]);
                }
            }
        }
        for r in 0..R {
            for v in 0..V {
                s.store(sums[r][v], &mut c[r * c_stride + v * S::LANES..]);
            }
        }
        R
    }
}
