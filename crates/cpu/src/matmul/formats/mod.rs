//! How each tensor type unpacks: one file per family.

pub(super) mod float;
pub(super) mod grid;
pub(super) mod kquant;
pub(super) mod legacy;
pub(super) mod table;
pub(super) mod ternary;
#[cfg(target_arch = "x86_64")]
mod whole;

use std::ops::Range;

use quant::{TensorType, f16_to_f32};

use super::activation::Block;
use crate::simd::Simd;
#[cfg(target_arch = "x86_64")]
pub(super) use whole::{Whole, WholeByRows};

/// Steps of unpacking for which instruction sets have more than compilers find.
pub(super) trait Primitives: Copy {
    /// Converts a half float.
    fn half(self, bits: u16) -> f32;

    /// Converts half floats, for which there are enough values.
    #[inline(always)]
    fn halves(self, bytes: &[u8], values: &mut [[u8; 4]]) {
        for (bytes, value) in bytes.chunks_exact(2).zip(values) {
            *value = self.half(u16_at(bytes)).to_ne_bytes();
        }
    }

    /// Codes from a table: those of the low nibbles, then those of the high ones.
    fn lookup(self, table: &[u8; 16], nibbles: &[u8; 16], codes: &mut [u8; 32]);

    /// `offset` plus each byte of `magnitudes`, or minus it where the bit of `signs` is set. Results
    /// and `offset` are at most 127.
    fn signed(self, magnitudes: [u64; 4], signs: u32, offset: u8, codes: &mut [u8; 32]);

    /// Has these bytes behind an address, any one, come from memory meanwhile.
    #[inline(always)]
    fn fetch(self, _at: *const u8, _bytes: Range<usize>) {}
}

/// Plain code.
#[derive(Clone, Copy)]
pub(super) struct Portable;

impl Primitives for Portable {
    #[inline(always)]
    fn half(self, bits: u16) -> f32 {
        f16_to_f32(bits)
    }

    #[inline(always)]
    fn lookup(self, table: &[u8; 16], nibbles: &[u8; 16], codes: &mut [u8; 32]) {
        let (low, high) = codes.split_at_mut(16);
        for ((byte, low), high) in nibbles.iter().zip(low).zip(high) {
            *low = table[usize::from(byte & 15)];
            *high = table[usize::from(byte >> 4)];
        }
    }

    #[inline(always)]
    fn signed(self, magnitudes: [u64; 4], signs: u32, offset: u8, codes: &mut [u8; 32]) {
        let signs = signs.to_le_bytes();
        let (codes, _) = codes.as_chunks_mut();
        for ((codes, values), signs) in codes.iter_mut().zip(magnitudes).zip(signs) {
            // Bytes neither carry nor borrow, since all results are within 0 to 127.
            let negative = values & (spread_bits(signs) * 0xff);
            *codes = (every_byte(offset) + (values ^ negative) - negative).to_le_bytes();
        }
    }
}

/// Eight bits as bytes of 0 or 1.
#[inline(always)]
fn spread_bits(bits: u8) -> u64 {
    let bits = every_byte(bits) & 0x8040_2010_0804_0201;
    ((bits + every_byte(0x7f)) >> 7) & every_byte(1)
}

/// Eight equal bytes.
#[inline(always)]
pub(super) fn every_byte(byte: u8) -> u64 {
    u64::from(byte) * 0x0101_0101_0101_0101
}

/// The 16 bits at the start of `bytes`.
#[inline(always)]
fn u16_at(bytes: &[u8]) -> u16 {
    u16::from_le_bytes([bytes[0], bytes[1]])
}

/// A packed integer type: value `k` of a row is `scale · (code - OFFSET) + min`, with one scale
/// (and min) per group.
pub(super) trait Format {
    /// The type.
    const TY: TensorType;
    /// Values per block.
    const LEN: usize;
    /// Bytes per block.
    const BYTES: usize;
    /// Bits of a code.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    const BITS: u32;
    /// Values per scale: 16 or 32.
    const GROUP: usize;
    /// Subtracted from codes; 0 where groups have a min.
    const OFFSET: u8;
    /// Whether groups have a min; if not, `mins` is empty.
    const MINS: bool;
    /// Whether all groups of a block have the same scale, and no mins.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    const ONE_SCALE: bool = false;
    /// Values per scale of the activations.
    const ACTIVATIONS: Block = if Self::LEN == 256 { Block::B256 } else { Block::B32 };

    /// Unpacks one block: `LEN` codes, `LEN / GROUP` scales and mins; `p` helps.
    fn unpack<P: Primitives>(
        p: P,
        block: &[u8],
        codes: &mut [u8],
        scales: &mut [f32],
        mins: &mut [f32],
    );
}

/// A float type.
pub(super) trait FloatFormat {
    /// The type.
    const TY: TensorType;
    /// Bytes per value.
    const BYTES: usize;

    /// Converts the value in `BYTES` bytes; `p` helps.
    fn value<P: Primitives>(p: P, bytes: &[u8]) -> f32;

    /// Converts these bytes, for which there are enough values; `p` helps.
    #[inline(always)]
    fn convert<P: Primitives>(p: P, bytes: &[u8], values: &mut [[u8; 4]]) {
        for (bytes, value) in bytes.chunks_exact(Self::BYTES).zip(values) {
            *value = Self::value(p, bytes).to_ne_bytes();
        }
    }

    /// Converts the first `S::LANES` values of `bytes`.
    fn load<S: Simd>(s: S, bytes: &[u8]) -> S::V;
}
