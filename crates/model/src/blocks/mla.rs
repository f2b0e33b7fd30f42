//! Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434): keys and values of all heads come
//! from one small latent vector per position.

use std::sync::Arc;

use backend::{Activation, AttentionParams, CacheAttention, Linear, Tensor, Visible, Weight};

use crate::blocks::attention::{Temperature, gated};
use crate::blocks::indexer::{Choice, Indexer, chosen};
use crate::blocks::layer::Mixer;
use crate::blocks::norm::{Norm, NormKind};
use crate::blocks::rope::Rope;
use crate::error::Error;
use crate::forward::Forward;
use crate::hparams::{Heads, Hparams, Keys};
use crate::memory::{CacheShape, KvShape};
use crate::weights::Weights;

/// The widths of a latent attention.
#[derive(Debug, Clone, Copy)]
pub struct MlaSizes {
    /// Width of the residual stream.
    pub n_embd: usize,
    /// Heads.
    pub n_head: usize,
    /// Width of the part of queries and keys without positions.
    pub nope: usize,
    /// Width of the rotated part.
    pub rope: usize,
    /// Width of a value head.
    pub value: usize,
    /// Width of the latent vector of keys and values.
    pub kv_rank: usize,
}

/// Latent attention.
pub struct Mla {
    sizes: MlaSizes,
    queries: Queries,
    latent: Linear,
    latent_norm: Norm,
    keys_values: KeysValues,
    /// Of the rotated part of keys, before it is rotated.
    rope_norm: Option<Norm>,
    rope: Option<Arc<Rope>>,
    /// Growth of queries with their position.
    pub temperature: Option<Temperature>,
    params: AttentionParams,
    /// How many positions are seen, of absorbed heads.
    window: usize,
    choice: Option<(Choice, Option<Indexer>)>,
    gate: Option<Linear>,
    output: Linear,
}

enum Queries {
    Full(Linear),
    LowRank { down: Linear, norm: Norm, up: Linear },
}

enum KeysValues {
    /// Stored for each head.
    Expanded(Linear),
    /// The latent vector is stored, and heads are absorbed into queries and output. Stacks of a
    /// matrix per head, `[rank][nope]` and `[value][rank]`.
    Absorbed { keys: Weight, values: Weight },
}

impl MlaSizes {
    /// As the file says. Heads of the whole width of keys are `attention.key_length_mla` wide, or
    /// `attention.key_length` in older files, of which `rope.dimension_count` are rotated.
    pub fn load(keys: &Keys<'_>, hp: &Hparams) -> Result<Self, Error> {
        let width = keys.opt_width("attention.key_length_mla")?.unwrap_or(hp.head_dim);
        let value = keys.opt_width("attention.value_length_mla")?.unwrap_or(hp.head_dim_v);
        Self::of_widths(hp, [width, value], keys.width("attention.kv_lora_rank")?)
    }

    /// The same of layers on a sliding window, from keys that end in `_swa`.
    pub fn load_sliding(keys: &Keys<'_>, hp: &Hparams) -> Result<Self, Error> {
        let width = keys.width("attention.key_length_mla_swa")?;
        let value = keys.width("attention.value_length_mla_swa")?;
        Self::of_widths(hp, [width, value], keys.width("attention.kv_lora_rank_swa")?)
    }

    fn of_widths(hp: &Hparams, [width, value]: [usize; 2], kv_rank: usize) -> Result<Self, Error> {
        let heads =
            Heads { n_head: hp.n_head[0], n_head_kv: 1, head_dim: width, head_dim_v: value };
        heads.check()?;
        let Some(nope) = width.checked_sub(hp.n_rot) else {
            return Err(Error::Value {
                key: "rope.dimension_count".into(),
                value: hp.n_rot.to_string(),
                expected: format!("at most {width}, the width of keys"),
            });
        };
        let (n_embd, n_head) = (hp.n_embd, heads.n_head);
        Ok(Self { n_embd, n_head, nope, rope: hp.n_rot, value, kv_rank })
    }
}

impl Mla {
    /// Loads `attn_q` or `attn_q_{a,a_norm,b}`, `attn_kv_a_{mqa,norm}`, `attn_kv_b` or `attn_{k,v}_b`,
    /// and `attn_output`. The rope is for heads of the rotated width; without one nothing is
    /// rotated.
    pub fn load<'r>(
        w: &Weights<'_>,
        sizes: MlaSizes,
        norm: NormKind,
        rope: impl Into<Option<&'r Arc<Rope>>>,
        scale: f32,
    ) -> Result<Self, Error> {
        let MlaSizes { n_embd, n_head, nope, rope: rotated, value, kv_rank } = sizes;
        let n_q = n_head * (nope + rotated);
        let queries = match w.has("attn_q_a.weight") {
            false => Queries::Full(w.linear("attn_q", [n_embd, n_q])?),
            true => {
                let rank = w.cols("attn_q_b.weight")?;
                Queries::LowRank {
                    down: w.linear("attn_q_a", [n_embd, rank])?,
                    norm: norm.load(w, "attn_q_a_norm", rank)?,
                    up: w.linear("attn_q_b", [rank, n_q])?,
                }
            }
        };
        let keys_values = match w.has("attn_k_b.weight") {
            true => KeysValues::Absorbed {
                keys: w.stack("attn_k_b.weight", [nope, kv_rank, n_head])?,
                values: w.stack("attn_v_b.weight", [kv_rank, value, n_head])?,
            },
            false => {
                let width = n_head * (nope + value);
                KeysValues::Expanded(w.linear("attn_kv_b", [kv_rank, width])?)
            }
        };
        Ok(Self {
            sizes,
            queries,
            latent: w.linear("attn_kv_a_mqa", [n_embd, kv_rank + rotated])?,
            latent_norm: norm.load(w, "attn_kv_a_norm", kv_rank)?,
            keys_values,
            rope_norm: None,
            rope: rope.into().cloned(),
            temperature: None,
            params: AttentionParams::causal(n_head, scale),
            window: usize::MAX,
            choice: None,
            gate: None,
            output: w.linear("attn_output", [n_head * value, n_embd])?,
        })
    }

    /// Multiplies the result by the sigmoid of `attn_gate`, one gate per value or per head.
    pub fn with_gate(self, w: &Weights<'_>) -> Result<Self, Error> {
        let MlaSizes { n_embd, n_head, value, .. } = self.sizes;
        let per_value = w.has_shape("attn_gate.weight", &[n_embd, n_head * value]);
        let width = if per_value { n_head * value } else { n_head };
        Ok(Self { gate: Some(w.linear("attn_gate", [n_embd, width])?), ..self })
    }

    /// Norms the rotated part of keys, `attn_k_norm`.
    pub fn with_rope_norm(self, w: &Weights<'_>, norm: NormKind) -> Result<Self, Error> {
        let rope_norm = Some(norm.load(w, "attn_k_norm", self.sizes.rope)?);
        Ok(Self { rope_norm, ..self })
    }

    /// Sees the last positions only.
    pub fn with_window(self, window: usize) -> Self {
        Self { window, ..self }
    }

    /// Sinks, `attn_sinks`.
    pub fn with_sinks(mut self, w: &Weights<'_>) -> Result<Self, Error> {
        self.params.sinks = Some(w.vector("attn_sinks.weight", self.sizes.n_head)?);
        Ok(self)
    }

    /// Sees the positions that an indexer chooses: the layer's own, or else that of a layer before.
    pub fn with_choice(
        self,
        w: &Weights<'_>,
        choice: Choice,
        indexer: Option<Indexer>,
    ) -> Result<Self, Error> {
        // Queries of the indexer come from those of low rank, and latent vectors are chosen.
        match (&self.queries, &self.keys_values) {
            (Queries::LowRank { .. }, KeysValues::Absorbed { .. }) => {
                Ok(Self { choice: Some((choice, indexer)), ..self })
            }
            (Queries::Full(_), _) => {
                Err(Error::MissingTensor { name: w.full_name("attn_q_a.weight") })
            }
            _ => Err(Error::MissingTensor { name: w.full_name("attn_k_b.weight") }),
        }
    }

    /// Queries of all heads, one row for each: `[rows * n_head][nope + rope]`, and the latent
    /// vectors that they come from.
    fn queries(&self, cx: &mut Forward<'_>, x: Tensor) -> [Tensor; 2] {
        let (latent, q) = match &self.queries {
            Queries::Full(linear) => (x, cx.linear1(x, linear)),
            Queries::LowRank { down, norm, up } => {
                let latent = cx.linear1(x, down);
                let latent = norm.forward(cx, latent);
                (latent, cx.linear1(latent, up))
            }
        };
        [q.reshape(x.rows() * self.sizes.n_head, self.sizes.nope + self.sizes.rope), latent]
    }

    /// What heads have attended to, `[rows][n_head * value]`. `k_rope` and `q_rope` are empty where
    /// nothing is rotated.
    fn attend(
        &self,
        cx: &mut Forward<'_>,
        il: usize,
        [q_nope, q_rope]: [Tensor; 2],
        [latent, k_rope]: [Tensor; 2],
    ) -> Tensor {
        let MlaSizes { n_head, nope, rope, value, kv_rank, .. } = self.sizes;
        let rows = latent.rows();
        match &self.keys_values {
            KeysValues::Absorbed { keys, values } => {
                let q_nope = cx.concat(&[q_nope]).reshape(rows, n_head * nope);
                let q = cx.linear_heads(q_nope, keys).reshape(rows * n_head, kv_rank);
                let q = cx.concat(&[q, q_rope]).reshape(rows, n_head * (kv_rank + rope));
                let row = cx.concat(&[latent, k_rope]);
                cx.cache_write(row, [il, 0]);
                self.sharpen(cx, q);
                let a = self.attend_to_latents(cx, il, q);
                cx.linear_heads(a, values)
            }
            KeysValues::Expanded(linear) => {
                let kv = cx.linear1(latent, linear).reshape(rows * n_head, nope + value);
                let of_heads: Vec<usize> = (0..rows * n_head).map(|i| i / n_head).collect();
                let k_rope = cx.gather(k_rope, &of_heads);
                let k = cx.concat(&[kv.columns(0..nope), k_rope]);
                let v = cx.concat(&[kv.columns(nope..nope + value)]);
                let q = cx.concat(&[q_nope, q_rope]);
                let [q, k] = [q, k].map(|t| t.reshape(rows, n_head * (nope + rope)));
                self.sharpen(cx, q);
                cx.attend(il, [q, k, v.reshape(rows, n_head * value)], &self.params)
            }
        }
    }

    fn indexer(&self) -> Option<&Indexer> {
        self.choice.as_ref().and_then(|(_, indexer)| indexer.as_ref())
    }

    /// Queries of far positions.
    fn sharpen(&self, cx: &mut Forward<'_>, q: Tensor) {
        if let Some(temperature) = self.temperature {
            let factors = temperature.factors(cx);
            cx.scale_rows(q, &factors);
        }
    }

    fn attend_to_latents(&self, cx: &mut Forward<'_>, il: usize, q: Tensor) -> Tensor {
        let source = cx.source(il, [0, 0], Visible::Last(self.window));
        let attention = CacheAttention {
            q,
            n_head: self.sizes.n_head,
            n_head_kv: 1,
            head_dim_v: self.sizes.kv_rank,
            scale: self.params.scale,
            sinks: self.params.sinks.as_ref(),
            sources: &[source],
        };
        match (&self.choice, chosen(cx)) {
            (Some((choice, _)), Some(chosen)) => {
                cx.attend_to_chosen(&attention, choice.first(), chosen)
            }
            _ => cx.attend_to_cache(&attention),
        }
    }
}

impl Mixer for Mla {
    fn kv(&self) -> KvShape {
        let MlaSizes { n_head, nope, rope, value, .. } = self.sizes;
        match self.keys_values {
            KeysValues::Absorbed { .. } => KvShape::NONE,
            KeysValues::Expanded(_) => KvShape {
                n_head_kv: n_head,
                head_dim: nope + rope,
                head_dim_v: value,
                window: None,
            },
        }
    }

    fn caches(&self) -> Vec<CacheShape> {
        let MlaSizes { rope, kv_rank, .. } = self.sizes;
        match self.keys_values {
            KeysValues::Absorbed { .. } => {
                let latent = CacheShape::of_positions(kv_rank + rope);
                [latent].into_iter().chain(self.indexer().map(Indexer::cache)).collect()
            }
            KeysValues::Expanded(_) => Vec::new(),
        }
    }

    fn states(&self) -> Vec<usize> {
        self.indexer().map(Indexer::states).unwrap_or_default()
    }

    fn prepare(&self, cx: &mut Forward<'_>) {
        if let Some(rope) = &self.rope {
            cx.prepare_rope(rope);
        }
        if let Some(indexer) = self.indexer() {
            indexer.prepare(cx);
        }
    }

    fn forward(&self, cx: &mut Forward<'_>, il: usize, x: Tensor) -> Tensor {
        let MlaSizes { n_head, nope, rope, kv_rank, .. } = self.sizes;
        let [q, q_latent] = self.queries(cx, x);
        if let Some(indexer) = self.indexer() {
            indexer.forward(cx, x, q_latent, [il, 1]);
        }
        let mut q_rope = q.columns(nope..nope + rope);
        let both = cx.linear1(x, &self.latent);
        let mut k_rope = both.columns(kv_rank..kv_rank + rope);
        if let Some(norm) = &self.rope_norm {
            k_rope = norm.forward(cx, k_rope);
        }
        if let Some(rotation) = &self.rope {
            q_rope = cx.concat(&[q_rope]);
            let table = cx.prepared_rope(rotation);
            cx.rotate(q_rope.reshape(x.rows(), n_head * rope), &table);
            cx.rotate(k_rope, &table);
        }
        let latent = self.latent_norm.forward(cx, both.columns(0..kv_rank));
        let mut a = self.attend(cx, il, [q.columns(0..nope), q_rope], [latent, k_rope]);
        if let Some(gate) = &self.gate {
            let gate = cx.linear1(x, gate);
            cx.activate(gate, Activation::Sigmoid);
            a = gated(cx, a, gate);
        }
        cx.linear1(a, &self.output)
    }
}
