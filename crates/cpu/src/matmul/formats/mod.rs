//! How each tensor type unpacks: one file per family.

pub(super) mod float;
pub(super) mod kquant;
pub(super) mod legacy;

use quant::TensorType;

use super::activation::Block;

/// A conversion of half floats, given since processors have instructions for it.
pub(super) trait Half: Fn(u16) -> f32 + Copy {}

impl<F: Fn(u16) -> f32 + Copy> Half for F {}

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
    /// Subtracted from codes.
    const OFFSET: u8;
    /// Whether groups have a min; if not, `mins` is empty.
    const MINS: bool;
    /// Values per scale of the activations.
    const ACTIVATIONS: Block = if Self::LEN == 256 { Block::B256 } else { Block::B32 };

    /// Unpacks one block: `LEN` codes, `LEN / GROUP` scales and mins; `half` converts half floats.
    fn unpack<H: Half>(
        half: H,
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

    /// Converts the value in `BYTES` bytes; `half` converts half floats.
    fn value<H: Half>(half: H, bytes: &[u8]) -> f32;
}
