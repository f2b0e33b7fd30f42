//! The layers of a decoder.

use std::sync::Arc;

use backend::Tensor;

use crate::blocks::ffn::FeedForward;
use crate::blocks::norm::{Norm, NormKind, normed};
use crate::error::Error;
use crate::forward::Forward;
use crate::memory::{CacheShape, KvShape};
use crate::weights::Weights;

/// The part of a layer that looks at other positions.
pub trait Mixer: Send + Sync {
    /// What it stores per position.
    fn kv(&self) -> KvShape {
        KvShape::NONE
    }

    /// What else it caches of positions.
    fn caches(&self) -> Vec<CacheShape> {
        Vec::new()
    }

    /// Sizes of its recurrent states.
    fn states(&self) -> Vec<usize> {
        Vec::new()
    }

    /// Whether its output for a row depends on that and earlier ones alone.
    fn is_causal(&self) -> bool {
        true
    }

    /// Makes what layers share, before the first one runs.
    fn prepare(&self, _cx: &mut Forward<'_>) {}

    /// Its output for `x`, `[rows][n_embd]` to the same, with the memory of layer `il`.
    fn forward(&self, cx: &mut Forward<'_>, il: usize, x: Tensor) -> Tensor;
}

/// A step of the residual stream.
pub trait Block: Send + Sync {
    /// What it stores per position.
    fn kv(&self) -> KvShape {
        KvShape::NONE
    }

    /// What else it caches of positions.
    fn caches(&self) -> Vec<CacheShape> {
        Vec::new()
    }

    /// Sizes of its recurrent states.
    fn states(&self) -> Vec<usize> {
        Vec::new()
    }

    /// Whether its output for a row depends on that and earlier ones alone.
    fn is_causal(&self) -> bool {
        true
    }

    /// Makes what layers share, before the first one runs.
    fn prepare(&self, _cx: &mut Forward<'_>) {}

    /// The residual stream after the layer, whose memory is that of layer `il`. `x` may be changed.
    /// The `last` layer returns only the rows whose output is wanted.
    fn forward(&self, cx: &mut Forward<'_>, il: usize, x: Tensor, last: bool) -> Tensor;
}

/// The transformer's layer: a mixer and a feed-forward, each with a way around it.
pub struct Layer {
    /// Before the mixer.
    pub attn_norm: Option<Norm>,
    /// Looks at other positions.
    pub mixer: Box<dyn Mixer>,
    /// After the mixer.
    pub attn_post_norm: Option<Norm>,
    /// Before the feed-forward.
    pub ffn_norm: Option<Norm>,
    /// Looks at each position.
    pub ffn: Box<dyn FeedForward>,
    /// After the feed-forward.
    pub ffn_post_norm: Option<Norm>,
    /// Whether the feed-forward takes the layer's input, not the mixer's result: normed by its own
    /// norm, or without one as the mixer's.
    pub parallel: bool,
    /// Factor of what is added to the residual stream.
    pub residual_scale: f32,
}

impl Mixer for Box<dyn Mixer> {
    fn kv(&self) -> KvShape {
        (**self).kv()
    }

    fn caches(&self) -> Vec<CacheShape> {
        (**self).caches()
    }

    fn states(&self) -> Vec<usize> {
        (**self).states()
    }

    fn is_causal(&self) -> bool {
        (**self).is_causal()
    }

    fn prepare(&self, cx: &mut Forward<'_>) {
        (**self).prepare(cx);
    }

    fn forward(&self, cx: &mut Forward<'_>, il: usize, x: Tensor) -> Tensor {
        (**self).forward(cx, il, x)
    }
}

impl Layer {
    /// Without norms.
    pub fn bare(mixer: impl Mixer + 'static, ffn: impl FeedForward + 'static) -> Self {
        Self {
            attn_norm: None,
            mixer: Box::new(mixer),
            attn_post_norm: None,
            ffn_norm: None,
            ffn: Box::new(ffn),
            ffn_post_norm: None,
            parallel: false,
            residual_scale: 1.0,
        }
    }

    /// With norms before mixer and feed-forward: `attn_norm` and `ffn_norm`.
    pub fn pre_norm(
        w: &Weights<'_>,
        norm: NormKind,
        n_embd: usize,
        mixer: impl Mixer + 'static,
        ffn: impl FeedForward + 'static,
    ) -> Result<Self, Error> {
        Ok(Self {
            attn_norm: Some(norm.load(w, "attn_norm", n_embd)?),
            ffn_norm: Some(norm.load(w, "ffn_norm", n_embd)?),
            ..Self::bare(mixer, ffn)
        })
    }

    /// With norms after mixer and feed-forward: `post_attention_norm` and `post_ffw_norm`.
    pub fn with_post_norms(
        self,
        w: &Weights<'_>,
        norm: NormKind,
        n_embd: usize,
    ) -> Result<Self, Error> {
        Ok(Self {
            attn_post_norm: Some(norm.load(w, "post_attention_norm", n_embd)?),
            ffn_post_norm: Some(norm.load(w, "post_ffw_norm", n_embd)?),
            ..self
        })
    }

    /// Mixer and feed-forward side by side, with one norm before both: `attn_norm`.
    pub fn parallel(
        w: &Weights<'_>,
        norm: NormKind,
        n_embd: usize,
        mixer: impl Mixer + 'static,
        ffn: impl FeedForward + 'static,
    ) -> Result<Self, Error> {
        Ok(Self {
            attn_norm: Some(norm.load(w, "attn_norm", n_embd)?),
            parallel: true,
            ..Self::bare(mixer, ffn)
        })
    }

    /// `x += residual_scale · y`.
    fn add(&self, cx: &mut Forward<'_>, x: Tensor, y: Tensor) {
        match self.residual_scale {
            1.0 => cx.add_assign(x, y),
            scale => cx.add_scaled(x, y, scale),
        }
    }
}

impl Block for Layer {
    fn kv(&self) -> KvShape {
        self.mixer.kv()
    }

    fn caches(&self) -> Vec<CacheShape> {
        self.mixer.caches()
    }

    fn states(&self) -> Vec<usize> {
        self.mixer.states()
    }

    fn is_causal(&self) -> bool {
        self.mixer.is_causal()
    }

    fn prepare(&self, cx: &mut Forward<'_>) {
        self.mixer.prepare(cx);
    }

    fn forward(&self, cx: &mut Forward<'_>, il: usize, mut x: Tensor, last: bool) -> Tensor {
        let mut h = normed(&self.attn_norm, cx, x);
        let mut a = self.mixer.forward(cx, il, h);
        if last {
            [x, h, a] = [x, h, a].map(|t| cx.keep_outputs(t));
        }
        let a = normed(&self.attn_post_norm, cx, a);
        let input = match (self.parallel, &self.ffn_norm) {
            (true, None) => h,
            (true, Some(norm)) => norm.forward(cx, x),
            (false, _) => {
                self.add(cx, x, a);
                normed(&self.ffn_norm, cx, x)
            }
        };
        let f = self.ffn.forward(cx, input);
        let f = normed(&self.ffn_post_norm, cx, f);
        if self.parallel {
            self.add(cx, x, a);
        }
        self.add(cx, x, f);
        x
    }
}

/// A layer that is a mixer alone, with a way around it.
pub struct MixerLayer {
    norm: Norm,
    mixer: Box<dyn Mixer>,
}

impl MixerLayer {
    /// With a norm before the mixer: `attn_norm`.
    pub fn load(
        w: &Weights<'_>,
        norm: NormKind,
        n_embd: usize,
        mixer: impl Mixer + 'static,
    ) -> Result<Self, Error> {
        Ok(Self { norm: norm.load(w, "attn_norm", n_embd)?, mixer: Box::new(mixer) })
    }
}

impl Block for MixerLayer {
    fn kv(&self) -> KvShape {
        self.mixer.kv()
    }

    fn caches(&self) -> Vec<CacheShape> {
        self.mixer.caches()
    }

    fn states(&self) -> Vec<usize> {
        self.mixer.states()
    }

    fn is_causal(&self) -> bool {
        self.mixer.is_causal()
    }

    fn prepare(&self, cx: &mut Forward<'_>) {
        self.mixer.prepare(cx);
    }

    fn forward(&self, cx: &mut Forward<'_>, il: usize, mut x: Tensor, last: bool) -> Tensor {
        let h = self.norm.forward(cx, x);
        let mut y = self.mixer.forward(cx, il, h);
        if last {
            [x, y] = [x, y].map(|t| cx.keep_outputs(t));
        }
        cx.add_assign(x, y);
        x
    }
}

impl Block for Arc<dyn Block> {
    fn kv(&self) -> KvShape {
        (**self).kv()
    }

    fn caches(&self) -> Vec<CacheShape> {
        (**self).caches()
    }

    fn states(&self) -> Vec<usize> {
        (**self).states()
    }

    fn is_causal(&self) -> bool {
        (**self).is_causal()
    }

    fn prepare(&self, cx: &mut Forward<'_>) {
        (**self).prepare(cx);
    }

    fn forward(&self, cx: &mut Forward<'_>, il: usize, x: Tensor, last: bool) -> Tensor {
        (**self).forward(cx, il, x, last)
    }
}
