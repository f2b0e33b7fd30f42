//! Super-blocks of 256 values with quantised scales: Q4_K, Q5_K, Q6_K.
//!
//! Q4_K and Q5_K: `d`, `dmin` f16, then eight pairs of 6-bit scale and minimum in 12 bytes, one
//! pair for 32 values each; value = `d · scale · q - dmin · minimum`. Q5_K then has the fifth bits:
//! bit `g` of byte `i` belongs to value `32 g + i`. Both end with nibbles: byte `32 c + i` holds
//! value `64 c + i` low and value `64 c + 32 + i` high.
//!
//! Q6_K: per half of 128 values, 64 bytes of low nibbles (all halves first), 32 bytes of upper bit
//! pairs, then 16 scales of i8, one for 16 values each, and `d` f16; value = `d · scale · (q - 32)`.

use crate::block::{decode_blocks, encode_blocks, f16_at, put_f16};
use crate::float::{f16_to_f32, f32_to_f16};
use crate::search::{Grid, ZERO, fit_affine, fit_symmetric, importance_weights, nearest};

/// Values per super-block.
const LEN: usize = 256;

/// Values per pair of scale and minimum.
const GROUP: usize = 32;

/// Bytes of the packed scales and minimums.
const SCALES: usize = 12;

pub(crate) fn decode_q4_k(src: &[u8], dst: &mut [f32]) {
    decode_blocks(src, dst, |block: &[u8; 144], out: &mut [f32; LEN]| {
        let groups = Groups::read(block);
        let nibbles = block[16..].as_chunks::<GROUP>().0;
        for (g, out) in out.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
            let (d, m) = groups.factors(g);
            let shift = 4 * (g % 2);
            for (out, byte) in out.iter_mut().zip(&nibbles[g / 2]) {
                *out = d * f32::from((byte >> shift) & 15) - m;
            }
        }
    });
}

pub(crate) fn decode_q5_k(src: &[u8], dst: &mut [f32]) {
    decode_blocks(src, dst, |block: &[u8; 176], out: &mut [f32; LEN]| {
        let groups = Groups::read(block);
        let high = &block[16..48];
        let nibbles = block[48..].as_chunks::<GROUP>().0;
        for (g, out) in out.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
            let (d, m) = groups.factors(g);
            let shift = 4 * (g % 2);
            for ((out, byte), high) in out.iter_mut().zip(&nibbles[g / 2]).zip(high) {
                let level = ((byte >> shift) & 15) | ((high >> g) & 1) << 4;
                *out = d * f32::from(level) - m;
            }
        }
    });
}

pub(crate) fn decode_q6_k(src: &[u8], dst: &mut [f32]) {
    decode_blocks(src, dst, |block: &[u8; 210], out: &mut [f32; LEN]| {
        let d = f16_at(block, 208);
        let (low, rest) = block.split_at(128);
        let (high, scales) = rest.split_at(64);
        for (g, out) in out.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
            let part = SixBits::of_group(g);
            let low = &low[part.low..][..GROUP];
            let high = &high[part.high..][..GROUP];
            for (i, out) in out.iter_mut().enumerate() {
                let scale = scales[2 * g + i / 16] as i8;
                let nibble = (low[i] >> part.low_shift) & 15;
                let level = nibble | ((high[i] >> part.high_shift) & 3) << 4;
                *out = d * f32::from(scale) * f32::from(level as i8 - 32);
            }
        }
    });
}

pub(crate) fn encode_q4_k(src: &[f32], importance: Option<&[f32]>, dst: &mut [u8]) {
    const GRID: Grid = Grid { start: -1.0, step: 0.1, steps: 20 };
    encode_blocks(src, importance, dst, |values, importance, block: &mut [u8; 144]| {
        let levels = affine(values, importance, 15, GRID, &mut block[..16]);
        pack_nibbles(&levels, &mut block[16..]);
    });
}

pub(crate) fn encode_q5_k(src: &[f32], importance: Option<&[f32]>, dst: &mut [u8]) {
    const GRID: Grid = Grid { start: -0.5, step: 0.1, steps: 15 };
    encode_blocks(src, importance, dst, |values, importance, block: &mut [u8; 176]| {
        let levels = affine(values, importance, 31, GRID, &mut block[..16]);
        let (high, nibbles) = block[16..].split_at_mut(GROUP);
        high.fill(0);
        for (g, levels) in levels.as_chunks::<GROUP>().0.iter().enumerate() {
            for (byte, level) in high.iter_mut().zip(levels) {
                *byte |= (level >> 4) << g;
            }
        }
        pack_nibbles(&levels, nibbles);
    });
}

pub(crate) fn encode_q6_k(src: &[f32], importance: Option<&[f32]>, dst: &mut [u8]) {
    encode_blocks(src, importance, dst, |values, importance, block: &mut [u8; 210]| {
        block.fill(0);
        let (d, scales, levels) = symmetric(values, importance);
        put_f16(block, 208, d);
        let (low, rest) = block.split_at_mut(128);
        let (high, rest) = rest.split_at_mut(64);
        for (byte, scale) in rest.iter_mut().zip(scales) {
            *byte = scale as u8;
        }
        for (g, levels) in levels.as_chunks::<GROUP>().0.iter().enumerate() {
            let part = SixBits::of_group(g);
            for (i, level) in levels.iter().enumerate() {
                low[part.low + i] |= (level & 15) << part.low_shift;
                high[part.high + i] |= (level >> 4) << part.high_shift;
            }
        }
    });
}

/// Head of a Q4_K or Q5_K super-block.
struct Groups {
    d: f32,
    dmin: f32,
    scales: [u8; SCALES],
}

impl Groups {
    fn read(block: &[u8]) -> Self {
        let mut scales = [0; SCALES];
        scales.copy_from_slice(&block[4..16]);
        Self { d: f16_at(block, 0), dmin: f16_at(block, 2), scales }
    }

    /// What levels of group `g` are multiplied with, and what is taken away.
    fn factors(&self, g: usize) -> (f32, f32) {
        let packed = &self.scales;
        let (scale, min) = if g < 4 {
            (packed[g] & 63, packed[g + 4] & 63)
        } else {
            let low = packed[g + 4];
            ((low & 15) | (packed[g - 4] >> 6) << 4, (low >> 4) | (packed[g] >> 6) << 4)
        };
        (self.d * f32::from(scale), self.dmin * f32::from(min))
    }
}

/// Packs scales and minimums of 6 bits: the first four of each whole, the upper two bits of the
/// other four above them, their lower halves at the end.
fn pack_scales(scales: [u8; 8], mins: [u8; 8], packed: &mut [u8]) {
    for g in 0..4 {
        packed[g] = scales[g] | (scales[g + 4] >> 4) << 6;
        packed[g + 4] = mins[g] | (mins[g + 4] >> 4) << 6;
        packed[g + 8] = (scales[g + 4] & 15) | (mins[g + 4] & 15) << 4;
    }
}

fn pack_nibbles(levels: &[u8; LEN], nibbles: &mut [u8]) {
    let pairs = levels.as_chunks::<{ 2 * GROUP }>().0;
    for (bytes, levels) in nibbles.as_chunks_mut::<GROUP>().0.iter_mut().zip(pairs) {
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = (levels[i] & 15) | (levels[i + GROUP] & 15) << 4;
        }
    }
}

/// Where the bits of a group of 32 values lie in a Q6_K super-block.
struct SixBits {
    low: usize,
    low_shift: usize,
    high: usize,
    high_shift: usize,
}

impl SixBits {
    fn of_group(g: usize) -> Self {
        let (half, quarter) = (g / 4, g % 4);
        Self {
            low: 64 * half + 32 * (quarter % 2),
            low_shift: 4 * (quarter / 2),
            high: 32 * half,
            high_shift: 2 * quarter,
        }
    }
}

/// Fits each group, quantises the scales and minimums into `head`, then the values again with
/// what became of those.
fn affine(
    values: &[f32; LEN],
    importance: Option<&[f32; LEN]>,
    most: u8,
    grid: Grid,
    head: &mut [u8],
) -> [u8; LEN] {
    let mut levels = [0; LEN];
    let (mut scales, mut mins) = ([0f32; 8], [0f32; 8]);
    for (g, values) in values.as_chunks::<GROUP>().0.iter().enumerate() {
        let mut weights = [0.0; GROUP];
        match importance {
            Some(importance) => {
                importance_weights(values, &importance[g * GROUP..][..GROUP], &mut weights);
            }
            None => size_weights(values, &mut weights),
        }
        let levels = &mut levels[g * GROUP..][..GROUP];
        let (scale, min) = fit_affine(values, &weights, most, grid, levels);
        (scales[g], mins[g]) = (scale, -min);
    }

    let (max_scale, max_min) = (largest(&scales), largest(&mins));
    let quantise = |values: [f32; 8], largest: f32| {
        let inverse = if largest > 0.0 { 63.0 / largest } else { 0.0 };
        values.map(|value| nearest(inverse * value).clamp(0, 63) as u8)
    };
    put_f16(head, 0, max_scale / 63.0);
    put_f16(head, 2, max_min / 63.0);
    pack_scales(quantise(scales, max_scale), quantise(mins, max_min), &mut head[4..]);

    let groups = Groups::read(head);
    for (g, values) in values.as_chunks::<GROUP>().0.iter().enumerate() {
        let (d, m) = groups.factors(g);
        if d != 0.0 {
            for (level, value) in levels[g * GROUP..].iter_mut().zip(values) {
                *level = nearest((value + m) / d).clamp(0, i32::from(most)) as u8;
            }
        }
    }
    levels
}

/// Weights that favour large values, of which fewer get lost in the noise of the others.
fn size_weights(values: &[f32; GROUP], weights: &mut [f32; GROUP]) {
    let mut square = 0f32;
    for value in values {
        square += value * value;
    }
    let average = (square / GROUP as f32).sqrt();
    for (weight, value) in weights.iter_mut().zip(values) {
        *weight = average + value.abs();
    }
}

fn largest(values: &[f32; 8]) -> f32 {
    values.iter().copied().fold(0.0, f32::max)
}

/// `d`, scales and levels `0..64` of a Q6_K super-block.
fn symmetric(values: &[f32; LEN], importance: Option<&[f32; LEN]>) -> (f32, [i8; 16], [u8; LEN]) {
    let mut levels = [0; LEN];
    let mut fitted = [0f32; 16];
    for (g, values) in values.as_chunks::<16>().0.iter().enumerate() {
        let weights = match importance {
            Some(importance) => &importance[16 * g..][..16],
            None => &values.map(|value| value * value),
        };
        fitted[g] = fit_symmetric(values, weights, 32, &mut levels[16 * g..][..16]);
    }
    let mut largest = 0f32;
    for scale in fitted {
        if scale.abs() > largest.abs() {
            largest = scale;
        }
    }
    if largest.abs() < ZERO {
        return (0.0, [0; 16], [0; LEN]);
    }
    let inverse = -128.0 / largest;
    let scales = fitted.map(|scale| nearest(inverse * scale).clamp(-128, 127) as i8);
    let d = 1.0 / inverse;
    let stored = f16_to_f32(f32_to_f16(d));
    for (g, values) in values.as_chunks::<16>().0.iter().enumerate() {
        let step = stored * f32::from(scales[g]);
        if step != 0.0 {
            for (level, value) in levels[16 * g..].iter_mut().zip(values) {
                *level = (nearest(value / step).clamp(-32, 31) + 32) as u8;
            }
        }
    }
    (d, scales, levels)
}
