//! Interleaving of unpacked rows: transposes of 32-bit elements.

use std::arch::x86_64::*;

/// 16 rows at a time: transposes of 16 × 16 elements.
///
/// # Safety
/// Inlined where AVX-512 F is enabled.
#[inline(always)]
pub(super) unsafe fn avx512<const R: usize>(codes: &[[u8; 256]; R], out: &mut [u8]) {
    const { assert!(R.is_multiple_of(16)) };
    let groups = out.len() / (4 * R);
    assert!(groups <= 64 && groups.is_multiple_of(8));
    // SAFETY: reads are within the rows, and writes within the `groups` groups of 4 bytes of each row.
    unsafe {
        for first in (0..groups).step_by(16) {
            for part in 0..R / 16 {
                let rows: [__m512i; 16] = std::array::from_fn(|r| {
                    _mm512_loadu_si512(codes[part * 16 + r].as_ptr().add(first * 4).cast())
                });
                let columns = transpose16(rows);
                // A last step of 32 values has 8 groups.
                for (i, column) in columns.into_iter().enumerate().take(groups - first) {
                    _mm512_storeu_si512(
                        out.as_mut_ptr().add((first + i) * 4 * R + part * 64).cast(),
                        column,
                    );
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn transpose16(rows: [__m512i; 16]) -> [__m512i; 16] {
    // SAFETY: registers only; the caller has AVX-512 F.
    unsafe {
        // Within quadruples of rows, each 128-bit lane becomes a transposed 4 × 4.
        let mut four = [_mm512_setzero_si512(); 16];
        for q in 0..4 {
            let [a, b, c, d] = [rows[4 * q], rows[4 * q + 1], rows[4 * q + 2], rows[4 * q + 3]];
            let (ab0, ab1) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
            let (cd0, cd1) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
            four[q] = _mm512_unpacklo_epi64(ab0, cd0);
            four[4 + q] = _mm512_unpackhi_epi64(ab0, cd0);
            four[8 + q] = _mm512_unpacklo_epi64(ab1, cd1);
            four[12 + q] = _mm512_unpackhi_epi64(ab1, cd1);
        }
        // Then 4 × 4 lanes are transposed: `four[4 i + q]` holds columns i, 4 + i, 8 + i, 12 + i.
        let mut out = [_mm512_setzero_si512(); 16];
        for i in 0..4 {
            let [a, b, c, d] = [four[4 * i], four[4 * i + 1], four[4 * i + 2], four[4 * i + 3]];
            let ab0 = _mm512_shuffle_i32x4::<0x44>(a, b);
            let ab1 = _mm512_shuffle_i32x4::<0xee>(a, b);
            let cd0 = _mm512_shuffle_i32x4::<0x44>(c, d);
            let cd1 = _mm512_shuffle_i32x4::<0xee>(c, d);
            out[i] = _mm512_shuffle_i32x4::<0x88>(ab0, cd0);
            out[4 + i] = _mm512_shuffle_i32x4::<0xdd>(ab0, cd0);
            out[8 + i] = _mm512_shuffle_i32x4::<0x88>(ab1, cd1);
            out[12 + i] = _mm512_shuffle_i32x4::<0xdd>(ab1, cd1);
        }
        out
    }
}

/// 8 rows at a time: transposes of 8 × 8 elements.
///
/// # Safety
/// Inlined where AVX2 is enabled.
#[inline(always)]
pub(super) unsafe fn avx2<const R: usize>(codes: &[[u8; 256]; R], out: &mut [u8]) {
    const { assert!(R.is_multiple_of(8)) };
    let groups = out.len() / (4 * R);
    assert!(groups <= 64 && groups.is_multiple_of(8));
    // SAFETY: reads are within the rows, and writes within the `groups` groups of 4 bytes of each row.
    unsafe {
        for first in (0..groups).step_by(8) {
            for part in 0..R / 8 {
                let rows: [__m256i; 8] = std::array::from_fn(|r| {
                    _mm256_loadu_si256(codes[part * 8 + r].as_ptr().add(first * 4).cast())
                });
                for (i, column) in transpose8(rows).into_iter().enumerate() {
                    _mm256_storeu_si256(
                        out.as_mut_ptr().add((first + i) * 4 * R + part * 32).cast(),
                        column,
                    );
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn transpose8(rows: [__m256i; 8]) -> [__m256i; 8] {
    // SAFETY: registers only; the caller has AVX2.
    unsafe {
        let mut four = [_mm256_setzero_si256(); 8];
        for q in 0..2 {
            let [a, b, c, d] = [rows[4 * q], rows[4 * q + 1], rows[4 * q + 2], rows[4 * q + 3]];
            let (ab0, ab1) = (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
            let (cd0, cd1) = (_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
            four[q] = _mm256_unpacklo_epi64(ab0, cd0);
            four[2 + q] = _mm256_unpackhi_epi64(ab0, cd0);
            four[4 + q] = _mm256_unpacklo_epi64(ab1, cd1);
            four[6 + q] = _mm256_unpackhi_epi64(ab1, cd1);
        }
        let mut out = [_mm256_setzero_si256(); 8];
        for i in 0..4 {
            let [a, b] = [four[2 * i], four[2 * i + 1]];
            out[i] = _mm256_permute2x128_si256::<0x20>(a, b);
            out[4 + i] = _mm256_permute2x128_si256::<0x31>(a, b);
        }
        out
    }
}
