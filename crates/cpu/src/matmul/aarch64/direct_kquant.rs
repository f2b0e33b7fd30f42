//! Direct products with types of 256-value blocks. Within a block all sums are integers.

use std::arch::aarch64::*;
use std::array::from_fn;

use super::super::activation::Codes;
use super::super::formats::Format;
use super::super::formats::kquant::{Q4K, Q5K, Q6K, six_bit};
use super::super::kernels::{DIRECT_ROWS, Strip};
use super::dot::Dot;
use super::half;

/// How blocks are loaded. `block` points to a whole block.
pub(super) trait Blocks: Format {
    /// Offset of the scale in the block; a min scale follows if the format has mins.
    const SCALE: usize;

    /// The codes of values from `64 · part`, less the format's offset.
    ///
    /// # Safety
    /// As said of the trait.
    unsafe fn codes(block: *const u8, part: usize) -> [int8x16_t; 4];

    /// The integer scales of groups, `256 / GROUP` of them; and of formats with mins, which have
    /// eight groups, the integer mins.
    ///
    /// # Safety
    /// As said of the trait.
    unsafe fn scales(block: *const u8) -> ([i32; 16], u64);
}

impl Blocks for Q4K {
    const SCALE: usize = 0;
    #[inline(always)]
    unsafe fn codes(block: *const u8, part: usize) -> [int8x16_t; 4] {
        // SAFETY: within the block.
        unsafe { nibbles(block.add(16 + 32 * part)).map(|codes| vreinterpretq_s8_u8(codes)) }
    }

    #[inline(always)]
    unsafe fn scales(block: *const u8) -> ([i32; 16], u64) {
        // SAFETY: within the block.
        unsafe { scales_and_mins(block) }
    }
}

impl Blocks for Q5K {
    const SCALE: usize = 0;
    #[inline(always)]
    unsafe fn codes(block: *const u8, part: usize) -> [int8x16_t; 4] {
        // SAFETY: within the block.
        unsafe {
            let low = nibbles(block.add(48 + 32 * part));
            // Bits `2 part` and `2 part + 1` of each byte, brought to place 4.
            let shift = vdupq_n_s8(4 - 2 * part as i8);
            let next = vdupq_n_s8(3 - 2 * part as i8);
            let [a, b] = [16, 32].map(|at| vld1q_u8(block.add(at)));
            let fifth = |bits, shift| vandq_u8(vshlq_u8(bits, shift), vdupq_n_u8(16));
            let fifth = [fifth(a, shift), fifth(b, shift), fifth(a, next), fifth(b, next)];
            from_fn(|i| vreinterpretq_s8_u8(vorrq_u8(low[i], fifth[i])))
        }
    }

    #[inline(always)]
    unsafe fn scales(block: *const u8) -> ([i32; 16], u64) {
        // SAFETY: within the block.
        unsafe { scales_and_mins(block) }
    }
}

impl Blocks for Q6K {
    const SCALE: usize = 208;
    #[inline(always)]
    unsafe fn codes(block: *const u8, part: usize) -> [int8x16_t; 4] {
        // SAFETY: within the block.
        unsafe {
            // Of each half of the block, first the low nibbles and then the high ones of 64 bytes;
            // with bit pairs of 32 bytes, from the lowest to the highest.
            let (half, upper) = (part / 2, (part % 2) as i8);
            let codes = |i: usize| {
                let low = vld1q_u8(block.add(64 * half + 16 * i));
                let low = vandq_u8(vshlq_u8(low, vdupq_n_s8(-4 * upper)), vdupq_n_u8(15));
                let high = vld1q_u8(block.add(128 + 32 * half + 16 * (i % 2)));
                let shift = 4 - 4 * upper - 2 * (i / 2) as i8;
                let high = vandq_u8(vshlq_u8(high, vdupq_n_s8(shift)), vdupq_n_u8(48));
                vsubq_s8(vreinterpretq_s8_u8(vorrq_u8(low, high)), vdupq_n_s8(32))
            };
            from_fn(codes)
        }
    }

    #[inline(always)]
    unsafe fn scales(block: *const u8) -> ([i32; 16], u64) {
        // SAFETY: within the block.
        let scales = unsafe { block.add(192).cast::<[i8; 16]>().read() };
        (scales.map(i32::from), 0)
    }
}

/// The low nibbles of 32 bytes, then the high ones.
#[inline(always)]
unsafe fn nibbles(at: *const u8) -> [uint8x16_t; 4] {
    // SAFETY: the caller points to 32 bytes.
    unsafe {
        let [a, b] = [vld1q_u8(at), vld1q_u8(at.add(16))];
        let mask = vdupq_n_u8(15);
        [vandq_u8(a, mask), vandq_u8(b, mask), vshrq_n_u8::<4>(a), vshrq_n_u8::<4>(b)]
    }
}

#[inline(always)]
unsafe fn scales_and_mins(block: *const u8) -> ([i32; 16], u64) {
    // SAFETY: the caller points to a block of which these are bytes 4 to 15.
    let bytes = unsafe { std::slice::from_raw_parts(block.add(4), 12) };
    let (scales, mins) = six_bit(bytes);
    let mut all = [0; 16];
    all.iter_mut().zip(scales.to_le_bytes()).for_each(|(all, scale)| *all = i32::from(scale));
    (all, mins)
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
    let n_blocks = x.cols / 256;
    assert!(n_rows <= DIRECT_ROWS && rows.len() == n_rows * n_blocks * F::BYTES);
    assert!(x.codes.len() >= T * n_blocks * 256 && x.sums.len() >= T * n_blocks * 16);
    assert!(x.pairs.len() >= T * n_blocks * 8);
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
        let mut acc = [vdupq_n_f32(0.0); T];
        for b in 0..n_blocks {
            let block = rows.as_ptr().add((r * n_blocks + b) * F::BYTES);
            let (scales, mins) = F::scales(block);
            let dot = dots::<F, D, T>(block, &scales, x, b);
            let half_at = |at: usize| half(block.add(at).cast::<u16>().read_unaligned());
            for t in 0..T {
                let at = t * n_blocks + b;
                let [x_scale, _] = x.pairs.as_ptr().add(at * 8).read();
                let scale = half_at(F::SCALE) * x_scale;
                acc[t] = vfmaq_n_f32(acc[t], vcvtq_f32_s32(dot[t]), scale);
                if F::MINS {
                    let min = min_product(mins, x.sums.as_ptr().add(at * 16));
                    let scale = half_at(F::SCALE + 2) * x_scale;
                    acc[t] = vfmsq_f32(acc[t], vcvtq_f32_s32(min), vdupq_n_f32(scale));
                }
            }
        }
        for t in 0..T {
            out[t][r] = vaddvq_f32(acc[t]);
        }
    }
}

/// Block `b`'s codes times scales times those of each column, in lanes yet to be summed.
#[inline(always)]
unsafe fn dots<F: Blocks, D: Dot, const T: usize>(
    block: *const u8,
    scales: &[i32; 16],
    x: Codes<'_>,
    b: usize,
) -> [int32x4_t; T] {
    // SAFETY: `direct` has checked that the columns have block `b`.
    unsafe {
        let mut acc = [vdupq_n_s32(0); T];
        for part in 0..4 {
            let codes = F::codes(block, part);
            let scales = &scales[part * (64 / F::GROUP)..][..64 / F::GROUP];
            for (t, acc) in acc.iter_mut().enumerate() {
                let at = x.codes.as_ptr().add(t * x.cols + b * 256 + 64 * part);
                for (g, &scale) in scales.iter().enumerate() {
                    let mut dot = vdupq_n_s32(0);
                    for i in g * (F::GROUP / 16)..(g + 1) * (F::GROUP / 16) {
                        dot = D::bytes(dot, codes[i], vld1q_s8(at.add(16 * i)));
                    }
                    *acc = vmlaq_n_s32(*acc, dot, scale);
                }
            }
        }
        acc
    }
}

/// The mins of eight groups times the sums of 32 codes each, in lanes yet to be summed.
#[inline(always)]
unsafe fn min_product(mins: u64, sums: *const i16) -> int32x4_t {
    // SAFETY: the caller points to 16 sums of 16 codes.
    unsafe {
        let mins = vreinterpretq_s16_u16(vmovl_u8(vcreate_u8(mins)));
        let sums = vpaddq_s16(vld1q_s16(sums), vld1q_s16(sums.add(8)));
        let low = vmull_s16(vget_low_s16(mins), vget_low_s16(sums));
        vmlal_high_s16(low, mins, sums)
    }
}
