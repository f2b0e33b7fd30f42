//! Walking rows block by block.

use crate::{f16_to_f32, f32_to_f16};

/// Decodes blocks of `BYTES` bytes to `LEN` values each, one after the other.
pub(crate) fn decode_blocks<const BYTES: usize, const LEN: usize>(
    src: &[u8],
    dst: &mut [f32],
    decode: impl Fn(&[u8; BYTES], &mut [f32; LEN]),
) {
    let (blocks, src_rest) = src.as_chunks::<BYTES>();
    let (values, dst_rest) = dst.as_chunks_mut::<LEN>();
    debug_assert!(src_rest.is_empty() && dst_rest.is_empty(), "not whole blocks");
    debug_assert_eq!(blocks.len(), values.len(), "source and destination differ in blocks");
    for (block, out) in blocks.iter().zip(values) {
        decode(block, out);
    }
}

/// Encodes `LEN` values, with their importance, to blocks of `BYTES` bytes each.
pub(crate) fn encode_blocks<const BYTES: usize, const LEN: usize>(
    src: &[f32],
    importance: Option<&[f32]>,
    dst: &mut [u8],
    encode: impl Fn(&[f32; LEN], Option<&[f32; LEN]>, &mut [u8; BYTES]),
) {
    let (values, src_rest) = src.as_chunks::<LEN>();
    let (blocks, dst_rest) = dst.as_chunks_mut::<BYTES>();
    let importance = importance.map(|weights| weights.as_chunks::<LEN>().0);
    debug_assert!(src_rest.is_empty() && dst_rest.is_empty(), "not whole blocks");
    debug_assert_eq!(blocks.len(), values.len(), "source and destination differ in blocks");
    debug_assert!(importance.is_none_or(|weights| weights.len() == values.len()));
    for (index, (values, block)) in values.iter().zip(blocks).enumerate() {
        encode(values, importance.map(|weights| &weights[index]), block);
    }
}

/// The binary16 at this offset of a block.
pub(crate) fn f16_at(block: &[u8], at: usize) -> f32 {
    f16_to_f32(u16::from_le_bytes([block[at], block[at + 1]]))
}

/// Stores a value as binary16.
pub(crate) fn put_f16(block: &mut [u8], at: usize, value: f32) {
    block[at..at + 2].copy_from_slice(&f32_to_f16(value).to_le_bytes());
}

/// Packs levels of four bits: byte `i` holds level `i` low and level `i + n` high, where `n` is the
/// number of bytes.
pub(crate) fn pack_nibbles(levels: &[u8], bytes: &mut [u8]) {
    let (low, high) = levels.split_at(bytes.len());
    for ((byte, low), high) in bytes.iter_mut().zip(low).zip(high) {
        *byte = (low & 15) | (high << 4);
    }
}

/// Unpacks levels of two bits of a super-block from 64 bytes: bits `2 s` of byte `32 h + i` are level
/// `128 h + 32 s + i`.
pub(crate) fn unpack_pairs(bytes: &[u8]) -> [u8; 256] {
    std::array::from_fn(|i| (bytes[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2)) & 3)
}

/// The inverse of [`unpack_pairs`]; only the lower two bits of a level count.
pub(crate) fn pack_pairs(levels: &[u8; 256]) -> [u8; 64] {
    std::array::from_fn(|at| {
        let levels = &levels[at / 32 * 128 + at % 32..];
        (0..4).fold(0, |byte, s| byte | (levels[32 * s] & 3) << (2 * s))
    })
}
