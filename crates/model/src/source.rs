//! What an architecture loads from.

use std::sync::Arc;

use backend::{Gating, RopeLayout, Routing};
use gguf::Gguf;

use crate::blocks::moe;
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

    /// Rotary positions in the sections that the file names; without them plain ones, in `layout`.
    pub fn mrope(&self, layout: RopeLayout, interleaved: bool) -> Result<Arc<Rope>, Error> {
        let rope = Rope::load(&self.keys, &self.weights, &self.hp, layout)?;
        Ok(Arc::new(match self.sections()? {
            Some(sections) => rope.with_sections(sections, interleaved),
            None => rope,
        }))
    }

    /// The same for the rotated part of latent attention, `width` values: halves where the file
    /// names sections, else neighbours.
    pub fn latent_mrope(&self, width: usize) -> Result<Arc<Rope>, Error> {
        let sections = self.sections()?;
        let layout = if sections.is_some() { RopeLayout::Neox } else { RopeLayout::Norm };
        let rope = Rope::load_for(&self.keys, &self.weights, &self.hp, width, layout)?;
        Ok(Arc::new(match sections {
            Some(sections) => rope.with_sections(sections, false),
            None => rope,
        }))
    }

    fn sections(&self) -> Result<Option<[usize; 4]>, Error> {
        Ok(match self.keys.per_layer("rope.dimension_sections", 4)?.as_deref() {
            Some(&[time, height, width, other]) if time > 0 && height > 0 => {
                Some([time, height, width, other])
            }
            _ => None,
        })
    }

    /// How experts are chosen: softmax over all unless the file says otherwise.
    pub fn routing(&self) -> Result<Routing, Error> {
        moe::routing(&self.keys, &self.hp, Gating::Softmax)
    }

    /// The same with weights that are divided by their sum, whatever the file says.
    pub fn normalized_routing(&self) -> Result<Routing, Error> {
        Ok(Routing { normalize: true, ..self.routing()? })
    }

    /// How experts are chosen: sigmoids unless the file says otherwise.
    pub fn sigmoid_routing(&self) -> Result<Routing, Error> {
        moe::routing(&self.keys, &self.hp, Gating::Sigmoid)
    }
}
