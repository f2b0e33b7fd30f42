//! Outer products of panels in 256-bit registers: 16 rows × up to 6 columns.

use std::arch::x86_64::*;

use super::super::activation::{Block, Codes};
use super::super::formats::Format;
use super::super::kernels::{Floats, Tile};
use super::super::panel::Panel;
use super::avx512_tile::{pair_at, start_factors, sum_at, sums_at};
use super::dot::{AvxVnni, Dot, Maddubs, Vnni};
pub(super) use super::interleave::avx2 as interleave;
use super::shape::Shape;

/// Two registers of 8 rows.
pub(super) const CODE_ROWS: usize = 16;
/// Columns that pay for a panel, measured.
pub(super) const CODE_COLS: usize = 6;
/// As [`CODE_ROWS`].
pub(super) const FLOAT_ROWS: usize = 16;
/// As [`CODE_COLS`].
pub(super) const FLOAT_COLS: usize = 8;

/// Bits that tile kernels are compiled for: those of the largest codes that are summed as these are.
pub(super) const fn bits<F: Format>() -> u32 {
    assert!(F::BITS <= Maddubs::UNSIGNED_BITS || F::OFFSET == 128, "`products` takes that off");
    match (F::BITS, F::GROUP) {
        (..=4, 32) => 4,
        (..=5, _) => 5,
        (bits, _) => bits,
    }
}

/// Activations that tile kernels are compiled for: only mins take the two kinds differently.
pub(super) const fn activations<F: Format>() -> Block {
    if F::MINS { F::ACTIVATIONS } else { Block::B32 }
}

/// Sums of a group for each column: two registers of 8 rows.
type Sums<const T: usize> = [[__m256i; 2]; T];

/// How the products of a group are summed.
pub(super) trait Outer: Dot {
    /// Most columns at a time that registers are enough for.
    const COLS: usize;
    /// Most bits of codes that are multiplied as they are; others go by signs, with their offset
    /// taken off.
    const UNSIGNED_BITS: u32;

    /// Adds to `sums` the products of a group of a panel's rows, which `codes` points to, and of
    /// `T` of `ALL` interleaved columns, the first of which `x` points to.
    ///
    /// # Safety
    /// The caller is compiled with the instruction set.
    unsafe fn outer<S: Shape, const T: usize, const ALL: usize>(
        sums: Sums<T>,
        codes: *const u8,
        x: *const i8,
    ) -> Sums<T>;
}

impl Outer for Maddubs {
    const COLS: usize = 3;
    const UNSIGNED_BITS: u32 = 7;

    #[inline(always)]
    unsafe fn outer<S: Shape, const T: usize, const ALL: usize>(
        mut sums: Sums<T>,
        codes: *const u8,
        x: *const i8,
    ) -> Sums<T> {
        // SAFETY: as asked.
        unsafe {
            for start in (0..S::GROUP / 4).step_by(words::<S>()) {
                let mut pairs = [[_mm256_setzero_si256(); 2]; T];
                for i in start..start + words::<S>() {
                    let rows = step(codes, i);
                    for (t, pairs) in pairs.iter_mut().enumerate() {
                        let x = four(x, i * ALL + t);
                        for (pairs, rows) in pairs.iter_mut().zip(rows) {
                            *pairs = _mm256_add_epi16(*pairs, products::<S>(rows, x));
                        }
                    }
                }
                let ones = _mm256_set1_epi16(1);
                for (sums, pairs) in sums.iter_mut().zip(pairs) {
                    for (sum, pairs) in sums.iter_mut().zip(pairs) {
                        *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, ones));
                    }
                }
            }
            sums
        }
    }
}

/// The two encodings of one instruction.
macro_rules! outer_by_dot_products {
    ($dot:ty) => {
        impl Outer for $dot {
            const COLS: usize = 6;
            const UNSIGNED_BITS: u32 = 8;

            #[inline(always)]
            unsafe fn outer<S: Shape, const T: usize, const ALL: usize>(
                sums: Sums<T>,
                codes: *const u8,
                x: *const i8,
            ) -> Sums<T> {
                // SAFETY: as asked.
                unsafe { dot_products::<S, $dot, T, ALL>(sums, codes, x) }
            }
        }
    };
}

outer_by_dot_products!(AvxVnni);
outer_by_dot_products!(Vnni);

/// [`Outer::outer`] by dot products of four bytes.
#[inline(always)]
unsafe fn dot_products<S: Shape, D: Dot, const T: usize, const ALL: usize>(
    mut sums: Sums<T>,
    codes: *const u8,
    x: *const i8,
) -> Sums<T> {
    // SAFETY: as asked.
    unsafe {
        for i in 0..S::GROUP / 4 {
            let rows = step(codes, i);
            for (t, sums) in sums.iter_mut().enumerate() {
                let x = four(x, i * ALL + t);
                *sums = [D::bytes(sums[0], rows[0], x), D::bytes(sums[1], rows[1], x)];
            }
        }
        sums
    }
}

/// Four codes of each row, from the `i`-th four on.
#[inline(always)]
unsafe fn step(codes: *const u8, i: usize) -> [__m256i; 2] {
    // SAFETY: the caller points to that many codes.
    unsafe {
        let at = codes.add(4 * CODE_ROWS * i);
        [_mm256_loadu_si256(at.cast()), _mm256_loadu_si256(at.add(32).cast())]
    }
}

/// The `i`-th four values from `x`, for all rows.
#[inline(always)]
unsafe fn four(x: *const i8, i: usize) -> __m256i {
    // SAFETY: the caller points to that many values.
    unsafe { _mm256_set1_epi32(x.add(4 * i).cast::<i32>().read_unaligned()) }
}

/// A panel of codes times `T` interleaved columns, some at a time for want of registers.
///
/// # Safety
/// Inlined where AVX2, FMA and the instructions of `D` are enabled.
#[inline(always)]
pub(super) unsafe fn codes_by<S: Shape, D: Outer, const T: usize>(
    panel: &Panel,
    x: Codes<'_>,
    out: &mut Tile,
) {
    let groups = x.cols / S::GROUP;
    assert!(
        panel.elements().len() >= x.cols * CODE_ROWS && panel.scales.len() >= groups * CODE_ROWS
    );
    assert!(panel.mins.len() >= groups * CODE_ROWS && x.cols.is_multiple_of(32));
    assert!(x.codes.len() >= T * x.cols && x.pairs.len() >= T * x.cols / 32);
    assert!(x.sums.len() >= T * x.cols / 16);
    // SAFETY: all accesses are within the lengths checked above.
    unsafe {
        match (T, D::COLS) {
            (6, 3) => {
                some_columns::<S, D, 3, T>(panel, x, 0, out);
                some_columns::<S, D, 3, T>(panel, x, 3, out);
            }
            (5, 3) => {
                some_columns::<S, D, 3, T>(panel, x, 0, out);
                some_columns::<S, D, 2, T>(panel, x, 3, out);
            }
            (4, 3) => {
                some_columns::<S, D, 2, T>(panel, x, 0, out);
                some_columns::<S, D, 2, T>(panel, x, 2, out);
            }
            _ => some_columns::<S, D, T, T>(panel, x, 0, out),
        }
    }
}

/// [`codes_by`] with the instructions of AVX2.
///
/// # Safety
/// As there.
#[inline(always)]
pub(super) unsafe fn codes<S: Shape, const T: usize>(panel: &Panel, x: Codes<'_>, out: &mut Tile) {
    // SAFETY: as asked.
    unsafe { codes_by::<S, Maddubs, T>(panel, x, out) }
}

#[inline(always)]
unsafe fn some_columns<S: Shape, D: Outer, const T: usize, const ALL: usize>(
    panel: &Panel,
    x: Codes<'_>,
    first: usize,
    out: &mut Tile,
) {
    // SAFETY: `codes_by` has checked the lengths, and columns `first..first + T` exist.
    unsafe {
        let mut acc = [[_mm256_setzero_ps(); 2]; T];
        let codes = panel.elements().as_ptr();
        for g in 0..x.cols / S::GROUP {
            // Starting at -offset · Σ activations takes the offset off exactly.
            let mut start = [[_mm256_setzero_si256(); 2]; T];
            if !S::MINS && S::BITS <= D::UNSIGNED_BITS {
                let factors = _mm256_set1_epi32(start_factors::<S>(panel.zero as i16, g));
                for (t, start) in start.iter_mut().enumerate() {
                    let sums = _mm256_set1_epi32(sums_at::<S, ALL>(x, first + t, g));
                    *start = [_mm256_madd_epi16(sums, factors); 2];
                }
            }
            let values = x.codes.as_ptr().add(g * S::GROUP * ALL + 4 * first);
            let dot = D::outer::<S, T, ALL>(start, codes.add(g * S::GROUP * CODE_ROWS), values);
            let load = |data: &[f32]| {
                let at = data.as_ptr().add(g * CODE_ROWS);
                [_mm256_loadu_ps(at), _mm256_loadu_ps(at.add(8))]
            };
            let scales = load(&panel.scales);
            for t in 0..T {
                let x_scale = _mm256_set1_ps(pair_at::<S, ALL>(x, first + t, g)[0]);
                for h in 0..2 {
                    let scale = _mm256_mul_ps(scales[h], x_scale);
                    acc[t][h] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot[t][h]), scale, acc[t][h]);
                }
            }
            if S::MINS {
                let mins = load(&panel.mins);
                for (t, acc) in acc.iter_mut().enumerate() {
                    let sum = sum_at::<S, ALL>(x, first + t, g);
                    let sum = match S::ACTIVATIONS {
                        Block::B32 => sum,
                        Block::B256 => sum * pair_at::<S, ALL>(x, first + t, g)[0],
                    };
                    let sum = _mm256_set1_ps(sum);
                    for h in 0..2 {
                        acc[h] = _mm256_fmadd_ps(mins[h], sum, acc[h]);
                    }
                }
            }
        }
        for (acc, out) in acc.iter().zip(&mut out[first..]) {
            _mm256_storeu_ps(out.as_mut_ptr(), acc[0]);
            _mm256_storeu_ps(out.as_mut_ptr().add(8), acc[1]);
        }
    }
}

/// Sums of the products of pairs of bytes, in 16 bits. Codes of 8 bits go by signs, with their offset
/// taken off, since unsigned ones would overflow.
#[inline(always)]
unsafe fn products<S: Shape>(codes: __m256i, x: __m256i) -> __m256i {
    // SAFETY: registers only; the caller has AVX2.
    unsafe {
        if S::BITS <= Maddubs::UNSIGNED_BITS {
            return _mm256_maddubs_epi16(codes, x);
        }
        let codes = _mm256_xor_si256(codes, _mm256_set1_epi8(-128));
        _mm256_maddubs_epi16(_mm256_abs_epi8(codes), _mm256_sign_epi8(x, codes))
    }
}

/// How many sums of [`products`] fit in 16 bits, with activations up to 127.
const fn words<S: Shape>() -> usize {
    let most = match S::BITS {
        ..=4 => 8,
        5 => 4,
        6 => 2,
        _ => 1,
    };
    if most * 4 < S::GROUP { most } else { S::GROUP / 4 }
}

/// A panel of floats times `T` columns.
///
/// # Safety
/// Inlined where AVX2 and FMA are enabled.
#[inline(always)]
pub(super) unsafe fn floats<const T: usize>(panel: &Panel, x: Floats<'_>, out: &mut Tile) {
    assert!(panel.elements().len() >= x.cols * FLOAT_ROWS * 4);
    assert!(x.data.len() >= (T - 1) * x.stride + x.cols);
    // SAFETY: all accesses are within the lengths checked above.
    unsafe {
        let mut acc = [[_mm256_setzero_ps(); 2]; T];
        let weights = panel.elements().as_ptr().cast::<f32>();
        for k in 0..x.cols {
            let at = weights.add(k * FLOAT_ROWS);
            let rows = [_mm256_loadu_ps(at), _mm256_loadu_ps(at.add(8))];
            for (t, acc) in acc.iter_mut().enumerate() {
                let x = _mm256_set1_ps(x.data.as_ptr().add(t * x.stride + k).read());
                acc[0] = _mm256_fmadd_ps(rows[0], x, acc[0]);
                acc[1] = _mm256_fmadd_ps(rows[1], x, acc[1]);
            }
        }
        for (acc, out) in acc.iter().zip(out) {
            _mm256_storeu_ps(out.as_mut_ptr(), acc[0]);
            _mm256_storeu_ps(out.as_mut_ptr().add(8), acc[1]);
        }
    }
}
