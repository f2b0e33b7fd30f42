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

use std::sync::LazyLock;

use crate::block::{decode_blocks, encode_blocks, f16_at, put_f16};
use crate::codebook;
use crate::float::{f16_to_f32, f32_to_f16};
use crate::lattice::{Lattice, weights};
use crate::search::{largest_magnitude, nearest, square};

/// Values per super-block.
const LEN: usize = 256;

/// Most values that share a scale.
const MAX_GROUP: usize = 32;

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

/// Needs importance to be of use; without, all values have the same.
pub(crate) fn encode_iq1_s(src: &[f32], importance: Option<&[f32]>, dst: &mut [u8]) {
    const CORRECTION: f32 = 1.125;
    encode_blocks(src, importance, dst, |values, importance, block: &mut [u8; 50]| {
        block.fill(0);
        let weights = weights(values, importance.unwrap_or(&[1.0; LEN]), 2.0);
        let groups: [Group<4>; 8] = fit(values, &weights, 1, 1e-12);
        let Some((d, scales)) = quantise_scales(&groups) else { return };
        put_f16(block, 0, d * CORRECTION);
        let (low, words) = block[2..].split_at_mut(32);
        for (g, (group, word)) in groups.iter().zip(words.as_chunks_mut::<2>().0).enumerate() {
            let mut packed = u16::from(scales[g]) << 12 | u16::from(group.negative[0]) << 15;
            for (o, index) in group.indices.iter().enumerate() {
                low[4 * g + o] = *index as u8;
                packed |= (index >> 8) << (3 * o);
            }
            *word = packed.to_le_bytes();
        }
    });
}

pub(crate) fn encode_iq1_m(src: &[f32], importance: Option<&[f32]>, dst: &mut [u8]) {
    const CORRECTION: f32 = 1.1125;
    encode_blocks(src, importance, dst, |values, importance, block: &mut [u8; 56]| {
        block.fill(0);
        let weights = match importance {
            Some(importance) => weights(values, importance, 2.0),
            None => values.map(square),
        };
        let groups: [Group<2>; 16] = fit(values, &weights, 2, 1e-7);
        let Some((d, scales)) = quantise_scales(&groups) else { return };
        let (mut xq, mut qq) = (0f32, 0f32);
        let mut words = [0u16; 4];
        for (g, group) in groups.iter().enumerate() {
            words[g / 4] |= u16::from(scales[g]) << (3 * (g % 4));
            for (o, index) in group.indices.into_iter().enumerate() {
                block[2 * g + o] = index as u8;
                let bits = (index >> 8) as u8 | u8::from(group.negative[o]) << 3;
                block[32 + g] |= bits << (4 * o);
                for (i, &point) in codebook::IQ1[usize::from(index)].iter().enumerate() {
                    let at = 16 * g + 8 * o + i;
                    let (x, w) = (values[at], weights[at]);
                    let q = (f32::from(point) + offset(group.negative[o]))
                        * f32::from(2 * scales[g] + 1);
                    xq += w * q * x;
                    qq += w * q * q;
                }
            }
        }
        let d = f32_to_f16(CORRECTION * if qq > 0.0 { xq / qq } else { d });
        for (i, (bytes, word)) in
            block[48..].as_chunks_mut::<2>().0.iter_mut().zip(words).enumerate()
        {
            *bytes = (word | ((d >> (4 * i)) & 15) << 12).to_le_bytes();
        }
    });
}

/// `OCTETS` octets that share a scale.
#[derive(Clone, Copy)]
struct Group<const OCTETS: usize> {
    scale: f32,
    indices: [u16; OCTETS],
    /// Whether the offset of each octet is negative.
    negative: [bool; OCTETS],
}

/// Fits all groups of a super-block; values up to `zero` make one zero. The octets of a group are
/// in `parts` equal parts with one offset each.
fn fit<const OCTETS: usize, const GROUPS: usize>(
    values: &[f32; LEN],
    weights: &[f32; LEN],
    parts: usize,
    zero: f32,
) -> [Group<OCTETS>; GROUPS] {
    std::array::from_fn(|g| {
        let values = &values[8 * OCTETS * g..][..8 * OCTETS];
        let weights = &weights[8 * OCTETS * g..][..8 * OCTETS];
        let none = Group { scale: 0.0, indices: [0; OCTETS], negative: [false; OCTETS] };
        if largest_magnitude(values) < zero {
            return none;
        }
        fit_group(values, weights, parts).unwrap_or(none)
    })
}

/// The best ternary fit of a group, then the points of the codebook near to it.
fn fit_group<const OCTETS: usize>(
    values: &[f32],
    weights: &[f32],
    parts: usize,
) -> Option<Group<OCTETS>> {
    static LATTICE: LazyLock<Lattice<8>> = LazyLock::new(|| Lattice::new(&codebook::IQ1, 3));
    let Split { mut scale, mut levels, mut negative } = split(values, weights, parts)?;
    if scale < 0.0 {
        scale = -scale;
        levels.iter_mut().for_each(|level| *level = 2 - *level);
        negative = negative.map(|negative| !negative);
    }
    let negative: [bool; OCTETS] = std::array::from_fn(|o| negative[o * parts / OCTETS]);
    let mut moved = false;
    let mut indices = [0; OCTETS];
    for (o, levels) in levels[..8 * OCTETS].as_chunks::<8>().0.iter().enumerate() {
        let (values, weights) = (&values[8 * o..][..8], &weights[8 * o..][..8]);
        let value = |level| f32::from(level) - 1.0 + offset(negative[o]);
        indices[o] = LATTICE.closest(LATTICE.code(*levels), values, weights, scale, value);
        let point = &codebook::IQ1[usize::from(indices[o])];
        moved |= point.iter().zip(levels).any(|(&point, &level)| point != level as i8 - 1);
    }
    if moved {
        let (mut xq, mut qq) = (0f32, 0f32);
        for (i, (&x, &w)) in values.iter().zip(weights).enumerate() {
            let point = codebook::IQ1[usize::from(indices[i / 8])][i % 8];
            let q = f32::from(point) + offset(negative[i / 8]);
            xq += w * q * x;
            qq += w * q * q;
        }
        if xq > 0.0 && qq > 0.0 {
            scale = xq / qq;
        }
    }
    Some(Group { scale, indices, negative })
}

/// A ternary fit without a codebook.
struct Split {
    scale: f32,
    levels: [u8; MAX_GROUP],
    /// Of each part, whether the offset is negative.
    negative: [bool; 2],
}

/// Tries all ways to split the sorted values at two places in three levels, with all signs of the
/// parts' offsets; nothing where no scale makes the error smaller than zeros do.
fn split(values: &[f32], weights: &[f32], parts: usize) -> Option<Split> {
    let len = values.len();
    let mut order: [usize; MAX_GROUP] = std::array::from_fn(|i| i);
    let order = &mut order[..len];
    // Adding 0 makes -0 equal to 0.
    order.sort_by(|&a, &b| (values[a] + 0.0).total_cmp(&(values[b] + 0.0)));
    // Of each part, sums over the first values in order: weighted values, weights.
    let mut sums = [[(0f32, 0f32); MAX_GROUP + 1]; 2];
    for (j, &i) in order.iter().enumerate() {
        for (part, sums) in sums.iter_mut().enumerate() {
            let (x, w) = sums[j];
            let within = i * parts / len == part;
            sums[j + 1] =
                if within { (x + weights[i] * values[i], w + weights[i]) } else { (x, w) };
        }
    }
    let part_sums = |part: usize, negative: bool, first: usize, second: usize| {
        let sums: &[(f32, f32); MAX_GROUP + 1] = &sums[part];
        let ((x, w), (x1, w1), (x2, w2)) = (sums[len], sums[first], sums[second]);
        let [low, middle, high] = [-1.0, 0.0, 1.0].map(|level: f32| level + offset(negative));
        let xq = x * high - (x1 + x2);
        let qq = w * high * high
            + w1 * (low * low - middle * middle)
            + w2 * (middle * middle - high * high);
        (xq, qq)
    };
    let mut best = f32::MIN;
    let mut found = None;
    for first in 0..=len {
        for second in first..=len {
            for signs in 0..1 << parts {
                // The first part has the highest bit.
                let negative = |part: usize| signs >> (parts - 1 - part) & 1 == 1;
                let (mut xq, mut qq) = part_sums(0, negative(0), first, second);
                for part in 1..parts {
                    let (part_xq, part_qq) = part_sums(part, negative(part), first, second);
                    (xq, qq) = (xq + part_xq, qq + part_qq);
                }
                if qq > 0.0 && xq * xq > best * qq {
                    let scale = xq / qq;
                    best = scale * xq;
                    found = Some((scale, first, second, [negative(0), parts == 2 && negative(1)]));
                }
            }
        }
    }
    let (scale, first, second, negative) = found?;
    let mut levels = [0; MAX_GROUP];
    for (j, &i) in order.iter().enumerate() {
        levels[i] = u8::from(j >= first) + u8::from(j >= second);
    }
    Some(Split { scale, levels, negative })
}

/// Scale of the super-block and levels of three bits of the groups' scales; nothing for zeros.
fn quantise_scales<const OCTETS: usize, const GROUPS: usize>(
    groups: &[Group<OCTETS>; GROUPS],
) -> Option<(f32, [u8; GROUPS])> {
    let scales = groups.map(|group| group.scale);
    let largest = scales.iter().copied().fold(0.0, f32::max);
    if largest == 0.0 {
        return None;
    }
    let d = largest / 15.0;
    let inverse = 1.0 / d;
    Some((d, scales.map(|s| nearest(0.5 * (inverse * s - 1.0)).clamp(0, 7) as u8)))
}

fn offset(negative: bool) -> f32 {
    if negative { -OFFSET } else { OFFSET }
}

fn put(out: &mut [f32; 8], low: u8, high: u16, scale: f32, negative: bool) {
    let offset = offset(negative);
    let point = &codebook::IQ1[usize::from(u16::from(low) | high << 8)];
    for (out, &value) in out.iter_mut().zip(point) {
        *out = scale * (f32::from(value) + offset);
    }
}
