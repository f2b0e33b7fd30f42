//! What tile kernels know of a panel when they are compiled. Types that agree in it share them; what
//! else sets them apart, how they are packed and the offset of their codes, is gone or data by then.

use super::super::activation::Block;

/// The form of a panel, and of the activations that it is multiplied with.
pub(super) trait Shape {
    /// Values per scale: 16 or 32.
    const GROUP: usize;
    /// Whether groups have a min, and else codes an offset.
    const MINS: bool;
    /// Values per scale of the activations.
    const ACTIVATIONS: Block;
    /// Bits of a code, or more where kernels sum all codes alike.
    const BITS: u32;
}

/// That shape; activations are in blocks of 256 or else of 32.
pub(super) struct Known<const GROUP: usize, const MINS: bool, const B256: bool, const BITS: u32>;

impl<const GROUP: usize, const MINS: bool, const B256: bool, const BITS: u32> Shape
    for Known<GROUP, MINS, B256, BITS>
{
    const GROUP: usize = GROUP;
    const MINS: bool = MINS;
    const ACTIVATIONS: Block = if B256 { Block::B256 } else { Block::B32 };
    const BITS: u32 = BITS;
}
