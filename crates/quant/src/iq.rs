//! Super-blocks of 256 values on grids of magnitudes, with signs apart: IQ2_XXS, IQ2_XS, IQ2_S,
//! IQ3_XXS, IQ3_S.
//!
//! Values come in parts of 32, each of four octets; an octet is one point of an IQ2 codebook or two
//! of an IQ3 one, and eight signs. All begin with `d` f16; indices, words and scales follow, for
//! all parts (numbers are bytes of the block, little-endian):
//!
//! | type | layout | value |
//! |---|---|---|
//! | IQ2_XXS | per part: 4 of indices, then u32: 4 × 7 signs, 4 of scale | `d · (s + ½) / 4 · v` |
//! | IQ2_XS | per octet u16: 9 of index, 7 signs; 8 of scale nibbles | `d · (s + ½) / 4 · v` |
//! | IQ2_S | 32 of indices, 32 of signs, 8 of high index bits, 8 of scale nibbles | `d · (s + ½) / 4 · v` |
//! | IQ3_XXS | 64 of indices, per part u32: 4 × 7 signs, 4 of scale | `d · (s + ½) / 2 · v` |
//! | IQ3_S | 64 of indices, 8 of high index bits, 32 of signs, 4 of scale nibbles | `d · (2 s + 1) · v` |
//!
//! Of eight signs with seven stored the last makes the number of negative ones even. A nibble of
//! IQ2_XS and IQ2_S scales half a part, one of IQ3_S a whole part.

use std::sync::LazyLock;

use crate::block::{decode_blocks, encode_blocks, f16_at, put_f16};
use crate::codebook::{self, even_signs};
use crate::lattice::{Again, Lattice, Method, weights};
use crate::search::{mean_square, square};

/// Values per super-block.
const LEN: usize = 256;

/// Values per part.
const PART: usize = 32;

pub(crate) fn decode_iq2_xxs(src: &[u8], dst: &mut [f32]) {
    decode_blocks(src, dst, |block: &[u8; 66], out: &mut [f32; LEN]| {
        let d = f16_at(block, 0);
        let parts = block[2..].as_chunks::<8>().0;
        for (part, out) in parts.iter().zip(out.as_chunks_mut::<PART>().0) {
            let [a, b, c, e, ref word @ ..] = *part;
            let word = u32::from_le_bytes(*word);
            let scale = d * (0.5 + (word >> 28) as f32) * 0.25;
            for (l, index) in [a, b, c, e].into_iter().enumerate() {
                let signs = even_signs((word >> (7 * l)) as u8 & 127);
                put(&mut out[8 * l..], &codebook::IQ2_XXS[usize::from(index)], scale, signs);
            }
        }
    });
}

pub(crate) fn decode_iq2_xs(src: &[u8], dst: &mut [f32]) {
    decode_blocks(src, dst, |block: &[u8; 74], out: &mut [f32; LEN]| {
        let d = f16_at(block, 0);
        let (words, scales) = block[2..].split_at(64);
        let words = words.as_chunks::<2>().0;
        for (i, (word, out)) in words.iter().zip(out.chunks_exact_mut(8)).enumerate() {
            let word = u16::from_le_bytes(*word);
            let signs = even_signs((word >> 9) as u8);
            put(out, &codebook::IQ2_XS[usize::from(word & 511)], half_scale(d, scales, i), signs);
        }
    });
}

pub(crate) fn decode_iq2_s(src: &[u8], dst: &mut [f32]) {
    decode_blocks(src, dst, |block: &[u8; 82], out: &mut [f32; LEN]| {
        let d = f16_at(block, 0);
        let (low, rest) = block[2..].split_at(32);
        let (signs, rest) = rest.split_at(32);
        let (high, scales) = rest.split_at(8);
        for (i, out) in out.chunks_exact_mut(8).enumerate() {
            let index = usize::from(low[i]) | usize::from((high[i / 4] >> (2 * (i % 4))) & 3) << 8;
            put(out, &codebook::IQ2_S[index], half_scale(d, scales, i), signs[i]);
        }
    });
}

pub(crate) fn decode_iq3_xxs(src: &[u8], dst: &mut [f32]) {
    decode_blocks(src, dst, |block: &[u8; 98], out: &mut [f32; LEN]| {
        let d = f16_at(block, 0);
        let (indices, words) = block[2..].split_at(64);
        let parts = indices.as_chunks::<8>().0.iter().zip(words.as_chunks::<4>().0);
        for ((indices, word), out) in parts.zip(out.as_chunks_mut::<PART>().0) {
            let word = u32::from_le_bytes(*word);
            let scale = d * (0.5 + (word >> 28) as f32) * 0.5;
            for (q, index) in indices.iter().enumerate() {
                let signs = even_signs((word >> (7 * (q / 2))) as u8 & 127) >> (4 * (q % 2));
                put(&mut out[4 * q..], &codebook::IQ3_XXS[usize::from(*index)], scale, signs);
            }
        }
    });
}

pub(crate) fn decode_iq3_s(src: &[u8], dst: &mut [f32]) {
    decode_blocks(src, dst, |block: &[u8; 110], out: &mut [f32; LEN]| {
        let d = f16_at(block, 0);
        let (low, rest) = block[2..].split_at(64);
        let (high, rest) = rest.split_at(8);
        let (signs, scales) = rest.split_at(32);
        for (q, out) in out.chunks_exact_mut(4).enumerate() {
            let part = q / 8;
            let index = usize::from(low[q]) | usize::from((high[part] >> (q % 8)) & 1) << 8;
            let scale = (scales[part / 2] >> (4 * (part % 2))) & 15;
            let signs = signs[q / 2] >> (4 * (q % 2));
            put(out, &codebook::IQ3_S[index], d * f32::from(1 + 2 * scale), signs);
        }
    });
}

/// Needs importance to be of use; without, all values have the same.
pub(crate) fn encode_iq2_xxs(src: &[f32], importance: Option<&[f32]>, dst: &mut [u8]) {
    static LATTICE: LazyLock<Lattice<8>> = LazyLock::new(|| Lattice::new(&codebook::IQ2_XXS, 2));
    const METHOD: Method = Method {
        group: 32,
        tries: 6,
        step: 0.1,
        zero: 1e-15,
        even: true,
        again: Again::All,
        correction: 1.0,
    };
    encode_blocks(src, importance, dst, |values, importance, block: &mut [u8; 66]| {
        block.fill(0);
        let weights = weights(values, importance.unwrap_or(&[1.0; LEN]), 1.0);
        let Some(fitted) = LATTICE.fit(values, &weights, &METHOD) else { return };
        put_f16(block, 0, fitted.d);
        for (p, part) in block[2..].as_chunks_mut::<8>().0.iter_mut().enumerate() {
            for (byte, index) in part.iter_mut().zip(&fitted.indices[4 * p..][..4]) {
                *byte = *index as u8;
            }
            let word = signs_and_scale(&fitted.signs[4 * p..][..4], fitted.scales[p]);
            part[4..].copy_from_slice(&word);
        }
    });
}

/// Needs importance to be of use; without, all values have the same.
pub(crate) fn encode_iq2_xs(src: &[f32], importance: Option<&[f32]>, dst: &mut [u8]) {
    static LATTICE: LazyLock<Lattice<8>> = LazyLock::new(|| Lattice::new(&codebook::IQ2_XS, 2));
    const METHOD: Method = Method {
        group: 16,
        tries: 9,
        step: 0.1,
        zero: 1e-15,
        even: true,
        again: Again::Moved,
        correction: 1.0,
    };
    encode_blocks(src, importance, dst, |values, importance, block: &mut [u8; 74]| {
        block.fill(0);
        let weights = weights(values, importance.unwrap_or(&[1.0; LEN]), 1.0);
        let Some(fitted) = LATTICE.fit(values, &weights, &METHOD) else { return };
        put_f16(block, 0, fitted.d);
        let (words, scales) = block[2..].split_at_mut(64);
        for (i, word) in words.as_chunks_mut::<2>().0.iter_mut().enumerate() {
            *word = (fitted.indices[i] | u16::from(fitted.signs[i]) << 9).to_le_bytes();
        }
        pack_scales(&fitted.scales, scales);
    });
}

pub(crate) fn encode_iq2_s(src: &[f32], importance: Option<&[f32]>, dst: &mut [u8]) {
    static LATTICE: LazyLock<Lattice<8>> = LazyLock::new(|| Lattice::new(&codebook::IQ2_S, 1));
    const METHOD: Method = Method {
        group: 16,
        tries: 9,
        step: 0.1,
        zero: 1e-8,
        even: false,
        again: Again::Moved,
        correction: 0.9875,
    };
    encode_blocks(src, importance, dst, |values, importance, block: &mut [u8; 82]| {
        block.fill(0);
        let weights = match importance {
            Some(importance) => weights(values, importance, 2.0),
            None => {
                let floor = 0.5 * mean_square(values);
                values.map(|value| floor + value * value)
            }
        };
        let Some(fitted) = LATTICE.fit(values, &weights, &METHOD) else { return };
        put_f16(block, 0, fitted.d);
        let (low, rest) = block[2..].split_at_mut(32);
        let (signs, rest) = rest.split_at_mut(32);
        let (high, scales) = rest.split_at_mut(8);
        signs.copy_from_slice(&fitted.signs);
        for (i, low) in low.iter_mut().enumerate() {
            *low = fitted.indices[i] as u8;
            high[i / 4] |= ((fitted.indices[i] >> 8) as u8) << (2 * (i % 4));
        }
        pack_scales(&fitted.scales, scales);
    });
}

pub(crate) fn encode_iq3_xxs(src: &[f32], importance: Option<&[f32]>, dst: &mut [u8]) {
    static LATTICE: LazyLock<Lattice<4>> = LazyLock::new(|| Lattice::new(&codebook::IQ3_XXS, 2));
    const METHOD: Method = Method {
        group: 32,
        tries: 15,
        step: 0.2,
        zero: 1e-8,
        even: true,
        again: Again::Moved,
        correction: 1.0125,
    };
    encode_blocks(src, importance, dst, |values, importance, block: &mut [u8; 98]| {
        block.fill(0);
        let weights = match importance {
            Some(importance) => weights(values, importance, 2.0),
            None => values.map(square),
        };
        let Some(fitted) = LATTICE.fit(values, &weights, &METHOD) else { return };
        put_f16(block, 0, fitted.d);
        let (indices, words) = block[2..].split_at_mut(64);
        for (byte, index) in indices.iter_mut().zip(fitted.indices) {
            *byte = index as u8;
        }
        for (p, word) in words.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            *word = signs_and_scale(&fitted.signs[4 * p..][..4], fitted.scales[p]);
        }
    });
}

pub(crate) fn encode_iq3_s(src: &[f32], importance: Option<&[f32]>, dst: &mut [u8]) {
    static LATTICE: LazyLock<Lattice<4>> = LazyLock::new(|| Lattice::new(&codebook::IQ3_S, 3));
    const METHOD: Method = Method {
        group: 32,
        tries: 9,
        step: 0.2,
        zero: 0.0,
        even: false,
        again: Again::AllIfMoved,
        correction: 1.033,
    };
    encode_blocks(src, importance, dst, |values, importance, block: &mut [u8; 110]| {
        block.fill(0);
        let weights = match importance {
            Some(importance) => weights(values, importance, 2.0),
            None => values.map(square),
        };
        let Some(fitted) = LATTICE.fit(values, &weights, &METHOD) else { return };
        put_f16(block, 0, fitted.d);
        let (low, rest) = block[2..].split_at_mut(64);
        let (high, rest) = rest.split_at_mut(8);
        let (signs, scales) = rest.split_at_mut(32);
        signs.copy_from_slice(&fitted.signs);
        for (q, low) in low.iter_mut().enumerate() {
            *low = fitted.indices[q] as u8;
            high[q / 8] |= ((fitted.indices[q] >> 8) as u8) << (q % 8);
        }
        pack_scales(&fitted.scales, scales);
    });
}

/// Four times seven signs and a scale of four bits.
fn signs_and_scale(signs: &[u8], scale: u8) -> [u8; 4] {
    let word = u32::from(scale) << 28;
    let signs = signs.iter().enumerate();
    signs.fold(word, |word, (l, signs)| word | u32::from(signs & 127) << (7 * l)).to_le_bytes()
}

/// Two scales a byte, the first low.
fn pack_scales(scales: &[u8; 16], bytes: &mut [u8]) {
    for (byte, pair) in bytes.iter_mut().zip(scales.as_chunks::<2>().0) {
        *byte = pair[0] | pair[1] << 4;
    }
}

/// Scale of octet `i` where a nibble is for two of them.
fn half_scale(d: f32, scales: &[u8], i: usize) -> f32 {
    let scale = (scales[i / 4] >> (4 * (i / 2 % 2))) & 15;
    d * (0.5 + f32::from(scale)) * 0.25
}

/// Writes a point's values, negative where the bit of `signs` is set.
fn put(out: &mut [f32], point: &[i8], scale: f32, signs: u8) {
    for (i, (out, &magnitude)) in out.iter_mut().zip(point).enumerate() {
        let value = scale * f32::from(magnitude);
        *out = if (signs >> i) & 1 == 0 { value } else { -value };
    }
}
