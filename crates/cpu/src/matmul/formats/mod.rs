//! How each tensor type unpacks: one file per family.

pub(super) mod float;
pub(super) mod kquant;
pub(super) mod legacy;

use quant::TensorType;

use super::activation::Block;

/// A packed integer type: value `k` of a row is `scale · (code - OFFSET) + min`, with one scale
/// (and min) per group.
pub(super) trait Format {
    /// The type.
    const TY: TensorType;
    /// Values per block.
    const LEN: usize;
    /// Bytes per block.
    const BYTES: usize;
    /// Values per scale: 16 or 32.
    const GROUP: usize;
    /// Subtracted from codes.
    const OFFSET: u8;
    /// Whether groups have a min; if not, `mins` is empty.
    const MINS: bool;
    /// Values per scale of the activations.
    const ACTIVATIONS: Block = if Self::LEN == 256 { Block::B256 } else { Block::B32 };

    /// Unpacks one block: `LEN` codes, `LEN / GROUP` scales and mins.
    fn unpack(block: &[u8], codes: &mut [u8], scales: &mut [f32], mins: &mut [f32]);
}

/// A float type.
pub(super) trait FloatFormat {
    /// The type.
    const TY: TensorType;
    /// Bytes per value.
    const BYTES: usize;

    /// Converts the value in `BYTES` bytes.
    fn value(bytes: &[u8]) -> f32;
}
