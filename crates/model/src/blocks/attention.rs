//! Attention and the projections around it.

use std::sync::Arc;

use backend::{
    Activation, AttentionParams, CacheAttention, DistanceBias, Linear, Mask, Tensor, Vector,
    Visible,
};

use crate::blocks::layer::Mixer;
use crate::blocks::norm::{Norm, NormKind, normed};
use crate::blocks::rope::Rope;
use crate::error::Error;
use crate::forward::Forward;
use crate::hparams::{Heads, Hparams, Keys};
use crate::memory::{CacheShape, KvShape};
use crate::weights::Weights;

/// Multi-head attention with shared key/value heads (GQA, Ainslie et al. 2023, arXiv:2305.13245).
pub struct Attention {
    /// The layer's heads.
    pub heads: Heads,
    qkv: Qkv,
    /// Each head has a gate of its result beside its query.
    has_query_gate: bool,
    /// Greatest magnitude of queries, keys and values.
    pub clamp: Option<f32>,
    qk_norm: Option<QkNorm>,
    /// Rotary positions, if the layer has them.
    pub rope: Option<Arc<Rope>>,
    /// Growth of queries with their position.
    pub temperature: Option<Temperature>,
    params: AttentionParams,
    choice: Option<Box<dyn KeyChoice>>,
    gate: Option<(Linear, Activation)>,
    /// Before the last product.
    pub sub_norm: Option<Norm>,
    output: Linear,
}

/// Chooses the positions that an attention looks at.
pub trait KeyChoice: Send + Sync {
    /// What it caches, after keys and values.
    fn caches(&self) -> Vec<CacheShape>;

    /// Sizes of its recurrent states.
    fn states(&self) -> Vec<usize> {
        Vec::new()
    }

    /// Makes what layers share.
    fn prepare(&self, cx: &mut Forward<'_>);

    /// The first position from which not everything is seen.
    fn first(&self) -> usize;

    /// Choices per row: one, or one for each key/value head.
    fn n_sets(&self) -> usize {
        1
    }

    /// Leaves in [`Forward::shared`] the names of chosen positions for the rows of `x`, with caches
    /// from this one on.
    fn choose(&self, cx: &mut Forward<'_>, x: Tensor, cache: [usize; 2]);
}

/// Norms of queries and keys.
struct QkNorm {
    q: Norm,
    k: Norm,
    after_rope: bool,
}

/// Queries of far positions, sharpened by `1 + scale · ln(1 + floor((pos + offset) / length))`.
#[derive(Debug, Clone, Copy)]
pub struct Temperature {
    /// Growth with the logarithm.
    pub scale: f32,
    /// Positions to a step.
    pub length: usize,
    /// Added to positions.
    pub offset: usize,
}

impl Temperature {
    /// Reads `attention.temperature_scale`, and `attention.temperature_length`, which is `length`
    /// unless the file says so; `None` where there is no growth.
    pub fn load(keys: &Keys<'_>, length: usize) -> Result<Option<Self>, Error> {
        let scale = keys.opt_f32("attention.temperature_scale")?.unwrap_or(0.0);
        let length = keys.opt_width("attention.temperature_length")?.unwrap_or(length).max(1);
        Ok((scale != 0.0).then_some(Self { scale, length, offset: 0 }))
    }

    /// The factor of each row.
    pub fn factors(self, cx: &Forward<'_>) -> Vec<f32> {
        let step = |pos| ((pos + self.offset) / self.length) as f64;
        let factor = |pos| 1.0 + f64::from(self.scale) * step(pos).ln_1p();
        cx.positions().map(|pos| factor(pos) as f32).collect()
    }
}

impl Attention {
    /// Loads `attn_qkv`, or `attn_q`, `attn_k` and `attn_v`, and `attn_output`, of layer `il`:
    /// causal unless the file says otherwise, without positions, scores scaled by the root of the
    /// head's width.
    pub fn load(w: &Weights<'_>, hp: &Hparams, il: usize) -> Result<Self, Error> {
        let attention = Self::with_heads(w, hp.n_embd, hp.heads(il)?)?;
        Ok(if hp.causal { attention } else { attention.with_mask(Mask::Full) })
    }

    /// The same for other heads, causal.
    pub fn with_heads(w: &Weights<'_>, n_embd: usize, heads: Heads) -> Result<Self, Error> {
        Self::with_input(w, [n_embd, n_embd], heads)
    }

    /// The same for an input of another width than the output.
    pub fn with_input(
        w: &Weights<'_>,
        [n_in, n_out]: [usize; 2],
        heads: Heads,
    ) -> Result<Self, Error> {
        let scale = 1.0 / (heads.head_dim as f32).sqrt();
        // T5's name is the shorter one.
        let name = if w.has("attn_o.weight") { "attn_o" } else { "attn_output" };
        let output = w.linear(name, [heads.n_head * heads.head_dim_v, n_out])?;
        Ok(Self::with_parts(heads, Qkv::load(w, heads, n_in)?, output, scale))
    }

    fn with_parts(heads: Heads, qkv: Qkv, output: Linear, scale: f32) -> Self {
        Self {
            heads,
            qkv,
            has_query_gate: false,
            clamp: None,
            qk_norm: None,
            rope: None,
            temperature: None,
            params: AttentionParams::causal(heads.n_head, scale),
            choice: None,
            gate: None,
            sub_norm: None,
            output,
        }
    }

    /// The same with a sigmoid gate of the result beside each head's query, in the file's query
    /// tensors.
    pub fn load_with_query_gate(w: &Weights<'_>, hp: &Hparams, il: usize) -> Result<Self, Error> {
        let heads = hp.heads(il)?;
        let queries = Heads { n_head: 2 * heads.n_head, ..heads };
        let qkv = Qkv::load(w, queries, hp.n_embd)?;
        let n_out = heads.n_head * heads.head_dim_v;
        if heads.head_dim != heads.head_dim_v {
            return Err(Error::Value {
                key: "attention.value_length".into(),
                value: heads.head_dim_v.to_string(),
                expected: format!("{}, the width of queries", heads.head_dim),
            });
        }
        let scale = 1.0 / (heads.head_dim as f32).sqrt();
        let output = w.linear("attn_output", [n_out, hp.n_embd])?;
        let has_query_gate = true;
        Ok(Self { has_query_gate, ..Self::with_parts(heads, qkv, output, scale) })
    }

    /// Rotates queries and keys.
    pub fn with_rope(self, rope: &Arc<Rope>) -> Self {
        Self { rope: Some(rope.clone()), ..self }
    }

    /// Sees what the mask shows.
    pub fn with_mask(mut self, mask: Mask) -> Self {
        self.params.mask = mask;
        self
    }

    /// Another factor of the scores.
    pub fn with_scale(mut self, scale: f32) -> Self {
        self.params.scale = scale;
        self
    }

    /// A soft limit of the scores; 0 for none.
    pub fn with_softcap(mut self, softcap: f32) -> Self {
        self.params.softcap = softcap;
        self
    }

    /// Linear biases instead of positions, if `max_bias` is not 0.
    pub fn with_alibi(mut self, max_bias: f32) -> Self {
        self.params.slopes = (max_bias > 0.0).then(|| slopes(self.params.n_head, max_bias));
        self
    }

    /// Scores depend on distance.
    pub fn with_distance_bias(mut self, bias: DistanceBias) -> Self {
        self.params.distance_bias = Some(bias);
        self
    }

    /// Sinks, `attn_sinks`.
    pub fn with_sinks(mut self, w: &Weights<'_>) -> Result<Self, Error> {
        self.params.sinks = Some(w.vector("attn_sinks.weight", self.params.n_head)?);
        Ok(self)
    }

    /// Sinks, where the file has them.
    pub fn with_opt_sinks(self, w: &Weights<'_>) -> Result<Self, Error> {
        if w.has("attn_sinks.weight") { self.with_sinks(w) } else { Ok(self) }
    }

    /// Norms of each head of queries and keys, `attn_q_norm` and `attn_k_norm`; heads may have
    /// weights of their own.
    pub fn with_head_norms(self, w: &Weights<'_>, kind: NormKind) -> Result<Self, Error> {
        let Heads { n_head, n_head_kv, head_dim, .. } = self.heads;
        let q = kind.load_groups(w, "attn_q_norm", [head_dim, n_head])?;
        let k = kind.load_groups(w, "attn_k_norm", [head_dim, n_head_kv])?;
        Ok(self.with_qk_norms(q, k))
    }

    /// The same, where the file has them.
    pub fn with_opt_head_norms(self, w: &Weights<'_>, kind: NormKind) -> Result<Self, Error> {
        if w.has("attn_q_norm.weight") { self.with_head_norms(w, kind) } else { Ok(self) }
    }

    /// Norms of whole rows of queries and keys, `attn_q_norm` and `attn_k_norm`.
    pub fn with_row_norms(self, w: &Weights<'_>, kind: NormKind) -> Result<Self, Error> {
        let Heads { n_head, n_head_kv, head_dim, .. } = self.heads;
        let q = kind.load(w, "attn_q_norm", n_head * head_dim)?;
        let k = kind.load(w, "attn_k_norm", n_head_kv * head_dim)?;
        Ok(self.with_qk_norms(q, k))
    }

    /// These norms of queries and keys.
    pub fn with_qk_norms(self, q: Norm, k: Norm) -> Self {
        Self { qk_norm: Some(QkNorm { q, k, after_rope: false }), ..self }
    }

    /// Queries and keys are rotated before their norms.
    pub fn with_norms_after_rope(mut self) -> Self {
        if let Some(norms) = &mut self.qk_norm {
            norms.after_rope = true;
        }
        self
    }

    /// Sees only the positions that are chosen; neither masks nor caps nor slopes apply.
    pub fn with_choice(self, choice: impl KeyChoice + 'static) -> Self {
        Self { choice: Some(Box::new(choice)), ..self }
    }

    /// What was attended to counts by `act(attn_gate(x))`, per head or per value.
    pub fn with_gate(self, w: &Weights<'_>, n_embd: usize, act: Activation) -> Result<Self, Error> {
        let Heads { n_head, head_dim_v, .. } = self.heads;
        let per_head = w.has_shape("attn_gate.weight", &[n_embd, n_head]);
        let width = if per_head { n_head } else { n_head * head_dim_v };
        let gate = w.linear("attn_gate", [n_embd, width])?;
        Ok(Self { gate: Some((gate, act)), ..self })
    }

    /// Multiplies the result.
    pub fn with_output_scale(mut self, scale: f32) -> Self {
        self.output.scale *= scale;
        self
    }

    /// Attends to the positions chosen for the layer's input `x`.
    fn attend_to_chosen(
        &self,
        cx: &mut Forward<'_>,
        choice: &dyn KeyChoice,
        il: usize,
        x: Tensor,
        [q, k, v]: [Tensor; 3],
    ) -> Tensor {
        let Heads { n_head, n_head_kv, head_dim_v, .. } = self.heads;
        cx.cache_write(k, [il, 0]);
        cx.cache_write(v, [il, 1]);
        choice.choose(cx, x, [il, 2]);
        let attention = CacheAttention {
            q,
            n_head,
            n_head_kv,
            head_dim_v,
            scale: self.params.scale,
            sinks: self.params.sinks.as_ref(),
            sources: &[cx.source(il, [0, 1], Visible::ALL)],
        };
        match cx.shared {
            None => cx.attend_to_cache(&attention),
            Some(names) => {
                let chosen = Visible::Chosen { names, n_sets: choice.n_sets() };
                cx.attend_to_chosen(&attention, choice.first(), chosen)
            }
        }
    }

    /// Stores the keys and values of `x` for others to attend to. Norms must come before rotations.
    pub fn remember(&self, cx: &mut Forward<'_>, il: usize, x: Tensor) {
        let [_, mut k, v] = self.qkv.forward(cx, x);
        if let Some(norms) = &self.qk_norm {
            k = norms.k.forward(cx, k);
        }
        if let Some(rope) = &self.rope {
            let table = cx.prepared_rope(rope);
            cx.rotate(k, &table);
        }
        cx.store(il, k, v);
    }

    fn norm_queries_and_keys(&self, cx: &mut Forward<'_>, q: &mut Tensor, k: &mut Tensor) {
        if let Some(norms) = &self.qk_norm {
            *q = norms.q.forward(cx, *q);
            *k = norms.k.forward(cx, *k);
        }
    }
}

impl Mixer for Attention {
    fn kv(&self) -> KvShape {
        match self.choice {
            Some(_) => KvShape::NONE,
            None => self.heads.kv().with_mask(self.params.mask),
        }
    }

    fn caches(&self) -> Vec<CacheShape> {
        let Some(choice) = &self.choice else { return Vec::new() };
        let KvShape { n_head_kv, head_dim, head_dim_v, .. } = self.heads.kv();
        let widths = [n_head_kv * head_dim, n_head_kv * head_dim_v];
        widths.map(CacheShape::of_positions).into_iter().chain(choice.caches()).collect()
    }

    fn states(&self) -> Vec<usize> {
        self.choice.as_ref().map(|choice| choice.states()).unwrap_or_default()
    }

    fn is_causal(&self) -> bool {
        !matches!(self.params.mask, Mask::Full | Mask::Around(_))
    }

    fn prepare(&self, cx: &mut Forward<'_>) {
        if let Some(rope) = &self.rope {
            cx.prepare_rope(rope);
        }
        if let Some(choice) = &self.choice {
            choice.prepare(cx);
        }
    }

    fn forward(&self, cx: &mut Forward<'_>, il: usize, x: Tensor) -> Tensor {
        let [mut q, mut k, v] = self.qkv.forward(cx, x);
        let mut query_gate = None;
        if self.has_query_gate {
            let both = cx.deinterleave(q, &[self.heads.head_dim; 2]);
            q = both.columns(0..both.cols() / 2);
            query_gate = Some(both.columns(both.cols() / 2..both.cols()));
        }
        if let Some(limit) = self.clamp {
            for part in [q, k, v] {
                cx.clamp(part, limit);
            }
        }
        let after_rope = self.qk_norm.as_ref().is_some_and(|norms| norms.after_rope);
        if !after_rope {
            self.norm_queries_and_keys(cx, &mut q, &mut k);
        }
        if let Some(rope) = &self.rope {
            let table = cx.prepared_rope(rope);
            cx.rotate(q, &table);
            cx.rotate(k, &table);
        }
        if after_rope {
            self.norm_queries_and_keys(cx, &mut q, &mut k);
        }
        if let Some(temperature) = self.temperature {
            let factors = temperature.factors(cx);
            cx.scale_rows(q, &factors);
        }
        let mut a = match &self.choice {
            None => cx.attend(il, [q, k, v], &self.params),
            Some(choice) => self.attend_to_chosen(cx, &**choice, il, x, [q, k, v]),
        };
        if let Some(gate) = query_gate {
            a = cx.glu(gate, a, Activation::Sigmoid.into());
        }
        if let Some((gate, activation)) = &self.gate {
            let gate = cx.linear1(x, gate);
            cx.activate(gate, *activation);
            a = gated(cx, a, gate);
        }
        let a = normed(&self.sub_norm, cx, a);
        cx.linear1(a, &self.output)
    }
}

/// `x` times a gate per value, or per group of as many columns as there are for each gate.
pub fn gated(cx: &mut Forward<'_>, x: Tensor, gate: Tensor) -> Tensor {
    if gate.cols() == x.cols() {
        cx.mul_assign(x, gate);
        return x;
    }
    let (rows, n, width) = (x.rows(), gate.cols(), x.cols() / gate.cols());
    let scaled = cx.mix_streams(x.reshape(rows * n, width), gate.reshape(rows * n, 1), width);
    scaled.reshape(rows, n * width)
}

/// ALiBi's geometric series of slopes, for heads in any number: those beyond the power of two take
/// every second slope of the next one.
fn slopes(n_head: usize, max_bias: f32) -> Vector {
    let power = 1 << n_head.ilog2();
    let step = f64::from(max_bias) / power as f64;
    let slope = |head: usize| match head < power {
        true => -step * (head + 1) as f64,
        false => -step / 2.0 * (2 * (head - power) + 1) as f64,
    };
    Vector::new((0..n_head).map(|head| slope(head).exp2() as f32).collect::<Vec<_>>())
}

/// Queries, keys and values of one input: three products, or one fused product whose rows are
/// queries, then keys, then values.
pub struct Qkv {
    parts: Vec<Linear>,
    n_q: usize,
    n_k: usize,
    n_v: usize,
}

impl Qkv {
    /// Loads `attn_qkv`, or `attn_q`, `attn_k` and `attn_v`.
    pub fn load(w: &Weights<'_>, heads: Heads, n_embd: usize) -> Result<Self, Error> {
        let Heads { n_head, n_head_kv, head_dim, head_dim_v } = heads;
        let (n_q, n_k, n_v) = (n_head * head_dim, n_head_kv * head_dim, n_head_kv * head_dim_v);
        let parts = match w.opt_linear("attn_qkv", [n_embd, n_q + n_k + n_v])? {
            Some(fused) if fused.bias.is_some() => vec![fused],
            Some(fused) => Self::with_split_biases(w, fused, [n_q, n_k, n_v])?,
            None => vec![
                w.linear("attn_q", [n_embd, n_q])?,
                w.linear("attn_k", [n_embd, n_k])?,
                w.linear("attn_v", [n_embd, n_v])?,
            ],
        };
        Ok(Self { parts, n_q, n_k, n_v })
    }

    /// The same for layers whose keys serve as values where the file has no `attn_v`.
    pub fn load_with_shared_values(
        w: &Weights<'_>,
        heads: Heads,
        n_embd: usize,
    ) -> Result<Self, Error> {
        if w.has("attn_qkv.weight") || w.has("attn_v.weight") {
            return Self::load(w, heads, n_embd);
        }
        let (n_q, n_k) = (heads.n_head * heads.head_dim, heads.n_head_kv * heads.head_dim);
        let parts = vec![w.linear("attn_q", [n_embd, n_q])?, w.linear("attn_k", [n_embd, n_k])?];
        Ok(Self { parts, n_q, n_k, n_v: 0 })
    }

    /// Some files fuse the weights but not the biases.
    fn with_split_biases(
        w: &Weights<'_>,
        fused: Linear,
        sizes: [usize; 3],
    ) -> Result<Vec<Linear>, Error> {
        let mut start = 0;
        let mut parts = Vec::with_capacity(3);
        for (name, rows) in ["attn_q.bias", "attn_k.bias", "attn_v.bias"].into_iter().zip(sizes) {
            let weight = fused.weight.slice_rows(start..start + rows);
            parts.push(Linear { weight, bias: w.opt_vector(name, rows)?, scale: fused.scale });
            start += rows;
        }
        Ok(parts)
    }

    /// `[queries, keys, values]` of `x`, as columns of one tensor.
    pub fn forward(&self, cx: &mut Forward<'_>, x: Tensor) -> [Tensor; 3] {
        let parts: Vec<&Linear> = self.parts.iter().collect();
        let qkv = cx.linear(x, &parts);
        let (k, v) = (self.n_q, self.n_q + self.n_k);
        let values = if self.n_v == 0 { k..v } else { v..v + self.n_v };
        [qkv.columns(0..k), qkv.columns(k..v), qkv.columns(values)]
    }
}

/// The queries of a layer that attends to another one's keys and values: `attn_q`, or the first
/// rows of `attn_qkv`. Biases and scales of the file don't apply, as in llama.cpp.
pub fn load_queries(w: &Weights<'_>, heads: Heads, n_embd: usize) -> Result<Linear, Error> {
    let Heads { n_head, n_head_kv, head_dim, head_dim_v } = heads;
    let n_q = n_head * head_dim;
    let n_qkv = n_q + n_head_kv * (head_dim + head_dim_v);
    let weight = match w.opt_matrix("attn_qkv.weight", [n_embd, n_qkv])? {
        Some(fused) => fused.slice_rows(0..n_q),
        None => w.matrix("attn_q.weight", [n_embd, n_q])?,
    };
    Ok(Linear::plain(weight))
}

/// Which layers attend to a sliding window.
#[derive(Debug, Clone)]
pub struct Window {
    size: usize,
    layers: Vec<bool>,
}

impl Window {
    /// Reads `attention.sliding_window` and its pattern: flags per layer, or a period, of which the
    /// last layer sees everything. A window of 0 means that all layers do.
    pub fn load(keys: &Keys<'_>, hp: &Hparams, period: usize) -> Result<Self, Error> {
        let size = keys.opt_usize("attention.sliding_window")?.unwrap_or(0);
        Self::with_size(keys, hp, size, period)
    }

    /// The same where the first layer of each period sees everything.
    pub fn load_dense_first(keys: &Keys<'_>, hp: &Hparams, period: usize) -> Result<Self, Error> {
        let size = keys.opt_usize("attention.sliding_window")?.unwrap_or(0);
        Self::with_pattern(keys, hp, size, period, true)
    }

    /// The same for files that name the size, and flags per layer.
    pub fn load_flags(keys: &Keys<'_>, hp: &Hparams) -> Result<Self, Error> {
        Self::with_size(keys, hp, keys.width("attention.sliding_window")?, 1)
    }

    /// With this size, whatever the file says.
    pub fn with_size(
        keys: &Keys<'_>,
        hp: &Hparams,
        size: usize,
        period: usize,
    ) -> Result<Self, Error> {
        Self::with_pattern(keys, hp, size, period, false)
    }

    /// With this size and kind of pattern.
    pub fn with_pattern(
        keys: &Keys<'_>,
        hp: &Hparams,
        size: usize,
        period: usize,
        dense_first: bool,
    ) -> Result<Self, Error> {
        let layers = match size {
            0 => vec![false; hp.n_layer],
            _ => keys.sliding_layers(hp.n_layer, period, dense_first)?,
        };
        Ok(Self { size, layers })
    }

    /// Whether any layer slides.
    pub fn any(&self) -> bool {
        self.size > 0
    }

    /// Whether layer `il` does.
    pub fn slides(&self, il: usize) -> bool {
        self.layers[il]
    }

    /// What queries of layer `il` see in both directions: half of the window in each.
    pub fn mask_both_ways(&self, il: usize) -> Mask {
        if self.slides(il) { Mask::Around(self.size / 2) } else { Mask::Full }
    }

    /// What queries of layer `il` see.
    pub fn mask(&self, il: usize) -> Mask {
        if self.slides(il) { Mask::Sliding(self.size) } else { Mask::Causal }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_halve_evenly_and_fill_in_between() {
        assert_eq!(slopes(4, 8.0)[..], [0.25, 0.0625, 0.015625, 0.00390625]);
        let six = slopes(6, 8.0);
        assert_eq!(six[..4], slopes(4, 8.0)[..]);
        assert_eq!(six[4..], [0.5, 0.125]);
    }
}
