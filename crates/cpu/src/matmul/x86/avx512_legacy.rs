//! Direct products with types of 32-value blocks, AVX-512 VNNI: four blocks at a time, each in its
//! 128-bit lane.

use std::arch::x86_64::*;
use std::array::from_fn;

use super::super::activation::Codes;
use super::super::formats::Format;
use super::super::formats::legacy::{Q4_0, Q4_1, Q5_0, Q5_1, Q8_0};
use super::super::formats::table::{self, Iq4Nl, Mxfp4};
use super::super::kernels::{DIRECT_ROWS, Strip};
use super::direct_legacy::{self, BLOCKS};
use super::dot::{Dot, sum};
use super::streams::{STREAMS, Set, follow_one, sets};

/// How blocks are loaded, beside their scales. Functions are inlined where AVX-512 F, BW, DQ and VL
/// are enabled, and pointers are to whole blocks.
pub(super) trait Blocks: direct_legacy::Blocks {
    /// Factor of `second half · sum of activations`: what codes, which are unsigned here, lack.
    const WIDE_MIN: f32 = Self::MIN;

    /// The first 16 codes of all blocks, then the last 16 of all.
    unsafe fn wide_codes(blocks: [*const u8; BLOCKS]) -> [__m512i; 2];
}

impl Blocks for Q4_0 {
    #[inline(always)]
    unsafe fn wide_codes(blocks: [*const u8; BLOCKS]) -> [__m512i; 2] {
        // SAFETY: within the blocks.
        unsafe { nibbles(blocks, 2) }
    }
}

impl Blocks for Q4_1 {
    #[inline(always)]
    unsafe fn wide_codes(blocks: [*const u8; BLOCKS]) -> [__m512i; 2] {
        // SAFETY: within the blocks.
        unsafe { nibbles(blocks, 4) }
    }
}

impl Blocks for Q5_0 {
    #[inline(always)]
    unsafe fn wide_codes(blocks: [*const u8; BLOCKS]) -> [__m512i; 2] {
        // SAFETY: within the blocks.
        unsafe { with_fifth_bits(nibbles(blocks, 6), blocks, 2) }
    }
}

impl Blocks for Q5_1 {
    #[inline(always)]
    unsafe fn wide_codes(blocks: [*const u8; BLOCKS]) -> [__m512i; 2] {
        // SAFETY: within the blocks.
        unsafe { with_fifth_bits(nibbles(blocks, 8), blocks, 4) }
    }
}

impl Blocks for Q8_0 {
    const WIDE_MIN: f32 = -128.0;
    #[inline(always)]
    unsafe fn wide_codes(blocks: [*const u8; BLOCKS]) -> [__m512i; 2] {
        // SAFETY: within the blocks.
        unsafe {
            let flip = _mm512_set1_epi8(-128);
            let codes = [sixteens(blocks, 2), sixteens(blocks, 18)];
            codes.map(|codes| _mm512_xor_si512(codes, flip))
        }
    }
}

impl Blocks for Iq4Nl {
    const WIDE_MIN: f32 = -(Self::OFFSET as f32);
    #[inline(always)]
    unsafe fn wide_codes(blocks: [*const u8; BLOCKS]) -> [__m512i; 2] {
        // SAFETY: within the blocks.
        unsafe { lookup(&table::IQ4, nibbles(blocks, 2)) }
    }
}

impl Blocks for Mxfp4 {
    const WIDE_MIN: f32 = -(Self::OFFSET as f32);
    #[inline(always)]
    unsafe fn wide_codes(blocks: [*const u8; BLOCKS]) -> [__m512i; 2] {
        // SAFETY: within the blocks.
        unsafe { lookup(&table::E2M1, nibbles(blocks, 1)) }
    }
}

/// 16 bytes from `at` of each block.
#[inline(always)]
unsafe fn sixteens(blocks: [*const u8; BLOCKS], at: usize) -> __m512i {
    // SAFETY: the caller points to 16 bytes each and has AVX-512 DQ.
    unsafe {
        let [a, b, c, d] = blocks.map(|block| _mm_loadu_si128(block.add(at).cast()));
        let (first, last) = (_mm256_set_m128i(b, a), _mm256_set_m128i(d, c));
        _mm512_inserti64x4::<1>(_mm512_castsi256_si512(first), last)
    }
}

/// The low nibbles of 16 bytes from `at` of each block, then the high ones.
#[inline(always)]
unsafe fn nibbles(blocks: [*const u8; BLOCKS], at: usize) -> [__m512i; 2] {
    // SAFETY: as for `sixteens`.
    unsafe {
        let bytes = sixteens(blocks, at);
        let mask = _mm512_set1_epi8(15);
        [_mm512_and_si512(bytes, mask), _mm512_and_si512(_mm512_srli_epi16::<4>(bytes), mask)]
    }
}

/// Codes with bit 4 from 32 bits from `at` of each block.
#[inline(always)]
unsafe fn with_fifth_bits(
    codes: [__m512i; 2],
    blocks: [*const u8; BLOCKS],
    at: usize,
) -> [__m512i; 2] {
    // SAFETY: the caller points to 4 bytes each and has AVX-512 BW.
    unsafe {
        let [a, b, c, d] =
            blocks.map(|block| u64::from(block.add(at).cast::<u32>().read_unaligned()));
        let first = a & 0xffff | (b & 0xffff) << 16 | (c & 0xffff) << 32 | d << 48;
        let last = a >> 16 | b >> 16 << 16 | c >> 16 << 32 | d >> 16 << 48;
        let with = |codes: __m512i, bits: u64| {
            _mm512_or_si512(codes, _mm512_maskz_mov_epi8(bits, _mm512_set1_epi8(16)))
        };
        [with(codes[0], first), with(codes[1], last)]
    }
}

/// The entries of a table.
#[inline(always)]
unsafe fn lookup(table: &[u8; 16], indices: [__m512i; 2]) -> [__m512i; 2] {
    // SAFETY: the table is as long as the register, and the caller has AVX-512 BW.
    unsafe {
        let table = _mm512_broadcast_i32x4(_mm_loadu_si128(table.as_ptr().cast()));
        [_mm512_shuffle_epi8(table, indices[0]), _mm512_shuffle_epi8(table, indices[1])]
    }
}

/// `n_rows` rows times `T` columns, whatever `D`: only there are dot products in 512-bit registers.
///
/// # Safety
/// Inlined where AVX2, FMA, F16C and AVX-512 F, BW, DQ, VL and VNNI are enabled.
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
        let (several, others) = sets(n_rows, T == 1);
        for set in several {
            some_rows::<F, T, STREAMS>(rows, n_blocks, set, x, out);
        }
        for set in others {
            some_rows::<F, T, 1>(rows, n_blocks, set, x, out);
        }
    }
}

/// `R` rows. Sums of a row and a column are independent of the others.
#[inline(always)]
unsafe fn some_rows<F: Blocks, const T: usize, const R: usize>(
    rows: &[u8],
    n_blocks: usize,
    set: Set,
    x: Codes<'_>,
    out: &mut Strip,
) {
    // SAFETY: `direct` has checked that rows and columns have `n_blocks` blocks, more than none.
    unsafe {
        let row = |r: usize| rows.as_ptr().add((set.first + r * set.step) * n_blocks * F::BYTES);
        let mut all_sums: [_; R] = from_fn(|_| Sums::zero());
        let mut b = 0;
        while b + 2 * BLOCKS <= n_blocks {
            for (r, sums) in all_sums.iter_mut().enumerate() {
                let row = row(r);
                follow_one::<R>(row.add(b * F::BYTES), 2 * BLOCKS * F::BYTES);
                add_blocks::<F, T>(row, b, BLOCKS, x, sums);
                add_blocks::<F, T>(row, b + BLOCKS, BLOCKS, x, sums);
            }
            b += 2 * BLOCKS;
        }
        for (r, mut sums) in all_sums.into_iter().enumerate() {
            let row = row(r);
            // Gaps would make the whole stream slow.
            follow_one::<R>(row.add(b * F::BYTES), (n_blocks - b) * F::BYTES);
            for b in (b..n_blocks).step_by(BLOCKS) {
                add_blocks::<F, T>(row, b, BLOCKS.min(n_blocks - b), x, &mut sums);
            }
            for (t, out) in out.iter_mut().enumerate().take(T) {
                let odd = _mm256_blend_ps::<0b1010_1010>(_mm256_setzero_ps(), sums.min[t]);
                out[set.first + r * set.step] =
                    _mm512_reduce_add_ps(sums.dot[t]) + F::WIDE_MIN * sum(odd);
            }
        }
    }
}

/// Sums of a row for each column.
struct Sums<const T: usize> {
    /// Dot products, in lanes yet to be summed.
    dot: [__m512; T],
    /// What [`Blocks::WIDE_MIN`] multiplies, in the odd lanes.
    min: [__m256; T],
}

impl<const T: usize> Sums<T> {
    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller has AVX-512.
        unsafe { Self { dot: [_mm512_setzero_ps(); T], min: [_mm256_setzero_ps(); T] } }
    }
}

/// Adds the products of `n` blocks from block `first` of a row.
#[inline(always)]
unsafe fn add_blocks<F: Blocks, const T: usize>(
    row: *const u8,
    first: usize,
    n: usize,
    x: Codes<'_>,
    sums: &mut Sums<T>,
) {
    // SAFETY: `direct` has checked that rows and columns have their blocks; masks leave out what is
    // behind their end.
    unsafe {
        // Where there are fewer, the last one stands in for those that are missing, with scale 0.
        let blocks = std::array::from_fn(|i| row.add((first + i.min(n - 1)) * F::BYTES));
        let codes = F::wide_codes(blocks);
        let scales = F::scales(blocks);
        let [a_bytes, b_bytes, pairs_given] = if n == BLOCKS {
            [u64::MAX; 3]
        } else {
            let bytes =
                |blocks: usize| if blocks < 2 { (1 << (32 * blocks)) - 1 } else { u64::MAX };
            [bytes(n), bytes(n.saturating_sub(2)), (1 << (2 * n)) - 1]
        };
        for t in 0..T {
            let column = t * (x.cols / 32) + first;
            let pairs = x.pairs.as_ptr().add(column).cast();
            let pairs = _mm256_maskz_loadu_ps(pairs_given as u8, pairs);
            let scales = _mm256_mul_ps(scales, pairs);
            sums.min[t] = _mm256_add_ps(sums.min[t], scales);
            let values = x.codes.as_ptr().wrapping_add(column * 32);
            let a = _mm512_maskz_loadu_epi8(a_bytes, values);
            let b = _mm512_maskz_loadu_epi8(b_bytes, values.wrapping_add(64));
            let dot = _mm512_dpbusd_epi32(
                _mm512_setzero_si512(),
                codes[0],
                _mm512_shuffle_i64x2::<0b10_00_10_00>(a, b),
            );
            let dot =
                _mm512_dpbusd_epi32(dot, codes[1], _mm512_shuffle_i64x2::<0b11_01_11_01>(a, b));
            let of_block = _mm512_setr_epi32(0, 0, 0, 0, 2, 2, 2, 2, 4, 4, 4, 4, 6, 6, 6, 6);
            let each = _mm512_permutexvar_ps(of_block, _mm512_castps256_ps512(scales));
            sums.dot[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot), each, sums.dot[t]);
        }
    }
}
