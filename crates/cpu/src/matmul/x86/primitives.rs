//! Steps of unpacking in 256-bit registers.

use std::arch::x86_64::*;
use std::ops::Range;

use super::super::formats::Primitives;
use crate::simd::x86::fetch;

/// AVX2 and F16C.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    /// # Safety
    /// Methods are only called where AVX2 and F16C are enabled.
    #[inline(always)]
    pub(super) unsafe fn new() -> Self {
        Self(())
    }
}

impl Primitives for Avx2 {
    #[inline(always)]
    fn half(self, bits: u16) -> f32 {
        // SAFETY: see `new`.
        unsafe { _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(i32::from(bits)))) }
    }

    #[inline(always)]
    fn halves(self, bytes: &[u8], values: &mut [[u8; 4]]) {
        let (bytes, last_bytes) = bytes.as_chunks::<16>();
        let (values, last_values) = values.split_at_mut(8 * bytes.len());
        let values = values.as_chunks_mut::<8>().0;
        for (bytes, values) in bytes.iter().zip(values) {
            // SAFETY: see `new`; arrays are as long as the registers.
            unsafe {
                let eight = _mm256_cvtph_ps(_mm_loadu_si128(bytes.as_ptr().cast()));
                _mm256_storeu_ps(values.as_mut_ptr().cast(), eight);
            }
        }
        for (bytes, value) in last_bytes.as_chunks::<2>().0.iter().zip(last_values) {
            *value = self.half(u16::from_le_bytes(*bytes)).to_ne_bytes();
        }
    }

    #[inline(always)]
    fn lookup(self, table: &[u8; 16], nibbles: &[u8; 16], codes: &mut [u8; 32]) {
        // SAFETY: see `new`; arrays are as long as the registers.
        unsafe {
            let table = _mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast()));
            let indices = low_and_high(nibbles.as_ptr());
            _mm256_storeu_si256(codes.as_mut_ptr().cast(), _mm256_shuffle_epi8(table, indices));
        }
    }

    #[inline(always)]
    fn signed(self, magnitudes: [u64; 4], signs: u32, offset: u8, codes: &mut [u8; 32]) {
        // SAFETY: see `new`; `codes` is as long as the register.
        unsafe {
            let [a, b, c, d] = magnitudes.map(u64::cast_signed);
            let magnitudes = _mm256_set_epi64x(d, c, b, a);
            // 1 or -1.
            let factors = _mm256_or_si256(set_bits(signs), _mm256_set1_epi8(1));
            let values = _mm256_sign_epi8(magnitudes, factors);
            let sum = _mm256_add_epi8(values, _mm256_set1_epi8(offset.cast_signed()));
            _mm256_storeu_si256(codes.as_mut_ptr().cast(), sum);
        }
    }

    #[inline(always)]
    fn fetch(self, at: *const u8, bytes: Range<usize>) {
        fetch(at, bytes);
    }
}

/// The low nibbles of 16 bytes, then the high ones.
///
/// # Safety
/// `at` points to 16 bytes; inlined where AVX2 is enabled.
#[inline(always)]
pub(super) unsafe fn low_and_high(at: *const u8) -> __m256i {
    // SAFETY: as asked.
    unsafe {
        let both = _mm256_broadcastsi128_si256(_mm_loadu_si128(at.cast()));
        let shift = _mm256_setr_epi32(0, 0, 0, 0, 4, 4, 4, 4);
        _mm256_and_si256(_mm256_srlv_epi32(both, shift), _mm256_set1_epi8(15))
    }
}

/// 32 bits as bytes of 0 or all ones.
///
/// # Safety
/// Inlined where AVX2 is enabled.
#[inline(always)]
pub(super) unsafe fn set_bits(bits: u32) -> __m256i {
    // SAFETY: as asked.
    unsafe {
        let bits = _mm256_set1_epi32(bits.cast_signed());
        let byte_of = _mm256_setr_epi64x(
            0,
            0x0101_0101_0101_0101,
            0x0202_0202_0202_0202,
            0x0303_0303_0303_0303,
        );
        let bit_of = _mm256_set1_epi64x(0x8040_2010_0804_0201_u64 as i64);
        let bits = _mm256_and_si256(_mm256_shuffle_epi8(bits, byte_of), bit_of);
        _mm256_cmpeq_epi8(bits, bit_of)
    }
}

/// 16 bytes at `a` and at `b`.
///
/// # Safety
/// Both point to 16 bytes; inlined where AVX2 is enabled.
#[inline(always)]
pub(super) unsafe fn pair(a: *const u8, b: *const u8) -> __m256i {
    // SAFETY: as asked.
    unsafe { _mm256_set_m128i(_mm_loadu_si128(b.cast()), _mm_loadu_si128(a.cast())) }
}

/// The first halves of 32 bytes at `a` and at `b`, then the second halves.
///
/// # Safety
/// Both point to 32 bytes; inlined where AVX2 is enabled.
#[inline(always)]
pub(super) unsafe fn halves(a: *const u8, b: *const u8) -> [__m256i; 2] {
    // SAFETY: as asked.
    unsafe { [pair(a, b), pair(a.add(16), b.add(16))] }
}

/// The low nibbles of all bytes, and the high ones.
///
/// # Safety
/// Inlined where AVX2 is enabled.
#[inline(always)]
pub(super) unsafe fn split_nibbles(bytes: __m256i) -> [__m256i; 2] {
    // SAFETY: registers only.
    unsafe {
        let mask = _mm256_set1_epi8(15);
        [_mm256_and_si256(bytes, mask), _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), mask)]
    }
}
