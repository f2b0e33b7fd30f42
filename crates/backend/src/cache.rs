//! Caches of rows: what indexes, latent attention and attention to chosen positions keep of what
//! was seen.

use std::ops::Range;

use crate::kv::{KvType, PAGE, Span};
use crate::ops::BackendError;
use crate::tensor::Tensor;
use crate::top_k::TopK;
use crate::weight::Vector;

/// A handle to a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CacheId(pub usize);

/// The shape of a cache: one row per block of `stride` positions, which is there once the block is
/// complete. It lies in the page of the block's last position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheSpec {
    /// Values per row.
    pub width: usize,
    /// Positions per row.
    pub stride: usize,
    /// Pages of [`PAGE`] positions.
    pub n_pages: usize,
    /// Format of the values.
    pub ty: KvType,
}

impl CacheSpec {
    /// Bytes of the whole cache.
    ///
    /// # Errors
    /// Rows that are not whole blocks of their format, and sizes beyond all memory.
    pub fn bytes(&self) -> Result<usize, BackendError> {
        let Self { width, ty, .. } = *self;
        let block_len = ty.tensor_type().block_len();
        if !width.is_multiple_of(block_len) {
            let what = "keys";
            return Err(BackendError::KvBlocks { what, ty, head_dim: width, block_len });
        }
        let row = ty.tensor_type().row_bytes(width);
        let rows = self.n_pages.checked_mul(self.page_rows());
        row.and_then(|row| rows?.checked_mul(row))
            .filter(|&bytes| isize::try_from(bytes).is_ok())
            .ok_or(BackendError::OutOfMemory { bytes: usize::MAX })
    }

    /// Rows that a page has room for.
    pub fn page_rows(&self) -> usize {
        PAGE.div_ceil(self.stride)
    }

    /// Where in the cache row `row` of the sequence with these pages is.
    pub fn place(&self, pages: &[u32], row: usize) -> usize {
        let last = (row + 1) * self.stride - 1;
        pages[last / PAGE] as usize * self.page_rows() + last % PAGE / self.stride
    }
}

impl Span<'_> {
    /// Rows of a cache of that stride that the span's positions complete.
    pub fn completes(&self, stride: usize) -> Range<usize> {
        self.pos / stride..self.len() / stride
    }
}

/// What blocks of consecutive positions come to: for each block, in each column, the sum of its
/// members' values by the softmax of their scores; a member's score is that of its row plus that of
/// its place in the block, or nothing, so that all weigh the same.
///
/// Overlapping blocks (DeepSeek-V4's) count the block before among their members: these with the
/// first half of their columns, their own with the second half. Before the first block there is
/// none.
///
/// The state is the rows of one block, or of two if they overlap: row `i` of it is that of the last
/// position that is `i` modulo their number, `[values | scores]`.
#[derive(Debug, Clone, Copy)]
pub struct BlockPool<'a> {
    /// `[rows][width]`, or `[rows][2 * width]` of overlapping blocks.
    pub values: Tensor,
    /// Of the same shape.
    pub scores: Option<Tensor>,
    /// Scores of places in the block, `[block][columns of values]`.
    pub places: Option<&'a Vector>,
    /// Positions per block.
    pub block: usize,
    /// Whether blocks overlap.
    pub overlap: bool,
}

impl BlockPool<'_> {
    /// Rows of its state.
    pub fn state_rows(&self) -> usize {
        self.block * if self.overlap { 2 } else { 1 }
    }

    /// Values per row of its state.
    pub fn state_cols(&self) -> usize {
        self.values.cols() * if self.scores.is_some() { 2 } else { 1 }
    }

    /// Values of a pooled row.
    pub fn width(&self) -> usize {
        self.values.cols() / if self.overlap { 2 } else { 1 }
    }
}

/// A choice of cached rows by the scores of their keys, for each row of the batch among those whose
/// block is complete at its position.
#[derive(Debug, Clone, Copy)]
pub struct Selection {
    /// `[rows][n_head * width of the cache]`.
    pub q: Tensor,
    /// Number of heads.
    pub n_head: usize,
    /// How keys are scored.
    pub scoring: Scoring,
    /// Most rows, or blocks, that are chosen: those of the highest scores, see [`TopK`].
    pub top_k: usize,
    /// What the result names.
    pub names: Names,
}

/// How [`Selection`] scores keys.
#[derive(Debug, Clone, Copy)]
pub enum Scoring {
    /// All heads choose together: `Σ_h w[h] · max(q[h]·k, 0)`, with weights `[rows][n_head]`
    /// (DeepSeek-V3.2's lightning indexer).
    Rectified(Tensor),
    /// Each head chooses for itself among blocks of `block` cached rows: the greatest `q[h]·k` of a
    /// block counts. The last `local` blocks up to the row's own are chosen first (MiniMax M3).
    Blocks {
        /// Cached rows per block.
        block: usize,
        /// Blocks chosen first.
        local: usize,
    },
}

/// What the result of [`Selection`] names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// Cached rows.
    Rows,
    /// The positions in the blocks of the cached rows.
    Positions {
        /// Also those after the last complete block.
        tail: bool,
    },
}

impl Selection {
    /// Number of independent choices per row.
    pub fn n_sets(&self) -> usize {
        match self.scoring {
            Scoring::Rectified(_) => 1,
            Scoring::Blocks { .. } => self.n_head,
        }
    }

    /// Most names in a choice, for the rows of a batch over a cache of that stride.
    pub fn capacity(&self, stride: usize, batch: &[Span<'_>]) -> usize {
        let longest = batch.iter().map(Span::len).max().unwrap_or(0);
        let rows = match self.scoring {
            Scoring::Rectified(_) => self.top_k.min(longest / stride),
            Scoring::Blocks { block, .. } => self.top_k.saturating_mul(block).min(longest / stride),
        };
        match self.names {
            Names::Rows => rows,
            Names::Positions { tail } => rows * stride + if tail { stride - 1 } else { 0 },
        }
    }

    /// Chooses for one row at position `pos`: from the scores of the cached rows that it may see,
    /// fills `out` with names in ascending order, and -1 for what is left over.
    pub fn choose(
        &self,
        top_k: &mut TopK,
        scores: &[f32],
        pos: usize,
        stride: usize,
        out: &mut [f32],
    ) {
        let mut n = 0;
        let mut name = |names: Range<usize>| {
            for (out, name) in out[n..].iter_mut().zip(names.clone()) {
                *out = name as f32;
            }
            n += names.len();
        };
        let each = if self.names == Names::Rows { 1 } else { stride };
        match self.scoring {
            Scoring::Rectified(_) => {
                let chosen = top_k.choose(scores.len(), self.top_k, |row| scores[row]);
                chosen.iter().for_each(|&row| name(row * each..(row + 1) * each));
            }
            Scoring::Blocks { block, local } => {
                let n_blocks = scores.len().div_ceil(block);
                let score = |b: usize| {
                    if b + local >= n_blocks {
                        return f32::INFINITY;
                    }
                    let scores = scores[b * block..].iter().take(block);
                    scores.fold(f32::NEG_INFINITY, |most, &score| most.max(score))
                };
                let chosen = top_k.choose(n_blocks, self.top_k, score);
                let end = |b: usize| scores.len().min((b + 1) * block);
                chosen.iter().for_each(|&b| name(b * block * each..end(b) * each));
            }
        }
        if self.names == (Names::Positions { tail: true }) {
            name(scores.len() * stride..pos + 1);
        }
        out[n..].fill(-1.0);
    }
}

/// Attention to cached rows. For query head `h`, which reads key/value head
/// `g = h / (n_head / n_head_kv)`: softmax over all rows that it sees of all sources, with scores
/// `scale · q·k` and `sinks` as in [`crate::AttentionParams`]. A cached row of keys has the keys of
/// the key/value heads side by side, and one of values begins with their values.
#[derive(Debug, Clone, Copy)]
pub struct CacheAttention<'a> {
    /// `[rows][n_head * head_dim]`.
    pub q: Tensor,
    /// Number of query heads.
    pub n_head: usize,
    /// Number of key/value heads.
    pub n_head_kv: usize,
    /// Values per value head.
    pub head_dim_v: usize,
    /// Factor of the dot products.
    pub scale: f32,
    /// One logit per query head that takes part in the softmax without a value.
    pub sinks: Option<&'a Vector>,
    /// What is attended to.
    pub sources: &'a [Source],
}

impl CacheAttention<'_> {
    /// Values per key head.
    pub fn head_dim(&self) -> usize {
        self.q.cols() / self.n_head
    }
}

/// Cached rows to attend to.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    /// Keys.
    pub keys: CacheId,
    /// Values, of the same stride; may be the same cache.
    pub values: CacheId,
    /// Which of the cached rows.
    pub rows: Visible,
}

/// Which cached rows a row of the batch attends to.
#[derive(Debug, Clone, Copy)]
pub enum Visible {
    /// The last so many whose block is complete at its position.
    Last(usize),
    /// Those named in its row: one choice for all key/value heads, or one for each, side by side.
    /// Names are integers in ascending order, and -1 is none.
    Chosen {
        /// `[rows][n_sets * capacity]`.
        names: Tensor,
        /// Number of choices per row: 1, or that of key/value heads.
        n_sets: usize,
    },
}

impl Visible {
    /// Everything up to a row's own position.
    pub const ALL: Self = Visible::Last(usize::MAX);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Tensor;

    #[test]
    fn rows_lie_in_the_page_of_their_last_position() {
        let spec = |stride| CacheSpec { width: 4, stride, n_pages: 9, ty: KvType::F32 };
        let pages = [7, 2, 5, 0];
        assert_eq!(spec(1).place(&pages, 65), 2 * 64 + 1);
        assert_eq!(spec(4).place(&pages, 15), 7 * 16 + 15);
        assert_eq!(spec(4).place(&pages, 16), 2 * 16);
        assert_eq!((spec(128).place(&pages, 0), spec(128).place(&pages, 1)), (2, 0));
        // Blocks that straddle pages each have a place of their own.
        let places: Vec<usize> = (0..256 / 6).map(|row| spec(6).place(&pages, row)).collect();
        assert!(places.iter().enumerate().all(|(i, place)| !places[..i].contains(place)));
        let span = Span { rows: 0..5, pos: 126, pages: &pages, slot: 0 };
        assert_eq!((span.completes(1), span.completes(128)), (126..131, 0..1));
    }

    fn chosen(scoring: Scoring, names: Names, top_k: usize, stride: usize) -> Vec<f32> {
        let q = Tensor::dense(0, 1, 1);
        let selection = Selection { q, n_head: 1, scoring, top_k, names };
        let mut out = [9.0; 10];
        let scores = [0.5, 3.0, 2.0, -1.0, 2.5];
        selection.choose(&mut TopK::default(), &scores, 5 * stride + 1, stride, &mut out);
        out.into_iter().take_while(|&name| name >= 0.0).collect()
    }

    #[test]
    fn choices_name_rows_or_their_positions() {
        let rectified = Scoring::Rectified(Tensor::dense(0, 1, 1));
        assert_eq!(chosen(rectified, Names::Rows, 3, 4), [1.0, 2.0, 4.0]);
        let positions = Names::Positions { tail: false };
        assert_eq!(chosen(rectified, positions, 1, 4), [4.0, 5.0, 6.0, 7.0]);
        let tailed = Names::Positions { tail: true };
        assert_eq!(chosen(rectified, tailed, 1, 4), [4.0, 5.0, 6.0, 7.0, 20.0, 21.0]);
        let blocks = Scoring::Blocks { block: 2, local: 1 };
        assert_eq!(chosen(blocks, positions, 2, 1), [0.0, 1.0, 4.0]);
        assert_eq!(chosen(blocks, positions, 9, 1), [0.0, 1.0, 2.0, 3.0, 4.0]);
    }
}
