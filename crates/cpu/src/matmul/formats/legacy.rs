//! Types of 32-value blocks with a half-float scale: values 0 to 15 are in the low nibbles, 16 to
//! 31 in the high nibbles; fifth bits are a 32-bit mask.

use quant::TensorType;

use super::{Format, Primitives, u16_at};

/// `scale`, 16 bytes of nibbles.
pub(in super::super) struct Q4_0;
/// `scale`, `min`, 16 bytes of nibbles.
pub(in super::super) struct Q4_1;
/// `scale`, fifth bits, 16 bytes of nibbles.
pub(in super::super) struct Q5_0;
/// `scale`, `min`, fifth bits, 16 bytes of nibbles.
pub(in super::super) struct Q5_1;
/// `scale`, 32 signed bytes.
pub(in super::super) struct Q8_0;

impl Format for Q4_0 {
    const TY: TensorType = TensorType::Q4_0;
    const LEN: usize = 32;
    const BYTES: usize = 18;
    const BITS: u32 = 4;
    const GROUP: usize = 32;
    const OFFSET: u8 = 8;
    const MINS: bool = false;
    #[inline(always)]
    fn unpack<P: Primitives>(
        p: P,
        block: &[u8],
        codes: &mut [u8],
        scales: &mut [f32],
        _: &mut [f32],
    ) {
        nibbles(&block[2..18], codes);
        scales[0] = p.half(u16_at(block));
    }
}

impl Format for Q4_1 {
    const TY: TensorType = TensorType::Q4_1;
    const LEN: usize = 32;
    const BYTES: usize = 20;
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
        nibbles(&block[4..20], codes);
        scales[0] = p.half(u16_at(block));
        mins[0] = p.half(u16_at(&block[2..]));
    }
}

impl Format for Q5_0 {
    const TY: TensorType = TensorType::Q5_0;
    const LEN: usize = 32;
    const BYTES: usize = 22;
    const BITS: u32 = 5;
    const GROUP: usize = 32;
    const OFFSET: u8 = 16;
    const MINS: bool = false;
    #[inline(always)]
    fn unpack<P: Primitives>(
        p: P,
        block: &[u8],
        codes: &mut [u8],
        scales: &mut [f32],
        _: &mut [f32],
    ) {
        nibbles(&block[6..22], codes);
        fifth_bits(&block[2..6], codes);
        scales[0] = p.half(u16_at(block));
    }
}

impl Format for Q5_1 {
    const TY: TensorType = TensorType::Q5_1;
    const LEN: usize = 32;
    const BYTES: usize = 24;
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
        nibbles(&block[8..24], codes);
        fifth_bits(&block[4..8], codes);
        scales[0] = p.half(u16_at(block));
        mins[0] = p.half(u16_at(&block[2..]));
    }
}

impl Format for Q8_0 {
    const TY: TensorType = TensorType::Q8_0;
    const LEN: usize = 32;
    const BYTES: usize = 34;
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
        for (code, byte) in codes[..32].iter_mut().zip(&block[2..34]) {
            *code = byte ^ 0x80;
        }
        scales[0] = p.half(u16_at(block));
    }
}

#[inline(always)]
fn nibbles(bytes: &[u8], codes: &mut [u8]) {
    let (low, high) = codes[..32].split_at_mut(16);
    for ((byte, low), high) in bytes[..16].iter().zip(low).zip(high) {
        *low = byte & 15;
        *high = byte >> 4;
    }
}

/// Eight bits at a time: each is brought to its byte, and from there to place 4.
#[inline(always)]
fn fifth_bits(bytes: &[u8], codes: &mut [u8]) {
    for (&byte, codes) in bytes[..4].iter().zip(codes.as_chunks_mut::<8>().0) {
        let bits = (u64::from(byte) * 0x0101_0101_0101_0101) & 0x8040_2010_0804_0201;
        let set = ((bits + 0x7f7f_7f7f_7f7f_7f7f) >> 3) & 0x1010_1010_1010_1010;
        *codes = (u64::from_le_bytes(*codes) | set).to_le_bytes();
    }
}
