//! Direct products with types of 256-value blocks. Within a block all sums are integers.

use std::arch::x86_64::*;

use quant::codebook;

use super::super::activation::Codes;
use super::super::formats::Format;
use super::super::formats::kquant::{Q2K, Q3K, Q4K, Q5K, Q6K, six_bit, sixteen_six_bit};
use super::super::formats::table::{Iq4Xs, group_scales};
use super::super::kernels::{DIRECT_ROWS, Strip};
use super::dot::{Dot, signed, sum};
use super::primitives::{halves, split_nibbles};
use super::streams::{STREAMS, Set, follow_one, sets};

/// A column's part that meets one block.
#[derive(Clone, Copy)]
pub(super) struct Column {
    /// 256 codes.
    codes: *const i8,
    /// 16 sums of 16 codes.
    sums: *const i16,
}

/// A block's product with a column: `scale · dot - min_scale · min`, in lanes yet to be summed.
#[derive(Clone, Copy)]
pub(super) struct Lanes {
    dot: __m256i,
    min: __m128i,
}

/// How blocks are multiplied. Functions are inlined where AVX2, F16C and `D` are enabled, and
/// `block` points to a whole block.
pub(super) trait Blocks: Format {
    /// Offset of the scale in the block; a min scale follows if the format has mins.
    const SCALE: usize;
    /// Whether rows are read side by side: not where instructions are the limit.
    const STREAMS: bool = true;

    unsafe fn multiply<D: Dot, const T: usize>(block: *const u8, x: [Column; T]) -> [Lanes; T];
}

impl Blocks for Q2K {
    const SCALE: usize = 80;
    const STREAMS: bool = false;
    #[inline(always)]
    unsafe fn multiply<D: Dot, const T: usize>(block: *const u8, x: [Column; T]) -> [Lanes; T] {
        // SAFETY: the caller keeps the trait's rules; all loads are within block and column.
        unsafe {
            let both = _mm_loadu_si128(block.cast());
            let mask = _mm_set1_epi8(15);
            let mins = _mm_and_si128(_mm_srli_epi16::<4>(both), mask);
            let mut out = by_sixteen::<Self, D, T>(_mm_and_si128(both, mask), block, x);
            let mins = _mm256_cvtepi8_epi16(mins);
            for (out, x) in out.iter_mut().zip(x) {
                let min = _mm256_madd_epi16(mins, _mm256_loadu_si256(x.sums.cast()));
                out.min =
                    _mm_add_epi32(_mm256_castsi256_si128(min), _mm256_extracti128_si256::<1>(min));
            }
            out
        }
    }
}

impl Blocks for Q3K {
    const SCALE: usize = 108;
    const STREAMS: bool = false;
    #[inline(always)]
    unsafe fn multiply<D: Dot, const T: usize>(block: *const u8, x: [Column; T]) -> [Lanes; T] {
        // SAFETY: the caller keeps the trait's rules; all loads are within block and column.
        unsafe {
            let scales = sixteen_six_bit(std::slice::from_raw_parts(block.add(96), 12));
            let scales = _mm_set_epi64x((scales >> 64) as i64, scales as i64);
            let scales = _mm_sub_epi8(scales, _mm_set1_epi8(32));
            let mut out = by_sixteen::<Self, D, T>(scales, block, x);
            take_offset(&mut out, scales, x, 4);
            out
        }
    }
}

impl Blocks for Q4K {
    const SCALE: usize = 0;
    #[inline(always)]
    unsafe fn multiply<D: Dot, const T: usize>(block: *const u8, x: [Column; T]) -> [Lanes; T] {
        // SAFETY: the caller keeps the trait's rules; all loads are within block and column.
        unsafe { with_mins::<Self, D, T>(block, x) }
    }
}

impl Blocks for Q5K {
    const SCALE: usize = 0;
    #[inline(always)]
    unsafe fn multiply<D: Dot, const T: usize>(block: *const u8, x: [Column; T]) -> [Lanes; T] {
        // SAFETY: the caller keeps the trait's rules; all loads are within block and column.
        unsafe { with_mins::<Self, D, T>(block, x) }
    }
}

impl Blocks for Q6K {
    const SCALE: usize = 208;
    #[inline(always)]
    unsafe fn multiply<D: Dot, const T: usize>(block: *const u8, x: [Column; T]) -> [Lanes; T] {
        // SAFETY: the caller keeps the trait's rules; all loads are within block and column.
        unsafe {
            let scales = _mm_loadu_si128(block.add(192).cast());
            let mut out = by_sixteen::<Self, D, T>(scales, block, x);
            take_offset(&mut out, scales, x, 32);
            out
        }
    }
}

impl Blocks for Iq4Xs {
    const SCALE: usize = 0;
    #[inline(always)]
    unsafe fn multiply<D: Dot, const T: usize>(block: *const u8, x: [Column; T]) -> [Lanes; T] {
        // SAFETY: the caller keeps the trait's rules; all loads are within block and column.
        unsafe {
            let scales = group_scales(std::slice::from_raw_parts(block.add(2), 6));
            let scales = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(scales as i64));
            let scales = _mm256_sub_epi32(scales, _mm256_set1_epi32(32));
            let table = _mm_loadu_si128(codebook::IQ4.as_ptr().cast());
            let table = _mm256_broadcastsi128_si256(table);
            let mut out = [Lanes { dot: _mm256_setzero_si256(), min: _mm_setzero_si128() }; T];
            for group in (0..8).step_by(2) {
                // The first 16 codes of both groups, then the last 16 of both.
                let both = _mm256_loadu_si256(block.add(8 + 16 * group).cast());
                let [first, last] = split_nibbles(both);
                let first = _mm256_shuffle_epi8(table, first);
                let last = _mm256_shuffle_epi8(table, last);
                let (a, b) = (group as i32, group as i32 + 1);
                let which = _mm256_setr_epi32(a, a, a, a, b, b, b, b);
                let scale = _mm256_permutevar8x32_epi32(scales, which);
                for (out, x) in out.iter_mut().zip(x) {
                    let values = x.codes.add(32 * group).cast();
                    let [first_values, last_values] = halves(values, values.add(32));
                    let dot = signed::<D>(_mm256_setzero_si256(), first, first_values);
                    let dot = signed::<D>(dot, last, last_values);
                    out.dot = _mm256_add_epi32(out.dot, _mm256_mullo_epi32(dot, scale));
                }
            }
            out
        }
    }
}

/// Group `group` of 32 values of 64 bytes of bit pairs.
#[inline(always)]
unsafe fn bit_pairs(at: *const u8, group: usize) -> __m256i {
    // SAFETY: the caller points to 64 bytes and has AVX2.
    unsafe {
        let bytes = _mm256_loadu_si256(at.add(group / 4 * 32).cast());
        let down = _mm256_srl_epi16(bytes, _mm_cvtsi32_si128(2 * (group % 4) as i32));
        _mm256_and_si256(down, _mm256_set1_epi8(3))
    }
}

/// Blocks with signed scales of 16 values.
trait BySixteen {
    /// The codes of the 32 values of group `group`.
    unsafe fn codes(block: *const u8, group: usize) -> __m256i;
}

impl BySixteen for Q2K {
    #[inline(always)]
    unsafe fn codes(block: *const u8, group: usize) -> __m256i {
        // SAFETY: within the block.
        unsafe { bit_pairs(block.add(16), group) }
    }
}

impl BySixteen for Q3K {
    #[inline(always)]
    unsafe fn codes(block: *const u8, group: usize) -> __m256i {
        // SAFETY: within the block.
        unsafe {
            // Bit `group` of each byte moves to place 2; what crosses bytes is masked out.
            let third = _mm256_loadu_si256(block.cast());
            let down = _mm256_srl_epi16(third, _mm_cvtsi32_si128(group as i32));
            let high = _mm256_and_si256(_mm256_slli_epi16::<2>(down), _mm256_set1_epi8(4));
            _mm256_or_si256(bit_pairs(block.add(32), group), high)
        }
    }
}

impl BySixteen for Q6K {
    #[inline(always)]
    unsafe fn codes(block: *const u8, group: usize) -> __m256i {
        // SAFETY: within the block.
        unsafe {
            let (half, i) = (group / 4, group % 4);
            let low = _mm256_loadu_si256(block.add(64 * half + 32 * (i % 2)).cast());
            let low = if i < 2 { low } else { _mm256_srli_epi16::<4>(low) };
            let high = _mm256_loadu_si256(block.add(128 + 32 * half).cast());
            let high = match i {
                0 => _mm256_slli_epi16::<4>(high),
                1 => _mm256_slli_epi16::<2>(high),
                2 => high,
                _ => _mm256_srli_epi16::<2>(high),
            };
            let low = _mm256_and_si256(low, _mm256_set1_epi8(15));
            _mm256_or_si256(low, _mm256_and_si256(high, _mm256_set1_epi8(48)))
        }
    }
}

#[inline(always)]
unsafe fn by_sixteen<F: BySixteen, D: Dot, const T: usize>(
    scales: __m128i,
    block: *const u8,
    x: [Column; T],
) -> [Lanes; T] {
    // SAFETY: `block` and the columns are whole; the caller has AVX2 and `D`.
    unsafe {
        let mut sums = Sums::zero();
        for group in (0..8).step_by(2) {
            // Scales of the first 16 values of both groups, then of the last 16 of both.
            let four = (2 * group) as i64 * 0x0101_0101;
            let first = four | (four + 0x0202_0202) << 32;
            let which = _mm_set_epi64x(first + 0x0101_0101_0101_0101, first);
            let scale = _mm256_cvtepi8_epi16(_mm_shuffle_epi8(scales, which));
            let codes = [F::codes(block, group), F::codes(block, group + 1)];
            sums.add::<D>(group, codes, scale, x);
        }
        sums.lanes()
    }
}

/// Integer sums of a block.
struct Sums<const T: usize>([[__m256i; T]; 2]);

impl<const T: usize> Sums<T> {
    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller has AVX2.
        unsafe { Self([[_mm256_setzero_si256(); T]; 2]) }
    }

    /// Adds the products of groups `group` and `group + 1`, whose scales are as the words of
    /// [`Dot::fours`].
    #[inline(always)]
    unsafe fn add<D: Dot>(
        &mut self,
        group: usize,
        codes: [__m256i; 2],
        scale: __m256i,
        x: [Column; T],
    ) {
        // SAFETY: the columns are whole; the caller has AVX2 and `D`.
        unsafe {
            // Two sums by turns, not to wait for each other.
            for (sum, x) in self.0[group / 2 % 2].iter_mut().zip(x) {
                let first = _mm256_loadu_si256(x.codes.add(32 * group).cast());
                let second = _mm256_loadu_si256(x.codes.add(32 * group + 32).cast());
                let fours = D::fours(codes, [first, second]);
                *sum = D::words(*sum, fours, scale);
            }
        }
    }

    /// Without mins.
    #[inline(always)]
    unsafe fn lanes(self) -> [Lanes; T] {
        // SAFETY: the caller has AVX2.
        unsafe {
            let mut out = [Lanes { dot: _mm256_setzero_si256(), min: _mm_setzero_si128() }; T];
            for (t, out) in out.iter_mut().enumerate() {
                out.dot = _mm256_add_epi32(self.0[0][t], self.0[1][t]);
            }
            out
        }
    }
}

/// Takes `offset` off all codes that were multiplied with these scales.
#[inline(always)]
unsafe fn take_offset<const T: usize>(
    out: &mut [Lanes; T],
    scales: __m128i,
    x: [Column; T],
    offset: i16,
) {
    // SAFETY: the columns are whole; the caller has AVX2.
    unsafe {
        let factors = _mm256_cvtepi8_epi16(scales);
        let factors = _mm256_mullo_epi16(factors, _mm256_set1_epi16(offset));
        for (out, x) in out.iter_mut().zip(x) {
            let sums = _mm256_loadu_si256(x.sums.cast());
            out.dot = _mm256_sub_epi32(out.dot, _mm256_madd_epi16(factors, sums));
        }
    }
}

/// Blocks with 6-bit scales and mins of 32 values.
trait WithMins {
    /// The codes of groups `2 · pair` and `2 · pair + 1`.
    unsafe fn codes(block: *const u8, pair: usize) -> [__m256i; 2];
}

impl WithMins for Q4K {
    #[inline(always)]
    unsafe fn codes(block: *const u8, pair: usize) -> [__m256i; 2] {
        // SAFETY: within the block.
        unsafe { split_nibbles(_mm256_loadu_si256(block.add(16 + 32 * pair).cast())) }
    }
}

impl WithMins for Q5K {
    #[inline(always)]
    unsafe fn codes(block: *const u8, pair: usize) -> [__m256i; 2] {
        // SAFETY: within the block.
        unsafe {
            let mut codes = split_nibbles(_mm256_loadu_si256(block.add(48 + 32 * pair).cast()));
            let fifth = _mm256_loadu_si256(block.add(16).cast());
            for (i, codes) in codes.iter_mut().enumerate() {
                // Bit `group` of each byte moves to place 4; what crosses bytes is masked out.
                let group = _mm_cvtsi32_si128((2 * pair + i) as i32);
                let up = _mm256_slli_epi16::<4>(_mm256_srl_epi16(fifth, group));
                *codes = _mm256_or_si256(*codes, _mm256_and_si256(up, _mm256_set1_epi8(16)));
            }
            codes
        }
    }
}

#[inline(always)]
unsafe fn with_mins<F: WithMins, D: Dot, const T: usize>(
    block: *const u8,
    x: [Column; T],
) -> [Lanes; T] {
    // SAFETY: `block` and the columns are whole; the caller has AVX2 and `D`.
    unsafe {
        let (scales, mins) = six_bit(std::slice::from_raw_parts(block.add(4), 12));
        let scales = _mm_cvtepu8_epi16(_mm_cvtsi64_si128(scales as i64));
        let scales = _mm256_broadcastsi128_si256(scales);
        let mins = _mm_cvtepu8_epi16(_mm_cvtsi64_si128(mins as i64));
        let mut sums = Sums::zero();
        for pair in 0..4 {
            let a = (4 * pair + ((4 * pair + 1) << 8)) as i64 * 0x0001_0001_0001_0001;
            let b = a + 0x0202_0202_0202_0202;
            let scale = _mm256_shuffle_epi8(scales, _mm256_setr_epi64x(a, b, a, b));
            sums.add::<D>(2 * pair, F::codes(block, pair), scale, x);
        }
        let mut out = sums.lanes();
        for (out, x) in out.iter_mut().zip(x) {
            let sums = _mm_hadd_epi16(
                _mm_loadu_si128(x.sums.cast()),
                _mm_loadu_si128(x.sums.add(8).cast()),
            );
            out.min = _mm_madd_epi16(mins, sums);
        }
        out
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
    let n_blocks = x.cols / 256;
    assert!(n_rows <= DIRECT_ROWS && rows.len() == n_rows * n_blocks * F::BYTES);
    assert!(x.codes.len() >= T * n_blocks * 256 && x.sums.len() >= T * n_blocks * 16);
    assert!(x.pairs.len() >= T * n_blocks * 8);
    // SAFETY: lengths are checked above.
    unsafe {
        let (several, others) = sets(n_rows, T == 1 && F::STREAMS);
        for set in several {
            some_rows::<F, D, T, STREAMS>(rows, n_blocks, set, x, out);
        }
        for set in others {
            some_rows::<F, D, T, 1>(rows, n_blocks, set, x, out);
        }
    }
}

/// `R` rows. Sums of a row and a column are independent of the others.
#[inline(always)]
unsafe fn some_rows<F: Blocks, D: Dot, const T: usize, const R: usize>(
    rows: &[u8],
    n_blocks: usize,
    set: Set,
    x: Codes<'_>,
    out: &mut Strip,
) {
    // SAFETY: `direct` has checked that rows and columns have `n_blocks` blocks.
    unsafe {
        let mut acc = [[_mm256_setzero_ps(); T]; R];
        let mut min = [[_mm_setzero_ps(); T]; R];
        for b in 0..n_blocks {
            let columns: [Column; T] = std::array::from_fn(|t| Column {
                codes: x.codes.as_ptr().add((t * n_blocks + b) * 256),
                sums: x.sums.as_ptr().add((t * n_blocks + b) * 16),
            });
            for (r, (acc, min)) in acc.iter_mut().zip(&mut min).enumerate() {
                let row = set.first + r * set.step;
                let block = rows.as_ptr().add((row * n_blocks + b) * F::BYTES);
                follow_one::<R>(block, F::BYTES);
                let lanes = F::multiply::<D, T>(block, columns);
                let scales = if F::MINS {
                    _mm_cvtsi32_si128(block.add(F::SCALE).cast::<i32>().read_unaligned())
                } else {
                    let half = block.add(F::SCALE).cast::<u16>().read_unaligned();
                    _mm_cvtsi32_si128(i32::from(half))
                };
                let scales = _mm_cvtph_ps(scales);
                for t in 0..T {
                    let x_scale = &x.pairs.get_unchecked((t * n_blocks + b) * 8)[0];
                    let scales = _mm_mul_ps(scales, _mm_broadcast_ss(x_scale));
                    let scale = _mm256_broadcastss_ps(scales);
                    acc[t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(lanes[t].dot), scale, acc[t]);
                    if F::MINS {
                        let scale = _mm_permute_ps::<0b0101_0101>(scales);
                        min[t] = _mm_fmadd_ps(_mm_cvtepi32_ps(lanes[t].min), scale, min[t]);
                    }
                }
            }
        }
        for (r, (acc, min)) in acc.into_iter().zip(min).enumerate() {
            for t in 0..T {
                out[t][set.first + r * set.step] = if F::MINS {
                    sum(_mm256_sub_ps(acc[t], _mm256_zextps128_ps256(min[t])))
                } else {
                    sum(acc[t])
                };
            }
        }
    }
}
