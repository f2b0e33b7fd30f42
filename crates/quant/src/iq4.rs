//! Levels of four bits with unevenly spaced values: IQ4_NL, IQ4_XS.
//!
//! IQ4_NL: 32 values; `d` f16, 16 bytes of nibbles; value = `d · v`, where `v` is the nibble's entry
//! of [`codebook::IQ4`]. Byte `i` holds value `i` low and value `i + 16` high.
//!
//! IQ4_XS: 256 values in groups of 32; `d` f16; the upper two bits of 8 scales, u16; the lower four,
//! 4 bytes, each for two groups; then the nibbles of each group as above; value =
//! `d · (scale - 32) · v`.

use crate::block::{decode_blocks, encode_blocks, f16_at, pack_nibbles, put_f16};
use crate::codebook;
use crate::search::{ZERO, extreme, importance_weights, inverse, mean_square, nearest, square};

/// Values per group.
const GROUP: usize = 32;

/// Values per super-block.
const LEN: usize = 256;

pub(crate) fn decode_iq4_nl(src: &[u8], dst: &mut [f32]) {
    decode_blocks(src, dst, |block: &[u8; 18], out: &mut [f32; GROUP]| {
        unpack(&block[2..], f16_at(block, 0), out);
    });
}

pub(crate) fn decode_iq4_xs(src: &[u8], dst: &mut [f32]) {
    decode_blocks(src, dst, |block: &[u8; 136], out: &mut [f32; LEN]| {
        let d = f16_at(block, 0);
        let upper = u16::from_le_bytes([block[2], block[3]]);
        let nibbles = block[8..].chunks_exact(GROUP / 2);
        for (g, (out, nibbles)) in out.as_chunks_mut().0.iter_mut().zip(nibbles).enumerate() {
            let lower = (block[4 + g / 2] >> (4 * (g % 2))) & 15;
            let scale = lower | ((upper >> (2 * g)) as u8 & 3) << 4;
            unpack(nibbles, d * f32::from(scale as i8 - 32), out);
        }
    });
}

pub(crate) fn encode_iq4_nl(src: &[f32], importance: Option<&[f32]>, dst: &mut [u8]) {
    encode_blocks(src, importance, dst, |values, importance, block: &mut [u8; 18]| {
        let scale = fit(values, &weights(values, importance));
        put_f16(block, 0, scale);
        pack(values, scale, &mut block[2..]);
    });
}

pub(crate) fn encode_iq4_xs(src: &[f32], importance: Option<&[f32]>, dst: &mut [u8]) {
    encode_blocks(
        src,
        importance,
        dst,
        |values: &[f32; LEN], importance, block: &mut [u8; 136]| {
            let groups = values.as_chunks::<GROUP>().0;
            let weights = weights(values, importance);
            let mut fitted = [0f32; LEN / GROUP];
            for (g, values) in groups.iter().enumerate() {
                fitted[g] = fit(values, &weights[GROUP * g..][..GROUP]);
            }
            let d = -extreme(&fitted) / 32.0;
            let inverse = inverse(d);
            block.fill(0);
            put_f16(block, 0, d);
            for (g, values) in groups.iter().enumerate() {
                let scale = nearest(inverse * fitted[g]).clamp(-32, 31);
                pack(values, d * scale as f32, &mut block[8 + GROUP / 2 * g..][..GROUP / 2]);
                let stored = (scale + 32) as u8;
                block[4 + g / 2] |= (stored & 15) << (4 * (g % 2));
                block[2 + g / 4] |= (stored >> 4) << (2 * (g % 4));
            }
        },
    );
}

fn unpack(nibbles: &[u8], scale: f32, out: &mut [f32; GROUP]) {
    let (low, high) = out.split_at_mut(GROUP / 2);
    for ((byte, low), high) in nibbles.iter().zip(low).zip(high) {
        *low = scale * f32::from(codebook::IQ4[usize::from(byte & 15)]);
        *high = scale * f32::from(codebook::IQ4[usize::from(byte >> 4)]);
    }
}

fn pack(values: &[f32; GROUP], scale: f32, nibbles: &mut [u8]) {
    let inverse = inverse(scale);
    pack_nibbles(&values.map(|value| nearest_level(inverse * value)), nibbles);
}

/// Weights of a block's values.
fn weights<const N: usize>(values: &[f32; N], importance: Option<&[f32; N]>) -> [f32; N] {
    let mut weights = values.map(square);
    if let Some(importance) = importance {
        importance_weights(values, importance, 2.0 * mean_square(values), &mut weights);
    }
    weights
}

/// The scale that keeps the weighted squared error of a group small.
fn fit(values: &[f32; GROUP], weights: &[f32]) -> f32 {
    let largest = extreme(values);
    if largest.abs() < ZERO {
        return 0.0;
    }
    // Least squares of the scale for given levels: numerator and denominator.
    let sums = |inverse: f32| {
        let (mut xv, mut vv) = (0f32, 0f32);
        for (&x, &w) in values.iter().zip(weights) {
            let v = f32::from(codebook::IQ4[usize::from(nearest_level(inverse * x))]);
            xv += w * v * x;
            vv += w * v * v;
        }
        (xv, vv)
    };
    // The level of largest magnitude is the first, for the largest value or one of its sign.
    let first = f32::from(codebook::IQ4[0]);
    let (xv, vv) = sums(1.0 / (-largest / first));
    let mut scale = if vv > 0.0 { xv / vv } else { 0.0 };
    let mut best = scale * xv;
    for step in -7..=7 {
        let (xv, vv) = sums((step as f32 + first) / largest);
        if vv > 0.0 && xv * xv > best * vv {
            scale = xv / vv;
            best = scale * xv;
        }
    }
    scale
}

/// Level with the value nearest to this one, of two the upper.
fn nearest_level(value: f32) -> u8 {
    let values = &codebook::IQ4;
    let upper = values.partition_point(|&entry| f32::from(entry) <= value);
    if upper == 0 || upper == values.len() {
        return upper.saturating_sub(1) as u8;
    }
    let (below, above) = (f32::from(values[upper - 1]), f32::from(values[upper]));
    if value - below < above - value { upper as u8 - 1 } else { upper as u8 }
}
