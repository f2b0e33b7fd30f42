//! Direct products with types of 32-value blocks.

use std::arch::aarch64::*;

use super::super::activation::Codes;
use super::super::formats::Format;
use super::super::formats::legacy::{Q4_0, Q4_1, Q5_0, Q5_1, Q8_0};
use super::super::kernels::{DIRECT_ROWS, Strip};
use super::dot::Dot;
use super::half;

/// How blocks are loaded.
pub(super) trait Blocks: Format {
    /// The codes in order, less the format's offset.
    ///
    /// # Safety
    /// `block` points to a whole block.
    unsafe fn codes(block: *const u8) -> [int8x16_t; 2];
}

impl Blocks for Q4_0 {
    #[inline(always)]
    unsafe fn codes(block: *const u8) -> [int8x16_t; 2] {
        // SAFETY: within the block.
        unsafe { signed::<Self>(nibbles(block.add(2))) }
    }
}

impl Blocks for Q4_1 {
    #[inline(always)]
    unsafe fn codes(block: *const u8) -> [int8x16_t; 2] {
        // SAFETY: within the block.
        unsafe { signed::<Self>(nibbles(block.add(4))) }
    }
}

impl Blocks for Q5_0 {
    #[inline(always)]
    unsafe fn codes(block: *const u8) -> [int8x16_t; 2] {
        // SAFETY: within the block.
        unsafe { signed::<Self>(with_fifth_bits(nibbles(block.add(6)), block.add(2))) }
    }
}

impl Blocks for Q5_1 {
    #[inline(always)]
    unsafe fn codes(block: *const u8) -> [int8x16_t; 2] {
        // SAFETY: within the block.
        unsafe { signed::<Self>(with_fifth_bits(nibbles(block.add(8)), block.add(4))) }
    }
}

impl Blocks for Q8_0 {
    #[inline(always)]
    unsafe fn codes(block: *const u8) -> [int8x16_t; 2] {
        // SAFETY: within the block.
        unsafe { [2, 18].map(|at| vld1q_s8(block.add(at).cast())) }
    }
}

/// Takes a format's offset off.
#[inline(always)]
fn signed<F: Format>(codes: [uint8x16_t; 2]) -> [int8x16_t; 2] {
    // SAFETY: NEON is part of the target.
    unsafe {
        let offset = vdupq_n_u8(F::OFFSET);
        codes.map(|codes| {
            vreinterpretq_s8_u8(if F::OFFSET == 0 { codes } else { vsubq_u8(codes, offset) })
        })
    }
}

/// The low nibbles of 16 bytes, then the high ones.
#[inline(always)]
unsafe fn nibbles(at: *const u8) -> [uint8x16_t; 2] {
    // SAFETY: the caller points to 16 bytes.
    unsafe {
        let bytes = vld1q_u8(at);
        [vandq_u8(bytes, vdupq_n_u8(15)), vshrq_n_u8::<4>(bytes)]
    }
}

/// Adds 16 where one of 32 bits is set.
#[inline(always)]
unsafe fn with_fifth_bits(codes: [uint8x16_t; 2], at: *const u8) -> [uint8x16_t; 2] {
    // SAFETY: the caller points to 4 bytes.
    unsafe {
        let bit_of = vreinterpretq_u8_u64(vdupq_n_u64(0x8040_2010_0804_0201));
        let add = |codes, at: *const u8| {
            let bytes = vcombine_u8(vld1_dup_u8(at), vld1_dup_u8(at.add(1)));
            vorrq_u8(codes, vandq_u8(vtstq_u8(bytes, bit_of), vdupq_n_u8(16)))
        };
        [add(codes[0], at), add(codes[1], at.add(2))]
    }
}

/// `n_rows` rows times `T` columns.
///
/// # Safety
/// Inlined where the instructions of `D` are enabled.
#[inline(always)]
pub(super) unsafe fn direct<F: Blocks, D: Dot, const T: usize>(
    rows: &[u8],
    n_rows: usize,
    x: Codes<'_>,
    out: &mut Strip,
) {
    let n_blocks = x.cols / 32;
    assert!(n_rows <= DIRECT_ROWS && rows.len() == n_rows * n_blocks * F::BYTES);
    assert!(x.codes.len() >= T * n_blocks * 32 && x.pairs.len() >= T * n_blocks);
    // SAFETY: lengths are checked above.
    unsafe {
        for r in 0..n_rows {
            row::<F, D, T>(rows, n_blocks, r, x, out);
        }
    }
}

/// Row `r`. Sums of a column are independent of the other columns.
#[inline(always)]
unsafe fn row<F: Blocks, D: Dot, const T: usize>(
    rows: &[u8],
    n_blocks: usize,
    r: usize,
    x: Codes<'_>,
    out: &mut Strip,
) {
    // SAFETY: `direct` has checked that rows and columns have `n_blocks` blocks.
    unsafe {
        // Two sums by turns, not to wait for each other.
        let (mut even, mut odd) = (Sums::zero(), Sums::zero());
        for b in (1..n_blocks).step_by(2) {
            add_block::<F, D, T>(rows, r * n_blocks, b - 1, x, &mut even);
            add_block::<F, D, T>(rows, r * n_blocks, b, x, &mut odd);
        }
        if n_blocks % 2 == 1 {
            add_block::<F, D, T>(rows, r * n_blocks, n_blocks - 1, x, &mut even);
        }
        for (t, out) in out.iter_mut().enumerate().take(T) {
            let dot = vaddvq_f32(vaddq_f32(even.dot[t], odd.dot[t]));
            out[r] = if F::MINS { dot + (even.min[t] + odd.min[t]) } else { dot };
        }
    }
}

/// Sums of a row for each column.
struct Sums<const T: usize> {
    /// Dot products, in lanes yet to be summed.
    dot: [float32x4_t; T],
    /// Mins times activations.
    min: [f32; T],
}

impl<const T: usize> Sums<T> {
    #[inline(always)]
    fn zero() -> Self {
        // SAFETY: NEON is part of the target.
        Self { dot: [unsafe { vdupq_n_f32(0.0) }; T], min: [0.0; T] }
    }
}

/// Adds the products of block `b` of the row that starts at block `first`.
#[inline(always)]
unsafe fn add_block<F: Blocks, D: Dot, const T: usize>(
    rows: &[u8],
    first: usize,
    b: usize,
    x: Codes<'_>,
    sums: &mut Sums<T>,
) {
    // SAFETY: `direct` has checked that rows and columns have their blocks.
    unsafe {
        let block = rows.as_ptr().add((first + b) * F::BYTES);
        let codes = F::codes(block);
        let scale = half(block.cast::<u16>().read_unaligned());
        for t in 0..T {
            let at = t * (x.cols / 32) + b;
            let x_codes = x.codes.as_ptr().add(at * 32);
            let [x_scale, x_sum] = x.pairs.as_ptr().add(at).read();
            let dot = D::bytes(vdupq_n_s32(0), codes[0], vld1q_s8(x_codes));
            let dot = D::bytes(dot, codes[1], vld1q_s8(x_codes.add(16)));
            sums.dot[t] = vfmaq_n_f32(sums.dot[t], vcvtq_f32_s32(dot), scale * x_scale);
            if F::MINS {
                let min = half(block.add(2).cast::<u16>().read_unaligned());
                sums.min[t] = min.mul_add(x_sum, sums.min[t]);
            }
        }
    }
}
