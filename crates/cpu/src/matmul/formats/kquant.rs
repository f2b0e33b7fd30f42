//! Types of 256-value blocks whose group scales are small integers times a half-float scale.

use quant::TensorType;

use super::{Format, Half, u16_at};

/// `scale`, `min scale`, 12 bytes of 6-bit scales and mins, 128 bytes of nibbles.
pub(in super::super) struct Q4K;
/// As [`Q4K`], with 32 bytes of fifth bits before the nibbles.
pub(in super::super) struct Q5K;
/// 128 bytes of low nibbles, 64 bytes of upper bit pairs, 16 signed scales, `scale`.
pub(in super::super) struct Q6K;

impl Format for Q4K {
    const TY: TensorType = TensorType::Q4_K;
    const LEN: usize = 256;
    const BYTES: usize = 144;
    const BITS: u32 = 4;
    const GROUP: usize = 32;
    const OFFSET: u8 = 0;
    const MINS: bool = true;
    #[inline(always)]
    fn unpack<H: Half>(
        half: H,
        block: &[u8],
        codes: &mut [u8],
        scales: &mut [f32],
        mins: &mut [f32],
    ) {
        nibbles(&block[16..144], codes);
        scales_and_mins(half, block, scales, mins);
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
    fn unpack<H: Half>(
        half: H,
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
        scales_and_mins(half, block, scales, mins);
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
    fn unpack<H: Half>(half: H, block: &[u8], codes: &mut [u8], scales: &mut [f32], _: &mut [f32]) {
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
        let scale = half(u16_at(&block[208..]));
        for (out, &group) in scales[..16].iter_mut().zip(&block[192..208]) {
            *out = scale * f32::from(group as i8);
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
fn scales_and_mins(half: impl Half, block: &[u8], scales: &mut [f32], mins: &mut [f32]) {
    let (scale, min) = (half(u16_at(block)), half(u16_at(&block[2..])));
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
