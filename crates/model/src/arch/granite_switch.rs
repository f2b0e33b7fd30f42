//! Granite Switch (IBM 2026): low-rank adapters inside the model (LoRA, Hu et al. 2021,
//! arXiv:2106.09685). Activation tokens switch a sequence to one of them; which, is found by a small
//! attention to all tokens so far.

use std::collections::HashMap;

use backend::{AttentionParams, ExpertGate, ExpertLinear, Experts, Linear};

use super::granite::Scales;
use super::prelude::*;
use crate::blocks::attention::Qkv;
use crate::blocks::head::{Embedding, Head};
use crate::blocks::rope::Rope;
use crate::hparams::Heads;
use crate::{OutputKind, Shape};

/// The router's score of activation tokens, and less that of all others, in files that name none.
const ROUTER_GAIN: f32 = 15.0;
/// Most adapters, and most of their rank.
const MOST: usize = 4096;

struct GraniteSwitch {
    shape: Shape,
    embedding: Embedding,
    switch: Switch,
    rope: Option<Arc<Rope>>,
    layers: Vec<SwitchLayer>,
    head: Head,
}

/// What tokens switch to.
struct Switch {
    /// Slot of the adapter, and the token embedded instead.
    activations: HashMap<u32, (usize, u32)>,
    gain: f32,
    heads: Heads,
    params: AttentionParams,
}

struct SwitchLayer {
    residual_scale: f32,
    attention: AttentionParams,
    attn_norm: Norm,
    qkv: Qkv,
    qkv_adapters: [Experts; 3],
    attn_output: Adapted,
    ffn_norm: Norm,
    gate: Adapted,
    up: Adapted,
    down: Adapted,
}

/// A product and what adapters add to it: `W x + B[s] (A[s] x)`.
struct Adapted {
    base: Linear,
    adapters: Experts,
}

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, weights } = source;
    let (norm, scales) = (source.rms_norm()?, Scales::load(source)?);
    let switch = Switch::load(source)?;
    let n_slots = switch.activations.len() + 1;
    let rank = keys.count("adapters.lora_rank")?.min(MOST);
    let layers = (0..hp.n_layer)
        .map(|il| SwitchLayer::load(source, norm, &scales, il, [rank, n_slots]))
        .collect::<Result<Vec<_>, Error>>()?;
    let rotary = keys.opt_bool("rope.scaling.finetuned")?.unwrap_or(true);
    let rope = rotary.then(|| source.rope(RopeLayout::Norm)).transpose()?;
    let mut embedding = Embedding::load(weights, hp)?;
    embedding.scale = scales.embedding;
    let kv = (0..hp.n_layer).map(|il| Ok(hp.heads(il)?.kv()));
    let kv = kv.chain([Ok(switch.heads.kv())]).collect::<Result<_, Error>>()?;
    Ok(Arc::new(GraniteSwitch {
        shape: Shape {
            n_embd: hp.n_embd,
            n_vocab: embedding.table.rows(),
            n_ctx_train: hp.n_ctx_train,
            kv,
            caches: vec![],
            states: vec![],
            output: OutputKind::Logits,
        },
        head: Head {
            scale: 1.0 / scales.logits,
            ..Head::load(weights, hp, norm, &embedding.table)?
        },
        embedding,
        switch,
        rope,
        layers,
    }))
}

impl Switch {
    fn load(source: &Source<'_>) -> Result<Self, Error> {
        let Source { keys, hp, weights } = source;
        let n = keys.count("adapters.count")?;
        let activate = keys.ids("adapters.token_ids_activate")?;
        let substitute = keys.ids("adapters.token_ids_substitute")?;
        let n_vocab = weights.table("token_embd.weight", hp.n_embd)?.rows();
        let known = substitute.iter().all(|&id| (id as usize) < n_vocab);
        if n > MOST || activate.len() != n || substitute.len() != n || !known {
            return Err(Error::Value {
                key: "adapters.token_ids_activate and _substitute".into(),
                value: format!("{} and {} ids", activate.len(), substitute.len()),
                expected: format!("{n} ids below {n_vocab} each"),
            });
        }
        let slots = (1..).zip(substitute);
        let Heads { head_dim, head_dim_v, .. } = hp.heads(0)?;
        Ok(Self {
            activations: activate.into_iter().zip(slots).collect(),
            gain: keys.opt_f32("adapters.router_gain")?.unwrap_or(ROUTER_GAIN),
            heads: Heads { n_head: 1, n_head_kv: 1, head_dim, head_dim_v },
            params: AttentionParams::causal(1, 1.0),
        })
    }

    /// Tokens to embed.
    fn substitute(&self, tokens: &[u32]) -> Vec<u32> {
        let substitute = |id: &u32| self.activations.get(id).map_or(*id, |&(_, id)| id);
        tokens.iter().map(substitute).collect()
    }

    /// The adapter of each row: the mean of all that were activated so far, whose scores leave none
    /// to other tokens, is one of them where only one was.
    fn adapters(&self, cx: &mut Forward<'_>, il: usize) -> Vec<(usize, f32)> {
        let Heads { head_dim, head_dim_v, .. } = self.heads;
        let lane = |cx: &mut Forward<'_>, width: usize, first: &dyn Fn(u32) -> f32| {
            let row = |&id: &u32| (0..width).map(move |i| if i == 0 { first(id) } else { 0.0 });
            let values: Vec<f32> = cx.tokens().iter().flat_map(row).collect();
            cx.upload(&values, width)
        };
        let slot = |id: u32| self.activations.get(&id).map(|&(slot, _)| slot as f32);
        let q = lane(cx, head_dim, &|_| 1.0);
        let k = lane(cx, head_dim, &|id| slot(id).map_or(-self.gain, |_| self.gain));
        let v = lane(cx, head_dim_v, &|id| slot(id).unwrap_or(0.0));
        let mean = cx.attend(il, [q, k, v], &self.params);
        let mut values = vec![0.0; mean.rows()];
        cx.download(mean.columns(0..1), &mut values);
        let most = self.activations.len() as f32;
        values.into_iter().map(|slot| (slot.clamp(0.0, most).round() as usize, 1.0)).collect()
    }
}

/// `NAME.lora_a` and `NAME.lora_b` of all slots.
fn load_adapters(
    w: &Weights<'_>,
    name: &str,
    [n_in, n_out]: [usize; 2],
    [rank, n_slots]: [usize; 2],
) -> Result<Experts, Error> {
    let part = |suffix, shape| {
        let weight = w.stack(&format!("{name}.{suffix}"), shape)?;
        Ok::<_, Error>(ExpertLinear { weight, scale: None, bias: None })
    };
    Ok(Experts {
        gate: ExpertGate::Plain(Activation::Identity),
        up: part("lora_a", [n_in, rank, n_slots])?,
        down: part("lora_b", [rank, n_out, n_slots])?,
    })
}

impl Adapted {
    fn load(
        w: &Weights<'_>,
        name: &str,
        shape: [usize; 2],
        adapters: [usize; 2],
    ) -> Result<Self, Error> {
        let adapters = load_adapters(w, name, shape, adapters)?;
        Ok(Self { base: w.linear(name, shape)?, adapters })
    }

    fn forward(&self, cx: &mut Forward<'_>, x: Tensor, chosen: &[(usize, f32)]) -> Tensor {
        let y = cx.linear1(x, &self.base);
        let added = cx.moe_chosen(x, chosen, &self.adapters);
        cx.add_assign(y, added);
        y
    }
}

impl SwitchLayer {
    fn load(
        source: &Source<'_>,
        norm: NormKind,
        scales: &Scales,
        il: usize,
        adapters: [usize; 2],
    ) -> Result<Self, Error> {
        let (hp, w) = (&source.hp, &source.weights.layer(il));
        let (n_embd, heads) = (hp.n_embd, hp.heads(il)?);
        let n_ff = w.cols("ffn_down.weight")?;
        let [n_q, n_k] = [heads.n_head, heads.n_head_kv].map(|n| n * heads.head_dim);
        let (n_v, n_out) = (heads.n_head_kv * heads.head_dim_v, heads.n_head * heads.head_dim_v);
        let adapted = |name, shape| Adapted::load(w, name, shape, adapters);
        Ok(Self {
            residual_scale: scales.residual,
            attention: AttentionParams::causal(heads.n_head, scales.attention),
            attn_norm: norm.load(w, "attn_norm", n_embd)?,
            qkv: Qkv::load(w, heads, n_embd)?,
            qkv_adapters: [
                load_adapters(w, "attn_q", [n_embd, n_q], adapters)?,
                load_adapters(w, "attn_k", [n_embd, n_k], adapters)?,
                load_adapters(w, "attn_v", [n_embd, n_v], adapters)?,
            ],
            attn_output: adapted("attn_output", [n_out, n_embd])?,
            ffn_norm: norm.load(w, "ffn_norm", n_embd)?,
            gate: adapted("ffn_gate", [n_embd, n_ff])?,
            up: adapted("ffn_up", [n_embd, n_ff])?,
            down: adapted("ffn_down", [n_ff, n_embd])?,
        })
    }

    /// Changes the residual stream, in place.
    fn forward(
        &self,
        cx: &mut Forward<'_>,
        il: usize,
        model: &GraniteSwitch,
        chosen: &[(usize, f32)],
        x: Tensor,
    ) {
        let h = self.attn_norm.forward(cx, x);
        let qkv = self.qkv.forward(cx, h);
        for (part, adapters) in qkv.into_iter().zip(&self.qkv_adapters) {
            let added = cx.moe_chosen(h, chosen, adapters);
            cx.add_assign(part, added);
        }
        if let Some(rope) = &model.rope {
            let table = cx.prepared_rope(rope);
            cx.rotate(qkv[0], &table);
            cx.rotate(qkv[1], &table);
        }
        let a = cx.attend(il, qkv, &self.attention);
        let a = self.attn_output.forward(cx, a, chosen);
        cx.add_scaled(x, a, self.residual_scale);

        let h = self.ffn_norm.forward(cx, x);
        let gate = self.gate.forward(cx, h, chosen);
        let up = self.up.forward(cx, h, chosen);
        let hidden = cx.glu(gate, up, Activation::Silu.into());
        let f = self.down.forward(cx, hidden, chosen);
        cx.add_scaled(x, f, self.residual_scale);
    }
}

impl Model for GraniteSwitch {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn forward(&self, cx: &mut Forward<'_>) -> Tensor {
        if let Some(rope) = &self.rope {
            cx.prepare_rope(rope);
        }
        let ids = self.switch.substitute(cx.tokens());
        let x = cx.embed(&self.embedding.table, &ids);
        cx.scale(x, self.embedding.scale);
        let chosen = self.switch.adapters(cx, self.layers.len());
        let mark = cx.mark();
        for (il, layer) in self.layers.iter().enumerate() {
            layer.forward(cx, il, self, &chosen, x);
            cx.release(mark);
        }
        let x = cx.keep_outputs(x);
        self.head.forward(cx, x)
    }
}
