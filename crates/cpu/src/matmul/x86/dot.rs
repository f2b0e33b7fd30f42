//! 8-bit dot products in 256-bit registers.

use std::arch::x86_64::*;

/// Instructions for dot products.
pub(super) trait Dot {
    /// Adds to each 32-bit lane the products of its four unsigned and signed bytes. Pairs of
    /// products must fit in 16 bits.
    ///
    /// # Safety
    /// The caller is compiled with the instruction set.
    unsafe fn bytes(acc: __m256i, unsigned: __m256i, signed: __m256i) -> __m256i;

    /// Adds to each 32-bit lane the products of its two 16-bit values.
    ///
    /// # Safety
    /// As above.
    unsafe fn words(acc: __m256i, a: __m256i, b: __m256i) -> __m256i;

    /// Sums of four products of unsigned and signed bytes, as 16-bit values, which they must fit: in
    /// each 128-bit lane four sums of the first registers, then four of the second.
    ///
    /// # Safety
    /// As above.
    unsafe fn fours(unsigned: [__m256i; 2], signed: [__m256i; 2]) -> __m256i;
}

/// AVX2.
pub(super) struct Maddubs;

impl Dot for Maddubs {
    #[inline(always)]
    unsafe fn bytes(acc: __m256i, unsigned: __m256i, signed: __m256i) -> __m256i {
        // SAFETY: the caller has AVX2.
        unsafe {
            let pairs = _mm256_maddubs_epi16(unsigned, signed);
            _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        }
    }

    #[inline(always)]
    unsafe fn words(acc: __m256i, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: the caller has AVX2.
        unsafe { _mm256_add_epi32(acc, _mm256_madd_epi16(a, b)) }
    }

    #[inline(always)]
    unsafe fn fours(unsigned: [__m256i; 2], signed: [__m256i; 2]) -> __m256i {
        // SAFETY: the caller has AVX2.
        unsafe {
            _mm256_hadd_epi16(
                _mm256_maddubs_epi16(unsigned[0], signed[0]),
                _mm256_maddubs_epi16(unsigned[1], signed[1]),
            )
        }
    }
}

/// AVX-512 VNNI with 256-bit registers.
pub(super) struct Vnni;

impl Dot for Vnni {
    #[inline(always)]
    unsafe fn bytes(acc: __m256i, unsigned: __m256i, signed: __m256i) -> __m256i {
        // SAFETY: the caller has AVX-512 VNNI and VL.
        unsafe { _mm256_dpbusd_epi32(acc, unsigned, signed) }
    }

    #[inline(always)]
    unsafe fn words(acc: __m256i, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: the caller has AVX-512 VNNI and VL.
        unsafe { _mm256_dpwssd_epi32(acc, a, b) }
    }

    #[inline(always)]
    unsafe fn fours(unsigned: [__m256i; 2], signed: [__m256i; 2]) -> __m256i {
        // SAFETY: the caller has AVX-512 VNNI and VL.
        unsafe {
            let first = Self::bytes(_mm256_setzero_si256(), unsigned[0], signed[0]);
            let second = Self::bytes(_mm256_setzero_si256(), unsigned[1], signed[1]);
            _mm256_packs_epi32(first, second)
        }
    }
}

/// AVX-VNNI: as [`Vnni`], encoded for processors without AVX-512.
pub(super) struct AvxVnni;

impl Dot for AvxVnni {
    #[inline(always)]
    unsafe fn bytes(acc: __m256i, unsigned: __m256i, signed: __m256i) -> __m256i {
        // SAFETY: the caller has AVX-VNNI.
        unsafe { _mm256_dpbusd_avx_epi32(acc, unsigned, signed) }
    }

    #[inline(always)]
    unsafe fn words(acc: __m256i, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: the caller has AVX-VNNI.
        unsafe { _mm256_dpwssd_avx_epi32(acc, a, b) }
    }

    #[inline(always)]
    unsafe fn fours(unsigned: [__m256i; 2], signed: [__m256i; 2]) -> __m256i {
        // SAFETY: the caller has AVX-VNNI.
        unsafe {
            let first = Self::bytes(_mm256_setzero_si256(), unsigned[0], signed[0]);
            let second = Self::bytes(_mm256_setzero_si256(), unsigned[1], signed[1]);
            _mm256_packs_epi32(first, second)
        }
    }
}

/// Signed bytes times signed bytes of magnitudes up to 127, in 32-bit lanes.
///
/// # Safety
/// The caller is compiled with the instruction set of `D`.
#[inline(always)]
pub(super) unsafe fn signed<D: Dot>(acc: __m256i, a: __m256i, b: __m256i) -> __m256i {
    // SAFETY: as asked.
    unsafe { D::bytes(acc, _mm256_abs_epi8(a), _mm256_sign_epi8(b, a)) }
}

/// The sum of all lanes.
///
/// # Safety
/// The caller has AVX2.
#[inline(always)]
pub(super) unsafe fn sum(v: __m256) -> f32 {
    // SAFETY: as asked.
    unsafe {
        let v = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
        let v = _mm_add_ps(v, _mm_movehl_ps(v, v));
        _mm_cvtss_f32(_mm_add_ss(v, _mm_movehdup_ps(v)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[target_feature(enable = "avx2,avxvnni")]
    #[inline(never)]
    fn bytes(acc: __m256i, unsigned: __m256i, signed: __m256i) -> __m256i {
        // SAFETY: this function's features are enough.
        unsafe { AvxVnni::bytes(acc, unsigned, signed) }
    }

    #[target_feature(enable = "avx2,avxvnni")]
    #[inline(never)]
    fn words(acc: __m256i, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: this function's features are enough.
        unsafe { AvxVnni::words(acc, a, b) }
    }

    /// Whether the code of a function, up to what looks like its return, has an instruction
    /// `VEX.256.66.0F38.W0` with this opcode.
    fn has_vex(function: unsafe fn(__m256i, __m256i, __m256i) -> __m256i, opcode: u8) -> bool {
        const RETURN: u8 = 0xc3;
        let start = function as *const u8;
        // SAFETY: code is readable, and the scan ends within the function.
        let code = (0..).map(|i| unsafe { start.add(i).read() }).take_while(|&b| b != RETURN);
        code.collect::<Vec<_>>().windows(4).any(|code| {
            code[0] == 0xc4 && code[1] & 0x1f == 2 && code[2] & 0x87 == 5 && code[3] == opcode
        })
    }

    // Bodies of kernels are tested with both encodings where the processor has them; where it has
    // AVX-512 VNNI only, this is what they differ by.
    #[test]
    fn avx_vnni_has_the_encoding_without_avx512() {
        assert!(has_vex(bytes, 0x50));
        assert!(has_vex(words, 0x52));
        assert!(!has_vex(bytes, 0x52));
    }
}
