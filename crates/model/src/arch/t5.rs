//! T5 (Raffel et al. 2020, arXiv:1910.10683) and Flan-T5: an encoder that reads the text and a
//! decoder that answers to it, with biases of scores by distance instead of positions. `t5encoder`
//! is the first half alone.

use backend::{AttentionParams, DistanceBias, Linear, Vector};

use super::prelude::*;
use crate::blocks::head::{Embedding, Head};
use crate::blocks::pooling::{Pooler, Pooling};
use crate::hparams::Heads;
use crate::{OutputKind, Shape};

/// Distances from here on share a bias.
const MAX_DISTANCE: usize = 128;

/// Reads a text and leaves keys and values for each layer of the decoder.
struct Encoder {
    shape: Shape,
    embedding: Embedding,
    layers: Vec<Layer>,
    norm: Norm,
    /// `cross_attn_k` and `cross_attn_v` of the decoder's layers.
    cross: Vec<[Linear; 2]>,
    pooler: Option<Pooler>,
}

struct T5 {
    shape: Shape,
    encoder: Encoder,
    embedding: Embedding,
    layers: Vec<DecoderLayer>,
    head: Head,
    answer_start: Option<u32>,
}

struct DecoderLayer {
    attn_norm: Norm,
    attention: Attention,
    cross_norm: Norm,
    cross_q: Linear,
    cross_params: AttentionParams,
    cross_output: Linear,
    ffn_norm: Norm,
    ffn: Ffn,
}

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, weights } = source;
    let n_layer = keys.opt_count("decoder_block_count")?.unwrap_or(hp.n_layer);
    let encoder = Encoder::load(source, n_layer)?;
    let layer = |il| DecoderLayer::load(source, il);
    let layers = (0..n_layer).map(layer).collect::<Result<Vec<_>, _>>()?;
    let embedding = Embedding::load(weights, hp)?;
    let norm = source.rms_norm()?.load(weights, "dec.output_norm", hp.n_embd)?;
    let kv = layers.iter().map(|layer| layer.attention.kv()).collect();
    let answer_start = keys.opt_usize("decoder_start_token_id")?;
    Ok(Arc::new(T5 {
        shape: Shape { kv, output: OutputKind::Logits, ..encoder.shape.clone() },
        head: Head::with_norm(weights, hp, norm, &embedding.table)?,
        answer_start: answer_start.and_then(|id| u32::try_from(id).ok()),
        encoder,
        embedding,
        layers,
    }))
}

pub(super) fn load_encoder(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let pooler = Pooler::load(source)?;
    let mut encoder = Encoder::load(source, 0)?;
    encoder.shape.output = OutputKind::Embeddings(pooler.kind);
    Ok(Arc::new(Encoder { pooler: Some(pooler), ..encoder }))
}

/// The heads, which all layers have alike.
fn heads(source: &Source<'_>) -> Result<Heads, Error> {
    source.hp.heads(0)
}

/// Attention whose scores are not scaled, in layer `il` of a stack that `names` gives the tensors of.
/// Layers without biases take those of the first.
fn attention<'a>(
    source: &Source<'a>,
    names: impl Fn(usize) -> Weights<'a>,
    il: usize,
    mask: Mask,
) -> Result<Attention, Error> {
    let (heads, w) = (heads(source)?, names(il));
    let key = "attention.relative_buckets_count";
    let both_ways = mask == Mask::Full;
    let n_buckets = source.keys.count(key)?;
    if n_buckets < 4 {
        let (key, value) = (key.into(), n_buckets.to_string());
        return Err(Error::Value { key, value, expected: "at least 4".into() });
    }
    let biases = if w.has("attn_rel_b.weight") { w.clone() } else { names(0) };
    let biases = biases.groups("attn_rel_b.weight", [heads.n_head, n_buckets])?;
    let distances = -(MAX_DISTANCE as isize)..=MAX_DISTANCE as isize;
    let buckets: Vec<usize> = distances.map(|d| bucket(d, n_buckets, both_ways)).collect();
    let bias = |head: usize| buckets.iter().map(move |bucket| bucket * heads.n_head + head);
    let values: Vec<f32> = (0..heads.n_head).flat_map(bias).map(|at| biases[at]).collect();
    Ok(Attention::with_heads(&w, source.hp.n_embd, heads)?
        .with_mask(mask)
        .with_scale(1.0)
        .with_distance_bias(DistanceBias::new(MAX_DISTANCE, Vector::new(values))))
}

/// The bias of keys `distance` positions after the query: one each for the nearest, then in steps
/// that grow, up to [`MAX_DISTANCE`]. Later positions have half of them where they are seen.
fn bucket(distance: isize, n_buckets: usize, both_ways: bool) -> usize {
    let (n, first) = match both_ways {
        true => (n_buckets / 2, if distance > 0 { n_buckets / 2 } else { 0 }),
        false => (n_buckets, 0),
    };
    let steps = if both_ways { distance.unsigned_abs() } else { (-distance).max(0) as usize };
    let n_exact = n / 2;
    if steps < n_exact {
        return first + steps;
    }
    let growth = (steps as f32 / n_exact as f32).ln() * (n - n_exact) as f32;
    let whole = (MAX_DISTANCE as f64 / n_exact as f64).ln();
    let far = (n_exact as f64 + f64::from(growth) / whole) as f32;
    first + (far as usize).min(n - 1)
}

/// Gated with GELU (Flan-T5), or plain with ReLU.
fn ffn(w: &Weights<'_>, n_embd: usize) -> Result<Ffn, Error> {
    match w.has("ffn_gate.weight") {
        true => Ffn::gated(w, n_embd, Activation::GeluTanh),
        false => Ffn::plain(w, n_embd, Activation::Relu),
    }
}

impl Encoder {
    fn load(source: &Source<'_>, n_decoder_layers: usize) -> Result<Self, Error> {
        let Source { hp, weights, .. } = source;
        let (norm, heads) = (source.rms_norm()?, heads(source)?);
        let names = |il| weights.named(format!("enc.blk.{il}."));
        let layer = |il| {
            let w = &names(il);
            let attention = attention(source, names, il, Mask::Full)?;
            Layer::pre_norm(w, norm, hp.n_embd, attention, ffn(w, hp.n_embd)?)
        };
        let layers = (0..hp.n_layer).map(layer).collect::<Result<Vec<_>, _>>()?;
        let cross = |il| {
            let w = weights.named(format!("dec.blk.{il}."));
            let k = w.linear("cross_attn_k", [hp.n_embd, heads.n_head_kv * heads.head_dim])?;
            let v = w.linear("cross_attn_v", [hp.n_embd, heads.n_head_kv * heads.head_dim_v])?;
            Ok::<_, Error>([k, v])
        };
        let cross = (0..n_decoder_layers).map(cross).collect::<Result<Vec<_>, _>>()?;
        let embedding = Embedding::load(weights, hp)?;
        Ok(Self {
            shape: Shape {
                n_embd: hp.n_embd,
                n_vocab: embedding.table.rows(),
                n_ctx_train: hp.n_ctx_train,
                kv: vec![heads.kv(); layers.len() + cross.len()],
                caches: vec![],
                states: vec![],
                output: OutputKind::Embeddings(Pooling::None),
            },
            norm: norm.load(weights, "enc.output_norm", hp.n_embd)?,
            embedding,
            layers,
            cross,
            pooler: None,
        })
    }
}

impl Model for Encoder {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn is_causal(&self) -> bool {
        false
    }

    fn pooler(&self) -> Option<&Pooler> {
        self.pooler.as_ref()
    }

    fn forward(&self, cx: &mut Forward<'_>) -> Tensor {
        let x = self.embedding.forward(cx);
        let mark = cx.mark();
        for (il, layer) in self.layers.iter().enumerate() {
            layer.forward(cx, il, x, false);
            cx.release(mark);
        }
        let x = self.norm.forward(cx, x);
        for (il, [k, v]) in (self.layers.len()..).zip(&self.cross) {
            let [k, v] = [k, v].map(|linear| cx.linear1(x, linear));
            cx.store(il, k, v);
        }
        cx.keep_outputs(x)
    }
}

impl DecoderLayer {
    fn load(source: &Source<'_>, il: usize) -> Result<Self, Error> {
        let Source { hp, weights, .. } = source;
        let (norm, heads) = (source.rms_norm()?, heads(source)?);
        let names = |il| weights.named(format!("dec.blk.{il}."));
        let w = &names(il);
        let (n_q, n_out) = (heads.n_head * heads.head_dim, heads.n_head * heads.head_dim_v);
        Ok(Self {
            attn_norm: norm.load(w, "attn_norm", hp.n_embd)?,
            attention: attention(source, names, il, Mask::Causal)?,
            cross_norm: norm.load(w, "cross_attn_norm", hp.n_embd)?,
            cross_q: w.linear("cross_attn_q", [hp.n_embd, n_q])?,
            cross_params: AttentionParams::causal(heads.n_head, 1.0),
            cross_output: w.linear("cross_attn_o", [n_out, hp.n_embd])?,
            ffn_norm: norm.load(w, "ffn_norm", hp.n_embd)?,
            ffn: ffn(w, hp.n_embd)?,
        })
    }

    /// The stream after the layer, whose keys and values of the text are layer `cross` of the encoder.
    fn forward(&self, cx: &mut Forward<'_>, il: usize, cross: usize, x: Tensor) {
        let h = self.attn_norm.forward(cx, x);
        let a = self.attention.forward(cx, il, h);
        cx.add_assign(x, a);
        let h = self.cross_norm.forward(cx, x);
        let q = cx.linear1(h, &self.cross_q);
        let a = cx.attend_encoded(cross, q, &self.cross_params);
        let a = cx.linear1(a, &self.cross_output);
        cx.add_assign(x, a);
        let h = self.ffn_norm.forward(cx, x);
        let f = self.ffn.forward(cx, h);
        cx.add_assign(x, f);
    }
}

impl Model for T5 {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn encoder(&self) -> Option<&dyn Model> {
        Some(&self.encoder)
    }

    fn answer_start(&self) -> Option<u32> {
        self.answer_start
    }

    fn forward(&self, cx: &mut Forward<'_>) -> Tensor {
        let x = self.embedding.forward(cx);
        let mark = cx.mark();
        for (il, layer) in self.layers.iter().enumerate() {
            layer.forward(cx, il, self.encoder.layers.len() + il, x);
            cx.release(mark);
        }
        let x = cx.keep_outputs(x);
        self.head.forward(cx, x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_fine_near_and_coarse_far() {
        let of = |distances: &[isize], both_ways| {
            distances.iter().map(|&d| bucket(d, 32, both_ways)).collect::<Vec<_>>()
        };
        // As in the paper's own code (mesh_tensorflow's `_relative_position_bucket`).
        assert_eq!(
            of(&[0, -1, -7, -8, -16, -128, 1, 8, 128], true),
            [0, 1, 7, 8, 10, 15, 17, 24, 31]
        );
        assert_eq!(of(&[0, -1, -15, -16, -32, -128, 5], false), [0, 1, 15, 16, 21, 31, 0]);
    }
}
