//! Registers of both widths for bodies that are generic over them.

use std::arch::x86_64::*;
use std::marker::PhantomData;

use super::dot::Dot;

/// Registers of a width, and what is done with them. A lane is a row.
///
/// # Safety
/// All is called where the instructions are enabled, with pointers to as many values as there are lanes.
pub(super) trait Wide {
    /// Rows of a register.
    const ROWS: usize;
    /// 32 bits of each row.
    type Words: Copy;
    /// A number of each row.
    type Floats: Copy;

    unsafe fn load(at: *const u8) -> Self::Words;
    unsafe fn load_floats(at: *const f32) -> Self::Floats;
    unsafe fn store(floats: Self::Floats, at: *mut f32);
    /// The same word for all rows.
    unsafe fn splat(word: i32) -> Self::Words;
    unsafe fn splat_float(float: f32) -> Self::Floats;
    /// Adds products of four unsigned bytes of `a` and signed ones of `b`.
    unsafe fn bytes(acc: Self::Words, a: Self::Words, b: Self::Words) -> Self::Words;
    /// Adds products of two signed 16-bit numbers.
    unsafe fn halves(acc: Self::Words, a: Self::Words, b: Self::Words) -> Self::Words;
    unsafe fn float(words: Self::Words) -> Self::Floats;
    unsafe fn sub(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    unsafe fn mul(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `a · b + c`.
    unsafe fn mul_add(a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats;
}

/// AVX-512 VNNI.
pub(super) struct Zmm;
/// AVX2, with the dot products of `D`.
pub(super) struct Ymm<D>(PhantomData<D>);

impl Wide for Zmm {
    const ROWS: usize = 16;
    type Words = __m512i;
    type Floats = __m512;

    #[inline(always)]
    unsafe fn load(at: *const u8) -> __m512i {
        // SAFETY: as asked.
        unsafe { _mm512_loadu_si512(at.cast()) }
    }

    #[inline(always)]
    unsafe fn load_floats(at: *const f32) -> __m512 {
        // SAFETY: as asked.
        unsafe { _mm512_loadu_ps(at) }
    }

    #[inline(always)]
    unsafe fn store(floats: __m512, at: *mut f32) {
        // SAFETY: as asked.
        unsafe { _mm512_storeu_ps(at, floats) }
    }

    #[inline(always)]
    unsafe fn splat(word: i32) -> __m512i {
        // SAFETY: as asked.
        unsafe { _mm512_set1_epi32(word) }
    }

    #[inline(always)]
    unsafe fn splat_float(float: f32) -> __m512 {
        // SAFETY: as asked.
        unsafe { _mm512_set1_ps(float) }
    }

    #[inline(always)]
    unsafe fn bytes(acc: __m512i, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: as asked.
        unsafe { _mm512_dpbusd_epi32(acc, a, b) }
    }

    #[inline(always)]
    unsafe fn halves(acc: __m512i, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: as asked.
        unsafe { _mm512_dpwssd_epi32(acc, a, b) }
    }

    #[inline(always)]
    unsafe fn float(words: __m512i) -> __m512 {
        // SAFETY: as asked.
        unsafe { _mm512_cvtepi32_ps(words) }
    }

    #[inline(always)]
    unsafe fn sub(a: __m512, b: __m512) -> __m512 {
        // SAFETY: as asked.
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn mul(a: __m512, b: __m512) -> __m512 {
        // SAFETY: as asked.
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn mul_add(a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: as asked.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
}

impl<D: Dot> Wide for Ymm<D> {
    const ROWS: usize = 8;
    type Words = __m256i;
    type Floats = __m256;

    #[inline(always)]
    unsafe fn load(at: *const u8) -> __m256i {
        // SAFETY: as asked.
        unsafe { _mm256_loadu_si256(at.cast()) }
    }

    #[inline(always)]
    unsafe fn load_floats(at: *const f32) -> __m256 {
        // SAFETY: as asked.
        unsafe { _mm256_loadu_ps(at) }
    }

    #[inline(always)]
    unsafe fn store(floats: __m256, at: *mut f32) {
        // SAFETY: as asked.
        unsafe { _mm256_storeu_ps(at, floats) }
    }

    #[inline(always)]
    unsafe fn splat(word: i32) -> __m256i {
        // SAFETY: as asked.
        unsafe { _mm256_set1_epi32(word) }
    }

    #[inline(always)]
    unsafe fn splat_float(float: f32) -> __m256 {
        // SAFETY: as asked.
        unsafe { _mm256_set1_ps(float) }
    }

    #[inline(always)]
    unsafe fn bytes(acc: __m256i, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: as asked.
        unsafe { D::bytes(acc, a, b) }
    }

    #[inline(always)]
    unsafe fn halves(acc: __m256i, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: as asked.
        unsafe { D::words(acc, a, b) }
    }

    #[inline(always)]
    unsafe fn float(words: __m256i) -> __m256 {
        // SAFETY: as asked.
        unsafe { _mm256_cvtepi32_ps(words) }
    }

    #[inline(always)]
    unsafe fn sub(a: __m256, b: __m256) -> __m256 {
        // SAFETY: as asked.
        unsafe { _mm256_sub_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn mul(a: __m256, b: __m256) -> __m256 {
        // SAFETY: as asked.
        unsafe { _mm256_mul_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn mul_add(a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: as asked.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
}
