//! Direct products with types of small codebooks, AVX-512 VBMI: the points of a block of 256 values are
//! looked up in registers, 64 bytes at once. Activations are ordered as the values come then, by fours.
//! Codebooks of more than 512 points don't fit registers: reading one point after the other is faster.

use std::arch::x86_64::*;

use quant::codebook;

use super::super::activation::Codes;
use super::super::formats::Primitives;
use super::super::formats::grid::{Iq2Xs, Iq2Xxs, Iq3S, Iq3Xxs};
use super::super::kernels::{CodeKernels, Strip};
use super::avx512_blocks::{self, Blocks};
use super::avx512_grid::Points;
use super::dot;
use super::primitives::Avx2;

/// The kernels of VNNI, but with direct products by lookup where there are some.
pub(super) const fn replace<const N: usize>(rows: &[CodeKernels]) -> [CodeKernels; N] {
    let mut out = [rows[0]; N];
    let mut i = 0;
    while i < N {
        out[i] = rows[i];
        i += 1;
    }
    let out = replace_row::<Iq2Xxs, N>(out);
    let out = replace_row::<Iq2Xs, N>(out);
    let out = replace_row::<Iq3Xxs, N>(out);
    replace_row::<Iq3S, N>(out)
}

const fn replace_row<F: Lookup, const N: usize>(mut rows: [CodeKernels; N]) -> [CodeKernels; N] {
    let mut i = 0;
    while rows[i].ty as u32 != F::TY as u32 {
        i += 1;
    }
    rows[i] = CodeKernels {
        by_fours: true,
        direct: [direct::<F, 1>, direct::<F, 2>, direct::<F, 3>, direct::<F, 4>],
        ..rows[i]
    };
    rows
}

#[target_feature(
    enable = "avx2,fma,f16c,bmi2,gfni,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi"
)]
fn direct<F: Lookup, const T: usize>(rows: &[u8], n_rows: usize, x: Codes<'_>, out: &mut Strip) {
    // SAFETY: this function's features are enough.
    unsafe { avx512_blocks::direct::<ByLookup<F>, dot::Vnni, T>(rows, n_rows, x, out) }
}

/// How the points of a block are found, and their signs. Functions are inlined where AVX-512 F, BW, DQ, VL and VBMI and
/// GFNI are enabled, and `block` points to a whole block.
trait Lookup: Points {
    /// Byte `l` of vector `j` is the magnitude of value `4 · l + j`.
    unsafe fn magnitudes(block: *const u8) -> [__m512i; 4];
    /// Which of them are negative.
    unsafe fn negative(block: *const u8) -> [__mmask64; 4];
}

/// A type of which points are looked up.
struct ByLookup<F>(F);

impl<F: Lookup> Blocks for ByLookup<F> {
    type Of = F;
    const STREAMS: bool = false;

    #[inline(always)]
    unsafe fn add<const T: usize>(
        block: *const u8,
        x: Codes<'_>,
        first: usize,
        acc: &mut [__m512; T],
    ) {
        const { assert!(F::LEN == 256 && F::SIGNS) };
        // SAFETY: within the block and the columns.
        unsafe {
            let magnitudes = F::magnitudes(block);
            let negative = F::negative(block);
            let scales = _mm512_cvtepu8_epi32(F::group_scales(block));
            let scale = Avx2::new().half(F::scale(block)) * F::FACTOR;
            for (t, acc) in acc.iter_mut().enumerate() {
                let at = x.codes.as_ptr().add(t * x.cols + first);
                // Lane `i` is of group `i` in all four.
                let mut dot = _mm512_setzero_si512();
                for j in 0..4 {
                    let values = _mm512_loadu_si512(at.add(64 * j).cast());
                    let zero = _mm512_setzero_si512();
                    let signed = _mm512_mask_sub_epi8(values, negative[j], zero, values);
                    dot = _mm512_dpbusd_epi32(dot, magnitudes[j], signed);
                }
                let sum = _mm512_mullo_epi32(dot, scales);
                let x_scale = (*x.pairs.as_ptr().add((t * x.cols + first) / 32))[0];
                *acc =
                    _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), _mm512_set1_ps(scale * x_scale), *acc);
            }
        }
    }
}

/// For each point two bytes of codes: of its first and of its last half.
#[repr(align(64))]
struct Table<const COUNT: usize>([[u8; COUNT]; 2]);

const MAGNITUDES_2: [i8; 4] = [8, 25, 43, 0];
const MAGNITUDES_3: [i8; 8] = [4, 12, 20, 28, 36, 44, 52, 62];

static IQ2_XXS: Table<256> = twos(&codebook::IQ2_XXS, &MAGNITUDES_2);
static IQ2_XS: Table<512> = twos(&codebook::IQ2_XS, &MAGNITUDES_2);
static IQ3_XXS: Table<256> = fours(&codebook::IQ3_XXS, &MAGNITUDES_3);
/// Its magnitudes are their own codes.
static IQ3_S: Table<512> =
    fours(&codebook::IQ3_S, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);

/// The points of eight values, each as a code of two bits, its place among `levels`.
const fn twos<const COUNT: usize>(points: &[[i8; 8]; COUNT], levels: &[i8; 4]) -> Table<COUNT> {
    let mut out = [[0; COUNT]; 2];
    let mut at = 0;
    while at < COUNT {
        let mut i = 0;
        while i < 8 {
            out[i / 4][at] |= place(points[at][i], levels) << (2 * (i % 4));
            i += 1;
        }
        at += 1;
    }
    Table(out)
}

/// The points of four values, each as a code of four bits.
const fn fours<const COUNT: usize>(points: &[[i8; 4]; COUNT], levels: &[i8]) -> Table<COUNT> {
    let mut out = [[0; COUNT]; 2];
    let mut at = 0;
    while at < COUNT {
        let mut i = 0;
        while i < 4 {
            out[i / 2][at] |= place(points[at][i], levels) << (4 * (i % 2));
            i += 1;
        }
        at += 1;
    }
    Table(out)
}

const fn place(value: i8, levels: &[i8]) -> u8 {
    let mut i = 0;
    while levels[i] != value {
        i += 1;
    }
    i as u8
}

/// The bytes at 64 indices of a table: `index` has their low eight bits, `ninth` the others.
#[inline(always)]
unsafe fn look<const COUNT: usize>(
    table: &[u8; COUNT],
    index: __m512i,
    ninth: __mmask64,
) -> __m512i {
    const { assert!(COUNT == 256 || COUNT == 512) };
    // SAFETY: within the table, which is aligned.
    unsafe {
        let load = |i: usize| _mm512_load_si512(table.as_ptr().add(64 * i).cast());
        let quarter = |i: usize| _mm512_permutex2var_epi8(load(2 * i), index, load(2 * i + 1));
        let eighth = _mm512_movepi8_mask(index);
        let first = _mm512_mask_blend_epi8(eighth, quarter(0), quarter(1));
        if COUNT == 256 {
            return first;
        }
        let last = _mm512_mask_blend_epi8(eighth, quarter(2), quarter(3));
        _mm512_mask_blend_epi8(ninth, first, last)
    }
}

/// The values of points of eight, where every index stands in two bytes: one for each half.
#[inline(always)]
unsafe fn of_eight<const COUNT: usize>(
    table: &Table<COUNT>,
    index: __m512i,
    ninth: __mmask64,
) -> [__m512i; 4] {
    // SAFETY: the caller has AVX-512 BW.
    unsafe {
        let halves = [look(&table.0[0], index, ninth), look(&table.0[1], index, ninth)];
        let codes = _mm512_mask_blend_epi8(0xaaaa_aaaa_aaaa_aaaa, halves[0], halves[1]);
        let three = _mm512_set1_epi8(3);
        let levels = _mm512_set1_epi32(i32::from_le_bytes(MAGNITUDES_2.map(i8::cast_unsigned)));
        [
            codes,
            _mm512_srli_epi16::<2>(codes),
            _mm512_srli_epi16::<4>(codes),
            _mm512_srli_epi16::<6>(codes),
        ]
        .map(|codes| _mm512_shuffle_epi8(levels, _mm512_and_si512(codes, three)))
    }
}

/// The codes of points of four.
#[inline(always)]
unsafe fn of_four<const COUNT: usize>(
    table: &Table<COUNT>,
    index: __m512i,
    ninth: __mmask64,
) -> [__m512i; 4] {
    // SAFETY: the caller has AVX-512 BW.
    unsafe {
        let fifteen = _mm512_set1_epi8(15);
        let [first, last] = [look(&table.0[0], index, ninth), look(&table.0[1], index, ninth)];
        [first, _mm512_srli_epi16::<4>(first), last, _mm512_srli_epi16::<4>(last)]
            .map(|codes| _mm512_and_si512(codes, fifteen))
    }
}

/// The low byte of each 16-bit word, whose high one is 0, twice.
#[inline(always)]
unsafe fn twice(words: __m512i) -> __m512i {
    // SAFETY: the caller has AVX-512 BW.
    unsafe { _mm512_or_si512(words, _mm512_slli_epi16::<8>(words)) }
}

/// Which values are negative by bytes of eight signs, each of which stands twice.
#[inline(always)]
unsafe fn by_signs(signs: __m512i) -> [__mmask64; 4] {
    // SAFETY: the caller has AVX-512 BW.
    unsafe {
        // The first four of an octet, then the last.
        [0x1001, 0x2002, 0x4004, 0x8008_u16.cast_signed()]
            .map(|bits| _mm512_test_epi8_mask(signs, _mm512_set1_epi16(bits)))
    }
}

/// Bytes of eight signs whose number is even, from seven from bit `FROM` of each byte.
#[inline(always)]
unsafe fn even_signs<const FROM: u32>(bytes: __m512i) -> __m512i {
    /// Rows of a matrix of bits, the last first: the parity of seven bits, and each of them.
    const EVEN: i64 = 0x0102_0408_1020_407f;
    // SAFETY: the caller has GFNI and AVX-512 F.
    unsafe { _mm512_gf2p8affine_epi64_epi8::<0>(bytes, _mm512_set1_epi64(EVEN << FROM)) }
}

/// Bytes of each 64-bit word, from these bits on; each byte twice.
#[inline(always)]
unsafe fn from_bits(words: __m512i, bits: [i64; 4]) -> __m512i {
    let [a, b, c, d] = bits;
    let bits = 0x0101 * (a | b << 16 | c << 32 | d << 48);
    // SAFETY: the caller has AVX-512 VBMI.
    unsafe { _mm512_multishift_epi64_epi8(_mm512_set1_epi64(bits), words) }
}

impl Lookup for Iq2Xxs {
    #[inline(always)]
    unsafe fn magnitudes(block: *const u8) -> [__m512i; 4] {
        // SAFETY: within the block.
        unsafe {
            let words = _mm512_loadu_si512(block.add(2).cast());
            of_eight(&IQ2_XXS, from_bits(words, [0, 8, 16, 24]), 0)
        }
    }
    #[inline(always)]
    unsafe fn negative(block: *const u8) -> [__mmask64; 4] {
        // SAFETY: within the block.
        unsafe {
            let words = _mm512_loadu_si512(block.add(2).cast());
            by_signs(even_signs::<0>(from_bits(words, [32, 39, 46, 53])))
        }
    }
}

impl Lookup for Iq2Xs {
    #[inline(always)]
    unsafe fn magnitudes(block: *const u8) -> [__m512i; 4] {
        // SAFETY: within the block.
        unsafe {
            let words = _mm512_loadu_si512(block.add(2).cast());
            let index = twice(_mm512_and_si512(words, _mm512_set1_epi16(255)));
            let ninth = _mm512_test_epi8_mask(high_bytes(words), _mm512_set1_epi8(1));
            of_eight(&IQ2_XS, index, ninth)
        }
    }
    #[inline(always)]
    unsafe fn negative(block: *const u8) -> [__mmask64; 4] {
        // SAFETY: within the block.
        unsafe {
            let words = _mm512_loadu_si512(block.add(2).cast());
            by_signs(even_signs::<1>(high_bytes(words)))
        }
    }
}

/// The high byte of each 16-bit word, twice.
#[inline(always)]
unsafe fn high_bytes(words: __m512i) -> __m512i {
    // SAFETY: the caller has AVX-512 BW.
    unsafe { twice(_mm512_srli_epi16::<8>(words)) }
}

impl Lookup for Iq3Xxs {
    #[inline(always)]
    unsafe fn magnitudes(block: *const u8) -> [__m512i; 4] {
        // SAFETY: within the block.
        unsafe {
            let index = _mm512_loadu_si512(block.add(2).cast());
            let levels = i64::from_le_bytes(MAGNITUDES_3.map(i8::cast_unsigned));
            let levels = _mm512_set1_epi64(levels);
            of_four(&IQ3_XXS, index, 0).map(|codes| _mm512_shuffle_epi8(levels, codes))
        }
    }
    #[inline(always)]
    unsafe fn negative(block: *const u8) -> [__mmask64; 4] {
        // SAFETY: within the block.
        unsafe {
            let words = _mm512_cvtepu32_epi64(_mm256_loadu_si256(block.add(66).cast()));
            by_signs(even_signs::<0>(from_bits(words, [0, 7, 14, 21])))
        }
    }
}

impl Lookup for Iq3S {
    #[inline(always)]
    unsafe fn magnitudes(block: *const u8) -> [__m512i; 4] {
        // SAFETY: within the block.
        unsafe {
            let ninth = block.add(66).cast::<u64>().read_unaligned();
            of_four(&IQ3_S, _mm512_loadu_si512(block.add(2).cast()), ninth)
        }
    }
    #[inline(always)]
    unsafe fn negative(block: *const u8) -> [__mmask64; 4] {
        // SAFETY: within the block.
        unsafe {
            let signs = _mm256_loadu_si256(block.add(74).cast());
            by_signs(twice(_mm512_cvtepu8_epi16(signs)))
        }
    }
}
