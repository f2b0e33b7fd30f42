//! Keys and values of the positions already seen, and attention over them.

use std::ops::Range;

use crate::weight::Vector;

/// Positions per page of keys and values.
pub const PAGE: usize = 64;

/// A handle to the key and value store of one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KvId(pub usize);

/// The number format of stored keys and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KvType {
    /// 32-bit floats.
    F32,
    /// 16-bit floats, rounded to nearest even.
    #[default]
    F16,
}

impl KvType {
    /// Bytes per value.
    pub fn bytes(self) -> usize {
        match self {
            KvType::F32 => 4,
            KvType::F16 => 2,
        }
    }
}

/// The shape of one layer's store: `n_pages` pages, each `[n_head_kv][PAGE][head_dim]` for keys
/// and the same with `head_dim_v` for values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvSpec {
    /// Number of key/value heads.
    pub n_head_kv: usize,
    /// Values per key head.
    pub head_dim: usize,
    /// Values per value head.
    pub head_dim_v: usize,
    /// Pages in the store.
    pub n_pages: usize,
    /// Format of keys and values.
    pub ty: KvType,
}

impl KvSpec {
    /// Bytes of the whole store; `None` on overflow.
    pub fn bytes(&self) -> Option<usize> {
        self.n_pages
            .checked_mul(PAGE)?
            .checked_mul(self.n_head_kv)?
            .checked_mul(self.head_dim.checked_add(self.head_dim_v)?)?
            .checked_mul(self.ty.bytes())
    }
}

/// The rows of one sequence in a batch: consecutive tokens at consecutive positions.
#[derive(Debug, Clone)]
pub struct Span<'a> {
    /// Rows of the batch.
    pub rows: Range<usize>,
    /// Position of the first row in its sequence.
    pub pos: usize,
    /// Pages of the sequence: position `p` is in cell `p % PAGE` of page `pages[p / PAGE]`. They
    /// reach at least to the last row.
    pub pages: &'a [u32],
}

impl Span<'_> {
    /// Number of positions of the sequence once the batch is written.
    pub fn len(&self) -> usize {
        self.pos + self.rows.len()
    }

    /// Whether the sequence has no positions.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Which positions a query sees; always a range of its own sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mask {
    /// All up to its own.
    Causal,
    /// The last `n` up to its own.
    Sliding(usize),
    /// Those from the last multiple of `n` up to its own.
    Chunked(usize),
    /// All of the sequence, later ones too.
    Full,
}

impl Mask {
    /// The positions that a query at `pos` of a sequence of `len` positions sees.
    pub fn visible(self, pos: usize, len: usize) -> Range<usize> {
        match self {
            Mask::Causal => 0..pos + 1,
            Mask::Sliding(n) => (pos + 1).saturating_sub(n)..pos + 1,
            Mask::Chunked(n) => pos - pos % n..pos + 1,
            Mask::Full => 0..len,
        }
    }
}

/// Everything about an attention but its inputs.
///
/// For query head `h` (which reads key/value head `h / (n_head / n_head_kv)`) of row `i`:
/// `s[j] = cap(scale · q·k[j])` over the visible positions `j`, with
/// `cap(s) = softcap · tanh(s / softcap)` where `softcap > 0`; then
/// `out = Σ_j exp(s[j] - m) v[j] / (Σ_j exp(s[j] - m) + exp(sink[h] - m))`, the last term only with
/// sinks, and `m` the greatest of all scores.
#[derive(Debug, Clone)]
pub struct AttentionParams {
    /// Number of query heads; a multiple of the store's `n_head_kv`.
    pub n_head: usize,
    /// Factor of the dot products, usually `1/sqrt(head_dim)`.
    pub scale: f32,
    /// Soft limit of scores; 0 for none.
    pub softcap: f32,
    /// Who sees whom.
    pub mask: Mask,
    /// One logit per query head that takes part in the softmax without a value.
    pub sinks: Option<Vector>,
}
