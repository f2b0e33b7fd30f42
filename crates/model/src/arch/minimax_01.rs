//! MiniMax-01 (MiniMax 2025, arXiv:2501.08313): layers of lightning attention and of softmax
//! attention, with experts. What goes around a part is its normed input, scaled.

use backend::{HeadSharing, Linear, LinearAttention, Update};

use super::prelude::*;
use crate::KvShape;

/// Period of softmax attention where the file doesn't say.
const FULL_ATTENTION_INTERVAL: usize = 8;

/// Attention whose memory fades by a rate of its own in each head (arXiv:2401.04658).
struct LightningAttention {
    n_head: usize,
    head_dim: usize,
    log_decay: Vec<f32>,
    qkv: Linear,
    norm: Norm,
    gate: Linear,
    output: Linear,
}

/// A layer whose residual stream is the normed input.
struct PostNormLayer {
    attn_norm: Norm,
    mixer: Box<dyn Mixer>,
    ffn_norm: Norm,
    ffn: Box<dyn FeedForward>,
    residual_scale: f32,
}

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Neox)?);
    let residual_scale = keys.f32("residual_scale")?;
    let recurrent = keys.recurrent_layers(hp.n_layer, FULL_ATTENTION_INTERVAL)?;
    let experts = source.normalized_routing()?;
    Ok(Arc::new(Decoder::load(source, norm, |il, w| {
        let mixer: Box<dyn Mixer> = if recurrent[il] {
            Box::new(LightningAttention::load(w, source, norm, il)?)
        } else {
            Box::new(Attention::load(w, hp, il)?.with_rope(&rope))
        };
        Ok(PostNormLayer {
            attn_norm: norm.load(w, "attn_norm", hp.n_embd)?,
            mixer,
            ffn_norm: norm.load(w, "ffn_norm", hp.n_embd)?,
            ffn: silu_ffn(w, hp, &experts)?,
            residual_scale,
        })
    })?))
}

impl LightningAttention {
    fn load(
        w: &Weights<'_>,
        source: &Source<'_>,
        norm: NormKind,
        il: usize,
    ) -> Result<Self, Error> {
        let hp = &source.hp;
        let heads = hp.heads(il)?;
        let (n_head, head_dim) = (heads.n_head, heads.head_dim);
        let width = n_head * head_dim;
        // ALiBi's slopes, gentler in later layers.
        let start = (-(3.0 - (n_head as f32).log2()).exp2()).exp2();
        let depth = il as f32 / hp.n_layer.saturating_sub(1).max(1) as f32;
        let slope = |h: usize| start.powi(h as i32 + 1) * (1.0 - depth + 1e-5);
        Ok(Self {
            n_head,
            head_dim,
            log_decay: (0..n_head).map(|h| -slope(h)).collect(),
            qkv: w.linear("attn_qkv", [hp.n_embd, 3 * width])?,
            norm: norm.load(w, "attn_norm_2", width)?,
            gate: w.linear("attn_gate", [hp.n_embd, width])?,
            output: w.linear("attn_output", [width, hp.n_embd])?,
        })
    }
}

impl Mixer for LightningAttention {
    fn states(&self) -> Vec<usize> {
        vec![self.n_head * self.head_dim * self.head_dim]
    }

    fn forward(&self, cx: &mut Forward<'_>, il: usize, x: Tensor) -> Tensor {
        let Self { n_head, head_dim, .. } = *self;
        let width = n_head * head_dim;
        let qkv = cx.linear1(x, &self.qkv);
        cx.activate(qkv, Activation::Silu);
        let qkv = cx.deinterleave(qkv, &[head_dim; 3]);
        let [q, k, v] = [0, 1, 2].map(|i| qkv.columns(i * width..(i + 1) * width));
        let attention = LinearAttention {
            q,
            k,
            v,
            log_decay: cx.upload(&self.log_decay, n_head),
            beta: None,
            update: Update::Add,
            n_head,
            n_head_k: n_head,
            sharing: HeadSharing::Neighbours,
            scale: 1.0,
        };
        let y = cx.linear_attention(&attention, [il, 0]);
        let y = self.norm.forward(cx, y);
        let gate = cx.linear1(x, &self.gate);
        let y = cx.glu(gate, y, Activation::Sigmoid.into());
        cx.linear1(y, &self.output)
    }
}

impl Block for PostNormLayer {
    fn kv(&self) -> KvShape {
        self.mixer.kv()
    }

    fn states(&self) -> Vec<usize> {
        self.mixer.states()
    }

    fn prepare(&self, cx: &mut Forward<'_>) {
        self.mixer.prepare(cx);
    }

    fn forward(&self, cx: &mut Forward<'_>, il: usize, x: Tensor, last: bool) -> Tensor {
        let mut h = self.attn_norm.forward(cx, x);
        let mut y = self.mixer.forward(cx, il, h);
        if last {
            [h, y] = [h, y].map(|t| cx.keep_outputs(t));
        }
        cx.add_scaled(y, h, self.residual_scale);
        let h = self.ffn_norm.forward(cx, y);
        let y = self.ffn.forward(cx, h);
        cx.add_scaled(y, h, self.residual_scale);
        if last {
            return y;
        }
        cx.assign(x, y);
        x
    }
}
