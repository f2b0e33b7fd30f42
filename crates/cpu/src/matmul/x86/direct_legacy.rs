//! Direct products with types of 32-value blocks.

use std::arch::x86_64::*;

use super::super::activation::Codes;
use super::super::formats::Format;
use super::super::formats::legacy::{Q4_0, Q4_1, Q5_0, Q5_1, Q8_0};
use super::super::kernels::{DIRECT_ROWS, Strip};
use super::dot::{Dot, prefetch, prefetch_distance, signed, sum};

/// How blocks are loaded. Functions are inlined where AVX2 and F16C are enabled, and `block` points
/// to a whole block.
pub(super) trait Blocks: Format {
    /// Whether codes are signed bytes rather than unsigned ones below 64.
    const SIGNED: bool = false;
    /// Factor of `second half · sum of activations`.
    const MIN: f32;

    /// The codes in order.
    unsafe fn codes(block: *const u8) -> __m256i;

    /// Scale in the first lane, min or again the scale in the second.
    #[inline(always)]
    unsafe fn scales(block: *const u8) -> __m128 {
        // SAFETY: every block is at least 4 bytes and starts with its half floats.
        unsafe {
            let halves = block.cast::<i32>().read_unaligned();
            let halves =
                if Self::MINS { _mm_cvtsi32_si128(halves) } else { _mm_set1_epi16(halves as i16) };
            _mm_cvtph_ps(halves)
        }
    }
}

impl Blocks for Q4_0 {
    const MIN: f32 = -8.0;
    #[inline(always)]
    unsafe fn codes(block: *const u8) -> __m256i {
        // SAFETY: within the block.
        unsafe { nibbles(block.add(2)) }
    }
}

impl Blocks for Q4_1 {
    const MIN: f32 = 1.0;
    #[inline(always)]
    unsafe fn codes(block: *const u8) -> __m256i {
        // SAFETY: within the block.
        unsafe { nibbles(block.add(4)) }
    }
}

impl Blocks for Q5_0 {
    const MIN: f32 = -16.0;
    #[inline(always)]
    unsafe fn codes(block: *const u8) -> __m256i {
        // SAFETY: within the block.
        unsafe { _mm256_or_si256(nibbles(block.add(6)), fifth_bits(block.add(2))) }
    }
}

impl Blocks for Q5_1 {
    const MIN: f32 = 1.0;
    #[inline(always)]
    unsafe fn codes(block: *const u8) -> __m256i {
        // SAFETY: within the block.
        unsafe { _mm256_or_si256(nibbles(block.add(8)), fifth_bits(block.add(4))) }
    }
}

impl Blocks for Q8_0 {
    const SIGNED: bool = true;
    const MIN: f32 = 0.0;
    #[inline(always)]
    unsafe fn codes(block: *const u8) -> __m256i {
        // SAFETY: within the block.
        unsafe { _mm256_loadu_si256(block.add(2).cast()) }
    }
}

/// 32 codes: the low nibbles of 16 bytes, then the high ones.
#[inline(always)]
unsafe fn nibbles(at: *const u8) -> __m256i {
    // SAFETY: the caller points to 16 bytes and has AVX2.
    unsafe {
        let both = _mm256_broadcastsi128_si256(_mm_loadu_si128(at.cast()));
        let shift = _mm256_setr_epi32(0, 0, 0, 0, 4, 4, 4, 4);
        _mm256_and_si256(_mm256_srlv_epi32(both, shift), _mm256_set1_epi8(15))
    }
}

/// 32 bits as bytes of 0 or 16.
#[inline(always)]
unsafe fn fifth_bits(at: *const u8) -> __m256i {
    // SAFETY: the caller points to 4 bytes and has AVX2.
    unsafe {
        let bits = _mm256_set1_epi32(at.cast::<i32>().read_unaligned());
        let byte_of = _mm256_setr_epi64x(
            0,
            0x0101_0101_0101_0101,
            0x0202_0202_0202_0202,
            0x0303_0303_0303_0303,
        );
        let bit_of = _mm256_set1_epi64x(0x8040_2010_0804_0201_u64 as i64);
        let bits = _mm256_and_si256(_mm256_shuffle_epi8(bits, byte_of), bit_of);
        _mm256_and_si256(_mm256_cmpeq_epi8(bits, bit_of), _mm256_set1_epi8(16))
    }
}

/// `n_rows` rows times `T` columns, `R` rows at a time.
///
/// # Safety
/// Inlined where AVX2, FMA, F16C and the instructions of `D` are enabled.
#[inline(always)]
pub(super) unsafe fn direct<F: Blocks, D: Dot, const R: usize, const T: usize>(
    rows: &[u8],
    n_rows: usize,
    x: Codes<'_>,
    out: &mut Strip,
) {
    let n_blocks = x.cols / 32;
    assert!(n_rows <= DIRECT_ROWS && rows.len() == n_rows * n_blocks * F::BYTES);
    assert!(x.codes.len() >= T * n_blocks * 32 && x.pairs.len() >= T * n_blocks);
    let whole = n_rows / R * R;
    // SAFETY: lengths are checked above.
    unsafe {
        for r in (0..whole).step_by(R) {
            some_rows::<F, D, R, T>(rows, n_blocks, r, x, out);
        }
        for r in whole..n_rows {
            some_rows::<F, D, 1, T>(rows, n_blocks, r, x, out);
        }
    }
}

/// Rows `first..first + R`. Each row's sums are independent of `R` and `T`.
#[inline(always)]
unsafe fn some_rows<F: Blocks, D: Dot, const R: usize, const T: usize>(
    rows: &[u8],
    n_blocks: usize,
    first: usize,
    x: Codes<'_>,
    out: &mut Strip,
) {
    // SAFETY: `direct` has checked that rows and columns have `n_blocks` blocks.
    unsafe {
        let mut acc = [[_mm256_setzero_ps(); R]; T];
        let mut min = [[_mm_setzero_ps(); R]; T];
        let ahead = prefetch_distance(R, n_blocks * F::BYTES);
        for b in 0..n_blocks {
            let mut column = [(_mm256_setzero_si256(), _mm_setzero_ps()); T];
            for (t, column) in column.iter_mut().enumerate() {
                let codes = x.codes.as_ptr().add((t * n_blocks + b) * 32);
                let pair = x.pairs.as_ptr().add(t * n_blocks + b);
                *column =
                    (_mm256_loadu_si256(codes.cast()), _mm_castpd_ps(_mm_load_sd(pair.cast())));
            }
            for r in 0..R {
                let block = rows.as_ptr().add(((first + r) * n_blocks + b) * F::BYTES);
                prefetch(block.wrapping_add(ahead));
                let codes = F::codes(block);
                let scales = F::scales(block);
                for t in 0..T {
                    let (x, pair) = column[t];
                    let dot = if F::SIGNED {
                        signed::<D>(_mm256_setzero_si256(), codes, x)
                    } else {
                        D::bytes(_mm256_setzero_si256(), codes, x)
                    };
                    let pair = _mm_mul_ps(scales, pair);
                    let scale = _mm256_broadcastss_ps(pair);
                    acc[t][r] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot), scale, acc[t][r]);
                    min[t][r] = _mm_add_ps(min[t][r], pair);
                }
            }
        }
        for t in 0..T {
            for r in 0..R {
                let mut y = sum(acc[t][r]);
                if F::MIN != 0.0 {
                    y += F::MIN * _mm_cvtss_f32(_mm_movehdup_ps(min[t][r]));
                }
                out[t][first + r] = y;
            }
        }
    }
}
