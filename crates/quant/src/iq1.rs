//! Super-blocks of 256 values on a ternary grid with an offset: IQ1_S, IQ1_M.
//!
//! An octet of values is a point of a codebook of 2048, its index of 8 low and 3 high bits, and an
//! offset of ⅛, negative where a bit is set; value = `d · (2 s + 1) · (v ± ⅛)`.
//!
//! IQ1_S: `d` f16; 32 bytes of low bits; for each 32 values a u16: 4 × 3 high bits, 3 of scale, one
//! of offset.
//!
//! IQ1_M: 32 bytes of low bits; 16 bytes with for each of two octets 3 high bits and one of offset;
//! 4 u16 with 4 × 3 bits of scale, one scale for 16 values, and above them a quarter of `d`, f16.

use crate::block::{decode_blocks, f16_at};
use crate::codebook;
use crate::float::f16_to_f32;

/// Values per super-block.
const LEN: usize = 256;

/// What is added to the ternary values.
const OFFSET: f32 = 0.125;

pub(crate) fn decode_iq1_s(src: &[u8], dst: &mut [f32]) {
    decode_blocks(src, dst, |block: &[u8; 50], out: &mut [f32; LEN]| {
        let d = f16_at(block, 0);
        let (low, words) = block[2..].split_at(32);
        let words = words.as_chunks::<2>().0;
        for (i, (out, &low)) in out.as_chunks_mut::<8>().0.iter_mut().zip(low).enumerate() {
            let word = u16::from_le_bytes(words[i / 4]);
            let high = (word >> (3 * (i % 4))) & 7;
            let scale = d * f32::from(2 * ((word >> 12) & 7) + 1);
            put(out, low, high, scale, word >> 15 == 1);
        }
    });
}

pub(crate) fn decode_iq1_m(src: &[u8], dst: &mut [f32]) {
    decode_blocks(src, dst, |block: &[u8; 56], out: &mut [f32; LEN]| {
        let (low, rest) = block.split_at(32);
        let (high, words) = rest.split_at(16);
        let mut scales = [0; 4];
        for (word, bytes) in scales.iter_mut().zip(words.as_chunks::<2>().0) {
            *word = u16::from_le_bytes(*bytes);
        }
        let [a, b, c, e] = scales.map(|word| word >> 12);
        let d = f16_to_f32(a | b << 4 | c << 8 | e << 12);
        for (i, (out, &low)) in out.as_chunks_mut::<8>().0.iter_mut().zip(low).enumerate() {
            let high = u16::from(high[i / 2] >> (4 * (i % 2)));
            let scale = (scales[i / 8] >> (3 * (i / 2 % 4))) & 7;
            put(out, low, high & 7, d * f32::from(2 * scale + 1), high & 8 != 0);
        }
    });
}

fn put(out: &mut [f32; 8], low: u8, high: u16, scale: f32, negative: bool) {
    let offset = if negative { -OFFSET } else { OFFSET };
    let point = &codebook::IQ1[usize::from(u16::from(low) | high << 8)];
    for (out, &value) in out.iter_mut().zip(point) {
        *out = scale * (f32::from(value) + offset);
    }
}
