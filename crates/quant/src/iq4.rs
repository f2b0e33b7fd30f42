//! Levels of four bits with unevenly spaced values: IQ4_NL, IQ4_XS.
//!
//! IQ4_NL: 32 values; `d` f16, 16 bytes of nibbles; value = `d · v`, where `v` is the nibble's entry
//! of [`codebook::IQ4`]. Byte `i` holds value `i` low and value `i + 16` high.
//!
//! IQ4_XS: 256 values in groups of 32; `d` f16; the upper two bits of 8 scales, u16; the lower four,
//! 4 bytes, each for two groups; then the nibbles of each group as above; value =
//! `d · (scale - 32) · v`.

use crate::block::{decode_blocks, f16_at, pack_nibbles, put_f16};
use crate::codebook;
use crate::lanes::{LANES, Lanes, by_eights, put_levels, sum_of_squares, weigh};
use crate::search::{ZERO, extreme, extremes, inverse, mean_square, nearest};

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
    by_eights(src, importance, dst, LANES * 18, |_, values, importance, blocks| {
        let square = Lanes::splat(2.0 / GROUP as f32) * sum_of_squares(values);
        let scale = fit(values, &weigh(values, importance, square));
        let levels = levels(values, scale);
        let blocks = blocks.as_chunks_mut::<18>().0.iter_mut().zip(levels.as_chunks().0);
        for ((block, levels), scale) in blocks.zip(scale.to_array()) {
            put_f16(block, 0, scale);
            pack_nibbles(levels as &[u8; GROUP], &mut block[2..]);
        }
    });
}

pub(crate) fn encode_iq4_xs(src: &[f32], importance: Option<&[f32]>, dst: &mut [u8]) {
    by_eights(src, importance, dst, 136, |source, values, importance, block| {
        let square = Lanes::splat(2.0 * mean_square(source));
        let weights = weigh(values, importance, square);
        let fitted = fit(values, &weights).to_array();
        let d = -extreme(&fitted) / 32.0;
        let inverse = inverse(d);
        let scales = fitted.map(|scale| nearest(inverse * scale).clamp(-32, 31));
        let levels = levels(values, Lanes::from(scales.map(|scale| d * scale as f32)));
        block.fill(0);
        put_f16(block, 0, d);
        for (g, scale) in scales.into_iter().enumerate() {
            let stored = (scale + 32) as u8;
            block[4 + g / 2] |= (stored & 15) << (4 * (g % 2));
            block[2 + g / 4] |= (stored >> 4) << (2 * (g % 4));
        }
        let nibbles = block[8..].chunks_exact_mut(GROUP / 2);
        for (nibbles, levels) in nibbles.zip(levels.chunks_exact(GROUP)) {
            pack_nibbles(levels, nibbles);
        }
    });
}

fn unpack(nibbles: &[u8], scale: f32, out: &mut [f32; GROUP]) {
    let (low, high) = out.split_at_mut(GROUP / 2);
    for ((byte, low), high) in nibbles.iter().zip(low).zip(high) {
        *low = scale * f32::from(codebook::IQ4[usize::from(byte & 15)]);
        *high = scale * f32::from(codebook::IQ4[usize::from(byte >> 4)]);
    }
}

/// The scales that keep the weighted squared errors of groups small.
#[inline(always)]
fn fit(values: &[Lanes; GROUP], weights: &[Lanes; GROUP]) -> Lanes {
    let largest = extremes(values);
    // Least squares of the scale for given levels: numerator and denominator.
    let sums = |inverse: Lanes| {
        let (mut xv, mut vv) = (Lanes::ZERO, Lanes::ZERO);
        for (&x, &w) in values.iter().zip(weights) {
            let v = nearest_value(inverse * x);
            xv = xv + w * v * x;
            vv = vv + w * v * v;
        }
        (xv, vv)
    };
    // The level of largest magnitude is the first, for the largest value or one of its sign.
    let first = f32::from(codebook::IQ4[0]);
    let (xv, vv) = sums(Lanes::splat(1.0) / (-largest / Lanes::splat(first)));
    let mut scale = vv.above(Lanes::ZERO).choose(xv / vv, Lanes::ZERO);
    let mut best = scale * xv;
    for step in -7..=7 {
        let (xv, vv) = sums(Lanes::splat(step as f32 + first) / largest);
        let better = vv.above(Lanes::ZERO).and((xv * xv).above(best * vv));
        scale = better.choose(xv / vv, scale);
        best = better.choose(scale * xv, best);
    }
    largest.abs().at_least(Lanes::splat(ZERO)).choose(scale, Lanes::ZERO)
}

/// Levels of eight groups, one group after the other.
fn levels(values: &[Lanes; GROUP], scale: Lanes) -> [u8; LEN] {
    let inverse = scale.differs(Lanes::ZERO).choose(Lanes::splat(1.0) / scale, Lanes::ZERO);
    let mut levels = [0; LEN];
    let one = Lanes::splat(1.0);
    let level = |value: Lanes| steps(inverse * value, Lanes::ZERO, |_| one);
    put_levels(&values.map(level), &mut levels);
    levels
}

/// The nearest of the values that levels stand for, of two the upper.
#[inline(always)]
fn nearest_value(value: Lanes) -> Lanes {
    steps(value, Lanes::splat(f32::from(codebook::IQ4[0])), |level| Lanes::splat(STEPS[level]))
}

/// `start`, and one `step` more for each level whose middle to the next is reached.
#[inline(always)]
fn steps(value: Lanes, start: Lanes, step: impl Fn(usize) -> Lanes) -> Lanes {
    let mut sum = start;
    for (level, &middle) in MIDDLES.iter().enumerate() {
        sum = sum + value.at_least(Lanes::splat(middle)).choose(step(level), Lanes::ZERO);
    }
    sum
}

/// Between the values of a level and of the next: the middle, and the distance.
const MIDDLES: [f32; 15] = between(0.5, 0.5);
const STEPS: [f32; 15] = between(-1.0, 1.0);

const fn between(below: f32, above: f32) -> [f32; 15] {
    let mut between = [0.0; 15];
    let mut level = 0;
    while level < between.len() {
        let (low, high) = (codebook::IQ4[level] as f32, codebook::IQ4[level + 1] as f32);
        between[level] = below * low + above * high;
        level += 1;
    }
    between
}
