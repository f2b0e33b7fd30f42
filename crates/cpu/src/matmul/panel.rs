//! Rows of a weight in the common form that tile kernels take.

use super::formats::{FloatFormat, Format};

/// Up to `R` unpacked rows, interleaved; rows beyond those given are zero. Buffers are reused from
/// panel to panel.
#[derive(Debug, Default)]
pub(super) struct Panel {
    /// `[cols / 4][R][4]` codes.
    pub codes: Vec<u8>,
    /// `[cols / GROUP][R]`.
    pub scales: Vec<f32>,
    /// `[cols / GROUP][R]`; unspecified for formats without mins.
    pub mins: Vec<f32>,
    /// `[cols][R]` values of float types.
    pub floats: Vec<f32>,
}

/// Values of a row that are unpacked before they are interleaved: one block of any type.
const STEP: usize = 256;

/// Unpacks `n_rows <= R` rows of `cols` values that fill `rows`. `interleave(codes, out)` turns
/// `[R][STEP]` codes into the first `out.len() / R / 4` groups of `[STEP / 4][R][4]`.
#[inline(always)]
pub(super) fn unpack<F: Format, const R: usize>(
    rows: &[u8],
    n_rows: usize,
    cols: usize,
    panel: &mut Panel,
    interleave: impl Fn(&[[u8; STEP]; R], &mut [u8]),
) {
    let row_bytes = cols / F::LEN * F::BYTES;
    assert!(n_rows <= R && rows.len() == n_rows * row_bytes);
    panel.codes.resize(cols * R, 0);
    panel.scales.resize(cols / F::GROUP * R, 0.0);
    panel.mins.resize(cols / F::GROUP * R, 0.0);

    let groups = F::LEN / F::GROUP;
    let mut codes = [[0; STEP]; R];
    for start in (0..cols).step_by(STEP) {
        let step = STEP.min(cols - start);
        let (first_block, n_blocks) = (start / F::LEN, step / F::LEN);
        let first_group = start / F::GROUP * R;
        panel.scales[first_group..][..step / F::GROUP * R].fill(0.0);
        panel.mins[first_group..][..step / F::GROUP * R].fill(0.0);
        for (r, codes) in codes.iter_mut().enumerate().take(n_rows) {
            let row = &rows[r * row_bytes + first_block * F::BYTES..][..n_blocks * F::BYTES];
            let blocks = row.chunks_exact(F::BYTES).zip(codes.chunks_exact_mut(F::LEN));
            for (b, (block, codes)) in blocks.enumerate() {
                let (mut scales, mut mins) = ([0.0; STEP / 16], [0.0; STEP / 16]);
                F::unpack(block, codes, &mut scales[..groups], &mut mins[..groups]);
                for g in 0..groups {
                    let at = first_group + (b * groups + g) * R + r;
                    panel.scales[at] = scales[g];
                    if F::MINS {
                        panel.mins[at] = mins[g];
                    }
                }
            }
        }
        interleave(&codes, &mut panel.codes[start * R..][..step * R]);
    }
}

/// The portable interleaver.
#[inline(always)]
pub(super) fn interleave<const R: usize>(codes: &[[u8; STEP]; R], out: &mut [u8]) {
    for (i, out) in out.as_chunks_mut::<4>().0.chunks_exact_mut(R).enumerate() {
        for (out, row) in out.iter_mut().zip(codes) {
            out.copy_from_slice(&row[4 * i..4 * i + 4]);
        }
    }
}

/// Converts `n_rows <= R` rows of `cols` float values that fill `rows`.
#[inline(always)]
pub(super) fn unpack_floats<F: FloatFormat, const R: usize>(
    rows: &[u8],
    n_rows: usize,
    cols: usize,
    panel: &mut Panel,
) {
    let row_bytes = cols * F::BYTES;
    assert!(n_rows <= R && rows.len() == n_rows * row_bytes);
    panel.floats.resize(cols * R, 0.0);
    if n_rows < R {
        panel.floats.fill(0.0);
    }
    for (r, row) in rows.chunks_exact(row_bytes.max(1)).enumerate() {
        let column = panel.floats[r..].iter_mut().step_by(R);
        for (value, out) in row.chunks_exact(F::BYTES).zip(column) {
            *out = F::value(value);
        }
    }
}
