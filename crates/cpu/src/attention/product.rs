//! The product of small matrices that attention is made of.

use super::store::{Element, PAD};
use crate::simd::{Kernel, Simd};

/// `rows` rows of numbers, `stride` apart.
#[derive(Clone, Copy)]
pub struct Matrix<'a, T> {
    pub data: &'a [T],
    pub stride: usize,
}

/// `c[i] = keep[i] · c[i] + Σ_k a[i][k] b[k]`, without the first term where `keep` is `None`, for
/// rows `c[i]` of `n` values, a multiple of [`PAD`].
pub struct Product<'a, T> {
    /// Rows of `c`, columns of `c`, and rows of `b`.
    pub size: [usize; 3],
    pub a: Matrix<'a, f32>,
    pub b: Matrix<'a, T>,
    pub c: &'a mut [f32],
    pub c_stride: usize,
    pub keep: Option<&'a [f32]>,
    pub ahead: Ahead<'a, T>,
}

/// What will be read next. Tiles are shorter than what a processor needs to notice a stream, so it
/// is asked for along with the rows of the tile at hand.
#[derive(Clone, Copy)]
pub struct Ahead<'a, T> {
    data: &'a [T],
    /// Elements per row of the tile at hand.
    share: usize,
}

impl<'a, T> Ahead<'a, T> {
    /// Spreads `data` over `rows` rows.
    #[inline(always)]
    pub fn new(data: &'a [T], rows: usize) -> Self {
        Self { data, share: data.len().div_ceil(rows.max(1)) }
    }

    /// Asks for the share of row `row`.
    #[inline(always)]
    pub fn fetch<S: Simd>(self, s: S, row: usize) {
        for at in (0..self.share).step_by(64 / size_of::<T>()) {
            s.prefetch(self.data, row * self.share + at);
        }
    }
}

impl<T: Element> Kernel for Product<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { size: [m, n, k], a, b, c, c_stride, keep, mut ahead } = self;
        debug_assert!(n.is_multiple_of(PAD));
        let mut col = 0;
        while col < n {
            let b = Matrix { data: &b.data[col..], stride: b.stride };
            let c = &mut c[col..];
            // As many columns as leave registers for six rows: 4 vectors of 32, or 2 of 16.
            let vectors = match (n - col) / S::LANES {
                4.. if S::LANES == 16 => strip::<S, T, 4>(s, m, k, a, b, c, c_stride, keep, ahead),
                2.. => strip::<S, T, 2>(s, m, k, a, b, c, c_stride, keep, ahead),
                _ => strip::<S, T, 1>(s, m, k, a, b, c, c_stride, keep, ahead),
            };
            col += vectors * S::LANES;
            ahead = Ahead::new(&[], 0);
        }
    }
}

/// All rows of `V` vectors of columns; returns `V`.
#[inline(always)]
fn strip<S: Simd, T: Element, const V: usize>(
    s: S,
    m: usize,
    k: usize,
    a: Matrix<'_, f32>,
    b: Matrix<'_, T>,
    c: &mut [f32],
    c_stride: usize,
    keep: Option<&[f32]>,
    mut ahead: Ahead<'_, T>,
) -> usize {
    let mut row = 0;
    while row < m {
        let a = Matrix { data: &a.data[row * a.stride..], stride: a.stride };
        let c = &mut c[row * c_stride..];
        let keep = keep.map(|keep| &keep[row..]);
        row += match (m - row).min(S::TILE_ROWS) {
            6.. => tile::<S, T, 6, V>(s, k, a, b, c, c_stride, keep, ahead),
            4.. => tile::<S, T, 4, V>(s, k, a, b, c, c_stride, keep, ahead),
            3 => tile::<S, T, 3, V>(s, k, a, b, c, c_stride, keep, ahead),
            2 => tile::<S, T, 2, V>(s, k, a, b, c, c_stride, keep, ahead),
            _ => tile::<S, T, 1, V>(s, k, a, b, c, c_stride, keep, ahead),
        };
        ahead = Ahead::new(&[], 0);
    }
    V
}

/// `R` rows of `V` vectors, kept in registers; returns `R`.
#[inline(always)]
fn tile<S: Simd, T: Element, const R: usize, const V: usize>(
    s: S,
    k: usize,
    a: Matrix<'_, f32>,
    b: Matrix<'_, T>,
    c: &mut [f32],
    c_stride: usize,
    keep: Option<&[f32]>,
    ahead: Ahead<'_, T>,
) -> usize {
    let mut a_rows = [&a.data[..0]; R];
    for (r, row) in a_rows.iter_mut().enumerate() {
        *row = &a.data[r * a.stride..][..k];
    }
    let mut sums = [[s.splat(0.0); V]; R];
    if let Some(keep) = keep {
        for r in 0..R {
            for v in 0..V {
                let c = s.load(&c[r * c_stride + v * S::LANES..]);
                sums[r][v] = s.mul(c, s.splat(keep[r]));
            }
        }
    }
    for (i, b) in b.data.chunks(b.stride).take(k).enumerate() {
        ahead.fetch(s, i);
        let b = &b[..V * S::LANES];
        let mut columns = [s.splat(0.0); V];
        for (v, column) in columns.iter_mut().enumerate() {
            *column = T::load(s, &b[v * S::LANES..]);
        }
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
