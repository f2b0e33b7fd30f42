//! Rows of a weight in the common form that tile kernels take.

use super::formats::{FloatFormat, Format, Primitives};
#[cfg(target_arch = "x86_64")]
use super::formats::{Whole, WholeByRows};

/// Up to `R` unpacked rows, interleaved; rows beyond those given are zero. Buffers are reused from
/// panel to panel.
#[derive(Debug, Default)]
pub(super) struct Panel {
    /// See [`Panel::elements`].
    elements: Vec<Line>,
    /// `[cols / group][R]`.
    pub scales: Vec<f32>,
    /// `[cols / group][R]`; zeros for formats without mins.
    pub mins: Vec<f32>,
    /// What mins are multiplied by, where a group of 256 values has 16: `[cols / 32][R]`, those of 16
    /// values each.
    pub min_codes: Vec<[i16; 2]>,
    /// The code of the value 0, see [`Format::OFFSET`] and [`Whole::ZERO`]. Known when a panel is
    /// multiplied, not when the kernel is compiled: types that agree in all else share it.
    pub zero: f32,
    /// Distance in bytes from the rows to those that this thread will probably unpack next, which are
    /// fetched meanwhile.
    pub ahead: usize,
    /// See [`Parts::padded`].
    padded: Vec<u8>,
}

/// The buffers of a panel that is being filled.
pub(super) struct Parts<'a> {
    /// Values per scale.
    pub group: usize,
    /// See [`Panel::elements`].
    pub elements: &'a mut [u8],
    /// See [`Panel::scales`].
    pub scales: &'a mut [f32],
    /// See [`Panel::mins`].
    pub mins: &'a mut [f32],
    /// See [`Panel::min_codes`].
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(dead_code, reason = "groups have at most one min")
    )]
    pub min_codes: &'a mut [[i16; 2]],
    /// See [`Panel::ahead`].
    pub ahead: usize,
    /// Room for packed rows, for those who need a full panel of them: unpacking by columns, on x86.
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(dead_code, reason = "rows are unpacked one by one")
    )]
    pub padded: &'a mut Vec<u8>,
}

/// A cache line, so that loads don't cross one.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Bytes of a row that are unpacked before they are interleaved: a block of any type.
const STEP: usize = 256;

/// Unpacked parts of `R` rows.
pub(super) type Step<const R: usize> = [[u8; STEP]; R];

impl Panel {
    /// `[cols / 4][R][4]` codes, or `[cols][R]` floats of 4 bytes; 64-byte aligned.
    pub(super) fn elements(&self) -> &[u8] {
        let lines: &[Line] = &self.elements;
        // SAFETY: lines are plain bytes without padding.
        unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), size_of_val(lines)) }
    }

    /// Room for the codes and factors of `n_rows` rows of `cols` values, by groups of the format.
    pub(super) fn prepare<F: Format>(&mut self, cols: usize, n_rows: usize) -> Parts<'_> {
        const {
            assert!(F::GROUP == 16 || F::GROUP == 32);
            assert!(!F::MINS || F::OFFSET == 0, "tile kernels take one of them");
        }
        self.min_codes.clear();
        self.parts(cols, n_rows, F::GROUP, F::OFFSET.into())
    }

    /// As [`Panel::prepare`], with one scale for each 256 values.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn prepare_whole<F: Whole>(&mut self, cols: usize, n_rows: usize) -> Parts<'_> {
        const { assert!(F::LEN == 256 && (!F::MINS || F::ZERO == 0.0)) };
        self.min_codes.resize(if F::MINS { cols / 32 * n_rows } else { 0 }, [0; 2]);
        self.parts(cols, n_rows, 256, F::ZERO)
    }

    fn parts(&mut self, cols: usize, n_rows: usize, group: usize, zero: f32) -> Parts<'_> {
        self.zero = zero;
        let n_factors = cols / group * n_rows;
        self.scales.resize(n_factors, 0.0);
        self.mins.resize(n_factors, 0.0);
        let elements = bytes_mut(&mut self.elements, cols * n_rows);
        Parts {
            group,
            elements,
            scales: &mut self.scales,
            mins: &mut self.mins,
            min_codes: &mut self.min_codes,
            ahead: self.ahead,
            padded: &mut self.padded,
        }
    }
}

/// Room for at least `len` bytes.
fn bytes_mut(lines: &mut Vec<Line>, len: usize) -> &mut [u8] {
    lines.resize(len.div_ceil(64), Line([0; 64]));
    // SAFETY: lines are plain bytes without padding.
    unsafe {
        std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), size_of_val(lines.as_slice()))
    }
}

/// Unpacks `n_rows <= R` rows of `cols` values that fill `rows`, by groups of the format.
/// `interleave(step, out)` turns rows of 4-byte elements into `[element][R]`, as many as fill `out`: a
/// multiple of 8.
#[inline(always)]
pub(super) fn unpack<F: Format, const R: usize>(
    p: impl Primitives,
    rows: &[u8],
    n_rows: usize,
    cols: usize,
    panel: &mut Panel,
    interleave: impl Fn(&Step<R>, &mut [u8]),
) {
    let into = panel.prepare::<F>(cols, R);
    let block = |block: &[u8], codes: &mut [u8], scales: &mut [f32], mins: &mut [f32]| {
        F::unpack(p, block, codes, scales, mins);
    };
    unpack_blocks::<F, R>(p, rows, n_rows, cols, into, block, interleave);
}

/// As [`unpack`], with one scale for each 256 values.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn unpack_whole<F: WholeByRows, const R: usize>(
    p: impl Primitives,
    rows: &[u8],
    n_rows: usize,
    cols: usize,
    panel: &mut Panel,
    interleave: impl Fn(&Step<R>, &mut [u8]),
) {
    const { assert!(!F::MINS) };
    let into = panel.prepare_whole::<F>(cols, R);
    let block = |block: &[u8], codes: &mut [u8], scales: &mut [f32], _: &mut [f32]| {
        scales[0] = F::unpack_whole(p, block, codes);
    };
    unpack_blocks::<F, R>(p, rows, n_rows, cols, into, block, interleave);
}

/// Unpacks with `unpack(block, codes, scales, mins)`.
#[inline(always)]
fn unpack_blocks<F: Format, const R: usize>(
    p: impl Primitives,
    rows: &[u8],
    n_rows: usize,
    cols: usize,
    into: Parts<'_>,
    unpack: impl Fn(&[u8], &mut [u8], &mut [f32], &mut [f32]),
    interleave: impl Fn(&Step<R>, &mut [u8]),
) {
    let row_bytes = cols / F::LEN * F::BYTES;
    assert!(n_rows <= R && rows.len() == n_rows * row_bytes);
    let Parts { group, elements, scales: all_scales, mins: all_mins, ahead, .. } = into;
    let next_rows = rows.as_ptr().wrapping_add(ahead);
    if n_rows < R {
        all_scales.fill(0.0);
        all_mins.fill(0.0);
    }

    let groups = F::LEN / group;
    let mut step = [[0; STEP]; R];
    for start in (0..cols).step_by(STEP) {
        let len = STEP.min(cols - start);
        let (first_block, n_blocks) = (start / F::LEN, len / F::LEN);
        let first_group = start / group * R;
        let n_scales = len / group * R;
        let all_scales = &mut all_scales[first_group..][..n_scales];
        let all_mins = &mut all_mins[first_group..][..n_scales];
        for (r, codes) in step.iter_mut().enumerate().take(n_rows) {
            let (first_byte, n_bytes) = (first_block * F::BYTES, n_blocks * F::BYTES);
            let row = &rows[r * row_bytes + first_byte..][..n_bytes];
            let next = first_byte * R + r * n_bytes;
            p.fetch(next_rows, next..next + n_bytes);
            let blocks = row.chunks_exact(F::BYTES).zip(codes.chunks_exact_mut(F::LEN));
            for (b, (block, codes)) in blocks.enumerate() {
                let (mut scales, mut mins) = ([0.0; STEP / 16], [0.0; STEP / 16]);
                unpack(block, codes, &mut scales[..groups], &mut mins[..groups]);
                for g in 0..groups {
                    let at = (b * groups + g) * R + r;
                    all_scales[at] = scales[g];
                    if F::MINS {
                        all_mins[at] = mins[g];
                    }
                }
            }
        }
        interleave(&step, &mut elements[start * R..][..len * R]);
    }
}

/// The portable interleaver.
#[inline(always)]
pub(super) fn interleave<const R: usize>(step: &Step<R>, out: &mut [u8]) {
    for (i, out) in out.as_chunks_mut::<4>().0.chunks_exact_mut(R).enumerate() {
        for (out, row) in out.iter_mut().zip(step) {
            out.copy_from_slice(&row[4 * i..4 * i + 4]);
        }
    }
}

/// Converts `n_rows <= R` rows of `cols` float values that fill `rows`; see [`unpack`].
#[inline(always)]
pub(super) fn unpack_floats<F: FloatFormat, const R: usize>(
    p: impl Primitives,
    rows: &[u8],
    n_rows: usize,
    cols: usize,
    panel: &mut Panel,
    interleave: impl Fn(&Step<R>, &mut [u8]),
) {
    let row_bytes = cols * F::BYTES;
    assert!(n_rows <= R && rows.len() == n_rows * row_bytes);
    let next_rows = rows.as_ptr().wrapping_add(panel.ahead);
    let out = bytes_mut(&mut panel.elements, cols.next_multiple_of(8) * 4 * R);
    let mut step = [[0; STEP]; R];
    for start in (0..cols).step_by(STEP / 4) {
        let len = (STEP / 4).min(cols - start);
        for (r, values) in step.iter_mut().enumerate().take(n_rows) {
            let n_bytes = len * F::BYTES;
            let row = &rows[r * row_bytes + start * F::BYTES..][..n_bytes];
            let next = start * F::BYTES * R + r * n_bytes;
            p.fetch(next_rows, next..next + n_bytes);
            let values = values.as_chunks_mut::<4>().0;
            F::convert(p, row, values);
        }
        let out = &mut out[start * 4 * R..];
        let len = out.len().min(STEP * R);
        interleave(&step, &mut out[..len]);
    }
}
