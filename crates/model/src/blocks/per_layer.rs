//! Per-layer embeddings (Gemma 3n): every layer has its own small embedding of each token.

use backend::{Activation, Linear, Tensor, Weight};

use crate::blocks::norm::{Norm, NormKind};
use crate::error::Error;
use crate::forward::Forward;
use crate::hparams::Hparams;
use crate::weights::Weights;

/// The per-layer inputs of all layers.
pub struct PerLayerInputs {
    table: Weight,
    projection: Linear,
    norm: Norm,
    width: usize,
}

impl PerLayerInputs {
    /// Loads `per_layer_token_embd`, `per_layer_model_proj` and `per_layer_proj_norm`, for inputs
    /// of `width` values.
    pub fn load(
        w: &Weights<'_>,
        hp: &Hparams,
        norm: NormKind,
        width: usize,
        n_vocab: usize,
    ) -> Result<Self, Error> {
        let all = hp.n_layer * width;
        let projection = w.matrix("per_layer_model_proj.weight", [hp.n_embd, all])?;
        let scale = 1.0 / (hp.n_embd as f32).sqrt();
        Ok(Self {
            table: w.matrix("per_layer_token_embd.weight", [all, n_vocab])?,
            projection: Linear { scale, ..Linear::plain(projection) },
            norm: norm.load(w, "per_layer_proj_norm", width)?,
            width,
        })
    }

    /// `(norm(projection(x)) + table[token] · sqrt(width)) / sqrt(2)` of the batch's tokens, whose
    /// scaled embeddings are `x`: `[rows][n_layer * width]`.
    pub fn forward(&self, cx: &mut Forward<'_>, x: Tensor) -> Tensor {
        let embedded = cx.embed_tokens(&self.table);
        let projected = cx.linear1(x, &self.projection);
        let inputs = self.norm.forward(cx, projected);
        cx.add_scaled(inputs, embedded, (self.width as f32).sqrt());
        cx.scale(inputs, std::f32::consts::FRAC_1_SQRT_2);
        inputs
    }

    /// The inputs of layer `il`, `[rows][width]`.
    pub fn layer(&self, inputs: Tensor, il: usize) -> Tensor {
        inputs.columns(il * self.width..(il + 1) * self.width)
    }
}

/// How a layer takes its input in.
pub struct PerLayerGate {
    gate: Linear,
    projection: Linear,
    norm: Norm,
}

impl PerLayerGate {
    /// Loads a layer's `inp_gate`, `proj` and `post_norm`, for inputs of `width` values.
    pub fn load(
        w: &Weights<'_>,
        hp: &Hparams,
        norm: NormKind,
        width: usize,
    ) -> Result<Self, Error> {
        Ok(Self {
            gate: w.linear("inp_gate", [hp.n_embd, width])?,
            projection: w.linear("proj", [width, hp.n_embd])?,
            norm: norm.load(w, "post_norm", hp.n_embd)?,
        })
    }

    /// `norm(projection(gelu(gate(x)) * input))`.
    pub fn forward(&self, cx: &mut Forward<'_>, x: Tensor, input: Tensor) -> Tensor {
        let gate = cx.linear1(x, &self.gate);
        let gated = cx.glu(gate, input, Activation::GeluTanh.into());
        let projected = cx.linear1(gated, &self.projection);
        self.norm.forward(cx, projected)
    }
}
