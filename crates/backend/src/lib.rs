//! The interface between model code and the hardware that runs it.
//!
//! Model code is written once against [`Backend`]: named operations on [`Tensor`] handles, run
//! eagerly in the order of the calls. Each operation states its formula and shapes; the
//! `reference` crate implements them in plain scalar code and every other backend is tested
//! against it.
//!
//! Activations are `f32` matrices, one row per token, that live in an arena of the backend and are
//! freed together ([`Backend::release`]). Weights stay in the mapped model file, in their own
//! [`TensorType`]. Keys and values, and other rows kept of what was seen, live in pages of [`PAGE`]
//! positions, recurrent states in slots, all owned by the backend.

mod aligned;
mod arena;
mod cache;
mod kv;
mod moe;
mod ops;
mod recurrent;
mod stored;
mod task;
mod tensor;
mod top_k;
mod weight;

pub use aligned::AlignedVec;
pub use arena::{ArenaSize, HostArena};
pub use cache::{
    BlockPool, CacheAttention, CacheId, CacheSpec, Names, Scoring, Selection, Source, Visible,
};
pub use kv::{AttentionParams, DistanceBias, KvId, KvSpec, KvType, KvTypes, Mask, PAGE, Span};
pub use moe::{ExpertGate, ExpertLinear, Experts, Gating, Groups, Routing};
pub use ops::{Activation, Backend, BackendError, Glu, RopeLayout};
pub use quant::TensorType;
pub use recurrent::{
    HeadSharing, LinearAttention, SelectiveScan, ShortConv, StateId, StateSpec, Update,
};
pub use stored::Stored;
pub use task::{Form, Task, UnknownTask};
pub use tensor::{Mark, Tensor};
pub use top_k::TopK;
pub use weight::{Linear, Vector, Weight, WeightError};
