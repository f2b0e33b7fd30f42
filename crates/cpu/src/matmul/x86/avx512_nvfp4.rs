//! Direct products with NVFP4, AVX-512 VNNI: a block of 64 values at a time, each of its four groups
//! in a 128-bit lane.

use std::arch::x86_64::*;

use super::super::activation::Codes;
use super::super::formats::Format;
use super::super::formats::table::{self, Nvfp4};
use super::avx512_blocks::Blocks;
use super::primitives::split_nibbles;

impl Blocks for Nvfp4 {
    type Of = Self;

    #[inline(always)]
    unsafe fn add<const T: usize>(
        block: *const u8,
        x: Codes<'_>,
        first: usize,
        acc: &mut [__m512; T],
    ) {
        // SAFETY: within the block and the columns.
        unsafe {
            // Groups 0, 2, 1 and 3.
            let [low, high] = split_nibbles(_mm256_loadu_si256(block.add(4).cast()));
            let (even, odd) = (_mm256_unpacklo_epi64(low, high), _mm256_unpackhi_epi64(low, high));
            let indices = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(even), odd);
            let levels = _mm512_broadcast_i32x4(_mm_loadu_si128(table::E2M1.as_ptr().cast()));
            let codes = _mm512_shuffle_epi8(levels, indices);
            let scales = scales(block);
            for (t, acc) in acc.iter_mut().enumerate() {
                let at = t * x.cols + first;
                let values = _mm512_loadu_si512(x.codes.as_ptr().add(at).cast());
                let values = _mm512_shuffle_i64x2::<0b11_01_10_00>(values, values);
                // What codes have too much, in one lane of each group.
                let sums = _mm_loadl_epi64(x.sums.as_ptr().add(at / 16).cast());
                let excess = _mm_mullo_epi32(
                    _mm_cvtepi16_epi32(sums),
                    _mm_set1_epi32(-i32::from(Self::OFFSET)),
                );
                let start = _mm512_maskz_permutexvar_epi32(
                    0x1111,
                    groups(),
                    _mm512_castsi128_si512(excess),
                );
                let dot = _mm512_dpbusd_epi32(start, codes, values);
                let pairs = _mm_loadu_ps(x.pairs.as_ptr().add(at / 32).cast());
                let scales = _mm_mul_ps(scales, _mm_moveldup_ps(pairs));
                let scales = _mm512_permutexvar_ps(groups(), _mm512_castps128_ps512(scales));
                *acc = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot), scales, *acc);
            }
        }
    }
}

/// Lanes by the group that they belong to.
#[inline(always)]
unsafe fn groups() -> __m512i {
    // SAFETY: the caller has AVX-512.
    unsafe { _mm512_setr_epi32(0, 0, 0, 0, 2, 2, 2, 2, 1, 1, 1, 1, 3, 3, 3, 3) }
}

/// Half of the E4M3 numbers without sign that the block starts with; the code for NaN means 0.
#[inline(always)]
unsafe fn scales(block: *const u8) -> __m128 {
    // SAFETY: the caller points to a block and has F16C and AVX-512 BW and VL.
    unsafe {
        let bytes = _mm_cvtsi32_si128(block.cast::<i32>().read_unaligned());
        let bytes = _mm_and_si128(_mm_cvtepu8_epi16(bytes), _mm_set1_epi16(0x7f));
        let number = _mm_cmpneq_epi16_mask(bytes, _mm_set1_epi16(0x7f));
        // As half floats their exponents are too small by 15 - 7.
        let halves = _mm_maskz_slli_epi16::<7>(number, bytes);
        _mm_mul_ps(_mm_cvtph_ps(halves), _mm_set1_ps(128.0))
    }
}
