//! Direct products with types whose blocks are first unpacked, as for panels.

use std::arch::x86_64::*;

use super::super::activation::{self, Codes};
pub(super) use super::super::formats::Format as Blocks;
use super::super::formats::Format;
use super::super::kernels::{DIRECT_ROWS, Strip};
use super::dot::{Dot, signed, sum};
use super::primitives::Avx2;
use crate::simd::x86::follow;

/// `n_rows` rows times `T` columns.
///
/// # Safety
/// Inlined where AVX2, FMA, F16C and the instructions of `D` are enabled.
#[inline(always)]
pub(super) unsafe fn direct<F: Format, D: Dot, const T: usize>(
    rows: &[u8],
    n_rows: usize,
    x: Codes<'_>,
    out: &mut Strip,
) {
    const { assert!(!F::MINS && F::LEN > 32) };
    let row_bytes = x.cols / F::LEN * F::BYTES;
    assert!(n_rows <= DIRECT_ROWS && rows.len() == n_rows * row_bytes);
    assert!(x.codes.len() >= T * x.cols && x.pairs.len() >= T * x.cols / 32);
    assert!(x.sums.len() >= T * x.cols / 16 && x.cols.is_multiple_of(F::LEN));
    // SAFETY: the caller's features are enough.
    let p = unsafe { Avx2::new() };
    let mut block = Block { codes: [0; 256], scales: [0.0; 16] };
    for (r, row) in rows.chunks_exact(row_bytes.max(1)).enumerate() {
        // SAFETY: the caller has AVX2.
        let mut acc = unsafe { [[_mm256_setzero_ps(); T]; 2] };
        for (b, bytes) in row.chunks_exact(F::BYTES).enumerate() {
            follow(bytes.as_ptr(), F::BYTES);
            let (codes, scales) = (&mut block.codes[..F::LEN], &mut block.scales);
            F::unpack(p, bytes, codes, &mut scales[..F::LEN / F::GROUP], &mut []);
            // SAFETY: `b` is a block of `x`, whose lengths are checked above.
            unsafe { add_block::<F, D, T>(&block, x, b * F::LEN, &mut acc) };
        }
        let [even, odd] = acc;
        for t in 0..T {
            // SAFETY: the caller has AVX2.
            out[t][r] = unsafe { sum(_mm256_add_ps(even[t], odd[t])) };
        }
    }
}

/// An unpacked block.
#[repr(align(64))]
struct Block {
    codes: [u8; 256],
    scales: [f32; 16],
}

/// Adds the products of a block and the values of each column from `first`. Sums of a column are
/// independent of the other columns.
///
/// # Safety
/// The columns have `F::LEN` values from `first`; otherwise as [`direct`].
#[inline(always)]
unsafe fn add_block<F: Format, D: Dot, const T: usize>(
    block: &Block,
    x: Codes<'_>,
    first: usize,
    acc: &mut [[__m256; T]; 2],
) {
    // SAFETY: as asked; a block has at most 256 values.
    unsafe {
        if F::ONE_SCALE && matches!(F::ACTIVATIONS, activation::Block::B256) {
            return add_scaled::<F, D, T>(block, x, first, &mut acc[first / F::LEN % 2]);
        }
        // -OFFSET · Σ activations, in one lane of each group.
        let offset = i32::from(-i16::from(F::OFFSET)) & 0xffff;
        let factors = if F::GROUP == 32 {
            _mm256_setr_epi32(offset << 16 | offset, 0, 0, 0, 0, 0, 0, 0)
        } else {
            _mm256_setr_epi32(offset, 0, 0, 0, offset << 16, 0, 0, 0)
        };
        for part in 0..F::LEN / 32 {
            let codes = _mm256_load_si256(block.codes.as_ptr().add(32 * part).cast());
            let group_scale = |g: usize| _mm_broadcast_ss(&block.scales[g]);
            let scale = if F::GROUP == 32 {
                _mm256_broadcast_ss(&block.scales[part])
            } else {
                _mm256_set_m128(group_scale(2 * part + 1), group_scale(2 * part))
            };
            // Two sums by turns, not to wait for each other.
            for (t, acc) in acc[part % 2].iter_mut().enumerate() {
                let at = t * x.cols + first + 32 * part;
                let values = _mm256_loadu_si256(x.codes.as_ptr().add(at).cast());
                let dot = if F::BITS == 8 {
                    let codes = _mm256_xor_si256(codes, _mm256_set1_epi8(-128));
                    signed::<D>(_mm256_setzero_si256(), codes, values)
                } else {
                    let sums = x.sums.as_ptr().add(at / 16).cast::<i32>().read_unaligned();
                    let start = _mm256_madd_epi16(_mm256_set1_epi32(sums), factors);
                    D::bytes(start, codes, values)
                };
                let x_scale = _mm256_broadcast_ss(&(*x.pairs.as_ptr().add(at / 32))[0]);
                let scale = _mm256_mul_ps(scale, x_scale);
                *acc = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot), scale, *acc);
            }
        }
    }
}

/// [`add_block`] where both the block and its activations have one scale: all sums are integers.
///
/// # Safety
/// As there.
#[inline(always)]
unsafe fn add_scaled<F: Format, D: Dot, const T: usize>(
    block: &Block,
    x: Codes<'_>,
    first: usize,
    acc: &mut [__m256; T],
) {
    // SAFETY: as asked.
    unsafe {
        let offset = _mm256_set1_epi16(-i16::from(F::OFFSET));
        for (t, acc) in acc.iter_mut().enumerate() {
            let at = t * x.cols + first;
            let sums = _mm256_loadu_si256(x.sums.as_ptr().add(at / 16).cast());
            let mut dots = [_mm256_madd_epi16(sums, offset), _mm256_setzero_si256()];
            for part in 0..F::LEN / 32 {
                let codes = _mm256_load_si256(block.codes.as_ptr().add(32 * part).cast());
                let values = _mm256_loadu_si256(x.codes.as_ptr().add(at + 32 * part).cast());
                dots[part % 2] = D::bytes(dots[part % 2], codes, values);
            }
            let dot = _mm256_cvtepi32_ps(_mm256_add_epi32(dots[0], dots[1]));
            let scale = _mm256_set1_ps(block.scales[0] * (*x.pairs.as_ptr().add(at / 32))[0]);
            *acc = _mm256_fmadd_ps(dot, scale, *acc);
        }
    }
}
