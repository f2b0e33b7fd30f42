//! Products of queries with quantised keys, in integers.

use backend::PAGE;

use super::format::{BLOCK, Coded};
use super::product::Ahead;
use crate::simd::{Kernel, Simd};

/// Four codes of a query, the first in the lowest byte.
type Word = i32;
/// Words per block.
const WORDS: usize = BLOCK / 4;

/// Queries in 8 bits, with a scale per [`BLOCK`] values.
#[derive(Debug, Default)]
pub struct CodedQueries {
    /// `[query][block][WORDS]`
    words: Vec<[Word; WORDS]>,
    /// `[query][block]`
    scales: Vec<f32>,
    /// Sums of codes, `[query][block]`.
    sums: Vec<i32>,
    /// Blocks per query.
    blocks: usize,
}

impl CodedQueries {
    /// Makes room.
    pub fn reserve(&mut self, count: usize, head_dim: usize) {
        let len = count * head_dim / BLOCK;
        if self.words.len() < len {
            self.words.resize(len, [0; WORDS]);
            self.scales.resize(len, 0.0);
            self.sums.resize(len, 0);
        }
    }

    /// Rounds queries, `[count][head_dim]`. A block with NaN or infinity gets such a scale.
    #[inline(always)]
    pub fn fill(&mut self, q: &[f32], head_dim: usize) {
        /// Added to a small float it leaves the nearest integer in the low bits.
        const ROUND: f32 = 12_582_912.0;
        self.blocks = head_dim / BLOCK;
        let places = self.words.iter_mut().zip(&mut self.scales).zip(&mut self.sums);
        for (values, ((words, scale), sum)) in q.as_chunks::<BLOCK>().0.iter().zip(places) {
            // Magnitudes compare as integers, with infinity and NaN above all others.
            let max = values.iter().fold(0, |max, v| max.max(v.to_bits() & 0x7fff_ffff));
            *scale = f32::from_bits(max) / 127.0;
            let inverse = if *scale == 0.0 { 0.0 } else { 1.0 / *scale };
            let codes = values.map(|v| (v * inverse + ROUND).to_bits() as i8);
            *sum = codes.iter().map(|&code| i32::from(code)).sum();
            for (word, codes) in words.iter_mut().zip(codes.as_chunks::<4>().0) {
                *word = Word::from_le_bytes(codes.map(|code| code as u8));
            }
        }
    }
}

/// Scores of queries for the keys of a tile: `scores[i][j] = q[i]·k[j]`, rows [`PAGE`] apart.
pub struct Scores<'a> {
    pub q: &'a CodedQueries,
    /// Number of queries.
    pub count: usize,
    pub keys: Coded<'a>,
    /// The keys' codes, expanded.
    pub codes: &'a [u8],
    /// Of these keys, a multiple of [`super::store::PAD`].
    pub cols: usize,
    pub scores: &'a mut [f32],
    pub ahead: Ahead,
}

impl Kernel for Scores<'_> {
    type Output = ();
    const MULTIPLIES_CODES: bool = true;

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let mut col = 0;
        while col < self.cols {
            // Integers and floats for each sum, in 32 or 16 registers.
            let vectors = match (self.cols - col) / S::LANES {
                4.. if S::LANES == 16 && self.count <= 3 => self.strip::<S, 4>(s, col),
                2.. => self.strip::<S, 2>(s, col),
                _ => self.strip::<S, 1>(s, col),
            };
            col += vectors * S::LANES;
        }
    }
}

impl Scores<'_> {
    /// All queries and `V` vectors of keys; returns `V`.
    #[inline(always)]
    fn strip<S: Simd, const V: usize>(&mut self, s: S, col: usize) -> usize {
        let mut row = 0;
        while row < self.count {
            row += match self.count - row {
                6.. if S::LANES == 16 && V < 4 => self.tile::<S, 6, V>(s, row, col),
                4.. if S::LANES == 16 && V < 4 => self.tile::<S, 4, V>(s, row, col),
                3.. => self.tile::<S, 3, V>(s, row, col),
                2 => self.tile::<S, 2, V>(s, row, col),
                _ => self.tile::<S, 1, V>(s, row, col),
            };
            self.ahead = Ahead::NONE;
        }
        V
    }

    /// `R` queries and `V` vectors of keys; returns `R`.
    #[allow(clippy::needless_range_loop)]
    #[inline(always)]
    fn tile<S: Simd, const R: usize, const V: usize>(
        &mut self,
        s: S,
        row: usize,
        col: usize,
    ) -> usize {
        let mut scores = [[s.splat(0.0); V]; R];
        let blocks = self.q.blocks;
        for block in 0..blocks {
            let mut words = [&[0; WORDS]; R];
            let mut sums = [[s.splat_int(0); V]; R];
            for r in 0..R {
                let at = (row + r) * blocks + block;
                words[r] = &self.q.words[at];
                sums[r] = [s.splat_int(-S::CODE_BIAS * self.q.sums[at]); V];
            }
            for w in 0..WORDS {
                let line = block * WORDS + w;
                self.ahead.fetch(s, line);
                let line = &self.codes[(line * PAGE + col) * 4..][..V * S::LANES * 4];
                for v in 0..V {
                    let codes = s.load_codes(&line[v * S::LANES * 4..]);
                    for r in 0..R {
                        sums[r][v] = s.dot4(sums[r][v], codes, words[r][w]);
                    }
                }
            }
            let keys = block * PAGE + col;
            for v in 0..V {
                let scale = s.load_f16(&self.keys.scales[keys + v * S::LANES..]);
                for r in 0..R {
                    let q_scale = s.splat(self.q.scales[(row + r) * blocks + block]);
                    let sum = s.int_to_float(sums[r][v]);
                    scores[r][v] = s.mul_add(sum, s.mul(scale, q_scale), scores[r][v]);
                }
            }
            if self.keys.mins.is_empty() {
                continue;
            }
            for v in 0..V {
                let min = s.load_f16(&self.keys.mins[keys + v * S::LANES..]);
                for r in 0..R {
                    let at = (row + r) * blocks + block;
                    let q_sum = s.splat(self.q.scales[at] * self.q.sums[at] as f32);
                    scores[r][v] = s.mul_add(min, q_sum, scores[r][v]);
                }
            }
        }
        for (r, scores) in scores.into_iter().enumerate() {
            let to = &mut self.scores[(row + r) * PAGE + col..][..V * S::LANES];
            for (to, v) in to.chunks_exact_mut(S::LANES).zip(scores) {
                s.store(v, to);
            }
        }
        R
    }
}

/// Scales of quantised values, in their order.
#[inline(always)]
pub fn to_floats<S: Simd>(s: S, from: &[u16], to: &mut [f32]) {
    for (from, to) in from.chunks_exact(S::LANES).zip(to.chunks_exact_mut(S::LANES)) {
        s.store(s.load_f16(from), to);
    }
}
