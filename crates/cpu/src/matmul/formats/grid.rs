//! Types of 256-value blocks whose values, in octets, are points of a codebook: magnitudes with signs
//! apart (IQ2, IQ3), or ternary values with an offset (IQ1). The layouts are those in `quant`.

use quant::{TensorType, codebook};

pub(in super::super) use super::every_byte;
use super::{Format, Primitives, u16_at};

/// `scale`; per 32 values 4 bytes of indices and a word of 4 times 7 signs and a group scale.
pub(in super::super) struct Iq2Xxs;
/// `scale`; per octet 9 bits of index and 7 signs; 16 group scales.
pub(in super::super) struct Iq2Xs;
/// `scale`, 32 bytes of indices, 32 of signs, 8 of upper bits of indices, 16 group scales.
pub(in super::super) struct Iq2S;
/// `scale`, 64 bytes of indices of half octets; per 32 values a word as in [`Iq2Xxs`].
pub(in super::super) struct Iq3Xxs;
/// `scale`, 64 bytes of indices of half octets, 8 of their upper bits, 32 of signs, 8 group scales.
pub(in super::super) struct Iq3S;
/// `scale`, 32 bytes of indices; per 32 values a word of 4 times 3 upper bits, group scale and sign
/// of the offset.
pub(in super::super) struct Iq1S;
/// 32 bytes of indices, 32 nibbles of 3 upper bits and the sign of the offset, 4 words of 4 group
/// scales and a quarter of the scale.
pub(in super::super) struct Iq1M;

pub(in super::super) static IQ2_XXS: [u64; 256] = octets(&codebook::IQ2_XXS);
pub(in super::super) static IQ2_XS: [u64; 512] = octets(&codebook::IQ2_XS);
pub(in super::super) static IQ2_S: [u64; 1024] = octets(&codebook::IQ2_S);
pub(in super::super) static IQ3_XXS: [u32; 256] = halves(&codebook::IQ3_XXS);
pub(in super::super) static IQ3_S: [u32; 512] = halves(&codebook::IQ3_S);
/// `8 · v + 16` for each value.
pub(in super::super) static IQ1: [u64; 2048] = {
    let mut points = codebook::IQ1;
    let mut at = 0;
    while at < 2048 {
        let mut i = 0;
        while i < 8 {
            points[at][i] = 8 * points[at][i] + 16;
            i += 1;
        }
        at += 1;
    }
    octets(&points)
};

impl Format for Iq2Xxs {
    const TY: TensorType = TensorType::IQ2_XXS;
    const LEN: usize = 256;
    const BYTES: usize = 66;
    const BITS: u32 = 7;
    const GROUP: usize = 32;
    const OFFSET: u8 = 64;
    const MINS: bool = false;
    #[inline(always)]
    fn unpack<P: Primitives>(
        p: P,
        block: &[u8],
        codes: &mut [u8],
        scales: &mut [f32],
        _: &mut [f32],
    ) {
        let scale = p.half(u16_at(block)) / 8.0;
        let parts = block[2..66].as_chunks::<8>().0.iter().zip(codes.as_chunks_mut().0);
        for ((part, codes), out) in parts.zip(scales) {
            let [a, b, c, d, word @ ..] = *part;
            let word = u32::from_le_bytes(word);
            let points = [a, b, c, d].map(|index| point(&IQ2_XXS[usize::from(index)]));
            p.signed(points, even_signs(sevens(word).into()) as u32, Self::OFFSET, codes);
            *out = scale * odd(word >> 28);
        }
    }
}

impl Format for Iq2Xs {
    const TY: TensorType = TensorType::IQ2_XS;
    const LEN: usize = 256;
    const BYTES: usize = 74;
    const BITS: u32 = 7;
    const GROUP: usize = 16;
    const OFFSET: u8 = 64;
    const MINS: bool = false;
    #[inline(always)]
    fn unpack<P: Primitives>(
        p: P,
        block: &[u8],
        codes: &mut [u8],
        scales: &mut [f32],
        _: &mut [f32],
    ) {
        let octets = block[2..66].as_chunks::<8>().0.iter().zip(codes.as_chunks_mut().0);
        for (words, codes) in octets {
            let words = words.as_chunks::<2>().0;
            let words = [0, 1, 2, 3].map(|i| u16::from_le_bytes(words[i]));
            let points = words.map(|word| point(&IQ2_XS[usize::from(word & 511)]));
            let signs = u32::from_le_bytes(words.map(|word| (word >> 9) as u8));
            p.signed(points, even_signs(signs.into()) as u32, Self::OFFSET, codes);
        }
        nibble_scales(p.half(u16_at(block)) / 8.0, &block[66..74], scales);
    }
}

impl Format for Iq2S {
    const TY: TensorType = TensorType::IQ2_S;
    const LEN: usize = 256;
    const BYTES: usize = 82;
    const BITS: u32 = 7;
    const GROUP: usize = 16;
    const OFFSET: u8 = 64;
    const MINS: bool = false;
    #[inline(always)]
    fn unpack<P: Primitives>(
        p: P,
        block: &[u8],
        codes: &mut [u8],
        scales: &mut [f32],
        _: &mut [f32],
    ) {
        for (part, codes) in codes.as_chunks_mut().0.iter_mut().enumerate() {
            let low = &block[2 + 4 * part..][..4];
            let signs = &block[34 + 4 * part..][..4];
            let high = usize::from(block[66 + part]);
            let points = [0, 1, 2, 3].map(|i| {
                let index = usize::from(low[i]) | (high << (8 - 2 * i)) & 0x300;
                point(&IQ2_S[index])
            });
            let signs = u32::from_le_bytes([signs[0], signs[1], signs[2], signs[3]]);
            p.signed(points, signs, Self::OFFSET, codes);
        }
        nibble_scales(p.half(u16_at(block)) / 8.0, &block[74..82], scales);
    }
}

impl Format for Iq3Xxs {
    const TY: TensorType = TensorType::IQ3_XXS;
    const LEN: usize = 256;
    const BYTES: usize = 98;
    const BITS: u32 = 7;
    const GROUP: usize = 32;
    const OFFSET: u8 = 64;
    const MINS: bool = false;
    #[inline(always)]
    fn unpack<P: Primitives>(
        p: P,
        block: &[u8],
        codes: &mut [u8],
        scales: &mut [f32],
        _: &mut [f32],
    ) {
        let scale = p.half(u16_at(block)) / 4.0;
        let words = block[66..98].as_chunks().0;
        let parts = block[2..66].as_chunks::<8>().0.iter().zip(words);
        for (((indices, word), codes), out) in parts.zip(codes.as_chunks_mut().0).zip(scales) {
            let word = u32::from_le_bytes(*word);
            let half = |i: usize| &IQ3_XXS[usize::from(indices[i])];
            let points = [0, 1, 2, 3].map(|i| join(half(2 * i), half(2 * i + 1)));
            p.signed(points, even_signs(sevens(word).into()) as u32, Self::OFFSET, codes);
            *out = scale * odd(word >> 28);
        }
    }
}

impl Format for Iq3S {
    const TY: TensorType = TensorType::IQ3_S;
    const LEN: usize = 256;
    const BYTES: usize = 110;
    const BITS: u32 = 5;
    const GROUP: usize = 32;
    const OFFSET: u8 = 16;
    const MINS: bool = false;
    #[inline(always)]
    fn unpack<P: Primitives>(
        p: P,
        block: &[u8],
        codes: &mut [u8],
        scales: &mut [f32],
        _: &mut [f32],
    ) {
        for (part, codes) in codes.as_chunks_mut().0.iter_mut().enumerate() {
            let low = &block[2 + 8 * part..][..8];
            let high = usize::from(block[66 + part]);
            let signs = &block[74 + 4 * part..][..4];
            let half = |i: usize| &IQ3_S[usize::from(low[i]) | (high << (8 - i)) & 0x100];
            let points = [0, 1, 2, 3].map(|i| join(half(2 * i), half(2 * i + 1)));
            let signs = u32::from_le_bytes([signs[0], signs[1], signs[2], signs[3]]);
            p.signed(points, signs, Self::OFFSET, codes);
        }
        nibble_scales(p.half(u16_at(block)), &block[106..110], scales);
    }
}

impl Format for Iq1S {
    const TY: TensorType = TensorType::IQ1_S;
    const LEN: usize = 256;
    const BYTES: usize = 50;
    const BITS: u32 = 5;
    const GROUP: usize = 32;
    const OFFSET: u8 = 16;
    const MINS: bool = false;
    #[inline(always)]
    fn unpack<P: Primitives>(
        p: P,
        block: &[u8],
        codes: &mut [u8],
        scales: &mut [f32],
        _: &mut [f32],
    ) {
        let scale = p.half(u16_at(block)) / 8.0;
        let parts = block[2..34].as_chunks::<4>().0.iter().zip(block[34..50].as_chunks().0);
        for (((low, word), codes), out) in parts.zip(codes.chunks_exact_mut(32)).zip(scales) {
            let word = u32::from(u16::from_le_bytes(*word));
            for (i, codes) in codes.as_chunks_mut().0.iter_mut().enumerate() {
                *codes = ternary(low[i], word >> (3 * i), word >> 15);
            }
            *out = scale * odd(word >> 12 & 7);
        }
    }
}

impl Format for Iq1M {
    const TY: TensorType = TensorType::IQ1_M;
    const LEN: usize = 256;
    const BYTES: usize = 56;
    const BITS: u32 = 5;
    const GROUP: usize = 16;
    const OFFSET: u8 = 16;
    const MINS: bool = false;
    #[inline(always)]
    fn unpack<P: Primitives>(
        p: P,
        block: &[u8],
        codes: &mut [u8],
        scales: &mut [f32],
        _: &mut [f32],
    ) {
        let (scale, groups) = Self::scales(block);
        let scale = p.half(scale) / 8.0;
        for (i, codes) in codes.as_chunks_mut().0.iter_mut().enumerate() {
            let high = u32::from(block[32 + i / 2] >> (4 * (i % 2)));
            *codes = ternary(block[i], high, high >> 3 & 1);
        }
        for (g, out) in scales[..16].iter_mut().enumerate() {
            *out = scale * odd(u32::from(groups[g / 4] >> (3 * (g % 4)) & 7));
        }
    }
}

impl Iq1M {
    /// The half-float scale, and words of which each has 3 bits for each of four groups.
    #[inline(always)]
    pub(super) fn scales(block: &[u8]) -> (u16, [u16; 4]) {
        let words = block[48..56].as_chunks().0;
        let words = [0, 1, 2, 3].map(|i| u16::from_le_bytes(words[i]));
        let [a, b, c, d] = words.map(|word| word >> 12);
        (a | b << 4 | c << 8 | d << 12, words)
    }
}

/// A codebook's points as words, which are aligned and read at once.
const fn octets<const COUNT: usize>(points: &[[i8; 8]; COUNT]) -> [u64; COUNT] {
    let mut words = [0; COUNT];
    let mut at = 0;
    while at < COUNT {
        let mut i = 0;
        while i < 8 {
            words[at] |= (points[at][i] as u8 as u64) << (8 * i);
            i += 1;
        }
        at += 1;
    }
    words
}

/// As [`octets`], for half octets.
const fn halves<const COUNT: usize>(points: &[[i8; 4]; COUNT]) -> [u32; COUNT] {
    let mut words = [0; COUNT];
    let mut at = 0;
    while at < COUNT {
        let point = points[at];
        words[at] =
            u32::from_le_bytes([point[0] as u8, point[1] as u8, point[2] as u8, point[3] as u8]);
        at += 1;
    }
    words
}

/// Reads a point. Compilers gather four at a time, which is slower than one by one; they leave
/// volatile reads alone.
#[inline(always)]
pub(in super::super) fn point<T: Copy>(word: &T) -> T {
    // SAFETY: a reference is valid to read from.
    unsafe { std::ptr::from_ref(word).read_volatile() }
}

/// Two half octets.
#[inline(always)]
pub(in super::super) fn join(first: &u32, second: &u32) -> u64 {
    u64::from(point(first)) | u64::from(point(second)) << 32
}

/// Codes `8 · v + 16 ± 1` of eight ternary values: minus where `negative` is 1.
#[inline(always)]
fn ternary(low: u8, high: u32, negative: u32) -> [u8; 8] {
    let codes = point(&IQ1[usize::from(low) | (high as usize & 7) << 8]);
    (codes + every_byte(1) - u64::from(negative) * every_byte(2)).to_le_bytes()
}

#[inline(always)]
fn odd(scale: u32) -> f32 {
    (2 * scale + 1) as f32
}

/// Scales from nibbles, low ones first.
#[inline(always)]
fn nibble_scales(scale: f32, bytes: &[u8], out: &mut [f32]) {
    for (&byte, out) in bytes.iter().zip(out.chunks_exact_mut(2)) {
        out[0] = scale * odd(u32::from(byte & 15));
        out[1] = scale * odd(u32::from(byte >> 4));
    }
}

/// The four groups of 7 bits of a word's low 28 bits, as bytes.
#[inline(always)]
pub(in super::super) fn sevens(word: u32) -> u32 {
    word & 0x7f | (word & 0x3f80) << 1 | (word & 0x1f_c000) << 2 | (word & 0xfe0_0000) << 3
}

/// Completes bytes of seven signs: the number of set bits of each is made even.
#[inline(always)]
pub(in super::super) fn even_signs(sevens: u64) -> u64 {
    // The lowest bit of each byte gathers its parity.
    let parity = sevens ^ sevens >> 4;
    let parity = parity ^ parity >> 2;
    let parity = parity ^ parity >> 1;
    sevens | (parity & every_byte(1)) << 7
}
