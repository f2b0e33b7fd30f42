//! The operations.

use thiserror::Error;

use crate::cache::{BlockPool, CacheAttention, CacheId, CacheSpec, Selection};
use crate::kv::{AttentionParams, KvId, KvSpec, KvType, Span};
use crate::moe::{Experts, Routing};
use crate::recurrent::{LinearAttention, SelectiveScan, ShortConv, StateId, StateSpec};
use crate::stored::Stored;
use crate::tensor::{Mark, Tensor};
use crate::weight::{Linear, Vector, Weight};

/// Why a backend can't serve.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BackendError {
    /// The memory asked for is not to be had.
    #[error("{bytes} bytes for the context are not available; use a smaller one (-c)")]
    OutOfMemory {
        /// Size asked for.
        bytes: usize,
    },
    /// Heads that the format of stored keys or values doesn't fit.
    #[error(
        "{what} can't be stored as {ty}: the model's heads of {head_dim} values are not a multiple \
         of its blocks of {block_len}; use f16 (-ct{} f16)", &what[..1]
    )]
    KvBlocks {
        /// "keys" or "values".
        what: &'static str,
        /// The format.
        ty: KvType,
        /// Values per head.
        head_dim: usize,
        /// Values per block.
        block_len: usize,
    },
}

/// Element-wise non-linearities.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// `x`.
    Identity,
    /// `x · sigmoid(x)`.
    Silu,
    /// `g(x) = x/2 · (1 + tanh(sqrt(2/π) · (x + 0.044715 x³)))` as llama.cpp looks it up:
    /// `half(g(half(x)))`, with `half` rounding to a half float, but 0 from -10 down and `x` from
    /// 10 up. Deep models amplify the rounding, so it belongs to what models are known to answer.
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
    /// `max(x, 0)²`.
    ReluSquared,
    /// `sigmoid(x)`.
    Sigmoid,
    /// `tanh(x)`.
    Tanh,
    /// `e^x`.
    Exp,
    /// `ln(1 + e^x)`.
    Softplus,
    /// xIELU (Huang & Schlag 2024, arXiv:2411.13010): `alpha_p x² + beta x` above 0, else
    /// `alpha_n (e^min(x, eps) - 1 - x) + beta x`.
    Xielu {
        /// Curvature above 0.
        alpha_p: f32,
        /// Factor below 0.
        alpha_n: f32,
        /// Slope at 0.
        beta: f32,
        /// Greatest exponent, just below 0.
        eps: f32,
    },
}

/// How a gated unit joins its halves, a gate and what it gates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Glu {
    /// `act(gate) · up`.
    Plain(Activation),
    /// `silu(min(gate, limit)) · clamp(up, -limit, limit)`.
    ClampedSilu {
        /// Greatest gate and magnitude.
        limit: f32,
    },
    /// `min(silu(gate), limit) · clamp(up, -limit, limit)`.
    SiluClamped {
        /// Greatest opening and magnitude.
        limit: f32,
    },
    /// `cap(gate, beta) · sigmoid(gate) · cap(up, up_beta)` with `cap(x, b) = b · tanh(x / b)`; an
    /// `up_beta` of 0 leaves `up` as it is (Kimi K3).
    Situ {
        /// Greatest gate.
        beta: f32,
        /// Greatest magnitude of what is gated.
        up_beta: f32,
    },
    /// `g · sigmoid(alpha · g) · (clamp(up, -limit, limit) + 1)` with `g = min(gate, limit)`
    /// (gpt-oss).
    ClampedSwish {
        /// Steepness.
        alpha: f32,
        /// Greatest gate and magnitude.
        limit: f32,
    },
}

impl From<Activation> for Glu {
    fn from(activation: Activation) -> Self {
        Glu::Plain(activation)
    }
}

/// Where a rotation finds its pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RopeLayout {
    /// Neighbours: `(x[2i], x[2i+1])`.
    Norm,
    /// Halves of the rotated part: `(x[i], x[i + n/2])`.
    Neox,
}

/// Operations on activations; see the crate's introduction.
///
/// Shapes are the caller's contract: weights are checked when a model is loaded, so operations
/// panic on shapes that don't fit instead of returning errors. Operations return fresh dense
/// tensors unless they say that they change their input.
pub trait Backend: Send {
    /// Name and settings for people, for example `cpu (avx512-vnni, 8 threads)`.
    fn describe(&self) -> String;

    /// Makes room for tensors of `values` values, all together.
    fn reserve(&mut self, values: usize);

    /// A fresh dense `[rows][cols]` tensor with unspecified contents.
    fn alloc(&mut self, rows: usize, cols: usize) -> Tensor;

    /// The arena's height, to be given to [`Backend::release`].
    fn mark(&self) -> Mark;

    /// Frees every tensor made since the mark.
    fn release(&mut self, mark: Mark);

    /// Copies `data`, row after row, into a fresh tensor of `cols` columns.
    fn upload(&mut self, data: &[f32], cols: usize) -> Tensor;

    /// Copies the tensor, row after row, into `out`, which it fills.
    fn download(&mut self, t: Tensor, out: &mut [f32]);

    /// Creates a layer's store of keys and values, zeroed.
    fn kv_create(&mut self, spec: KvSpec) -> Result<KvId, BackendError>;

    /// Copies page `from` to page `to` of a store.
    fn kv_copy_page(&mut self, kv: KvId, from: u32, to: u32);

    /// Creates a cache of rows, zeroed.
    fn cache_create(&mut self, spec: CacheSpec) -> Result<CacheId, BackendError>;

    /// Copies page `from` to page `to` of a cache.
    fn cache_copy_page(&mut self, cache: CacheId, from: u32, to: u32);

    /// Creates a store of recurrent states.
    fn state_create(&mut self, spec: StateSpec) -> Result<StateId, BackendError>;

    /// Copies the state in slot `from` to slot `to`.
    fn state_copy(&mut self, state: StateId, from: u32, to: u32);

    /// Names the backend and the way that it lays out what it stores. Where the name and the shapes
    /// are equal, bytes that one backend exports mean the same to another, on other processors too.
    fn layout(&self) -> &'static str;

    /// Bytes that [`Backend::export`] gives of something stored.
    fn stored_bytes(&self, stored: Stored) -> usize;

    /// Appends the bytes of something stored to `out`.
    fn export(&self, stored: Stored, out: &mut Vec<u8>);

    /// Puts bytes back that were exported from the same store, or one of equal shape and layout. Other
    /// bytes give other numbers, and no other harm.
    ///
    /// # Panics
    /// Where there are not [`Backend::stored_bytes`] of them.
    fn import(&mut self, stored: Stored, bytes: &[u8]);

    /// Rows of a table by index: `out[i] = decode(table[ids[i]])`.
    fn embed(&mut self, table: &Weight, ids: &[u32]) -> Tensor;

    /// Rows of a tensor by index: `out[i] = x[rows[i]]`.
    fn gather(&mut self, x: Tensor, rows: &[usize]) -> Tensor;

    /// `to = from`, in place.
    fn assign(&mut self, to: Tensor, from: Tensor);

    /// Softmax of each row, in place.
    fn softmax(&mut self, x: Tensor);

    /// `acc += x`, in place.
    fn add_assign(&mut self, acc: Tensor, x: Tensor);

    /// `acc += factor · x`, in place.
    fn add_scaled(&mut self, acc: Tensor, x: Tensor, factor: f32);

    /// `acc *= x`, in place, element by element; one row of `x` serves all rows of `acc`.
    fn mul_assign(&mut self, acc: Tensor, x: Tensor);

    /// `x += value`, in place.
    fn offset(&mut self, x: Tensor, value: f32);

    /// `x *= factor`, in place.
    fn scale(&mut self, x: Tensor, factor: f32);

    /// Each row times the parameter, element by element: `out = x * weight`.
    fn mul_vector(&mut self, x: Tensor, weight: &Vector) -> Tensor;

    /// Row `i` of `x` times `factors[i]`, in place.
    fn scale_rows(&mut self, x: Tensor, factors: &[f32]);

    /// `x = cap · tanh(x / cap)`, in place.
    fn softcap(&mut self, x: Tensor, cap: f32);

    /// `x = act(x)`, in place.
    fn activate(&mut self, x: Tensor, activation: Activation);

    /// Copies tensors of equal numbers of rows side by side: `out = [parts[0] | parts[1] | …]`.
    fn concat(&mut self, parts: &[Tensor]) -> Tensor;

    /// Sorts interleaved parts: a row of `x` is groups of parts of `widths` columns, and `out` has
    /// all groups' first parts, then their second ones, and so on.
    fn deinterleave(&mut self, x: Tensor, widths: &[usize]) -> Tensor;

    /// Mixes parallel streams, each row by its own matrix. A row of `x` is `m` streams of `width`
    /// columns, a row of `coefs` a matrix `[n][m]`; stream `i` of the `n` in `out` is
    /// `Σ_j coefs[i][j] · x[j]`. The sum is taken in the order of `j`.
    fn mix_streams(&mut self, x: Tensor, coefs: Tensor, width: usize) -> Tensor;

    /// Gives each group of `target.cols()` columns of `x` the length of the same row of `target`,
    /// in place: `x *= |target| / |x|`, with Euclidean norms; a group of zeros stays.
    fn match_length(&mut self, x: Tensor, target: Tensor);

    /// Keeps of each row what stands out from it, in place:
    /// `x = max(x - (mean + cutoff · std), 0)` with the row's mean and its standard deviation
    /// `sqrt(Σ(x - mean)² / (cols - 1))`.
    fn gaussian_top(&mut self, x: Tensor, cutoff: f32);

    /// Root-mean-square norm of each group of `group` columns:
    /// `out = x / sqrt(mean(x²) + eps) * weight + bias`. There are weights and biases for one group
    /// or for several, which repeat along the row, or none. The mean is summed in `f64`.
    fn rms_norm(
        &mut self,
        x: Tensor,
        group: usize,
        weight: Option<&Vector>,
        bias: Option<&Vector>,
        eps: f32,
    ) -> Tensor;

    /// Layer norm of each group of `group` columns:
    /// `out = (x - mean) / sqrt(mean((x - mean)²) + eps) * weight + bias`, with weights and biases
    /// as in [`Backend::rms_norm`]. Means are summed in `f64`.
    fn layer_norm(
        &mut self,
        x: Tensor,
        group: usize,
        weight: Option<&Vector>,
        bias: Option<&Vector>,
        eps: f32,
    ) -> Tensor;

    /// Makes matrices nearly doubly stochastic, in place (Sinkhorn & Knopp 1967). A row of `x` is a
    /// matrix `[n][n]`, of whose rows it takes the softmax and adds `eps`. Then it divides columns
    /// by their sum plus `eps`, and `rounds - 1` times rows and columns in turn.
    fn sinkhorn(&mut self, x: Tensor, n: usize, rounds: usize, eps: f32);

    /// `x = clamp(x, -limit, limit)`, in place.
    fn clamp(&mut self, x: Tensor, limit: f32);

    /// Rotates, in place, the first `table.cols()` values of each head of `head_dim` columns by the
    /// angles whose `(cos, sin)` pairs are row `i` of `table`: pair `(a, b)` number `p` becomes
    /// `(a cos_p - b sin_p, a sin_p + b cos_p)`.
    fn rope(&mut self, x: Tensor, head_dim: usize, table: Tensor, layout: RopeLayout);

    /// Several products of one input, side by side:
    /// `out = [layers[0](x) | layers[1](x) | …]`, see [`Linear`].
    fn linear(&mut self, x: Tensor, layers: &[&Linear]) -> Tensor;

    /// A product for each head: `x` is `[rows][n_head * weight.cols()]`, matrix `h` of the weight
    /// takes the columns of head `h`, and `out` is `[rows][n_head * weight.rows()]`.
    fn linear_heads(&mut self, x: Tensor, weight: &Weight) -> Tensor;

    /// Gate and what it gates joined, see [`Glu`]; both may be columns of one tensor.
    fn glu(&mut self, gate: Tensor, up: Tensor, glu: Glu) -> Tensor;

    /// Mixture of experts: each row's experts are chosen from its router `logits`
    /// (`[rows][n_expert]`) and their outputs are summed by weight, best expert first.
    fn moe(&mut self, x: Tensor, logits: Tensor, routing: &Routing, experts: &Experts) -> Tensor;

    /// The same with experts chosen by the caller: for each row as many pairs of expert and weight.
    fn moe_chosen(&mut self, x: Tensor, chosen: &[(usize, f32)], experts: &Experts) -> Tensor;

    /// Stores keys `[rows][n_head_kv * head_dim]` and values `[rows][n_head_kv * head_dim_v]` of
    /// the rows of the batch at their positions.
    fn kv_write(&mut self, kv: KvId, k: Tensor, v: Tensor, batch: &[Span<'_>]);

    /// Attention of queries `[rows][n_head * head_dim]` over their sequences' stored positions:
    /// `[rows][n_head * head_dim_v]`, see [`AttentionParams`].
    fn attention(
        &mut self,
        q: Tensor,
        kv: KvId,
        batch: &[Span<'_>],
        params: &AttentionParams,
    ) -> Tensor;

    /// Stores a row of `x` for each block of positions that the batch completes, see
    /// [`Span::completes`], span after span.
    fn cache_write(&mut self, cache: CacheId, x: Tensor, batch: &[Span<'_>]);

    /// Pools the blocks of positions that the batch completes: a row for each, span after span, see
    /// [`BlockPool`].
    fn pool_blocks(&mut self, pool: &BlockPool<'_>, state: StateId, batch: &[Span<'_>]) -> Tensor;

    /// Chooses cached rows for the rows of the batch, see [`Selection`]:
    /// `[rows][n_sets * capacity]`. Rows of no span have unspecified contents.
    fn select(&mut self, selection: &Selection, keys: CacheId, batch: &[Span<'_>]) -> Tensor;

    /// Attention to cached rows, see [`CacheAttention`]: `[rows][n_head * head_dim_v]`. Rows of no
    /// span have unspecified contents.
    fn attention_to_cache(&mut self, attention: &CacheAttention<'_>, batch: &[Span<'_>]) -> Tensor;

    /// What changed from each row to the one before it in its sequence: `out[i] = x[i - 1] - x[i]`,
    /// with zeros before the first. The state is the last row.
    fn token_shift(&mut self, x: Tensor, state: StateId, batch: &[Span<'_>]) -> Tensor;

    /// A convolution over the last rows of each sequence, see [`ShortConv`].
    fn short_conv(
        &mut self,
        x: Tensor,
        conv: &ShortConv,
        state: StateId,
        batch: &[Span<'_>],
    ) -> Tensor;

    /// The scan of Mamba, see [`SelectiveScan`]: `[rows][channels]`.
    fn selective_scan(
        &mut self,
        scan: &SelectiveScan<'_>,
        state: StateId,
        batch: &[Span<'_>],
    ) -> Tensor;

    /// Attention with a memory of fixed size, see [`LinearAttention`]:
    /// `[rows][n_head * head_dim_v]`.
    fn linear_attention(
        &mut self,
        attention: &LinearAttention<'_>,
        state: StateId,
        batch: &[Span<'_>],
    ) -> Tensor;
}
