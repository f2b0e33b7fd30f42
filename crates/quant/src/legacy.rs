//! Blocks of 32 values with one scale: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0.
//!
//! | type | bytes of a block | value `i` |
//! |---|---|---|
//! | Q4_0 | `d` f16, 16 of nibbles | `d · (q - 8)` |
//! | Q4_1 | `d`, `m` f16, 16 of nibbles | `d · q + m` |
//! | Q5_0 | `d` f16, 4 of high bits, 16 of nibbles | `d · (q - 16)` |
//! | Q5_1 | `d`, `m` f16, 4 of high bits, 16 of nibbles | `d · q + m` |
//! | Q8_0 | `d` f16, 32 of i8 | `d · q` |
//!
//! Byte `i` of the nibbles holds value `i` in its low half and value `i + 16` in its high half;
//! bit `i` of the high bits (little-endian u32) belongs to value `i`.

use crate::block::{decode_blocks, encode_blocks, f16_at, pack_nibbles, put_f16};
use crate::lanes::{LANES, Lanes, by_eights, put_levels, weigh};
use crate::search::{FINE, fit_affine, fit_symmetric, inverse, largest_magnitude, mean_square};

/// Values per block.
const LEN: usize = 32;

pub(crate) fn decode_q4_0(src: &[u8], dst: &mut [f32]) {
    decode_blocks(src, dst, |block: &[u8; 18], out: &mut [f32; LEN]| {
        let d = f16_at(block, 0);
        for (i, &byte) in block[2..].iter().enumerate() {
            out[i] = f32::from((byte & 15) as i8 - 8) * d;
            out[i + 16] = f32::from((byte >> 4) as i8 - 8) * d;
        }
    });
}

pub(crate) fn decode_q4_1(src: &[u8], dst: &mut [f32]) {
    decode_blocks(src, dst, |block: &[u8; 20], out: &mut [f32; LEN]| {
        let (d, m) = (f16_at(block, 0), f16_at(block, 2));
        for (i, &byte) in block[4..].iter().enumerate() {
            out[i] = f32::from(byte & 15) * d + m;
            out[i + 16] = f32::from(byte >> 4) * d + m;
        }
    });
}

pub(crate) fn decode_q5_0(src: &[u8], dst: &mut [f32]) {
    decode_blocks(src, dst, |block: &[u8; 22], out: &mut [f32; LEN]| {
        let d = f16_at(block, 0);
        let levels = unpack5(&block[2..]);
        for (out, level) in out.iter_mut().zip(levels) {
            *out = f32::from(level as i8 - 16) * d;
        }
    });
}

pub(crate) fn decode_q5_1(src: &[u8], dst: &mut [f32]) {
    decode_blocks(src, dst, |block: &[u8; 24], out: &mut [f32; LEN]| {
        let (d, m) = (f16_at(block, 0), f16_at(block, 2));
        let levels = unpack5(&block[4..]);
        for (out, level) in out.iter_mut().zip(levels) {
            *out = f32::from(level) * d + m;
        }
    });
}

pub(crate) fn decode_q8_0(src: &[u8], dst: &mut [f32]) {
    decode_blocks(src, dst, |block: &[u8; 34], out: &mut [f32; LEN]| {
        let d = f16_at(block, 0);
        for (out, &byte) in out.iter_mut().zip(&block[2..]) {
            *out = f32::from(byte as i8) * d;
        }
    });
}

pub(crate) fn encode_q4_0(src: &[f32], importance: Option<&[f32]>, dst: &mut [u8]) {
    encode_symmetric(src, importance, dst, 8, |d, levels, block: &mut [u8; 18]| {
        put_f16(block, 0, d);
        pack_nibbles(levels, &mut block[2..]);
    });
}

pub(crate) fn encode_q4_1(src: &[f32], importance: Option<&[f32]>, dst: &mut [u8]) {
    encode_affine(src, importance, dst, 15, |(d, m), levels, block: &mut [u8; 20]| {
        put_f16(block, 0, d);
        put_f16(block, 2, m);
        pack_nibbles(levels, &mut block[4..]);
    });
}

pub(crate) fn encode_q5_0(src: &[f32], importance: Option<&[f32]>, dst: &mut [u8]) {
    encode_symmetric(src, importance, dst, 16, |d, levels, block: &mut [u8; 22]| {
        put_f16(block, 0, d);
        pack5(levels, &mut block[2..]);
    });
}

pub(crate) fn encode_q5_1(src: &[f32], importance: Option<&[f32]>, dst: &mut [u8]) {
    encode_affine(src, importance, dst, 31, |(d, m), levels, block: &mut [u8; 24]| {
        put_f16(block, 0, d);
        put_f16(block, 2, m);
        pack5(levels, &mut block[4..]);
    });
}

/// Importance is not used: the scale of the largest value leaves too little to gain.
pub(crate) fn encode_q8_0(src: &[f32], _importance: Option<&[f32]>, dst: &mut [u8]) {
    encode_blocks(src, None, dst, |values: &[f32; LEN], _, block: &mut [u8; 34]| {
        let d = largest_magnitude(values) / 127.0;
        let inverse = inverse(d);
        put_f16(block, 0, d);
        for (byte, value) in block[2..].iter_mut().zip(values) {
            *byte = round(value * inverse) as u8;
        }
    });
}

/// As [`f32::round`], which is a call where the processor's baseline has no instruction for it.
fn round(value: f32) -> i8 {
    let whole = value as i32;
    let rest = value - whole as f32;
    let away = i32::from(rest >= 0.5) - i32::from(rest <= -0.5);
    whole.saturating_add(away).clamp(i8::MIN.into(), i8::MAX.into()) as i8
}

/// Encodes blocks of a scale and levels `0..2 * zero`, where level `zero` means 0, which `pack` puts
/// into a block.
fn encode_symmetric<const BYTES: usize>(
    src: &[f32],
    importance: Option<&[f32]>,
    dst: &mut [u8],
    zero: u8,
    pack: impl Fn(f32, &[u8; LEN], &mut [u8; BYTES]),
) {
    let Some(importance) = importance else {
        return encode_blocks(src, None, dst, |values, _, block| {
            let (d, levels) = symmetric(values, zero);
            pack(d, &levels, block);
        });
    };
    let square = Lanes::splat(mean_square(src));
    by_eights(
        src,
        Some(importance),
        dst,
        LANES * BYTES,
        |_, values: &[Lanes; LEN], importance, blocks| {
            let weights = weigh(values, importance, square);
            let fit = fit_symmetric(values, &weights, i32::from(zero));
            let mut levels = [0; LANES * LEN];
            put_levels(&values.map(|value| fit.level(value)), &mut levels);
            let blocks = blocks.as_chunks_mut().0.iter_mut().zip(levels.as_chunks().0);
            for ((block, levels), d) in blocks.zip(fit.scale.to_array()) {
                pack(d, levels, block);
            }
        },
    );
}

/// Encodes blocks of a scale, a smallest value and levels `0..=most`.
fn encode_affine<const BYTES: usize>(
    src: &[f32],
    importance: Option<&[f32]>,
    dst: &mut [u8],
    most: u8,
    pack: impl Fn((f32, f32), &[u8; LEN], &mut [u8; BYTES]),
) {
    let Some(importance) = importance else {
        return encode_blocks(src, None, dst, |values, _, block| {
            let (d, min, levels) = affine(values, most);
            pack((d, min), &levels, block);
        });
    };
    let square = Lanes::splat(mean_square(src));
    by_eights(
        src,
        Some(importance),
        dst,
        LANES * BYTES,
        |_, values: &[Lanes; LEN], importance, blocks| {
            let weights = weigh(values, importance, square);
            let fit =
                fit_affine(values, &weights, most, FINE, |difference| difference * difference);
            let mut levels = [0; LANES * LEN];
            put_levels(&values.map(|value| fit.level(value)), &mut levels);
            let blocks = blocks.as_chunks_mut().0.iter_mut().zip(levels.as_chunks().0);
            let factors = fit.scale.to_array().into_iter().zip(fit.min.to_array());
            for ((block, levels), factors) in blocks.zip(factors) {
                pack(factors, levels, block);
            }
        },
    );
}

/// Scale and levels; the value of largest magnitude gets level 0, whose magnitude is the largest.
fn symmetric(values: &[f32; LEN], zero: u8) -> (f32, [u8; LEN]) {
    let mut largest = 0f32;
    for &value in values {
        if value.abs() > largest.abs() {
            largest = value;
        }
    }
    let d = largest / -f32::from(zero);
    let inverse = inverse(d);
    let rounding = f32::from(zero) + 0.5;
    (d, values.map(|value| ((value * inverse + rounding) as u8).min(2 * zero - 1)))
}

/// Scale, smallest value and levels.
fn affine(values: &[f32; LEN], most: u8) -> (f32, f32, [u8; LEN]) {
    let min = values.iter().copied().fold(f32::MAX, f32::min);
    let max = values.iter().copied().fold(f32::MIN, f32::max);
    let d = (max - min) / f32::from(most);
    let inverse = inverse(d);
    (d, min, values.map(|value| (((value - min) * inverse + 0.5) as u8).min(most)))
}

/// High bits, then nibbles.
fn pack5(levels: &[u8; LEN], bytes: &mut [u8]) {
    let mut high = 0u32;
    for (i, &level) in levels.iter().enumerate() {
        high |= u32::from(level >> 4) << i;
    }
    bytes[..4].copy_from_slice(&high.to_le_bytes());
    pack_nibbles(levels, &mut bytes[4..]);
}

fn unpack5(bytes: &[u8]) -> [u8; LEN] {
    let high = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let mut levels = [0; LEN];
    for (i, &byte) in bytes[4..20].iter().enumerate() {
        levels[i] = (byte & 15) | ((high >> i) as u8 & 1) << 4;
        levels[i + 16] = (byte >> 4) | ((high >> (i + 16)) as u8 & 1) << 4;
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::round;

    #[test]
    fn rounding_is_that_of_the_standard_library() {
        let near_ties = (-1300..1300).flat_map(|i| {
            let tie = i as f32 * 0.1;
            let half = (i / 10) as f32 + 0.5;
            [tie, half, half.next_down(), half.next_up()]
        });
        let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30, -0.0, 0.499_999_97];
        for x in near_ties.chain(odd) {
            assert_eq!(round(x), x.round() as i8, "{x}");
        }
    }
}
