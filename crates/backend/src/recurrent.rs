//! Memory of a fixed size: the states of recurrent layers, and what operations on them take.
//!
//! A store holds as many states as sequences and snapshots need, each in its slot. An operation
//! reads and replaces the state in the slot of each span of its batch; a span that begins at
//! position 0 begins with zeros, whatever the slot holds.

use crate::ops::BackendError;
use crate::tensor::Tensor;
use crate::weight::Vector;

/// A handle to the states of one recurrent part of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StateId(pub usize);

/// The shape of a store of states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateSpec {
    /// Values per state.
    pub len: usize,
    /// Number of states.
    pub n_slots: usize,
}

impl StateSpec {
    /// Bytes of the whole store.
    ///
    /// # Errors
    /// Sizes beyond all memory.
    pub fn bytes(&self) -> Result<usize, BackendError> {
        let values = self.len.checked_mul(self.n_slots);
        let bytes = values.and_then(|values| values.checked_mul(size_of::<f32>()));
        bytes
            .filter(|&bytes| isize::try_from(bytes).is_ok())
            .ok_or(BackendError::OutOfMemory { bytes: usize::MAX })
    }
}

/// A causal convolution of each channel by itself over its last `kernel` values:
/// `out[i][c] = bias[c] + Σ_t weight[t][c] · x[i - (kernel - 1) + t][c]`.
///
/// The state is the last `kernel - 1` rows of the input, `[kernel - 1][channels]`.
#[derive(Debug, Clone)]
pub struct ShortConv {
    /// `[kernel][channels]`, the oldest value's first.
    pub weight: Vector,
    /// One per channel.
    pub bias: Option<Vector>,
    /// Values that each output sees.
    pub kernel: usize,
}

impl ShortConv {
    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.weight.len() / self.kernel
    }

    /// Values of its state.
    pub fn state_len(&self) -> usize {
        (self.kernel - 1) * self.channels()
    }
}

/// The selective scan of Mamba (Gu & Dao 2023, arXiv:2312.00752). Each channel `c` has `n` states:
/// `h[c] = exp(dt[c] · a[c]) * h[c] + dt[c] · x[c] · b`, then `out[c] = h[c] · c`.
///
/// The state is `[channels][n]`.
#[derive(Debug, Clone, Copy)]
pub struct SelectiveScan<'a> {
    /// `[rows][channels]`.
    pub x: Tensor,
    /// Step sizes, `[rows][channels]`.
    pub dt: Tensor,
    /// What of the input enters each state, `[rows][n]`.
    pub b: Tensor,
    /// What each state gives to the output, `[rows][n]`.
    pub c: Tensor,
    /// Rates of change, `[channels][n]`.
    pub a: &'a Vector,
}

/// Attention whose memory is one matrix per head, `S` `[head_dim_v][head_dim]`: keys are written to
/// it and queries read from it. For each row, with `d = exp(log_decay)`, strengths `β` and head `h`
/// (whose query and key heads [`HeadSharing`] tells):
///
/// | [`Update`] | `S` becomes | `out` |
/// |---|---|---|
/// | `Add` | `S diag(d) + β v kᵀ` | `scale · S q` |
/// | `AddLate` | `S diag(d) + v kᵀ` | `scale · (S_before q + v (q · (bonus * k)))` |
/// | `Delta` | `S diag(d) + β (v - S diag(d) k) kᵀ` | `scale · S q` |
/// | `Replace` | `S diag(d) + v kᵀ + (S_before a) bᵀ` | `scale · S q` |
///
/// These are Mamba-2 (arXiv:2405.21060; `β` is the step size, `k` and `q` are B and C), gated linear
/// attention (arXiv:2312.06635) and lightning attention (arXiv:2401.04658); RWKV-6
/// (arXiv:2404.05892); gated delta net (arXiv:2412.06464) and Kimi delta attention
/// (arXiv:2510.26692); RWKV-7 (arXiv:2503.14456).
///
/// The state is `[n_head][head_dim_v][head_dim]`.
#[derive(Debug, Clone, Copy)]
pub struct LinearAttention<'a> {
    /// Queries, `[rows][n_head_k * head_dim]`.
    pub q: Tensor,
    /// Keys, `[rows][n_head_k * head_dim]`.
    pub k: Tensor,
    /// Values, `[rows][n_head * head_dim_v]`.
    pub v: Tensor,
    /// Logarithms of what is left of the memory: for each row, or for all the same; per head or per
    /// value of a head's key, `[rows or 1][n_head or n_head * head_dim]`.
    pub log_decay: Tensor,
    /// How strongly each row is written, `[rows][n_head]`; 1 by default.
    pub beta: Option<Tensor>,
    /// How the memory changes.
    pub update: Update<'a>,
    /// Number of value heads; a multiple of `n_head_k`.
    pub n_head: usize,
    /// Number of query and key heads.
    pub n_head_k: usize,
    /// Which heads share queries and keys.
    pub sharing: HeadSharing,
    /// Factor of the output.
    pub scale: f32,
}

/// How the memory of [`LinearAttention`] changes.
#[derive(Debug, Clone, Copy)]
pub enum Update<'a> {
    /// Values are added.
    Add,
    /// Values are added, and queries see the memory before; their own row by this bonus,
    /// `[n_head * head_dim]`. Strengths are 1.
    AddLate(&'a Vector),
    /// Values replace what the memory holds for their key.
    Delta,
    /// What the memory holds for `a` moves to `b`, both `[rows][n_head * head_dim]`. Strengths
    /// are 1.
    Replace {
        /// Where it is taken from.
        a: Tensor,
        /// Where it is put.
        b: Tensor,
    },
}

/// Which query and key head a value head has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadSharing {
    /// Neighbours share: `h / (n_head / n_head_k)`.
    Neighbours,
    /// In turns: `h % n_head_k`.
    InTurns,
}

impl HeadSharing {
    /// The query and key head of value head `head`.
    pub fn key_head(self, head: usize, n_head: usize, n_head_k: usize) -> usize {
        match self {
            HeadSharing::Neighbours => head / (n_head / n_head_k),
            HeadSharing::InTurns => head % n_head_k,
        }
    }
}

impl LinearAttention<'_> {
    /// Values per query and key head.
    pub fn head_dim(&self) -> usize {
        self.k.cols() / self.n_head_k
    }

    /// Values per value head.
    pub fn head_dim_v(&self) -> usize {
        self.v.cols() / self.n_head
    }

    /// Values of its state.
    pub fn state_len(&self) -> usize {
        self.v.cols() * self.head_dim()
    }

    /// Checks that shapes fit each other.
    ///
    /// # Panics
    /// Where they don't.
    pub fn check(&self) {
        let Self { q, k, v, n_head, n_head_k, .. } = *self;
        let rows = q.rows();
        assert!(n_head_k > 0 && n_head.is_multiple_of(n_head_k), "{n_head} and {n_head_k} heads");
        assert_eq!((k.rows(), v.rows()), (rows, rows), "rows of {q:?}, {k:?} and {v:?}");
        assert_eq!(q.cols(), k.cols(), "columns of {q:?} and {k:?}");
        assert!(k.cols().is_multiple_of(n_head_k), "{n_head_k} heads in {k:?}");
        assert!(v.cols().is_multiple_of(n_head), "{n_head} heads in {v:?}");
        let per_key = n_head * self.head_dim();
        let decay = self.log_decay;
        assert!(decay.rows() == rows || decay.rows() == 1, "rows of {decay:?}");
        assert!(decay.cols() == n_head || decay.cols() == per_key, "columns of {decay:?}");
        if let Some(beta) = self.beta {
            assert_eq!((beta.rows(), beta.cols()), (rows, n_head), "strengths {beta:?}");
        }
        match self.update {
            Update::Add | Update::Delta => {}
            Update::AddLate(bonus) => assert_eq!(bonus.len(), per_key, "bonuses of {k:?}"),
            Update::Replace { a, b } => {
                assert_eq!((a.rows(), a.cols()), (rows, per_key), "shape of {a:?}");
                assert_eq!((b.rows(), b.cols()), (rows, per_key), "shape of {b:?}");
            }
        }
    }
}
