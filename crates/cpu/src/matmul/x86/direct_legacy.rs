//! Direct products with types of 32-value blocks.

use std::arch::x86_64::*;

use quant::codebook;

use super::super::activation::Codes;
use super::super::formats::Format;
use super::super::formats::legacy::{Q4_0, Q4_1, Q5_0, Q5_1, Q8_0};
use super::super::formats::table::{Iq4Nl, Mxfp4};
use super::super::kernels::{DIRECT_ROWS, Strip};
use super::dot::{Dot, signed, sum};
use super::primitives::{halves, pair, split_nibbles};
use crate::simd::x86::follow;

/// Blocks that are taken together.
pub(super) const BLOCKS: usize = 4;

/// How blocks are loaded. Functions are inlined where AVX2 and F16C are enabled, and pointers are to
/// whole blocks.
pub(super) trait Blocks: Format {
    /// Whether codes are signed bytes rather than unsigned ones below 64.
    const SIGNED: bool = false;
    /// Factor of `second half · sum of activations`.
    const MIN: f32;

    /// The first 16 codes of both blocks, then the last 16 of both.
    unsafe fn codes(a: *const u8, b: *const u8) -> [__m256i; 2];

    /// For each block its scale, and its min or again the scale.
    #[inline(always)]
    unsafe fn scales(blocks: [*const u8; BLOCKS]) -> __m256 {
        // SAFETY: every block is at least 4 bytes and starts with its half floats.
        unsafe {
            let halves = if Self::MINS {
                let [a, b, c, d] = blocks.map(|block| block.cast::<i32>().read_unaligned());
                _mm_setr_epi32(a, b, c, d)
            } else {
                let [a, b, c, d] =
                    blocks.map(|block| u64::from(block.cast::<u16>().read_unaligned()));
                let four = _mm_cvtsi64_si128((a | b << 16 | c << 32 | d << 48).cast_signed());
                _mm_unpacklo_epi16(four, four)
            };
            _mm256_cvtph_ps(halves)
        }
    }
}

impl Blocks for Q4_0 {
    const MIN: f32 = -8.0;
    #[inline(always)]
    unsafe fn codes(a: *const u8, b: *const u8) -> [__m256i; 2] {
        // SAFETY: within the blocks.
        unsafe { nibbles(a.add(2), b.add(2)) }
    }
}

impl Blocks for Q4_1 {
    const MIN: f32 = 1.0;
    #[inline(always)]
    unsafe fn codes(a: *const u8, b: *const u8) -> [__m256i; 2] {
        // SAFETY: within the blocks.
        unsafe { nibbles(a.add(4), b.add(4)) }
    }
}

impl Blocks for Q5_0 {
    const MIN: f32 = -16.0;
    #[inline(always)]
    unsafe fn codes(a: *const u8, b: *const u8) -> [__m256i; 2] {
        // SAFETY: within the blocks.
        unsafe { with_fifth_bits(nibbles(a.add(6), b.add(6)), a.add(2), b.add(2)) }
    }
}

impl Blocks for Q5_1 {
    const MIN: f32 = 1.0;
    #[inline(always)]
    unsafe fn codes(a: *const u8, b: *const u8) -> [__m256i; 2] {
        // SAFETY: within the blocks.
        unsafe { with_fifth_bits(nibbles(a.add(8), b.add(8)), a.add(4), b.add(4)) }
    }
}

impl Blocks for Q8_0 {
    const SIGNED: bool = true;
    const MIN: f32 = 0.0;
    #[inline(always)]
    unsafe fn codes(a: *const u8, b: *const u8) -> [__m256i; 2] {
        // SAFETY: within the blocks.
        unsafe { halves(a.add(2), b.add(2)) }
    }
}

impl Blocks for Iq4Nl {
    const SIGNED: bool = true;
    const MIN: f32 = 0.0;
    #[inline(always)]
    unsafe fn codes(a: *const u8, b: *const u8) -> [__m256i; 2] {
        // SAFETY: within the blocks.
        unsafe { lookup(&codebook::IQ4, nibbles(a.add(2), b.add(2))) }
    }
}

impl Blocks for Mxfp4 {
    const SIGNED: bool = true;
    const MIN: f32 = 0.0;
    #[inline(always)]
    unsafe fn codes(a: *const u8, b: *const u8) -> [__m256i; 2] {
        // SAFETY: within the blocks.
        unsafe { lookup(&codebook::E2M1_DOUBLED, nibbles(a.add(1), b.add(1))) }
    }
    #[inline(always)]
    unsafe fn scales(blocks: [*const u8; BLOCKS]) -> __m256 {
        // SAFETY: within the blocks.
        unsafe {
            let [a, b, c, d] = blocks.map(|block| u32::from(*block));
            let exponents = _mm_cvtsi32_si128((a | b << 8 | c << 16 | d << 24).cast_signed());
            let exponents = _mm256_cvtepu8_epi32(_mm_unpacklo_epi8(exponents, exponents));
            // Bits of 2^(exponent - 128); the first two are subnormal.
            let one = _mm256_set1_epi32(1);
            let subnormal =
                _mm256_sllv_epi32(_mm256_set1_epi32(1 << 21), _mm256_min_epi32(exponents, one));
            let normal = _mm256_slli_epi32::<23>(_mm256_sub_epi32(exponents, one));
            _mm256_castsi256_ps(_mm256_max_epi32(normal, subnormal))
        }
    }
}

/// The low nibbles of 16 bytes at `a` and at `b`, then the high ones.
#[inline(always)]
unsafe fn nibbles(a: *const u8, b: *const u8) -> [__m256i; 2] {
    // SAFETY: the caller points to 16 bytes each and has AVX2.
    unsafe { split_nibbles(pair(a, b)) }
}

/// Codes with bit 4 from 32 bits at `a` and at `b`.
#[inline(always)]
unsafe fn with_fifth_bits(codes: [__m256i; 2], a: *const u8, b: *const u8) -> [__m256i; 2] {
    // SAFETY: the caller points to 4 bytes each and has AVX2.
    unsafe {
        let bits = |at: *const u8| _mm_set1_epi32(at.cast::<i32>().read_unaligned());
        let bits = _mm256_set_m128i(bits(b), bits(a));
        let bit_of = _mm256_set1_epi64x(0x8040_2010_0804_0201_u64.cast_signed());
        let byte_of = |first: i64| {
            let bytes = first * 0x0101_0101_0101_0101;
            let next = bytes + 0x0101_0101_0101_0101;
            _mm256_setr_epi64x(bytes, next, bytes, next)
        };
        let with = |codes: __m256i, first: i64| {
            let set = _mm256_and_si256(_mm256_shuffle_epi8(bits, byte_of(first)), bit_of);
            let set = _mm256_cmpeq_epi8(set, bit_of);
            _mm256_or_si256(codes, _mm256_and_si256(set, _mm256_set1_epi8(16)))
        };
        [with(codes[0], 0), with(codes[1], 2)]
    }
}

/// The entries of a table.
#[inline(always)]
unsafe fn lookup(table: &[i8; 16], indices: [__m256i; 2]) -> [__m256i; 2] {
    // SAFETY: the table is as long as the register, and the caller has AVX2.
    unsafe {
        let table = _mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast()));
        [_mm256_shuffle_epi8(table, indices[0]), _mm256_shuffle_epi8(table, indices[1])]
    }
}

/// `n_rows` rows times `T` columns.
///
/// # Safety
/// Inlined where AVX2, FMA, F16C and the instructions of `D` are enabled.
#[inline(always)]
pub(super) unsafe fn direct<F: Blocks, D: Dot, const T: usize>(
    rows: &[u8],
    n_rows: usize,
    x: Codes<'_>,
    out: &mut Strip,
) {
    let n_blocks = x.cols / 32;
    assert!(n_rows <= DIRECT_ROWS && rows.len() == n_rows * n_blocks * F::BYTES);
    assert!(x.codes.len() >= T * n_blocks * 32 && x.pairs.len() >= T * n_blocks);
    if n_blocks == 0 {
        return;
    }
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
    // SAFETY: `direct` has checked that rows and columns have `n_blocks` blocks, more than none.
    unsafe {
        let row = rows.as_ptr().add(r * n_blocks * F::BYTES);
        let mut sums = Sums::zero();
        for b in (0..n_blocks / BLOCKS * BLOCKS).step_by(BLOCKS) {
            follow(row.add(b * F::BYTES), BLOCKS * F::BYTES);
            add_blocks::<F, D, T>(row, b, BLOCKS, x, &mut sums);
        }
        if !n_blocks.is_multiple_of(BLOCKS) {
            let first = n_blocks / BLOCKS * BLOCKS;
            // Gaps would make the whole stream slow.
            follow(row.add(first * F::BYTES), (n_blocks - first) * F::BYTES);
            add_blocks::<F, D, T>(row, first, n_blocks - first, x, &mut sums);
        }
        for (t, out) in out.iter_mut().enumerate().take(T) {
            let mut y = sum(_mm256_add_ps(sums.dot[0][t], sums.dot[1][t]));
            if F::MIN != 0.0 {
                let odd = _mm256_blend_ps::<0b1010_1010>(_mm256_setzero_ps(), sums.min[t]);
                y += F::MIN * sum(odd);
            }
            out[r] = y;
        }
    }
}

/// Sums of a row for each column.
struct Sums<const T: usize> {
    /// Dot products of even blocks and of odd ones, in lanes yet to be summed.
    dot: [[__m256; T]; 2],
    /// What [`Blocks::MIN`] multiplies, in the odd lanes.
    min: [__m256; T],
}

impl<const T: usize> Sums<T> {
    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller has AVX2.
        unsafe { Self { dot: [[_mm256_setzero_ps(); T]; 2], min: [_mm256_setzero_ps(); T] } }
    }
}

/// Adds the products of `n` blocks from block `first` of a row.
#[inline(always)]
unsafe fn add_blocks<F: Blocks, D: Dot, const T: usize>(
    row: *const u8,
    first: usize,
    n: usize,
    x: Codes<'_>,
    sums: &mut Sums<T>,
) {
    // SAFETY: `direct` has checked that rows and columns have their blocks.
    unsafe {
        // Where there are fewer, the last one stands in for those that are missing, with scale 0.
        let which: [usize; BLOCKS] = std::array::from_fn(|i| first + i.min(n - 1));
        let blocks = which.map(|b| row.add(b * F::BYTES));
        let codes = [F::codes(blocks[0], blocks[2]), F::codes(blocks[1], blocks[3])];
        let scales = F::scales(blocks);
        for t in 0..T {
            let column = t * (x.cols / 32);
            let pairs = x.pairs.as_ptr().add(column + first).cast();
            let pairs = if n == BLOCKS {
                _mm256_loadu_ps(pairs)
            } else {
                let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
                let given = _mm256_cmpgt_epi32(_mm256_set1_epi32(2 * n as i32), lanes);
                _mm256_maskload_ps(pairs, given)
            };
            let scales = _mm256_mul_ps(scales, pairs);
            sums.min[t] = _mm256_add_ps(sums.min[t], scales);
            let x_codes = |b: usize| x.codes.as_ptr().add((column + b) * 32).cast::<u8>();
            let values = [
                halves(x_codes(which[0]), x_codes(which[2])),
                halves(x_codes(which[1]), x_codes(which[3])),
            ];
            let each = [
                _mm256_permute_ps::<0b0000_0000>(scales),
                _mm256_permute_ps::<0b1010_1010>(scales),
            ];
            for i in 0..2 {
                let mut dot = _mm256_setzero_si256();
                for (codes, values) in codes[i].into_iter().zip(values[i]) {
                    dot = if F::SIGNED {
                        signed::<D>(dot, codes, values)
                    } else {
                        D::bytes(dot, codes, values)
                    };
                }
                sums.dot[i][t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot), each[i], sums.dot[i][t]);
            }
        }
    }
}
