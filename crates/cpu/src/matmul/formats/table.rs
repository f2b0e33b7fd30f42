//! Types of 4-bit codes that number the values of a table: unevenly spaced levels (IQ4), or E2M1 floats.
//! The first half of the values of a group is in the low nibbles, the second in the high nibbles.

use quant::{TensorType, codebook, half_of_e8m0};

use super::{Format, Primitives, u16_at};

/// `scale`, 16 bytes of nibbles.
pub(in super::super) struct Iq4Nl;
/// `scale`, the upper two bits of 8 group scales, the lower four, 8 times 16 bytes of nibbles.
pub(in super::super) struct Iq4Xs;
/// A scale of E8M0, 16 bytes of nibbles.
pub(in super::super) struct Mxfp4;
/// Four scales of E4M3, four times 8 bytes of nibbles.
pub(in super::super) struct Nvfp4;

/// [`codebook::IQ4`] plus 128.
pub(in super::super) static IQ4: [u8; 16] = plus(&codebook::IQ4, 128);
/// [`codebook::E2M1_DOUBLED`] plus 12.
pub(in super::super) static E2M1: [u8; 16] = plus(&codebook::E2M1_DOUBLED, 12);

impl Format for Iq4Nl {
    const TY: TensorType = TensorType::IQ4_NL;
    const LEN: usize = 32;
    const BYTES: usize = 18;
    const BITS: u32 = 8;
    const GROUP: usize = 32;
    const OFFSET: u8 = 128;
    const MINS: bool = false;
    #[inline(always)]
    fn unpack<P: Primitives>(
        p: P,
        block: &[u8],
        codes: &mut [u8],
        scales: &mut [f32],
        _: &mut [f32],
    ) {
        lookup(p, &IQ4, &block[2..18], codes);
        scales[0] = p.half(u16_at(block));
    }
}

impl Format for Iq4Xs {
    const TY: TensorType = TensorType::IQ4_XS;
    const LEN: usize = 256;
    const BYTES: usize = 136;
    const BITS: u32 = 8;
    const GROUP: usize = 32;
    const OFFSET: u8 = 128;
    const MINS: bool = false;
    #[inline(always)]
    fn unpack<P: Primitives>(
        p: P,
        block: &[u8],
        codes: &mut [u8],
        scales: &mut [f32],
        _: &mut [f32],
    ) {
        lookup(p, &IQ4, &block[8..136], codes);
        let scale = p.half(u16_at(block));
        for (out, group) in scales[..8].iter_mut().zip(group_scales(&block[2..8]).to_le_bytes()) {
            *out = scale * f32::from(group as i8 - 32);
        }
    }
}

impl Format for Mxfp4 {
    const TY: TensorType = TensorType::MXFP4;
    const LEN: usize = 32;
    const BYTES: usize = 17;
    const BITS: u32 = 5;
    const GROUP: usize = 32;
    const OFFSET: u8 = 12;
    const MINS: bool = false;
    #[inline(always)]
    fn unpack<P: Primitives>(
        p: P,
        block: &[u8],
        codes: &mut [u8],
        scales: &mut [f32],
        _: &mut [f32],
    ) {
        lookup(p, &E2M1, &block[1..17], codes);
        scales[0] = half_of_e8m0(block[0]);
    }
}

impl Format for Nvfp4 {
    const TY: TensorType = TensorType::NVFP4;
    const LEN: usize = 64;
    const BYTES: usize = 36;
    const BITS: u32 = 5;
    const GROUP: usize = 16;
    const OFFSET: u8 = 12;
    const MINS: bool = false;
    #[inline(always)]
    fn unpack<P: Primitives>(
        p: P,
        block: &[u8],
        codes: &mut [u8],
        scales: &mut [f32],
        _: &mut [f32],
    ) {
        lookup(p, &E2M1, &block[4..36], codes);
        // Two groups at a time have become: low, low, high, high.
        for codes in codes.as_chunks_mut::<8>().0.chunks_exact_mut(4) {
            codes.swap(1, 2);
        }
        for (out, &scale) in scales[..4].iter_mut().zip(block) {
            *out = half_of_e4m3(p, scale);
        }
    }
}

/// Group scales of IQ4_XS, one per byte and 32 too large, from the 6 bytes after the scale.
#[inline(always)]
pub(in super::super) fn group_scales(bytes: &[u8]) -> u64 {
    // Halves move apart until each has its byte.
    let upper = u64::from(u16_at(bytes));
    let upper = (upper | upper << 24) & 0x0000_00ff_0000_00ff;
    let upper = (upper | upper << 12) & 0x000f_000f_000f_000f;
    let upper = (upper | upper << 6) & 0x0303_0303_0303_0303;
    let lower = u64::from(u32::from_le_bytes([bytes[2], bytes[3], bytes[4], bytes[5]]));
    let lower = (lower | lower << 16) & 0x0000_ffff_0000_ffff;
    let lower = (lower | lower << 8) & 0x00ff_00ff_00ff_00ff;
    let lower = (lower | lower << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    lower | upper << 4
}

/// Half of an E4M3 number without sign; the code for NaN means 0.
#[inline(always)]
fn half_of_e4m3(p: impl Primitives, scale: u8) -> f32 {
    // As a half float its exponent is too small by 15 - 7.
    let half = p.half(u16::from(scale & 0x7f) << 7) * 128.0;
    if scale == 0x7f { 0.0 } else { half }
}

#[inline(always)]
fn lookup(p: impl Primitives, table: &[u8; 16], bytes: &[u8], codes: &mut [u8]) {
    for (bytes, codes) in bytes.as_chunks().0.iter().zip(codes.as_chunks_mut().0) {
        p.lookup(table, bytes, codes);
    }
}

const fn plus(values: &[i8; 16], offset: i16) -> [u8; 16] {
    let mut codes = [0; 16];
    let mut i = 0;
    while i < 16 {
        codes[i] = (values[i] as i16 + offset) as u8;
        i += 1;
    }
    codes
}
