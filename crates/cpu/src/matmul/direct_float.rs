//! Direct products with float types, at any vector width.

use super::formats::{FloatFormat, Portable};
use super::kernels::{DIRECT_ROWS, Floats, Strip};
use crate::simd::{STREAMS, Simd};

/// Vectors per step.
const VECTORS: usize = 4;
/// Rows that are taken together for a wide column, whose values come from the second-level cache and
/// are more bytes than the weights: each is loaded once for all. Else, a single stream is faster, but for
/// processors of [several streams](Simd::several_streams).
const ROWS: usize = 4;
/// Values of a wide column, measured.
const WIDE: usize = 5 << 10;

/// `n_rows` rows times `T` columns. Sums of a column are independent of the other columns.
#[inline(always)]
pub(super) fn direct<F: FloatFormat, S: Simd, const T: usize>(
    s: S,
    rows: &[u8],
    n_rows: usize,
    x: Floats<'_>,
    out: &mut Strip,
) {
    let row_bytes = x.cols * F::BYTES;
    assert!(n_rows <= DIRECT_ROWS && rows.len() == n_rows * row_bytes);
    let columns: [&[f32]; T] = std::array::from_fn(|t| &x.data[t * x.stride..][..x.cols]);
    if T == 1 && s.several_streams() {
        let together = n_rows / STREAMS * STREAMS;
        for first in (0..together).step_by(STREAMS) {
            let rows = std::array::from_fn(|r| &rows[(first + r) * row_bytes..][..row_bytes]);
            group::<F, S, T, STREAMS, 1>(s, rows, columns, first, out);
        }
        // In the same order of sums: which rows are together depends on the number of threads.
        for first in together..n_rows {
            let row = &rows[first * row_bytes..][..row_bytes];
            group::<F, S, T, 1, 1>(s, [row], columns, first, out);
        }
        return;
    }
    let wide = T == 1 && x.cols >= WIDE && F::BYTES < size_of::<f32>();
    let together = if wide { n_rows / ROWS * ROWS } else { 0 };
    for first in (0..together).step_by(ROWS) {
        let rows = std::array::from_fn(|r| &rows[(first + r) * row_bytes..][..row_bytes]);
        group::<F, S, T, ROWS, 1>(s, rows, columns, first, out);
    }
    for first in together..n_rows {
        let row = &rows[first * row_bytes..][..row_bytes];
        // Sums are taken by turns, not to wait for each other.
        group::<F, S, T, 1, VECTORS>(s, [row], columns, first, out);
    }
}

/// `R` rows, whose results are those from `first` on, with `TURNS` sums of each.
#[inline(always)]
fn group<F: FloatFormat, S: Simd, const T: usize, const R: usize, const TURNS: usize>(
    s: S,
    rows: [&[u8]; R],
    columns: [&[f32]; T],
    first: usize,
    out: &mut Strip,
) {
    let (cols, step) = (columns[0].len(), VECTORS * S::LANES);
    let whole = cols / step * step;
    let mut acc = [[[s.splat(0.0); TURNS]; T]; R];
    for i in (0..whole).step_by(step) {
        for (acc, row) in acc.iter_mut().zip(rows) {
            let weights = &row[i * F::BYTES..][..step * F::BYTES];
            if R < STREAMS {
                s.follow(weights);
            }
            for (v, weights) in weights.chunks_exact(S::LANES * F::BYTES).enumerate() {
                let weights = F::load(s, weights);
                for (acc, column) in acc.iter_mut().zip(columns) {
                    let values = s.load(&column[i + v * S::LANES..][..S::LANES]);
                    acc[v % TURNS] = s.mul_add(weights, values, acc[v % TURNS]);
                }
            }
        }
    }
    for (r, (row, acc)) in rows.into_iter().zip(acc).enumerate() {
        if R < STREAMS {
            s.follow(&row[whole * F::BYTES..]);
        }
        for (t, acc) in acc.into_iter().enumerate() {
            let sum =
                acc.into_iter().reduce(|a, b| s.add(a, b)).map_or(0.0, |sum| s.reduce_add(sum));
            let rest = row[whole * F::BYTES..].chunks_exact(F::BYTES).zip(&columns[t][whole..]);
            out[t][first + r] = rest
                .fold(sum, |sum, (weight, value)| F::value(Portable, weight).mul_add(*value, sum));
        }
    }
}
