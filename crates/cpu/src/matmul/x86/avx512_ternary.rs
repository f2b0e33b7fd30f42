//! Direct products with types of one scale per block and codes of one bit, two bits, or a ternary
//! digit, AVX-512 VNNI.

use std::arch::x86_64::*;

use super::super::activation::Codes;
use super::super::formats::Primitives;
use super::super::formats::ternary::{Q1_0, Q2_0, Tq1_0, Tq2_0};
use super::avx512_blocks::Blocks;
use super::primitives::Avx2;

impl Blocks for Q1_0 {
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
            let scale = scale(block);
            let bits = block.add(2).cast::<[u64; 2]>().read_unaligned();
            let codes = bits.map(|bits| _mm512_maskz_mov_epi8(bits, _mm512_set1_epi8(2)));
            for (t, acc) in acc.iter_mut().enumerate() {
                let at = t * x.cols + first;
                let pairs = _mm256_loadu_ps(x.pairs.as_ptr().add(at / 32).cast());
                let mins = _mm256_maskz_mov_ps(0b1010_1010, pairs);
                let mut sum = _mm512_sub_ps(_mm512_setzero_ps(), _mm512_zextps256_ps512(mins));
                for (i, codes) in codes.into_iter().enumerate() {
                    let dot = dot(_mm512_setzero_si512(), codes, values(x, at + 64 * i));
                    let scales = halves_by(pairs, 4 * i);
                    sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot), scales, sum);
                }
                *acc = _mm512_fmadd_ps(sum, scale, *acc);
            }
        }
    }
}

impl Blocks for Q2_0 {
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
            let scale = scale(block);
            // Each byte's pairs of bits go to bytes of their own.
            let bytes = _mm512_cvtepu8_epi32(_mm_loadu_si128(block.add(2).cast()));
            let two = _mm512_or_si512(bytes, _mm512_slli_epi32::<6>(bytes));
            let four = _mm512_or_si512(two, _mm512_slli_epi32::<12>(two));
            let codes = _mm512_and_si512(four, _mm512_set1_epi8(3));
            for (t, acc) in acc.iter_mut().enumerate() {
                let at = t * x.cols + first;
                let pairs = _mm_loadu_ps(x.pairs.as_ptr().add(at / 32).cast());
                let mins = _mm512_zextps128_ps512(_mm_maskz_mov_ps(0b1010, pairs));
                let dot = dot(_mm512_setzero_si512(), codes, values(x, at));
                let scales = halves_by(_mm256_castps128_ps256(pairs), 0);
                let sum = _mm512_fmsub_ps(_mm512_cvtepi32_ps(dot), scales, mins);
                *acc = _mm512_fmadd_ps(sum, scale, *acc);
            }
        }
    }
}

impl Blocks for Tq1_0 {
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
            let mut dots = minus_sums(x, first);
            let mut fractions = _mm512_maskz_loadu_epi8((1 << 52) - 1, block.cast());
            for digit in 0..5 {
                // What three times the fraction carries; 256 / 3 and 512 / 3 are not whole.
                let one = _mm512_set1_epi8(1);
                let carry = |above: i8| _mm512_cmpgt_epu8_mask(fractions, _mm512_set1_epi8(above));
                let codes = _mm512_maskz_mov_epi8(carry(85), one);
                let codes = _mm512_mask_add_epi8(codes, carry(170u8.cast_signed()), codes, one);
                fractions = _mm512_add_epi8(_mm512_add_epi8(fractions, fractions), fractions);
                for (t, dots) in dots.iter_mut().enumerate() {
                    let at = x.codes.as_ptr().add(t * x.cols + first);
                    // The last four bytes have four digits.
                    let last = at.add(240 + 4 * digit.min(3)).cast::<i32>().read_unaligned();
                    let last = if digit < 4 { last } else { 0 };
                    let upper = _mm256_set_m128i(
                        _mm_cvtsi32_si128(last),
                        _mm_loadu_si128(at.add(160 + 16 * digit).cast()),
                    );
                    let lower = _mm256_loadu_si256(at.add(32 * digit).cast());
                    *dots = dot(*dots, codes, join(lower, upper));
                }
            }
            add_scaled(scale(block.add(52)), dots, x, first, acc);
        }
    }
}

impl Blocks for Tq2_0 {
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
            let mut dots = minus_sums(x, first);
            let mut bytes = _mm512_loadu_si512(block.cast());
            for pair in 0..4 {
                let codes = _mm512_and_si512(bytes, _mm512_set1_epi8(3));
                bytes = _mm512_srli_epi16::<2>(bytes);
                for (t, dots) in dots.iter_mut().enumerate() {
                    let at = x.codes.as_ptr().add(t * x.cols + first + 32 * pair);
                    let lower = _mm256_loadu_si256(at.cast());
                    let upper = _mm256_loadu_si256(at.add(128).cast());
                    *dots = dot(*dots, codes, join(lower, upper));
                }
            }
            add_scaled(scale(block.add(64)), dots, x, first, acc);
        }
    }
}

/// The half float at `at` in all lanes.
#[inline(always)]
unsafe fn scale(at: *const u8) -> __m512 {
    // SAFETY: the caller points to 2 bytes and has AVX-512.
    unsafe { _mm512_set1_ps(Avx2::new().half(at.cast::<u16>().read_unaligned())) }
}

#[inline(always)]
unsafe fn dot(start: __m512i, codes: __m512i, values: __m512i) -> __m512i {
    // SAFETY: the caller has AVX-512 VNNI.
    unsafe { _mm512_dpbusd_epi32(start, codes, values) }
}

/// 64 codes of activations.
#[inline(always)]
unsafe fn values(x: Codes<'_>, at: usize) -> __m512i {
    // SAFETY: the columns have these values.
    unsafe { _mm512_loadu_si512(x.codes.as_ptr().add(at).cast()) }
}

#[inline(always)]
unsafe fn join(lower: __m256i, upper: __m256i) -> __m512i {
    // SAFETY: registers only.
    unsafe { _mm512_inserti64x4::<1>(_mm512_castsi256_si512(lower), upper) }
}

/// Lane `from` of `pairs` in the lower half, lane `from + 2` in the upper half.
#[inline(always)]
unsafe fn halves_by(pairs: __m256, from: usize) -> __m512 {
    // SAFETY: registers only.
    unsafe {
        let which = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 2, 2, 2, 2, 2, 2);
        let which = _mm512_add_epi32(which, _mm512_set1_epi32(from as i32));
        _mm512_permutexvar_ps(which, _mm512_castps256_ps512(pairs))
    }
}

/// The sums of 256 activations of each column, negative, in lanes yet to be summed: what codes lack
/// that are one too large.
#[inline(always)]
unsafe fn minus_sums<const T: usize>(x: Codes<'_>, first: usize) -> [__m512i; T] {
    // SAFETY: the columns have these values.
    unsafe {
        std::array::from_fn(|t| {
            let sums = x.sums.as_ptr().add((t * x.cols + first) / 16);
            let sums = _mm256_madd_epi16(_mm256_loadu_si256(sums.cast()), _mm256_set1_epi16(-1));
            _mm512_zextsi256_si512(sums)
        })
    }
}

/// Adds dot products with 256 values, whose activations have one scale.
#[inline(always)]
unsafe fn add_scaled<const T: usize>(
    scale: __m512,
    dots: [__m512i; T],
    x: Codes<'_>,
    first: usize,
    acc: &mut [__m512; T],
) {
    // SAFETY: the columns have these values.
    unsafe {
        for (t, acc) in acc.iter_mut().enumerate() {
            let x_scale = (*x.pairs.as_ptr().add((t * x.cols + first) / 32))[0];
            let scale = _mm512_mul_ps(scale, _mm512_set1_ps(x_scale));
            *acc = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[t]), scale, *acc);
        }
    }
}
