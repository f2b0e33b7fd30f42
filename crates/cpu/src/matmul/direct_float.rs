//! Direct products with float types, at any vector width.

use super::formats::{FloatFormat, Portable};
use super::kernels::{DIRECT_ROWS, Floats, Strip};
use crate::simd::Simd;

/// Vectors per step: sums taken by turns, not to wait for each other.
const TURNS: usize = 4;

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
    let step = TURNS * S::LANES;
    let whole = x.cols / step * step;
    for (r, row) in rows.chunks_exact(row_bytes.max(1)).enumerate() {
        let mut acc = [[s.splat(0.0); TURNS]; T];
        for (i, weights) in row.chunks_exact(step * F::BYTES).enumerate() {
            s.follow(weights);
            for (turn, weights) in weights.chunks_exact(S::LANES * F::BYTES).enumerate() {
                let weights = F::load(s, weights);
                for (acc, column) in acc.iter_mut().zip(columns) {
                    let at = i * step + turn * S::LANES;
                    let values = s.load(&column[at..][..S::LANES]);
                    acc[turn] = s.mul_add(weights, values, acc[turn]);
                }
            }
        }
        for (t, [a, b, c, d]) in acc.into_iter().enumerate() {
            let sum = s.reduce_add(s.add(s.add(a, b), s.add(c, d)));
            let rest = row[whole * F::BYTES..].chunks_exact(F::BYTES).zip(&columns[t][whole..]);
            out[t][r] = rest
                .fold(sum, |sum, (weight, value)| F::value(Portable, weight).mul_add(*value, sum));
        }
    }
}
