//! Types of 256-value blocks whose group scales are small integers times a half-float scale.

use quant::TensorType;

use super::{Format, Primitives, u16_at};

/// 16 bytes of 4-bit scales and mins, 64 bytes of bit pairs, `scale`, `min scale`.
pub(in super::super) struct Q2K;
/// 32 bytes of third bits, 64 bytes of bit pairs, 12 bytes of 6-bit scales, `scale`.
pub(in super::super) struct Q3K;
/// `scale`, `min scale`, 12 bytes of 6-bit scales and mins, 128 bytes of nibbles.
pub(in super::super) struct Q4K;
/// As [`Q4K`], with 32 bytes of fifth bits before the nibbles.
pub(in super::super) struct Q5K;
/// 128 bytes of low nibbles, 64 bytes of upper bit pairs, 16 signed scales, `scale`.
pub(in super::super) struct Q6K;

impl Format for Q2K {
    const TY: TensorType = TensorType::Q2_K;
    const LEN: usize = 256;
    const BYTES: usize = 84;
    const BITS: u32 = 2;
    const GROUP: usize = 16;
    const OFFSET: u8 = 0;
    const MINS: bool = true;
    #[inline(always)]
    fn unpack<P: Primitives>(
        p: P,
        block: &[u8],
        codes: &mut [u8],
        scales: &mut [f32],
        mins: &mut [f32],
    ) {
        bit_pairs(&block[16..80], codes);
        let (scale, min) = (p.half(u16_at(&block[80..])), -p.half(u16_at(&block[82..])));
        for ((group, out), out_min) in block[..16].iter().zip(scales).zip(mins) {
            *out = scale * f32::from(group & 15);
            *out_min = min * f32::from(group >> 4);
        }
    }
}

impl Format for Q3K {
    const TY: TensorType = TensorType::Q3_K;
    const LEN: usize = 256;
    const BYTES: usize = 110;
    const BITS: u32 = 3;
    const GROUP: usize = 16;
    const OFFSET: u8 = 4;
    const MINS: bool = false;
    #[inline(always)]
    fn unpack<P: Primitives>(
        p: P,
        block: &[u8],
        codes: &mut [u8],
        scales: &mut [f32],
        _: &mut [f32],
    ) {
        bit_pairs(&block[32..96], codes);
        for (group, codes) in codes.chunks_exact_mut(32).enumerate() {
            for (code, bits) in codes.iter_mut().zip(&block[..32]) {
                *code |= (bits >> group & 1) << 2;
            }
        }
        let scale = p.half(u16_at(&block[108..]));
        let groups = sixteen_six_bit(&block[96..108]);
        for (out, group) in scales[..16].iter_mut().zip(groups.to_le_bytes()) {
            *out = scale * f32::from(group as i8 - 32);
        }
    }
}

impl Format for Q4K {
    const TY: TensorType = TensorType::Q4_K;
    const LEN: usize = 256;
    const BYTES: usize = 144;
    const BITS: u32 = 4;
    const GROUP: usize = 32;
    const OFFSET: u8 = 0;
    const MINS: bool = true;
    #[inline(always)]
    fn unpack<P: Primitives>(
        p: P,
        block: &[u8],
        codes: &mut [u8],
        scales: &mut [f32],
        mins: &mut [f32],
    ) {
        nibbles(&block[16..144], codes);
        scales_and_mins(p, block, scales, mins);
    }
}

impl Format for Q5K {
    const TY: TensorType = TensorType::Q5_K;
    const LEN: usize = 256;
    const BYTES: usize = 176;
    const BITS: u32 = 5;
    const GROUP: usize = 32;
    const OFFSET: u8 = 0;
    const MINS: bool = true;
    #[inline(always)]
    fn unpack<P: Primitives>(
        p: P,
        block: &[u8],
        codes: &mut [u8],
        scales: &mut [f32],
        mins: &mut [f32],
    ) {
        nibbles(&block[48..176], codes);
        for (group, codes) in codes.chunks_exact_mut(32).enumerate() {
            for (code, bits) in codes.iter_mut().zip(&block[16..48]) {
                *code |= (bits >> group & 1) << 4;
            }
        }
        scales_and_mins(p, block, scales, mins);
    }
}

impl Format for Q6K {
    const TY: TensorType = TensorType::Q6_K;
    const LEN: usize = 256;
    const BYTES: usize = 210;
    const BITS: u32 = 6;
    const GROUP: usize = 16;
    const OFFSET: u8 = 32;
    const MINS: bool = false;
    #[inline(always)]
    fn unpack<P: Primitives>(
        p: P,
        block: &[u8],
        codes: &mut [u8],
        scales: &mut [f32],
        _: &mut [f32],
    ) {
        for half in 0..2 {
            let codes = &mut codes[half * 128..][..128];
            let low = &block[half * 64..][..64];
            let high = &block[128 + half * 32..][..32];
            for i in 0..32 {
                codes[i] = low[i] & 15 | (high[i] & 3) << 4;
                codes[i + 32] = low[i + 32] & 15 | (high[i] >> 2 & 3) << 4;
                codes[i + 64] = low[i] >> 4 | (high[i] >> 4 & 3) << 4;
                codes[i + 96] = low[i + 32] >> 4 | (high[i] >> 6) << 4;
            }
        }
        let scale = p.half(u16_at(&block[208..]));
        for (out, &group) in scales[..16].iter_mut().zip(&block[192..208]) {
            *out = scale * f32::from(group as i8);
        }
    }
}

/// Per 128 values 32 bytes: groups of 32 values take turns in the bit pairs, the lowest first.
#[inline(always)]
pub(super) fn bit_pairs(bytes: &[u8], codes: &mut [u8]) {
    for (bytes, codes) in bytes.chunks_exact(32).zip(codes.chunks_exact_mut(128)) {
        for (group, codes) in codes.chunks_exact_mut(32).enumerate() {
            for (byte, code) in bytes.iter().zip(codes) {
                *code = byte >> (2 * group) & 3;
            }
        }
    }
}

/// Groups of 32 values take turns in the low and high nibbles of 32 bytes.
#[inline(always)]
fn nibbles(bytes: &[u8], codes: &mut [u8]) {
    for (bytes, codes) in bytes.chunks_exact(32).zip(codes.chunks_exact_mut(64)) {
        let (low, high) = codes.split_at_mut(32);
        for ((byte, low), high) in bytes.iter().zip(low).zip(high) {
            *low = byte & 15;
            *high = byte >> 4;
        }
    }
}

#[inline(always)]
fn scales_and_mins(p: impl Primitives, block: &[u8], scales: &mut [f32], mins: &mut [f32]) {
    let (scale, min) = (p.half(u16_at(block)), p.half(u16_at(&block[2..])));
    let (group_scales, group_mins) = six_bit(&block[4..16]);
    for group in 0..8 {
        scales[group] = scale * f32::from(group_scales.to_le_bytes()[group]);
        mins[group] = -min * f32::from(group_mins.to_le_bytes()[group]);
    }
}

/// Eight 6-bit scales and eight mins from 12 bytes, one per byte of the results. Those of the first
/// four groups are the low 6 bits of bytes 0-3 and 4-7; those of the others have their low 4 bits
/// in bytes 8-11 and their upper 2 bits on top of the former.
#[inline(always)]
pub(in super::super) fn six_bit(bytes: &[u8]) -> (u64, u64) {
    let word =
        |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let (a, b, c) = (word(0), word(4), word(8));
    let join = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    let scales = join(a & 0x3f3f_3f3f, c & 0x0f0f_0f0f | a >> 2 & 0x3030_3030);
    let mins = join(b & 0x3f3f_3f3f, c >> 4 & 0x0f0f_0f0f | b >> 2 & 0x3030_3030);
    (scales, mins)
}

/// 16 6-bit scales of 12 bytes, one per byte of the result. Their low 4 bits are in bytes 0-7, those
/// of the first eight in the low nibbles; the upper 2 bits of scale `s` are pair `s / 4` of byte
/// `8 + s % 4`.
#[inline(always)]
pub(in super::super) fn sixteen_six_bit(bytes: &[u8]) -> u128 {
    let low = u64::from_le_bytes([
        bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7],
    ]);
    let high = u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
    let eight = |low: u64, first: u64, second: u64| {
        let high = first & 0x0303_0303 | (second & 0x0303_0303) << 32;
        low & 0x0f0f_0f0f_0f0f_0f0f | high << 4
    };
    let high = u64::from(high);
    let first = eight(low, high, high >> 2);
    let second = eight(low >> 4, high >> 4, high >> 6);
    u128::from(first) | u128::from(second) << 64
}
