//! Keys and values of the positions already seen, and attention over them.

use std::fmt;
use std::ops::Range;

use quant::TensorType;

use crate::ops::BackendError;
use crate::weight::Vector;

/// Positions per page of keys and values.
pub const PAGE: usize = 64;

/// A handle to the key and value store of one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KvId(pub usize);

/// The number format of stored keys or values: a tensor type whose blocks are at most as long as a
/// head, and quickly encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum KvType {
    /// 32-bit floats.
    F32,
    /// 16-bit floats, rounded to nearest even.
    #[default]
    F16,
    /// The upper half of 32-bit floats, rounded to nearest even.
    Bf16,
    /// 8 bits, with a scale per 32 values.
    Q8_0,
    /// 5 bits, with a scale and a minimum per 32 values.
    Q5_1,
    /// 5 bits, with a scale per 32 values.
    Q5_0,
    /// 4 bits, with a scale and a minimum per 32 values.
    Q4_1,
    /// 4 bits, with a scale per 32 values.
    Q4_0,
    /// 4 bits that choose from uneven levels, with a scale per 32 values.
    Iq4Nl,
}

impl KvType {
    /// Every format, the most precise first.
    pub const ALL: [KvType; 9] = [
        KvType::F32,
        KvType::F16,
        KvType::Bf16,
        KvType::Q8_0,
        KvType::Q5_1,
        KvType::Q5_0,
        KvType::Q4_1,
        KvType::Q4_0,
        KvType::Iq4Nl,
    ];

    /// The tensor type that defines the format.
    pub fn tensor_type(self) -> TensorType {
        match self {
            KvType::F32 => TensorType::F32,
            KvType::F16 => TensorType::F16,
            KvType::Bf16 => TensorType::BF16,
            KvType::Q8_0 => TensorType::Q8_0,
            KvType::Q5_1 => TensorType::Q5_1,
            KvType::Q5_0 => TensorType::Q5_0,
            KvType::Q4_1 => TensorType::Q4_1,
            KvType::Q4_0 => TensorType::Q4_0,
            KvType::Iq4Nl => TensorType::IQ4_NL,
        }
    }

    /// Its name, for example `q8_0`.
    pub fn name(self) -> &'static str {
        self.tensor_type().name()
    }

    /// The format of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ty| ty.name() == name)
    }
}

impl fmt::Display for KvType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The formats of keys and of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct KvTypes {
    /// Of keys.
    pub k: KvType,
    /// Of values.
    pub v: KvType,
}

impl From<KvType> for KvTypes {
    /// The same for both.
    fn from(ty: KvType) -> Self {
        Self { k: ty, v: ty }
    }
}

/// The shape of one layer's store: `n_pages` pages, each of [`PAGE`] positions of `n_head_kv` heads
/// of keys and of values.
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
    /// Formats of keys and values.
    pub types: KvTypes,
}

impl KvSpec {
    /// Bytes of the whole store.
    ///
    /// # Errors
    /// Heads that are not whole blocks of their format, and sizes beyond all memory.
    pub fn bytes(&self) -> Result<usize, BackendError> {
        let k = head_bytes("keys", self.types.k, self.head_dim)?;
        let v = head_bytes("values", self.types.v, self.head_dim_v)?;
        k.checked_add(v)
            .and_then(|bytes| bytes.checked_mul(self.n_head_kv))
            .and_then(|bytes| bytes.checked_mul(PAGE))
            .and_then(|bytes| bytes.checked_mul(self.n_pages))
            .ok_or(BackendError::OutOfMemory { bytes: usize::MAX })
    }
}

/// Bytes of one head's vector.
fn head_bytes(what: &'static str, ty: KvType, head_dim: usize) -> Result<usize, BackendError> {
    let block_len = ty.tensor_type().block_len();
    if !head_dim.is_multiple_of(block_len) {
        return Err(BackendError::KvBlocks { what, ty, head_dim, block_len });
    }
    let bytes = ty.tensor_type().row_bytes(head_dim);
    bytes.ok_or(BackendError::OutOfMemory { bytes: usize::MAX })
}

/// The rows of one sequence in a batch: consecutive tokens at consecutive positions.
#[derive(Debug, Clone)]
pub struct Span<'a> {
    /// Rows of the batch.
    pub rows: Range<usize>,
    /// Position of the first row in its sequence.
    pub pos: usize,
    /// Pages of the sequence: position `p` is in cell `p % PAGE` of page `pages[p / PAGE]`. They
    /// reach at least to the last row; those of which no row sees a position may be any number.
    pub pages: &'a [u32],
    /// Slot of the sequence's recurrent states.
    pub slot: u32,
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
    /// Those at most `n` from its own, later ones too.
    Around(usize),
}

impl Mask {
    /// Positions that a query sees at most, up to its own; `None` without a limit, and where it sees
    /// later ones.
    pub fn reach(self) -> Option<usize> {
        match self {
            Mask::Sliding(n) | Mask::Chunked(n) => Some(n),
            Mask::Causal | Mask::Full | Mask::Around(_) => None,
        }
    }

    /// The positions that a query at `pos` of a sequence of `len` positions sees.
    pub fn visible(self, pos: usize, len: usize) -> Range<usize> {
        match self {
            Mask::Causal => 0..pos + 1,
            Mask::Sliding(n) => (pos + 1).saturating_sub(n)..pos + 1,
            Mask::Chunked(n) => pos - pos % n..pos + 1,
            Mask::Full => 0..len,
            Mask::Around(n) => {
                pos.saturating_sub(n)..pos.saturating_add(n).saturating_add(1).min(len)
            }
        }
    }
}

/// Everything about an attention but its inputs.
///
/// For query head `h` (which reads key/value head `h / (n_head / n_head_kv)`) at position `i`:
/// `s[j] = cap(scale · q·k[j]) - slope[h] · |j - i| + bias[h](j - i)` over the visible positions `j`,
/// with `cap(s) = softcap · tanh(s / softcap)` where `softcap > 0`; then
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
    /// What a step of distance costs each query head (ALiBi, Press et al. 2021, arXiv:2108.12409).
    pub slopes: Option<Vector>,
    /// What each distance adds to each query head's scores.
    pub distance_bias: Option<DistanceBias>,
    /// One logit per query head that takes part in the softmax without a value.
    pub sinks: Option<Vector>,
}

impl AttentionParams {
    /// Causal, with nothing else.
    pub fn causal(n_head: usize, scale: f32) -> Self {
        Self {
            n_head,
            scale,
            softcap: 0.0,
            mask: Mask::Causal,
            slopes: None,
            distance_bias: None,
            sinks: None,
        }
    }
}

/// Learned biases of scores by distance, the same from some distance on in either direction (T5,
/// Raffel et al. 2020, arXiv:1910.10683).
#[derive(Debug, Clone)]
pub struct DistanceBias {
    radius: usize,
    values: Vector,
}

impl DistanceBias {
    /// `values` are `[n_head][2 · radius + 1]`, for keys from `radius` positions before the query to
    /// `radius` after it; those beyond have the bias of the outermost.
    ///
    /// # Panics
    /// Where they are not whole heads.
    pub fn new(radius: usize, values: Vector) -> Self {
        assert!(values.len().is_multiple_of(2 * radius + 1), "{} biases", values.len());
        Self { radius, values }
    }

    /// The bias of a head's query at position `query` for the key at `key`.
    pub fn get(&self, head: usize, query: usize, key: usize) -> f32 {
        let at = (key + self.radius).saturating_sub(query).min(2 * self.radius);
        self.values[head * (2 * self.radius + 1) + at]
    }
}
