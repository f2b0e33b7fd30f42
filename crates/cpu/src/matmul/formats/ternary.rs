//! Types of one scale per block and codes of one bit, two bits, or a ternary digit.

use quant::TensorType;

use super::kquant::bit_pairs;
use super::{Format, Primitives, every_byte, u16_at};

/// `scale`, 16 bytes of bits, 0 for the negative scale.
pub(in super::super) struct Q1_0;
/// `scale`, 16 bytes of bit pairs.
pub(in super::super) struct Q2_0;
/// 48 bytes of five digits, 4 of four digits, `scale`.
pub(in super::super) struct Tq1_0;
/// 64 bytes of bit pairs, `scale`.
pub(in super::super) struct Tq2_0;

impl Format for Q1_0 {
    const TY: TensorType = TensorType::Q1_0;
    const LEN: usize = 128;
    const BYTES: usize = 18;
    const BITS: u32 = 2;
    const GROUP: usize = 32;
    const OFFSET: u8 = 1;
    const MINS: bool = false;
    const ONE_SCALE: bool = true;
    #[inline(always)]
    fn unpack<P: Primitives>(
        p: P,
        block: &[u8],
        codes: &mut [u8],
        scales: &mut [f32],
        _: &mut [f32],
    ) {
        for (bits, codes) in block[2..18].as_chunks().0.iter().zip(codes.as_chunks_mut().0) {
            p.signed([every_byte(1); 4], !u32::from_le_bytes(*bits), 1, codes);
        }
        scales[..4].fill(p.half(u16_at(block)));
    }
}

impl Format for Q2_0 {
    const TY: TensorType = TensorType::Q2_0;
    const LEN: usize = 64;
    const BYTES: usize = 18;
    const BITS: u32 = 2;
    const GROUP: usize = 32;
    const OFFSET: u8 = 1;
    const MINS: bool = false;
    const ONE_SCALE: bool = true;
    #[inline(always)]
    fn unpack<P: Primitives>(
        p: P,
        block: &[u8],
        codes: &mut [u8],
        scales: &mut [f32],
        _: &mut [f32],
    ) {
        for (&byte, codes) in block[2..18].iter().zip(codes.as_chunks_mut().0) {
            let byte = u32::from(byte);
            let pairs = byte | byte << 6 | byte << 12 | byte << 18;
            *codes = (pairs & 0x0303_0303).to_le_bytes();
        }
        scales[..2].fill(p.half(u16_at(block)));
    }
}

impl Format for Tq1_0 {
    const TY: TensorType = TensorType::TQ1_0;
    const LEN: usize = 256;
    const BYTES: usize = 54;
    const BITS: u32 = 2;
    const GROUP: usize = 32;
    const OFFSET: u8 = 1;
    const MINS: bool = false;
    const ONE_SCALE: bool = true;
    #[inline(always)]
    fn unpack<P: Primitives>(
        p: P,
        block: &[u8],
        codes: &mut [u8],
        scales: &mut [f32],
        _: &mut [f32],
    ) {
        let (first, rest) = codes.split_at_mut(160);
        let (second, third) = rest.split_at_mut(80);
        digits::<32>(&block[..32], first);
        digits::<16>(&block[32..48], second);
        digits::<4>(&block[48..52], third);
        scales[..8].fill(p.half(u16_at(&block[52..])));
    }
}

impl Format for Tq2_0 {
    const TY: TensorType = TensorType::TQ2_0;
    const LEN: usize = 256;
    const BYTES: usize = 66;
    const BITS: u32 = 2;
    const GROUP: usize = 32;
    const OFFSET: u8 = 1;
    const MINS: bool = false;
    const ONE_SCALE: bool = true;
    #[inline(always)]
    fn unpack<P: Primitives>(
        p: P,
        block: &[u8],
        codes: &mut [u8],
        scales: &mut [f32],
        _: &mut [f32],
    ) {
        bit_pairs(&block[..64], codes);
        scales[..8].fill(p.half(u16_at(&block[64..])));
    }
}

/// Bytes are fractions of 256 in base 3: their first digits, then their second ones, and so on.
#[inline(always)]
fn digits<const N: usize>(bytes: &[u8], codes: &mut [u8]) {
    let mut fractions = [0; N];
    fractions.copy_from_slice(bytes);
    for codes in codes.as_chunks_mut::<N>().0 {
        for (code, fraction) in codes.iter_mut().zip(&mut fractions) {
            // What three times the fraction carries; 256 / 3 and 512 / 3 are not whole.
            *code = u8::from(*fraction > 85) + u8::from(*fraction > 170);
            *fraction = fraction.wrapping_mul(3);
        }
    }
}
