//! Quantised vectors in tiles: codes, then scales, then minima, each for all of the tile.
//!
//! A value is `scale · code`, or `scale · code + min`, as its tensor type says, with a scale and a
//! minimum per 32 values of a vector. Codes are found from levels of 4, 5 or 8 bits. A tile holds
//! the levels in the [`Order`] that products read them in; those of 4 bits in pairs of runs, the
//! second run in the upper halves of bytes; the fifth bits follow, 8 in a byte.

use backend::{KvType, PAGE};
use quant::codebook;

/// Values per scale.
pub const BLOCK: usize = 32;
/// Bytes of the longest block of a tensor type.
const MOST_BYTES: usize = 34;

/// How levels become codes.
#[derive(Debug)]
enum Code {
    /// By subtraction.
    Minus(u8),
    /// By looking them up.
    Table(&'static [i8; 16]),
}

/// One quantised type.
#[derive(Debug)]
pub struct Format {
    ty: KvType,
    /// Bits per level.
    bits: usize,
    has_min: bool,
    code: Code,
}

/// All quantised types.
static FORMATS: [Format; 6] = [
    Format { ty: KvType::Q8_0, bits: 8, has_min: false, code: Code::Minus(0) },
    Format { ty: KvType::Q5_1, bits: 5, has_min: true, code: Code::Minus(0) },
    Format { ty: KvType::Q5_0, bits: 5, has_min: false, code: Code::Minus(16) },
    Format { ty: KvType::Q4_1, bits: 4, has_min: true, code: Code::Minus(0) },
    Format { ty: KvType::Q4_0, bits: 4, has_min: false, code: Code::Minus(8) },
    Format { ty: KvType::Iq4Nl, bits: 4, has_min: false, code: Code::Table(&codebook::IQ4) },
];

/// How a tile orders the values of a head's vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Keys: `[cols / 4][PAGE][4]`, the codes with 128 added; scales `[cols / 32][PAGE]`. So scores
    /// of neighbours are computed in neighbouring lanes.
    Keys,
    /// Values: `[PAGE][cols]`, scales `[PAGE][cols / 32]`.
    Values,
}

impl Order {
    /// Values of a vector that lie side by side.
    fn step(self) -> usize {
        match self {
            Order::Keys => 4,
            Order::Values => 16,
        }
    }

    /// Levels per run where bytes hold two.
    fn run(self) -> usize {
        match self {
            Order::Keys => PAGE * 4,
            Order::Values => 16,
        }
    }

    /// Where value `i` of a cell's vector is, given that it starts a step.
    fn index(self, cols: usize, cell: usize, i: usize) -> usize {
        match self {
            Order::Keys => i * PAGE + cell * 4,
            Order::Values => cell * cols + i,
        }
    }

    /// Where scale `block` of a cell's vector is.
    fn scale_index(self, cols: usize, cell: usize, block: usize) -> usize {
        match self {
            Order::Keys => block * PAGE + cell,
            Order::Values => cell * (cols / BLOCK) + block,
        }
    }

    /// What is added to codes.
    fn bias(self) -> u8 {
        match self {
            Order::Keys => 128,
            Order::Values => 0,
        }
    }
}

/// The parts of a tile.
#[derive(Debug, Clone, Copy)]
pub struct Coded<'a> {
    pub format: &'static Format,
    pub codes: &'a [u8],
    /// Half floats.
    pub scales: &'a [u16],
    /// As many, or none.
    pub mins: &'a [u16],
}

impl Format {
    /// The format of a type; `None` for floats.
    pub fn of(ty: KvType) -> Option<&'static Format> {
        FORMATS.iter().find(|format| format.ty == ty)
    }

    /// Bytes of the levels of a tile.
    fn level_bytes(&self, cols: usize) -> usize {
        cols * PAGE * self.bits / 8
    }

    /// The parts of a tile.
    pub fn view<'a>(&'static self, tile: &'a [u8], cols: usize) -> Coded<'a> {
        let (codes, scales) = tile.split_at(self.level_bytes(cols));
        let (scales, mins) = super::store::halves(scales).split_at(cols / BLOCK * PAGE);
        Coded { format: self, codes, scales, mins }
    }

    /// Stores a vector in a tile, rounded as the tensor type's encoder does.
    pub fn put(&self, tile: &mut [u8], order: Order, cell: usize, values: &[f32]) {
        let cols = values.len();
        let encode = self.ty.tensor_type().info().encode.expect("the type of a table's row");
        let (levels, scales) = tile.split_at_mut(self.level_bytes(cols));
        let block_bytes = self.ty.tensor_type().block_bytes();
        for (i, values) in values.chunks_exact(BLOCK).enumerate() {
            let mut bytes = [0; MOST_BYTES];
            encode(values, None, &mut bytes[..block_bytes]);
            let block = Block::read(&bytes, self);
            for (at, step) in (0..).step_by(order.step()).zip(block.levels.chunks(order.step())) {
                self.put_levels(levels, order, order.index(cols, cell, i * BLOCK + at), step);
            }
            let at = order.scale_index(cols, cell, i) * 2;
            scales[at..at + 2].copy_from_slice(&block.scale.to_ne_bytes());
            if self.has_min {
                let at = at + cols / BLOCK * PAGE * 2;
                scales[at..at + 2].copy_from_slice(&block.min.to_ne_bytes());
            }
        }
    }

    /// Stores neighbouring levels from `index` on.
    fn put_levels(&self, tile: &mut [u8], order: Order, index: usize, levels: &[u8]) {
        if self.bits == 8 {
            let codes = &mut tile[index..index + levels.len()];
            codes.iter_mut().zip(levels).for_each(|(to, level)| *to = level ^ order.bias());
            return;
        }
        let run = order.run();
        let (byte, shift) = (index / (2 * run) * run + index % run, index / run % 2 * 4);
        for (to, level) in tile[byte..].iter_mut().zip(levels) {
            *to = *to & (0xf0 >> shift) | (level & 15) << shift;
        }
        if self.bits == 5 {
            let high = tile.len() / 5 * 4;
            for (index, level) in (index..).zip(levels) {
                let (byte, shift) = (high + index / 8, index % 8);
                tile[byte] = tile[byte] & !(1 << shift) | (level >> 4) << shift;
            }
        }
    }
}

impl<'a> Coded<'a> {
    /// The codes as bytes, with the order's bias: in place where they are, otherwise in `buffer`.
    #[inline(always)]
    pub fn expand<'b>(self, order: Order, buffer: &'b mut [u8]) -> &'b [u8]
    where
        'a: 'b,
    {
        let Format { bits, ref code, .. } = *self.format;
        if bits == 8 {
            return self.codes;
        }
        let (nibbles, high) = self.codes.split_at(self.codes.len() / bits * 4);
        let buffer = &mut buffer[..nibbles.len() * 2];
        match order {
            Order::Keys => split_nibbles::<{ PAGE * 4 }>(nibbles, buffer),
            Order::Values => split_nibbles::<16>(nibbles, buffer),
        }
        for (levels, high) in buffer.as_chunks_mut::<8>().0.iter_mut().zip(high) {
            for (i, level) in levels.iter_mut().enumerate() {
                *level |= (high >> i & 1) << 4;
            }
        }
        match code {
            Code::Minus(zero) => {
                let add = order.bias().wrapping_sub(*zero);
                buffer.iter_mut().for_each(|level| *level = level.wrapping_add(add));
            }
            Code::Table(table) => {
                let table = table.map(|code| (code as u8).wrapping_add(order.bias()));
                buffer.iter_mut().for_each(|level| *level = table[usize::from(*level & 15)]);
            }
        }
        buffer
    }
}

/// Splits bytes into runs of their lower and upper halves.
#[inline(always)]
fn split_nibbles<const RUN: usize>(nibbles: &[u8], levels: &mut [u8]) {
    let pairs = levels.as_chunks_mut::<RUN>().0.chunks_exact_mut(2);
    for (nibbles, pair) in nibbles.as_chunks::<RUN>().0.iter().zip(pairs) {
        pair[0] = nibbles.map(|byte| byte & 15);
        pair[1] = nibbles.map(|byte| byte >> 4);
    }
}

/// A block of a tensor type.
struct Block {
    levels: [u8; BLOCK],
    /// Half floats.
    scale: u16,
    min: u16,
}

impl Block {
    /// Takes apart: the scale, the minimum, four bytes of fifth bits, and levels of 8 bits, or of 4
    /// with the second half of the block in the upper halves of bytes.
    fn read(bytes: &[u8; MOST_BYTES], format: &Format) -> Self {
        let half = |at| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let (scale, min) = (half(0), if format.has_min { half(2) } else { 0 });
        let rest = &bytes[if format.has_min { 4 } else { 2 }..];
        let mut levels = [0; BLOCK];
        match format.bits {
            8 => levels.copy_from_slice(&rest[..BLOCK]),
            bits => {
                let (high, nibbles) = rest.split_at(if bits == 5 { 4 } else { 0 });
                split_nibbles::<16>(&nibbles[..16], &mut levels);
                for (levels, high) in levels.chunks_exact_mut(8).zip(high) {
                    let fifths = (0..8).map(|i| (high >> i & 1) << 4);
                    levels.iter_mut().zip(fifths).for_each(|(level, fifth)| *level |= fifth);
                }
            }
        }
        Self { levels, scale, min }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quant::f16_to_f32;

    /// Vectors for all cells of a tile.
    fn vectors(cols: usize) -> Vec<f32> {
        let value =
            |i: usize| ((i * 7919 % 1013) as f32 - 500.0) * (0.001 + (i % 37) as f32 * 0.01);
        (0..cols * PAGE).map(value).collect()
    }

    #[test]
    fn tiles_hold_what_the_encoders_make() {
        for format in &FORMATS {
            let ty = format.ty.tensor_type();
            for (order, cols) in [(Order::Keys, 64), (Order::Values, 96), (Order::Keys, 32)] {
                let mut tile = vec![0xa5; ty.row_bytes(cols).unwrap() * PAGE];
                let mut buffer = vec![0; cols * PAGE];
                let values = vectors(cols);
                // Each cell twice: the second replaces the first.
                for cell in (0..PAGE).rev().chain(0..PAGE) {
                    let from = if tile[0] == 0xa5 { 0 } else { cell * cols };
                    format.put(&mut tile, order, cell, &values[from..][..cols]);
                }
                for cell in 0..PAGE {
                    format.put(&mut tile, order, cell, &values[cell * cols..][..cols]);
                }
                let coded = format.view(&tile, cols);
                let codes = coded.expand(order, &mut buffer);
                for cell in 0..PAGE {
                    let values = &values[cell * cols..][..cols];
                    let mut bytes = vec![0; ty.row_bytes(cols).unwrap()];
                    ty.info().encode.unwrap()(values, None, &mut bytes);
                    let mut expected = vec![0.0; cols];
                    ty.info().decode.unwrap()(&bytes, &mut expected);
                    for (i, expected) in expected.into_iter().enumerate() {
                        let step = order.step();
                        let at = order.index(cols, cell, i / step * step) + i % step;
                        let code = codes[at].wrapping_sub(order.bias()) as i8;
                        let at = order.scale_index(cols, cell, i / BLOCK);
                        let min = coded.mins.get(at).map_or(0.0, |&min| f16_to_f32(min));
                        let found = f32::from(code) * f16_to_f32(coded.scales[at]) + min;
                        assert_eq!(found, expected, "{ty}, {order:?}, cell {cell}, value {i}");
                    }
                }
            }
        }
    }

    #[test]
    fn all_types_but_floats_have_a_format() {
        for ty in KvType::ALL {
            let is_float = ty.tensor_type().block_len() == 1;
            assert_eq!(Format::of(ty).is_none(), is_float, "{ty}");
        }
    }
}
