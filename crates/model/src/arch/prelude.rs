//! What nearly every architecture uses.

pub(super) use std::sync::Arc;

pub(super) use backend::{Activation, Mask, RopeLayout, Routing, Tensor};

pub(super) use crate::Model;
pub(super) use crate::blocks::attention::{Attention, Window};
pub(super) use crate::blocks::decoder::Decoder;
pub(super) use crate::blocks::ffn::{FeedForward, Ffn};
pub(super) use crate::blocks::layer::{Block, Layer, Mixer};
pub(super) use crate::blocks::moe::{Moe, silu_ffn};
pub(super) use crate::blocks::norm::{Norm, NormKind};
pub(super) use crate::error::Error;
pub(super) use crate::forward::Forward;
pub(super) use crate::source::Source;
pub(super) use crate::weights::Weights;
