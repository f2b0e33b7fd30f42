//! 8-bit products of each instruction set.

use std::arch::aarch64::*;
use std::array::from_fn;

use crate::isa::aarch64::{vdotq_laneq_s32, vdotq_s32, vmmlaq_s32};

/// Rows of a panel: two registers of four sums.
pub(super) const ROWS: usize = 8;

/// For each column the sums of 4 + 4 rows.
pub(super) type Sums<const T: usize> = [[int32x4_t; 2]; T];

/// An instruction set. Functions are inlined where it is enabled. Weights are -128 to 127,
/// activations `x` -127 to 127.
pub(super) trait Dot {
    /// Values of a row that lie side by side in a panel: 4 or 8.
    const SIDE_BY_SIDE: usize;
    /// Columns of an outer product that registers are enough for.
    const COLS: usize;

    /// Adds 16 products to the lanes of `acc`, some to each.
    ///
    /// # Safety
    /// As said of the trait.
    unsafe fn bytes(acc: int32x4_t, weights: int8x16_t, x: int8x16_t) -> int32x4_t;

    /// Multiplies `len` values, a multiple of 16, of a panel's rows,
    /// `[len / SIDE_BY_SIDE][ROWS][SIDE_BY_SIDE]`, and of columns.
    ///
    /// # Safety
    /// Pointers are to that many values; otherwise as said of the trait.
    unsafe fn outer<const T: usize>(weights: *const i8, x: [*const i8; T], len: usize) -> Sums<T>;
}

/// NEON's widening multiplications.
pub(super) struct Widening;

/// 8-bit dot products.
pub(super) struct Dotprod;

/// 8-bit dot and matrix products.
pub(super) struct I8mm;

impl Dot for Widening {
    const SIDE_BY_SIDE: usize = 4;
    const COLS: usize = 3;

    #[inline(always)]
    unsafe fn bytes(acc: int32x4_t, weights: int8x16_t, x: int8x16_t) -> int32x4_t {
        // SAFETY: registers only. Two products of magnitudes of 128 · 127 fit in 16 bits.
        unsafe {
            let low = vmull_s8(vget_low_s8(weights), vget_low_s8(x));
            vpadalq_s16(acc, vmlal_high_s8(low, weights, x))
        }
    }

    #[inline(always)]
    unsafe fn outer<const T: usize>(weights: *const i8, x: [*const i8; T], len: usize) -> Sums<T> {
        // SAFETY: the caller points to `len` values of each row and column.
        unsafe {
            // For each column and four rows: two sums per row, first those of rows 0 and 1.
            let mut pairs = [[[vdupq_n_s32(0); 2]; 2]; T];
            for k in (0..len).step_by(8) {
                let weights = load::<4>(weights.add(k * ROWS));
                for (pairs, x) in pairs.iter_mut().zip(x) {
                    let x = vreinterpret_s32_s8(vld1_s8(x.add(k)));
                    let first = vreinterpretq_s8_s32(vdupq_lane_s32::<0>(x));
                    let second = vreinterpretq_s8_s32(vdupq_lane_s32::<1>(x));
                    for (h, pairs) in pairs.iter_mut().enumerate() {
                        // 16-bit sums as in `bytes`.
                        let (a, b) = (weights[h], weights[2 + h]);
                        let low = vmull_s8(vget_low_s8(a), vget_low_s8(first));
                        let low = vmlal_s8(low, vget_low_s8(b), vget_low_s8(second));
                        let high = vmlal_high_s8(vmull_high_s8(a, first), b, second);
                        *pairs = [vpadalq_s16(pairs[0], low), vpadalq_s16(pairs[1], high)];
                    }
                }
            }
            pairs.map(|pairs| pairs.map(|[first, second]| vpaddq_s32(first, second)))
        }
    }
}

impl Dot for Dotprod {
    const SIDE_BY_SIDE: usize = 4;
    const COLS: usize = 6;

    #[inline(always)]
    unsafe fn bytes(acc: int32x4_t, weights: int8x16_t, x: int8x16_t) -> int32x4_t {
        // SAFETY: registers only; the caller has the instruction.
        unsafe { vdotq_s32(acc, weights, x) }
    }

    #[inline(always)]
    unsafe fn outer<const T: usize>(weights: *const i8, x: [*const i8; T], len: usize) -> Sums<T> {
        // SAFETY: the caller points to `len` values of each row and column, and has the instruction.
        unsafe {
            let mut sums = [[vdupq_n_s32(0); 2]; T];
            for k in (0..len).step_by(16) {
                let weights = |i: usize| load(weights.add((k + 4 * i) * ROWS));
                let x = x.map(|x| vld1q_s8(x.add(k)));
                add_lane::<0, T>(&mut sums, weights(0), x);
                add_lane::<1, T>(&mut sums, weights(1), x);
                add_lane::<2, T>(&mut sums, weights(2), x);
                add_lane::<3, T>(&mut sums, weights(3), x);
            }
            sums
        }
    }
}

/// Adds the products of four values of each row and lane `LANE` of columns.
#[inline(always)]
unsafe fn add_lane<const LANE: i32, const T: usize>(
    sums: &mut Sums<T>,
    weights: [int8x16_t; 2],
    x: [int8x16_t; T],
) {
    for (sums, x) in sums.iter_mut().zip(x) {
        // SAFETY: registers only; the caller has the instruction.
        *sums = unsafe {
            let [a, b] = weights;
            [vdotq_laneq_s32::<LANE>(sums[0], a, x), vdotq_laneq_s32::<LANE>(sums[1], b, x)]
        };
    }
}

impl Dot for I8mm {
    const SIDE_BY_SIDE: usize = 8;
    const COLS: usize = 6;

    #[inline(always)]
    unsafe fn bytes(acc: int32x4_t, weights: int8x16_t, x: int8x16_t) -> int32x4_t {
        // SAFETY: registers only; the caller has the instruction.
        unsafe { vdotq_s32(acc, weights, x) }
    }

    #[inline(always)]
    unsafe fn outer<const T: usize>(weights: *const i8, x: [*const i8; T], len: usize) -> Sums<T> {
        // SAFETY: the caller points to `len` values of each row and column, and has the instruction.
        unsafe {
            // Per pair of columns and pair of rows: sums of the first column, then of the second. A
            // last column without a second is multiplied twice.
            let mut squares = [[vdupq_n_s32(0); 4]; T];
            let pairs = T.div_ceil(2);
            for k in (0..len).step_by(16) {
                let weights = |i: usize| load::<4>(weights.add((k + 8 * i) * ROWS));
                // Of each pair: values 0 to 7 of both columns, then values 8 to 15.
                let mut first = [vdupq_n_s8(0); T];
                let mut second = first;
                for pair in 0..pairs {
                    let columns = [2 * pair, (2 * pair + 1).min(T - 1)];
                    let [a, b] = columns.map(|t| vreinterpretq_s64_s8(vld1q_s8(x[t].add(k))));
                    first[pair] = vreinterpretq_s8_s64(vzip1q_s64(a, b));
                    second[pair] = vreinterpretq_s8_s64(vzip2q_s64(a, b));
                }
                add_squares(&mut squares, weights(0), first);
                add_squares(&mut squares, weights(1), second);
            }
            from_fn(|t| {
                let [a, b, c, d] = squares[t / 2].map(|square| vreinterpretq_s64_s32(square));
                let rows = if t % 2 == 0 {
                    [vzip1q_s64(a, b), vzip1q_s64(c, d)]
                } else {
                    [vzip2q_s64(a, b), vzip2q_s64(c, d)]
                };
                rows.map(|rows| vreinterpretq_s32_s64(rows))
            })
        }
    }
}

/// Adds the products of eight values of each row and of pairs of columns.
#[inline(always)]
unsafe fn add_squares<const T: usize>(
    squares: &mut [[int32x4_t; 4]; T],
    weights: [int8x16_t; 4],
    x: [int8x16_t; T],
) {
    for (squares, x) in squares.iter_mut().zip(x).take(T.div_ceil(2)) {
        // SAFETY: registers only; the caller has the instruction.
        *squares = unsafe {
            let [a, b, c, d] = weights;
            [
                vmmlaq_s32(squares[0], x, a),
                vmmlaq_s32(squares[1], x, b),
                vmmlaq_s32(squares[2], x, c),
                vmmlaq_s32(squares[3], x, d),
            ]
        };
    }
}

/// `N` registers in a row.
#[inline(always)]
unsafe fn load<const N: usize>(at: *const i8) -> [int8x16_t; N] {
    // SAFETY: the caller points to that many bytes.
    unsafe { from_fn(|i| vld1q_s8(at.add(16 * i))) }
}
