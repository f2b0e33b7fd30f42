//! Outer products of panels with one scale for each 256 values, see [`Whole`]: up to 64 rows × 6 columns.
//! For levels with 8-bit dot products: what AVX2 has in their place overflows with such codes.

use std::arch::x86_64::*;
use std::array::from_fn;
use std::hint::black_box;

use super::super::activation::Codes;
use super::super::formats::grid::{Iq1M, Iq1S};
use super::super::formats::kquant::{Q2K, Q3K};
use super::super::formats::ternary::{Tq1_0, Tq2_0};
use super::super::formats::{Format, Whole, WholeByRows};
use super::super::kernels::{CodeKernels, TILE_COLS, Tile, TileCodes, Unpack};
use super::super::panel::{self, Panel, Step};
use super::columns::{self, WholeByColumns};
use super::dot::AvxVnni;
#[cfg(debug_assertions)]
use super::dot::Vnni;
use super::interleave;
use super::primitives::Avx2;
use super::wide::{Wide, Ymm, Zmm};

/// Values of a block.
const LEN: usize = 256;

/// Results of rows in `H` registers for each of `T` columns.
type Sums<F, const H: usize, const T: usize> = [[F; H]; T];

/// A panel of codes, of rows of `H` registers, times `T` interleaved columns.
///
/// # Safety
/// Inlined where AVX2, FMA and the instructions of `W` are enabled.
#[inline(always)]
unsafe fn codes<W: Wide, const H: usize, const MINS: bool, const T: usize>(
    panel: &Panel,
    x: Codes<'_>,
    out: &mut Tile,
) {
    let (rows, blocks) = (H * W::ROWS, x.cols / LEN);
    assert!(x.cols.is_multiple_of(LEN) && panel.elements().len() >= x.cols * rows);
    assert!(panel.scales.len() >= blocks * rows && panel.mins.len() >= blocks * rows);
    assert!(!MINS || panel.min_codes.len() >= x.cols / 32 * rows);
    assert!(x.codes.len() >= T * x.cols && x.pairs.len() >= T * x.cols / 32);
    assert!(x.sums.len() >= T * x.cols / 16);
    // Integers take all registers; these sums are touched once a block.
    out[..T].iter_mut().for_each(|out| out[..rows].fill(0.0));
    // SAFETY: all accesses are within the lengths checked above.
    unsafe {
        for b in 0..blocks {
            let codes = panel.elements().as_ptr().add(b * LEN * rows);
            let values = x.codes.as_ptr().add(b * LEN * T).cast();
            let dot: Sums<_, H, T> =
                products::<W, H, T>(codes, values, 64, |acc, a, b| W::bytes(acc, a, b));
            let mut sums = dot.map(|dot| dot.map(|dot| W::float(dot)));
            if !MINS {
                // Both are below 2^23 and whole, or zeros multiples of a half: exact.
                for (sums, of_x) in sums.iter_mut().zip(block_sums::<T>(x, b)) {
                    let zero = W::splat_float(panel.zero * of_x);
                    *sums = sums.map(|sum| W::sub(sum, zero));
                }
            }
            add::<W, H, T>(sums, &panel.scales, x, b, out);
            if MINS {
                let codes = panel.min_codes.as_ptr().add(b * 8 * rows).cast();
                let values = x.sums.as_ptr().add(b * 16 * T).cast();
                let dot: Sums<_, H, T> = products::<W, H, T>(
                    codes,
                    values,
                    // Unrolled, compilers take products and additions apart and run out of registers.
                    black_box(8),
                    |acc, a, b| W::halves(acc, a, b),
                );
                add::<W, H, T>(dot.map(|dot| dot.map(|dot| W::float(dot))), &panel.mins, x, b, out);
            }
        }
    }
}

/// Sums of products, by `add`, of `n` words of each row and each column: `[word][row]` and
/// `[word][column]`.
///
/// # Safety
/// There are these, and as [`codes`].
#[inline(always)]
unsafe fn products<W: Wide, const H: usize, const T: usize>(
    rows: *const u8,
    columns: *const i32,
    n: usize,
    add: impl Fn(W::Words, W::Words, W::Words) -> W::Words,
) -> Sums<W::Words, H, T> {
    // SAFETY: as asked.
    unsafe {
        let mut sums = [[W::splat(0); H]; T];
        for i in 0..n {
            let at = rows.add(i * H * W::ROWS * 4);
            let rows: [_; H] = from_fn(|h| W::load(at.add(h * W::ROWS * 4)));
            for (t, sums) in sums.iter_mut().enumerate() {
                let x = W::splat(columns.add(i * T + t).read_unaligned());
                *sums = from_fn(|h| add(sums[h], rows[h], x));
            }
        }
        sums
    }
}

/// Adds sums of block `b`, times the factors of the rows and the scales of the columns.
///
/// # Safety
/// There are these, and as [`codes`].
#[inline(always)]
unsafe fn add<W: Wide, const H: usize, const T: usize>(
    sums: Sums<W::Floats, H, T>,
    factors: &[f32],
    x: Codes<'_>,
    b: usize,
    out: &mut Tile,
) {
    // SAFETY: as asked.
    unsafe {
        let at = factors.as_ptr().add(b * H * W::ROWS);
        let factors: [_; H] = from_fn(|h| W::load_floats(at.add(h * W::ROWS)));
        for t in 0..T {
            let [x_scale, _] = x.pairs.as_ptr().add(b * 8 * T + t).read();
            let x_scale = W::splat_float(x_scale);
            for h in 0..H {
                let at = out[t].as_mut_ptr().add(h * W::ROWS);
                let sum = W::mul(sums[t][h], factors[h]);
                W::store(W::mul_add(sum, x_scale, W::load_floats(at)), at);
            }
        }
    }
}

/// The sums of the codes of block `b` of each of `T` columns.
///
/// # Safety
/// The columns are interleaved and have this block, and AVX2 is enabled.
#[inline(always)]
unsafe fn block_sums<const T: usize>(x: Codes<'_>, b: usize) -> [f32; 8] {
    // SAFETY: as asked; only lanes of columns are read.
    unsafe {
        let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        let columns = _mm256_cmpgt_epi32(_mm256_set1_epi32(T as i32), lanes);
        let at = x.sums.as_ptr().add(b * 16 * T).cast::<i32>();
        let mut pairs = _mm256_setzero_si256();
        for i in 0..8 {
            pairs = _mm256_add_epi16(pairs, _mm256_maskload_epi32(at.add(i * T), columns));
        }
        let sums = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
        let mut out = [0.0; 8];
        _mm256_storeu_ps(out.as_mut_ptr(), _mm256_cvtepi32_ps(sums));
        out
    }
}

/// The kernels of a level: those given, but for panels of types with such blocks.
macro_rules! level {
    ($module:ident, $features:literal, $wide:ty, $registers:literal, $lanes:ty, $interleave:ident) => {
        pub(super) mod $module {
            use super::*;

            const ROWS: usize = $registers * <$wide>::ROWS;

            #[target_feature(enable = $features)]
            fn unpack_by_rows<F: WholeByRows>(
                rows: &[u8],
                n_rows: usize,
                cols: usize,
                panel: &mut Panel,
            ) {
                let interleave = |step: &Step<ROWS>, out: &mut [u8]| {
                    // SAFETY: this function's features are enough.
                    unsafe { interleave::$interleave(step, out) }
                };
                // SAFETY: as above.
                let p = unsafe { Avx2::new() };
                panel::unpack_whole::<F, ROWS>(p, rows, n_rows, cols, panel, interleave);
            }

            #[target_feature(enable = $features)]
            fn unpack_by_columns<F: WholeByColumns>(
                rows: &[u8],
                n_rows: usize,
                cols: usize,
                panel: &mut Panel,
            ) {
                // SAFETY: this function's features are enough.
                unsafe {
                    let lanes = <$lanes>::new();
                    columns::unpack_whole::<F, _, ROWS>(lanes, rows, n_rows, cols, panel);
                }
            }

            #[target_feature(enable = $features)]
            fn tile<const MINS: bool, const T: usize>(panel: &Panel, x: Codes<'_>, out: &mut Tile) {
                // SAFETY: this function's features are enough.
                unsafe { codes::<$wide, $registers, MINS, T>(panel, x, out) }
            }

            const fn tiles<const MINS: bool>() -> [TileCodes; TILE_COLS] {
                [
                    tile::<MINS, 1>,
                    tile::<MINS, 2>,
                    tile::<MINS, 3>,
                    tile::<MINS, 4>,
                    tile::<MINS, 5>,
                    tile::<MINS, 6>,
                ]
            }

            const fn row<F: Whole>(mut row: CodeKernels, unpack: Unpack) -> CodeKernels {
                row.panel_rows = ROWS;
                row.unpack = unpack;
                row.tile = if F::MINS { tiles::<true>() } else { tiles::<false>() };
                row
            }

            pub(in super::super) const fn replace<const N: usize>(
                rows: &[CodeKernels],
            ) -> [CodeKernels; N] {
                let mut out = [rows[0]; N];
                let mut i = 0;
                while i < N {
                    out[i] = match rows[i].ty {
                        Q2K::TY => row::<Q2K>(rows[i], unpack_by_columns::<Q2K>),
                        Q3K::TY => row::<Q3K>(rows[i], unpack_by_columns::<Q3K>),
                        Iq1S::TY => row::<Iq1S>(rows[i], unpack_by_rows::<Iq1S>),
                        Iq1M::TY => row::<Iq1M>(rows[i], unpack_by_rows::<Iq1M>),
                        Tq1_0::TY => row::<Tq1_0>(rows[i], unpack_by_rows::<Tq1_0>),
                        Tq2_0::TY => row::<Tq2_0>(rows[i], unpack_by_rows::<Tq2_0>),
                        _ => rows[i],
                    };
                    i += 1;
                }
                out
            }
        }
    };
}

level!(
    avx512_vnni,
    "avx2,fma,f16c,bmi2,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni",
    Zmm,
    4,
    columns::Zmm,
    avx512
);
level!(avx_vnni, "avx2,fma,f16c,avxvnni", Ymm<AvxVnni>, 2, columns::Ymm, avx2);
#[cfg(debug_assertions)]
level!(
    avx_vnni_evex,
    "avx2,fma,f16c,avx512f,avx512vl,avx512vnni",
    Ymm<Vnni>,
    2,
    columns::Ymm,
    avx2
);
