//! What an architecture loads from.

use std::sync::Arc;

use backend::RopeLayout;
use gguf::Gguf;

use crate::blocks::norm::NormKind;
use crate::blocks::rope::Rope;
use crate::error::Error;
use crate::hparams::{Hparams, Keys};
use crate::weights::Weights;

/// A model file: its metadata and tensors.
pub struct Source<'a> {
    /// Metadata under the architecture's prefix.
    pub keys: Keys<'a>,
    /// The sizes that nearly all architectures have.
    pub hp: Hparams,
    /// Tensors.
    pub weights: Weights<'a>,
}

impl<'a> Source<'a> {
    /// Reads the common metadata.
    pub fn new(gguf: &'a Gguf) -> Result<Self, Error> {
        let keys = Keys::new(gguf.metadata())?;
        let hp = Hparams::load(&keys)?;
        Ok(Self { keys, hp, weights: Weights::new(gguf) })
    }

    /// Root-mean-square norm with the file's epsilon.
    pub fn rms_norm(&self) -> Result<NormKind, Error> {
        Ok(NormKind::Rms(self.keys.f32("attention.layer_norm_rms_epsilon")?))
    }

    /// Layer norm with the file's epsilon.
    pub fn layer_norm(&self) -> Result<NormKind, Error> {
        Ok(NormKind::Layer(self.keys.f32("attention.layer_norm_epsilon")?))
    }

    /// Rotary positions as the file describes them.
    pub fn rope(&self, layout: RopeLayout) -> Result<Arc<Rope>, Error> {
        Ok(Arc::new(Rope::load(&self.keys, &self.weights, &self.hp, layout)?))
    }
}
