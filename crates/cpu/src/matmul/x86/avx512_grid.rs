//! Direct products with codebook types, AVX-512 VNNI: 64 values at a time. Within a block all sums
//! are integers.

use std::arch::x86_64::*;

use super::super::activation::Codes;
use super::super::formats::grid::{
    self, Iq1M, Iq1S, Iq2S, Iq2Xs, Iq2Xxs, Iq3S, Iq3Xxs, even_signs, join, point,
};
use super::super::formats::{Format, Primitives};
use super::avx512_blocks::Blocks;
use super::primitives::Avx2;

/// How blocks of 256 values are taken apart. Functions are inlined where AVX-512 F, BW, DQ and VL are
/// enabled, and `block` points to a whole block.
pub(super) trait Points: Format {
    /// Whether values have signs apart; if not, they have offsets.
    const SIGNS: bool;

    /// Factor of the block's scale.
    const FACTOR: f32;

    /// The block's scale as a half float, which it starts with in most types.
    #[inline(always)]
    unsafe fn scale(block: *const u8) -> u16 {
        // SAFETY: within the block.
        unsafe { block.cast::<u16>().read_unaligned() }
    }
    /// The scales of the 16 groups of 16 values, 1 to 31.
    unsafe fn group_scales(block: *const u8) -> __m128i;
    /// The points of 64 values from `64 · part`.
    unsafe fn points(block: *const u8, part: usize) -> [u64; 8];
    /// What is added to the points.
    #[inline(always)]
    unsafe fn deltas(_block: *const u8, _part: usize) -> Option<__m512i> {
        None
    }
    /// Bits of 64 values: whether they are negative.
    #[inline(always)]
    unsafe fn signs(_block: *const u8, _part: usize) -> u64 {
        0
    }
    /// For each of the 16 groups what is added to its values.
    #[inline(always)]
    unsafe fn offsets(_block: *const u8) -> __m256i {
        // SAFETY: the caller has AVX.
        unsafe { _mm256_setzero_si256() }
    }
}

impl Points for Iq2Xxs {
    const SIGNS: bool = true;
    const FACTOR: f32 = 1.0 / 8.0;
    #[inline(always)]
    unsafe fn group_scales(block: *const u8) -> __m128i {
        // SAFETY: within the block.
        unsafe {
            let parts = _mm512_loadu_si512(block.add(2).cast());
            twice(odd(_mm512_cvtepi64_epi8(_mm512_srli_epi64::<60>(parts))))
        }
    }
    #[inline(always)]
    unsafe fn points(block: *const u8, part: usize) -> [u64; 8] {
        // SAFETY: within the block.
        unsafe {
            let at = block.add(2 + 16 * part);
            let mut points = [0; 8];
            for (i, out) in points.iter_mut().enumerate() {
                *out = point(&grid::IQ2_XXS[usize::from(*at.add(i / 4 * 8 + i % 4))]);
            }
            points
        }
    }
    #[inline(always)]
    unsafe fn signs(block: *const u8, part: usize) -> u64 {
        // SAFETY: within the block.
        unsafe {
            let at = block.add(2 + 16 * part);
            even(word(at.add(4)), word(at.add(12)))
        }
    }
}

impl Points for Iq2Xs {
    const SIGNS: bool = true;
    const FACTOR: f32 = 1.0 / 8.0;
    #[inline(always)]
    unsafe fn group_scales(block: *const u8) -> __m128i {
        // SAFETY: within the block.
        unsafe { odd(nibbles(_mm_loadl_epi64(block.add(66).cast()))) }
    }
    #[inline(always)]
    unsafe fn points(block: *const u8, part: usize) -> [u64; 8] {
        // SAFETY: within the block.
        unsafe {
            let at: *const u16 = block.add(2 + 16 * part).cast();
            let mut points = [0; 8];
            for (i, out) in points.iter_mut().enumerate() {
                let word = at.add(i).read_unaligned();
                *out = point(&grid::IQ2_XS[usize::from(word & 511)]);
            }
            points
        }
    }
    #[inline(always)]
    unsafe fn signs(block: *const u8, part: usize) -> u64 {
        // SAFETY: within the block.
        unsafe {
            let words = _mm_loadu_si128(block.add(2 + 16 * part).cast());
            let sevens = _mm_srli_epi16::<9>(words);
            let sevens = _mm_cvtsi128_si64(_mm_packus_epi16(sevens, sevens));
            even_signs(sevens.cast_unsigned())
        }
    }
}

impl Points for Iq2S {
    const SIGNS: bool = true;
    const FACTOR: f32 = 1.0 / 8.0;
    #[inline(always)]
    unsafe fn group_scales(block: *const u8) -> __m128i {
        // SAFETY: within the block.
        unsafe { odd(nibbles(_mm_loadl_epi64(block.add(74).cast()))) }
    }
    #[inline(always)]
    unsafe fn points(block: *const u8, part: usize) -> [u64; 8] {
        // SAFETY: within the block.
        unsafe {
            let mut points = [0; 8];
            for (i, out) in points.iter_mut().enumerate() {
                let low = usize::from(*block.add(2 + 8 * part + i));
                let high = usize::from(*block.add(66 + 2 * part + i / 4));
                *out = point(&grid::IQ2_S[low | (high << (8 - 2 * (i % 4))) & 0x300]);
            }
            points
        }
    }
    #[inline(always)]
    unsafe fn signs(block: *const u8, part: usize) -> u64 {
        // SAFETY: within the block.
        unsafe { block.add(34 + 8 * part).cast::<u64>().read_unaligned() }
    }
}

impl Points for Iq3Xxs {
    const SIGNS: bool = true;
    const FACTOR: f32 = 1.0 / 4.0;
    #[inline(always)]
    unsafe fn group_scales(block: *const u8) -> __m128i {
        // SAFETY: within the block.
        unsafe {
            let words = _mm256_loadu_si256(block.add(66).cast());
            twice(odd(_mm256_cvtepi32_epi8(_mm256_srli_epi32::<28>(words))))
        }
    }
    #[inline(always)]
    unsafe fn points(block: *const u8, part: usize) -> [u64; 8] {
        // SAFETY: within the block.
        unsafe {
            let at = block.add(2 + 16 * part);
            let mut points = [0; 8];
            for (i, out) in points.iter_mut().enumerate() {
                let first = &grid::IQ3_XXS[usize::from(*at.add(2 * i))];
                *out = join(first, &grid::IQ3_XXS[usize::from(*at.add(2 * i + 1))]);
            }
            points
        }
    }
    #[inline(always)]
    unsafe fn signs(block: *const u8, part: usize) -> u64 {
        // SAFETY: within the block.
        unsafe {
            let at = block.add(66 + 8 * part);
            even(word(at), word(at.add(4)))
        }
    }
}

impl Points for Iq3S {
    const SIGNS: bool = true;
    const FACTOR: f32 = 1.0;
    #[inline(always)]
    unsafe fn group_scales(block: *const u8) -> __m128i {
        // SAFETY: within the block.
        unsafe {
            let bytes = block.add(106).cast::<i32>().read_unaligned();
            twice(odd(nibbles(_mm_cvtsi32_si128(bytes))))
        }
    }
    #[inline(always)]
    unsafe fn points(block: *const u8, part: usize) -> [u64; 8] {
        // SAFETY: within the block.
        unsafe {
            let mut points = [0; 8];
            for (i, out) in points.iter_mut().enumerate() {
                let low = block.add(2 + 16 * part + 2 * i);
                let high = usize::from(*block.add(66 + 2 * part + i / 4)) << (8 - 2 * (i % 4));
                let first = &grid::IQ3_S[usize::from(*low) | high & 0x100];
                let second = usize::from(*low.add(1)) | (high >> 1) & 0x100;
                *out = join(first, &grid::IQ3_S[second]);
            }
            points
        }
    }
    #[inline(always)]
    unsafe fn signs(block: *const u8, part: usize) -> u64 {
        // SAFETY: within the block.
        unsafe { block.add(74 + 8 * part).cast::<u64>().read_unaligned() }
    }
}

impl Points for Iq1S {
    const SIGNS: bool = false;
    const FACTOR: f32 = 1.0 / 8.0;
    #[inline(always)]
    unsafe fn group_scales(block: *const u8) -> __m128i {
        // SAFETY: within the block.
        unsafe {
            let words = _mm_srli_epi16::<12>(_mm_loadu_si128(block.add(34).cast()));
            let words = _mm_and_si128(words, _mm_set1_epi16(7));
            twice(odd(_mm_packus_epi16(words, words)))
        }
    }
    #[inline(always)]
    unsafe fn points(block: *const u8, part: usize) -> [u64; 8] {
        // SAFETY: within the block.
        unsafe {
            let mut points = [0; 8];
            for (i, out) in points.iter_mut().enumerate() {
                let low = usize::from(*block.add(2 + 8 * part + i));
                let word = block.add(34 + 4 * part + i / 4 * 2).cast::<u16>().read_unaligned();
                let high = usize::from(word >> (3 * (i % 4)) & 7);
                *out = point(&grid::IQ1[low | high << 8]);
            }
            points
        }
    }
    #[inline(always)]
    unsafe fn offsets(block: *const u8) -> __m256i {
        // SAFETY: within the block.
        unsafe {
            // 0 or -1 by the topmost bit, for two groups each.
            let negative = _mm_srai_epi16::<15>(_mm_loadu_si128(block.add(34).cast()));
            let negative = _mm256_set_m128i(
                _mm_unpackhi_epi16(negative, negative),
                _mm_unpacklo_epi16(negative, negative),
            );
            ternary_offsets(negative)
        }
    }
}

impl Points for Iq1M {
    const SIGNS: bool = false;
    const FACTOR: f32 = 1.0 / 8.0;
    #[inline(always)]
    unsafe fn scale(block: *const u8) -> u16 {
        // SAFETY: within the block.
        unsafe {
            let words = block.add(48).cast::<u64>().read_unaligned();
            let nibble = |i: u32| (words >> (16 * i + 12) & 15) << (4 * i);
            (nibble(0) | nibble(1) | nibble(2) | nibble(3)) as u16
        }
    }
    #[inline(always)]
    unsafe fn group_scales(block: *const u8) -> __m128i {
        // SAFETY: within the block.
        unsafe {
            // Four groups of 3 bits in each word.
            let words = _mm_loadl_epi64(block.add(48).cast());
            let words = _mm256_permute4x64_epi64::<0>(_mm256_castsi128_si256(words));
            let each = _mm256_setr_epi8(
                0, 1, 0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3, 2, 3, 4, 5, 4, 5, 4, 5, 4, 5, 6, 7, 6, 7,
                6, 7, 6, 7,
            );
            let shifts = _mm256_set1_epi64x(0x0009_0006_0003_0000);
            let scales = _mm256_srlv_epi16(_mm256_shuffle_epi8(words, each), shifts);
            odd(_mm256_cvtepi16_epi8(_mm256_and_si256(scales, _mm256_set1_epi16(7))))
        }
    }
    #[inline(always)]
    unsafe fn points(block: *const u8, part: usize) -> [u64; 8] {
        // SAFETY: within the block.
        unsafe {
            let mut points = [0; 8];
            for (i, out) in points.iter_mut().enumerate() {
                let low = usize::from(*block.add(8 * part + i));
                let nibbles = usize::from(*block.add(32 + 4 * part + i / 2)) >> (4 * (i % 2));
                *out = point(&grid::IQ1[low | (nibbles & 7) << 8]);
            }
            points
        }
    }
    #[inline(always)]
    unsafe fn deltas(block: *const u8, part: usize) -> Option<__m512i> {
        // SAFETY: within the block.
        unsafe {
            // 1 or -1 by the topmost bit of each octet's nibble.
            let bytes = _mm_cvtsi32_si128(word(block.add(32 + 4 * part)).cast_signed());
            let topmost = _mm_unpacklo_epi8(_mm_slli_epi16::<4>(bytes), bytes);
            let negative = _mm_movepi8_mask(topmost) as u8;
            let (plus, minus) = (_mm512_set1_epi8(1), _mm512_set1_epi8(-1));
            Some(_mm512_mask_blend_epi64(negative, plus, minus))
        }
    }
    #[inline(always)]
    unsafe fn offsets(_block: *const u8) -> __m256i {
        // SAFETY: the caller has AVX.
        unsafe { _mm256_set1_epi16(-16) }
    }
}

/// `-15` or, where `negative` is all ones, `-17`: what turns `8 · v + 16` into `8 · v ± 1`.
#[inline(always)]
unsafe fn ternary_offsets(negative: __m256i) -> __m256i {
    // SAFETY: the caller has AVX2.
    unsafe { _mm256_add_epi16(_mm256_set1_epi16(-15), _mm256_add_epi16(negative, negative)) }
}

#[inline(always)]
unsafe fn word(at: *const u8) -> u32 {
    // SAFETY: the caller points to 4 bytes.
    unsafe { at.cast::<u32>().read_unaligned() }
}

/// The signs of the 28 low bits of two words.
#[inline(always)]
unsafe fn even(first: u32, second: u32) -> u64 {
    const LOW: u32 = (1 << 28) - 1;
    let both = u64::from(first & LOW) | u64::from(second & LOW) << 28;
    // SAFETY: the caller has BMI2.
    even_signs(unsafe { _pdep_u64(both, 0x7f7f_7f7f_7f7f_7f7f) })
}

/// `2 · v + 1` of bytes below 128.
#[inline(always)]
unsafe fn odd(bytes: __m128i) -> __m128i {
    // SAFETY: registers only.
    unsafe { _mm_add_epi8(_mm_add_epi8(bytes, bytes), _mm_set1_epi8(1)) }
}

/// Each of the first 8 bytes twice.
#[inline(always)]
unsafe fn twice(bytes: __m128i) -> __m128i {
    // SAFETY: registers only.
    unsafe { _mm_unpacklo_epi8(bytes, bytes) }
}

/// The nibbles of the first 8 bytes, low ones first.
#[inline(always)]
unsafe fn nibbles(bytes: __m128i) -> __m128i {
    // SAFETY: registers only.
    unsafe {
        let mask = _mm_set1_epi8(15);
        let high = _mm_and_si128(_mm_srli_epi16::<4>(bytes), mask);
        _mm_unpacklo_epi8(_mm_and_si128(bytes, mask), high)
    }
}

impl<F: Points> Blocks for F {
    type Of = F;
    const STREAMS: bool = false;

    #[inline(always)]
    unsafe fn add<const T: usize>(
        block: *const u8,
        x: Codes<'_>,
        first: usize,
        acc: &mut [__m512; T],
    ) {
        const { assert!(F::LEN == 256) };
        // SAFETY: within the block and the columns.
        unsafe {
            let sums = multiply::<F, T>(block, x, first);
            let scale = Avx2::new().half(F::scale(block)) * F::FACTOR;
            for (t, acc) in acc.iter_mut().enumerate() {
                let x_scale = (*x.pairs.as_ptr().add((t * x.cols + first) / 32))[0];
                let scale = _mm512_set1_ps(scale * x_scale);
                *acc = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[t]), scale, *acc);
            }
        }
    }
}

/// The products of a block and the 256 values from `first` of each column, in lanes yet to be summed.
#[inline(always)]
unsafe fn multiply<F: Points, const T: usize>(
    block: *const u8,
    x: Codes<'_>,
    first: usize,
) -> [__m512i; T] {
    // SAFETY: within the block and the columns.
    unsafe {
        let scales = F::group_scales(block);
        let mut sums = [_mm512_setzero_si512(); T];
        if !F::SIGNS {
            let factors = _mm256_mullo_epi16(_mm256_cvtepu8_epi16(scales), F::offsets(block));
            for (t, sums) in sums.iter_mut().enumerate() {
                let at = x.sums.as_ptr().add((t * x.cols + first) / 16);
                let products = _mm256_madd_epi16(factors, _mm256_loadu_si256(at.cast()));
                *sums = _mm512_zextsi256_si512(products);
            }
        }
        for part in 0..4 {
            let [p0, p1, p2, p3, p4, p5, p6, p7] = F::points(block, part).map(u64::cast_signed);
            let mut points = _mm512_set_epi64(p7, p6, p5, p4, p3, p2, p1, p0);
            if let Some(deltas) = F::deltas(block, part) {
                points = _mm512_add_epi8(points, deltas);
            }
            let signs = F::signs(block, part);
            // Each group's scale in its four lanes.
            let which = _mm_set_epi32(0x0303_0303, 0x0202_0202, 0x0101_0101, 0);
            let which = _mm_add_epi8(which, _mm_set1_epi8(4 * part as i8));
            let scale = _mm512_cvtepu8_epi32(_mm_shuffle_epi8(scales, which));
            for (t, sums) in sums.iter_mut().enumerate() {
                let at = x.codes.as_ptr().add(t * x.cols + first + 64 * part);
                let mut values = _mm512_loadu_si512(at.cast());
                if F::SIGNS {
                    let zero = _mm512_setzero_si512();
                    values = _mm512_mask_sub_epi8(values, signs, zero, values);
                }
                let dot = _mm512_dpbusd_epi32(_mm512_setzero_si512(), points, values);
                *sums = _mm512_add_epi32(*sums, _mm512_mullo_epi32(dot, scale));
            }
        }
        sums
    }
}
