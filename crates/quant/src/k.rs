//! Super-blocks of 256 values with quantised scales: Q2_K, Q3_K, Q4_K, Q5_K, Q6_K.
//!
//! Q2_K: 16 bytes with a scale in the low and a minimum in the high nibble, for 16 values each, 64
//! bytes of bit pairs, then `d`, `dmin` f16; value = `d · scale · q - dmin · minimum`.
//!
//! Q3_K: 32 bytes of third bits, bit `g` of byte `i` for value `32 g + i`; 64 bytes of bit pairs; 16
//! scales of 6 bits in 12 bytes, one for 16 values each; `d` f16; value =
//! `d · (scale - 32) · (q - 4)`. Scales: low halves of the first eight in low nibbles, of the others
//! in high nibbles, then upper pairs, those of scale `s` in byte `s % 4` at bit `2 (s / 4)`.
//!
//! Bit pairs, per half of 128 values 32 bytes: byte `i` holds values `i`, `i + 32`, `i + 64` and
//! `i + 96` of the half, the first lowest.
//!
//! Q4_K and Q5_K: `d`, `dmin` f16, then eight pairs of 6-bit scale and minimum in 12 bytes, one
//! pair for 32 values each; value = `d · scale · q - dmin · minimum`. Q5_K then has the fifth bits:
//! bit `g` of byte `i` belongs to value `32 g + i`. Both end with nibbles: byte `32 c + i` holds
//! value `64 c + i` low and value `64 c + 32 + i` high.
//!
//! Q6_K: per half of 128 values, 64 bytes of low nibbles (all halves first), 32 bytes of upper bit
//! pairs, then 16 scales of i8, one for 16 values each, and `d` f16; value = `d · scale · (q - 32)`.

use crate::block::{
    decode_blocks, encode_blocks, f16_at, pack_nibbles, pack_pairs, put_f16, unpack_pairs,
};
use crate::float::{f16_to_f32, f32_to_f16};
use crate::lanes::{Lanes, put_levels, sum, sum_of_squares, transpose, weigh};
use crate::search::{
    FINE, Grid, ZERO, descend_symmetric, extreme, fit_affine, fit_positive, fit_symmetric,
    mean_square, nearest,
};

/// Scales tried for Q2_K and Q5_K without importance.
const HALF: Grid = Grid { start: -0.5, step: 0.1, steps: 15 };

/// Values per super-block.
const LEN: usize = 256;

/// Values per pair of scale and minimum.
const GROUP: usize = 32;

/// Bytes of the packed scales and minimums.
const SCALES: usize = 12;

pub(crate) fn decode_q2_k(src: &[u8], dst: &mut [f32]) {
    decode_blocks(src, dst, |block: &[u8; 84], out: &mut [f32; LEN]| {
        let (d, dmin) = (f16_at(block, 80), f16_at(block, 82));
        let levels = unpack_pairs(&block[16..80]);
        for (g, (out, levels)) in out.chunks_exact_mut(16).zip(levels.chunks_exact(16)).enumerate()
        {
            let (scale, min) = (d * f32::from(block[g] & 15), dmin * f32::from(block[g] >> 4));
            for (out, level) in out.iter_mut().zip(levels) {
                *out = scale * f32::from(*level) - min;
            }
        }
    });
}

pub(crate) fn decode_q3_k(src: &[u8], dst: &mut [f32]) {
    decode_blocks(src, dst, |block: &[u8; 110], out: &mut [f32; LEN]| {
        let d = f16_at(block, 108);
        let scales = unpack_sixes(&block[96..108]);
        let low = unpack_pairs(&block[32..96]);
        for (i, out) in out.iter_mut().enumerate() {
            let level = low[i] | ((block[i % 32] >> (i / 32)) & 1) << 2;
            let scale = d * f32::from(scales[i / 16] as i8 - 32);
            *out = scale * f32::from(level as i8 - 4);
        }
    });
}

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

pub(crate) fn encode_q2_k(src: &[f32], importance: Option<&[f32]>, dst: &mut [u8]) {
    encode_blocks(src, importance, dst, |values: &[f32; LEN], importance, block: &mut [u8; 84]| {
        let mut levels = [0; LEN];
        let (mut scales, mut mins, mut sums) = ([0f32; 16], [0f32; 16], [0f32; 16]);
        let square = Lanes::splat(importance.map_or(0.0, |_| mean_square(values)));
        for half in 0..2 {
            let lanes = transpose::<16>(&values[128 * half..]);
            let fit = if let Some(importance) = importance {
                let weights = weigh(&lanes, Some(&transpose(&importance[128 * half..])), square);
                sums[8 * half..][..8].copy_from_slice(&sum(&weights).to_array());
                fit_affine(&lanes, &weights, 3, FINE, |difference| difference * difference)
            } else {
                fit_affine(&lanes, &lanes.map(Lanes::abs), 3, HALF, Lanes::abs)
            };
            scales[8 * half..][..8].copy_from_slice(&fit.scale.to_array());
            mins[8 * half..][..8].copy_from_slice(&(-fit.min).to_array());
            put_levels(&lanes.map(|value| fit.level(value)), &mut levels[128 * half..]);
        }
        let quantise = |values: [f32; 16]| quantise_positive(values, importance.map(|_| &sums), 15);
        let ((d, scales), (dmin, mins)) = (quantise(scales), quantise(mins));
        for (byte, (scale, min)) in block.iter_mut().zip(scales.into_iter().zip(mins)) {
            *byte = scale | min << 4;
        }
        put_f16(block, 80, d);
        put_f16(block, 82, dmin);
        let (d, dmin) = (f16_at(block, 80), f16_at(block, 82));
        for (g, levels) in levels.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            let (scale, min) = (d * f32::from(scales[g]), dmin * f32::from(mins[g]));
            requantise(&values[16 * g..][..16], scale, min, 3, levels);
        }
        block[16..80].copy_from_slice(&pack_pairs(&levels));
    });
}

pub(crate) fn encode_q3_k(src: &[f32], importance: Option<&[f32]>, dst: &mut [u8]) {
    encode_blocks(src, importance, dst, |values, importance, block: &mut [u8; 110]| {
        block.fill(0);
        let mut levels = [0; LEN];
        let (mut fitted, mut sums) = ([0f32; 16], [0f32; 16]);
        let square = Lanes::splat(importance.map_or(0.0, |_| 2.0 * mean_square(values)));
        for half in 0..2 {
            let lanes = transpose::<16>(&values[128 * half..]);
            let (scale, found) = if let Some(importance) = importance {
                let weights = weigh(&lanes, Some(&transpose(&importance[128 * half..])), square);
                sums[8 * half..][..8].copy_from_slice(&sum(&weights).to_array());
                let fit = fit_symmetric(&lanes, &weights, 4);
                (fit.scale, lanes.map(|value| fit.level(value)))
            } else {
                descend_symmetric(&lanes, 4)
            };
            fitted[8 * half..][..8].copy_from_slice(&scale.to_array());
            put_levels(&found, &mut levels[128 * half..]);
        }
        if extreme(&fitted).abs() < ZERO {
            return;
        }
        let (d, scales) = if importance.is_some() {
            let scales = transpose::<16>(&fitted);
            let fit = fit_symmetric(&scales, &transpose(&sums), 32);
            let mut levels = [0; 16];
            put_levels(&scales.map(|scale| fit.level(scale)), &mut levels);
            (fit.scale.to_array()[0], levels.map(|level| level as i8 - 32))
        } else {
            quantise_symmetric(fitted, 32)
        };
        requantise_symmetric(values, d, scales, 4, &mut levels);
        for (i, level) in levels.iter().enumerate() {
            block[i % 32] |= (level >> 2) << (i / 32);
        }
        block[32..96].copy_from_slice(&pack_pairs(&levels));
        pack_sixes(scales.map(|scale| (scale + 32) as u8), &mut block[96..108]);
        put_f16(block, 108, d);
    });
}

pub(crate) fn encode_q4_k(src: &[f32], importance: Option<&[f32]>, dst: &mut [u8]) {
    const GRID: Grid = Grid { start: -1.0, step: 0.1, steps: 20 };
    encode_blocks(src, importance, dst, |values, importance, block: &mut [u8; 144]| {
        let levels = affine(values, importance, 15, GRID, &mut block[..16]);
        pack_nibble_pairs(&levels, &mut block[16..]);
    });
}

pub(crate) fn encode_q5_k(src: &[f32], importance: Option<&[f32]>, dst: &mut [u8]) {
    encode_blocks(src, importance, dst, |values, importance, block: &mut [u8; 176]| {
        let levels = affine(values, importance, 31, HALF, &mut block[..16]);
        let (high, nibbles) = block[16..].split_at_mut(GROUP);
        high.fill(0);
        for (g, levels) in levels.as_chunks::<GROUP>().0.iter().enumerate() {
            for (byte, level) in high.iter_mut().zip(levels) {
                *byte |= (level >> 4) << g;
            }
        }
        pack_nibble_pairs(&levels, nibbles);
    });
}

pub(crate) fn encode_q6_k(src: &[f32], importance: Option<&[f32]>, dst: &mut [u8]) {
    encode_blocks(src, importance, dst, |values, importance, block: &mut [u8; 210]| {
        block.fill(0);
        let mut levels = [0; LEN];
        let mut fitted = [0f32; 16];
        for half in 0..2 {
            let lanes = transpose::<16>(&values[128 * half..]);
            let weights = match importance {
                Some(importance) => transpose(&importance[128 * half..]),
                None => lanes.map(|value| value * value),
            };
            let fit = fit_symmetric(&lanes, &weights, 32);
            fitted[8 * half..][..8].copy_from_slice(&fit.scale.to_array());
            put_levels(&lanes.map(|value| fit.level(value)), &mut levels[128 * half..]);
        }
        if extreme(&fitted).abs() < ZERO {
            return;
        }
        let (d, scales) = quantise_symmetric(fitted, 128);
        requantise_symmetric(values, d, scales, 32, &mut levels);
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

/// Packs two groups at a time.
fn pack_nibble_pairs(levels: &[u8; LEN], nibbles: &mut [u8]) {
    let pairs = levels.chunks_exact(2 * GROUP);
    for (bytes, levels) in nibbles.chunks_exact_mut(GROUP).zip(pairs) {
        pack_nibbles(levels, bytes);
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
    let lanes = transpose::<GROUP>(values);
    let (weights, grid) = match importance {
        Some(importance) => (
            weigh(&lanes, Some(&transpose(importance)), Lanes::splat(2.0 * mean_square(values))),
            FINE,
        ),
        None => (size_weights(&lanes), grid),
    };
    let fit = fit_affine(&lanes, &weights, most, grid, |difference| difference * difference);
    let mut levels = [0; LEN];
    put_levels(&lanes.map(|value| fit.level(value)), &mut levels);

    let sums = importance.map(|_| sum(&weights).to_array());
    let (d, scales) = quantise_positive(fit.scale.to_array(), sums.as_ref(), 63);
    let (dmin, mins) = quantise_positive((-fit.min).to_array(), sums.as_ref(), 63);
    put_f16(head, 0, d);
    put_f16(head, 2, dmin);
    pack_scales(scales, mins, &mut head[4..]);

    let groups = Groups::read(head);
    for (g, values) in values.as_chunks::<GROUP>().0.iter().enumerate() {
        let (d, m) = groups.factors(g);
        requantise(values, d, m, most, &mut levels[g * GROUP..][..GROUP]);
    }
    levels
}

/// Step and levels `0..=most` of values of which none counts if negative. Without weights the largest
/// gets the highest level.
fn quantise_positive<const N: usize>(
    values: [f32; N],
    weights: Option<&[f32; N]>,
    most: u8,
) -> (f32, [u8; N]) {
    if let Some(weights) = weights {
        let mut levels = [0; N];
        return (fit_positive(&values, weights, most, &mut levels), levels);
    }
    let largest = values.into_iter().fold(0.0, f32::max);
    let inverse = if largest > 0.0 { f32::from(most) / largest } else { 0.0 };
    let levels = values.map(|value| nearest(inverse * value).clamp(0, i32::from(most)) as u8);
    (largest / f32::from(most), levels)
}

/// Levels `0..=most` for the scale and minimum as they are stored; kept where the scale is 0.
fn requantise(values: &[f32], scale: f32, min: f32, most: u8, levels: &mut [u8]) {
    if scale != 0.0 {
        for (level, value) in levels.iter_mut().zip(values) {
            *level = nearest((value + min) / scale).clamp(0, i32::from(most)) as u8;
        }
    }
}

/// Weights that favour large values, of which fewer get lost in the noise of the others.
#[inline(always)]
fn size_weights(values: &[Lanes; GROUP]) -> [Lanes; GROUP] {
    let average = (sum_of_squares(values) / Lanes::splat(GROUP as f32)).sqrt();
    values.map(|value| average + value.abs())
}

/// `d` and scales `-reach..reach`, of which the largest by magnitude gets `-reach`.
fn quantise_symmetric(fitted: [f32; 16], reach: i32) -> (f32, [i8; 16]) {
    let inverse = -(reach as f32) / extreme(&fitted);
    let scales = fitted.map(|scale| nearest(inverse * scale).clamp(-reach, reach - 1) as i8);
    (1.0 / inverse, scales)
}

/// Levels `0..2 * zero`, where level `zero` means 0, for the scales as they are stored; kept where
/// the scale is 0.
fn requantise_symmetric(
    values: &[f32; LEN],
    d: f32,
    scales: [i8; 16],
    zero: i32,
    levels: &mut [u8; LEN],
) {
    let stored = f16_to_f32(f32_to_f16(d));
    for (i, (level, value)) in levels.iter_mut().zip(values).enumerate() {
        let step = stored * f32::from(scales[i / 16]);
        if step != 0.0 {
            *level = (nearest(value / step).clamp(-zero, zero - 1) + zero) as u8;
        }
    }
}

/// Scales of Q3_K.
fn unpack_sixes(packed: &[u8]) -> [u8; 16] {
    std::array::from_fn(|s| {
        let low = (packed[s % 8] >> (4 * (s / 8))) & 15;
        low | ((packed[8 + s % 4] >> (2 * (s / 4))) & 3) << 4
    })
}

/// The inverse of [`unpack_sixes`]; `packed` is zeroed.
fn pack_sixes(scales: [u8; 16], packed: &mut [u8]) {
    for (s, scale) in scales.into_iter().enumerate() {
        packed[s % 8] |= (scale & 15) << (4 * (s / 8));
        packed[8 + s % 4] |= (scale >> 4) << (2 * (s / 4));
    }
}
