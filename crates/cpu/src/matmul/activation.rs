//! Activations as the integer kernels take them.
//!
//! Values are 8-bit codes with one scale per 32 values, or one per 256 for types of 256-value
//! blocks (llama.cpp's `Q8_0`/`Q8_1` and `Q8_K`, but with `f32` scales). In both cases the scale is
//! stored for each 32 values, so kernels need not know which it is.

use backend::AlignedVec;

/// Values per scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Block {
    /// 32.
    B32,
    /// 256.
    B256,
}

impl Block {
    fn len(self) -> usize {
        match self {
            Block::B32 => 32,
            Block::B256 => 256,
        }
    }
}

/// Quantised rows of activations, dense.
#[derive(Debug, Default)]
pub(super) struct Quantized {
    cols: usize,
    codes: AlignedVec<i8>,
    pairs: AlignedVec<[f32; 2]>,
    sums: AlignedVec<i16>,
}

/// Rows of [`Quantized`], one after the other or [interleaved](interleave).
#[derive(Debug, Clone, Copy)]
pub(super) struct Codes<'a> {
    /// Values per row; a multiple of 32.
    pub cols: usize,
    /// `[row][cols]`, -127 to 127; for some kernels [by fours](order_by_fours).
    pub codes: &'a [i8],
    /// `[row][cols / 32]`: the scale, and the scale times the sum of the 32 codes.
    pub pairs: &'a [[f32; 2]],
    /// `[row][cols / 16]`: the sum of 16 codes.
    pub sums: &'a [i16],
}

/// Mutable rows of [`Quantized`].
#[derive(Debug)]
pub(super) struct CodesMut<'a> {
    pub codes: &'a mut [i8],
    pub pairs: &'a mut [[f32; 2]],
    pub sums: &'a mut [i16],
}

impl Quantized {
    /// Makes room for `rows` rows and gives their parts; contents are unspecified.
    pub(super) fn resize(&mut self, rows: usize, cols: usize) -> CodesMut<'_> {
        assert!(cols.is_multiple_of(32), "{cols} columns");
        self.cols = cols;
        // Only ever grown, so that a steady state neither allocates nor clears.
        self.codes.grow(rows * cols, 0);
        self.pairs.grow(rows * cols / 32, [0.0; 2]);
        self.sums.grow(rows * cols / 16, 0);
        CodesMut {
            codes: &mut self.codes[..rows * cols],
            pairs: &mut self.pairs[..rows * cols / 32],
            sums: &mut self.sums[..rows * cols / 16],
        }
    }

    /// `n` rows from `first`.
    pub(super) fn rows(&self, first: usize, n: usize) -> Codes<'_> {
        let cols = self.cols;
        let part = |unit: usize| first * cols / unit..(first + n) * cols / unit;
        Codes {
            cols,
            codes: &self.codes[part(1)],
            pairs: &self.pairs[part(32)],
            sums: &self.sums[part(16)],
        }
    }
}

/// Interleaves `n` rows of `from`: `[cols / 4][row][4]` codes, `[cols / 32][row]` pairs and
/// `[cols / 32][row][2]` sums. Tile kernels then read all columns of a step from one place. With
/// [`Block::B256`] the second of each pair becomes the plain sum: kernels apply the scale once per
/// block.
pub(super) fn interleave(block: Block, from: Codes<'_>, n: usize, to: CodesMut<'_>) {
    let CodesMut { codes, pairs, sums } = to;
    let to = CodesMut { codes, pairs: &mut *pairs, sums: &mut *sums };
    match n {
        1 => interleave_rows::<1>(from, to),
        2 => interleave_rows::<2>(from, to),
        3 => interleave_rows::<3>(from, to),
        4 => interleave_rows::<4>(from, to),
        5 => interleave_rows::<5>(from, to),
        6 => interleave_rows::<6>(from, to),
        _ => unreachable!("a tile of {n} columns"),
    }
    if block == Block::B256 {
        for (pair, sums) in pairs.iter_mut().zip(sums.as_chunks::<2>().0) {
            pair[1] = f32::from(sums[0] + sums[1]);
        }
    }
}

fn interleave_rows<const N: usize>(from: Codes<'_>, to: CodesMut<'_>) {
    fn transpose<T: Copy, const N: usize>(from: &[T], to: &mut [T]) {
        let len = from.len() / N;
        let rows: [&[T]; N] = std::array::from_fn(|row| &from[row * len..][..len]);
        for (i, to) in to.as_chunks_mut::<N>().0[..len].iter_mut().enumerate() {
            *to = std::array::from_fn(|row| rows[row][i]);
        }
    }
    transpose::<_, N>(from.codes.as_chunks::<4>().0, to.codes.as_chunks_mut::<4>().0);
    transpose::<_, N>(from.pairs, to.pairs);
    transpose::<_, N>(from.sums.as_chunks::<2>().0, to.sums.as_chunks_mut::<2>().0);
}

/// Orders the codes of each 256 values by their place modulo 4: the first of all fours, then the second
/// of all, and so on.
pub(super) fn order_by_fours(codes: &mut [i8]) {
    for codes in codes.as_chunks_mut::<256>().0 {
        let mut fours = [0; 64];
        for (four, codes) in fours.iter_mut().zip(codes.as_chunks::<4>().0) {
            *four = u32::from_le_bytes(codes.map(i8::cast_unsigned));
        }
        for (j, codes) in codes.as_chunks_mut::<64>().0.iter_mut().enumerate() {
            for (code, four) in codes.iter_mut().zip(fours) {
                *code = (four >> (8 * j)) as i8;
            }
        }
    }
}

/// Quantises one row. Where a block holds a NaN or an infinity its scale becomes NaN or infinite,
/// so that products show it.
#[inline(always)]
pub(super) fn quantize_row(x: &[f32], block: Block, out: CodesMut<'_>) {
    /// Added to a small float it leaves the nearest integer in the low bits.
    const ROUND: f32 = 12_582_912.0;

    let len = block.len();
    for (((x, codes), pairs), sums) in x
        .chunks_exact(len)
        .zip(out.codes.chunks_exact_mut(len))
        .zip(out.pairs.chunks_exact_mut(len / 32))
        .zip(out.sums.chunks_exact_mut(len / 16))
    {
        // Magnitudes compare as integers, with infinity and NaN above all others.
        let max = x.iter().fold(0, |max, v| max.max(v.to_bits() & 0x7fff_ffff));
        let scale = f32::from_bits(max) / 127.0;
        let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
        for (code, v) in codes.iter_mut().zip(x) {
            *code = (v * inverse + ROUND).to_bits() as i8;
        }
        for (codes, sum) in codes.chunks_exact(16).zip(sums.iter_mut()) {
            *sum = codes.iter().map(|&code| i16::from(code)).sum();
        }
        for (sums, pair) in sums.chunks_exact(2).zip(pairs) {
            *pair = [scale, scale * f32::from(sums[0] + sums[1])];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantize(x: &[f32], block: Block) -> Quantized {
        let mut q = Quantized::default();
        quantize_row(x, block, q.resize(1, x.len()));
        q
    }

    #[test]
    fn codes_times_scale_are_within_half_a_step() {
        let x: Vec<f32> = (0..512).map(|i| ((i * 37 % 101) as f32 - 50.0) * 0.37).collect();
        for block in [Block::B32, Block::B256] {
            let q = quantize(&x, block);
            let rows = q.rows(0, 1);
            for (i, &v) in x.iter().enumerate() {
                let [scale, sum] = rows.pairs[i / 32];
                assert!((v - scale * f32::from(rows.codes[i])).abs() <= 0.5001 * scale);
                let codes = &rows.codes[i / 32 * 32..][..32];
                let expected: i32 = codes.iter().map(|&c| i32::from(c)).sum();
                assert_eq!(sum, scale * expected as f32);
            }
        }
    }

    #[test]
    fn fours_are_taken_apart() {
        let plain: Vec<i8> = (0..512).map(|i| (i * 37 % 251) as i8).collect();
        let mut ordered = plain.clone();
        order_by_fours(&mut ordered);
        for i in 0..512 {
            let (block, i) = (i / 256 * 256, i % 256);
            assert_eq!(ordered[block + i % 4 * 64 + i / 4], plain[block + i]);
        }
    }

    #[test]
    fn zeros_and_non_finite_values() {
        let q = quantize(&[0.0; 32], Block::B32);
        assert_eq!(q.rows(0, 1).pairs, [[0.0, 0.0]]);
        let mut x = [1.0; 32];
        x[5] = f32::NAN;
        assert!(quantize(&x, Block::B32).rows(0, 1).pairs[0][0].is_nan());
        x[5] = f32::INFINITY;
        assert!(!quantize(&x, Block::B32).rows(0, 1).pairs[0][0].is_finite());
    }
}
