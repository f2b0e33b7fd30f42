//! One scale `d`, f16, and levels of one bit or three values: Q1_0, Q2_0, TQ1_0, TQ2_0.
//!
//! | type | values | bytes of a block | value |
//! |---|---|---|---|
//! | Q1_0 | 128 | `d`, 16 of bits | `d`, or `-d` where the bit is 0 |
//! | Q2_0 | 64 | `d`, 16 of bit pairs | `d · (q - 1)` |
//! | TQ1_0 | 256 | 48 + 4 of packed digits, `d` | `d · (q - 1)` |
//! | TQ2_0 | 256 | 64 of bit pairs, `d` | `d · (q - 1)` |
//!
//! Q1_0 and Q2_0 keep values in order from the lowest bits on; the pairs of TQ2_0 are ordered as in
//! [`unpack_pairs`]. TQ1_0 reads a byte as a fraction of 256 of which the digits in base 3 are the
//! levels: five of each byte (four of the last 4 bytes), one for each of the [`RUNS`]' length.

use crate::block::{decode_blocks, encode_blocks, f16_at, pack_pairs, put_f16, unpack_pairs};
use crate::search::{inverse, largest_magnitude};

/// Values per super-block.
const LEN: usize = 256;

/// Bytes of a TQ1_0 block in runs: first byte, bytes, first value, digits per byte. Digit `k` of
/// byte `i` of a run of `n` is its value `n k + i`.
const RUNS: [(usize, usize, usize, usize); 3] = [(0, 32, 0, 5), (32, 16, 160, 5), (48, 4, 240, 4)];

pub(crate) fn decode_q1_0(src: &[u8], dst: &mut [f32]) {
    decode_blocks(src, dst, |block: &[u8; 18], out: &mut [f32; 128]| {
        let d = f16_at(block, 0);
        for (i, out) in out.iter_mut().enumerate() {
            *out = if (block[2 + i / 8] >> (i % 8)) & 1 == 1 { d } else { -d };
        }
    });
}

pub(crate) fn decode_q2_0(src: &[u8], dst: &mut [f32]) {
    decode_blocks(src, dst, |block: &[u8; 18], out: &mut [f32; 64]| {
        let d = f16_at(block, 0);
        for (i, out) in out.iter_mut().enumerate() {
            *out = value((block[2 + i / 4] >> (2 * (i % 4))) & 3, d);
        }
    });
}

pub(crate) fn decode_tq1_0(src: &[u8], dst: &mut [f32]) {
    decode_blocks(src, dst, |block: &[u8; 54], out: &mut [f32; LEN]| {
        let d = f16_at(block, 52);
        for (first, bytes, at, digits) in RUNS {
            let out = &mut out[at..][..bytes * digits];
            for (i, &byte) in block[first..][..bytes].iter().enumerate() {
                let mut fraction = byte;
                for out in out[i..].iter_mut().step_by(bytes) {
                    let tripled = 3 * u16::from(fraction);
                    *out = value((tripled >> 8) as u8, d);
                    fraction = tripled as u8;
                }
            }
        }
    });
}

pub(crate) fn decode_tq2_0(src: &[u8], dst: &mut [f32]) {
    decode_blocks(src, dst, |block: &[u8; 66], out: &mut [f32; LEN]| {
        let d = f16_at(block, 64);
        for (out, level) in out.iter_mut().zip(unpack_pairs(&block[..64])) {
            *out = value(level, d);
        }
    });
}

/// The scale is the mean magnitude; importance is not used, as signs leave nothing to choose.
pub(crate) fn encode_q1_0(src: &[f32], _importance: Option<&[f32]>, dst: &mut [u8]) {
    encode_blocks(src, None, dst, |values: &[f32; 128], _, block: &mut [u8; 18]| {
        block.fill(0);
        let mut sum = 0f32;
        for (i, value) in values.iter().enumerate() {
            sum += value.abs();
            block[2 + i / 8] |= u8::from(*value >= 0.0) << (i % 8);
        }
        put_f16(block, 0, sum / 128.0);
    });
}

/// Importance is not used, as in [`levels`]; the highest level is not either.
pub(crate) fn encode_q2_0(src: &[f32], _importance: Option<&[f32]>, dst: &mut [u8]) {
    encode_blocks(src, None, dst, |values: &[f32; 64], _, block: &mut [u8; 18]| {
        block.fill(0);
        let (d, levels) = levels(values);
        put_f16(block, 0, d);
        for (i, level) in levels.into_iter().enumerate() {
            block[2 + i / 4] |= level << (2 * (i % 4));
        }
    });
}

/// Importance is not used, as in [`levels`].
pub(crate) fn encode_tq1_0(src: &[f32], _importance: Option<&[f32]>, dst: &mut [u8]) {
    encode_blocks(src, None, dst, |values: &[f32; LEN], _, block: &mut [u8; 54]| {
        let (d, levels) = levels(values);
        put_f16(block, 52, d);
        for (first, bytes, at, digits) in RUNS {
            let levels = &levels[at..][..bytes * digits];
            for (i, byte) in block[first..][..bytes].iter_mut().enumerate() {
                let digit = |k: usize| levels.get(bytes * k + i).copied().unwrap_or(0);
                let number = (0..5).fold(0, |number, k| 3 * number + u16::from(digit(k)));
                // Rounded up, so that all digits survive reading from the top.
                *byte = (256 * number).div_ceil(243) as u8;
            }
        }
    });
}

/// Importance is not used, as in [`levels`].
pub(crate) fn encode_tq2_0(src: &[f32], _importance: Option<&[f32]>, dst: &mut [u8]) {
    encode_blocks(src, None, dst, |values: &[f32; LEN], _, block: &mut [u8; 66]| {
        let (d, levels) = levels(values);
        block[..64].copy_from_slice(&pack_pairs(&levels));
        put_f16(block, 64, d);
    });
}

fn value(level: u8, d: f32) -> f32 {
    f32::from(level as i8 - 1) * d
}

/// Scale and levels 0, 1, 2. These types are for weights that are trained to be `-d`, 0 and `d`: the
/// scale is the largest magnitude and there is nothing to search.
fn levels<const N: usize>(values: &[f32; N]) -> (f32, [u8; N]) {
    let d = largest_magnitude(values);
    let inverse = inverse(d);
    (d, values.map(|value| ((value * inverse).round().clamp(-1.0, 1.0) + 1.0) as u8))
}
