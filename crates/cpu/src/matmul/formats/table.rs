//! Types of 4-bit codes that number the values of a table: unevenly spaced levels (IQ4), or E2M1 floats.
//! The first half of the values of a group is in the low nibbles, the second in the high nibbles.

use quant::{TensorType, codebook, half_of_e4m3, half_of_e8m0};

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
static IQ4: [u8; 16] = plus(&codebook::IQ4, 128);
/// [`codebook::E2M1_DOUBLED`] plus 12.
static E2M1: [u8; 16] = plus(&codebook::E2M1_DOUBLED, 12);

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
        for (out, group) in scales[..8].iter_mut().zip(group_scales(&block[2..8])) {
            *out = scale * f32::from(group);
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
            *out = half_of_e4m3(scale);
        }
    }
}

/// Group scales of IQ4_XS, from the 6 bytes after the scale.
#[inline(always)]
pub(in super::super) fn group_scales(bytes: &[u8]) -> [i8; 8] {
    let upper = u16_at(bytes);
    std::array::from_fn(|g| {
        let lower = bytes[2 + g / 2] >> (4 * (g % 2)) & 15;
        let upper = (upper >> (2 * g)) as u8 & 3;
        (lower | upper << 4) as i8 - 32
    })
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
