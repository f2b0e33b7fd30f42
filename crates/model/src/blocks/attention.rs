//! Projections around attention.

use backend::{Linear, Tensor};

use crate::error::Error;
use crate::forward::Forward;
use crate::hparams::Hparams;
use crate::memory::KvShape;
use crate::weights::Weights;

/// Queries, keys and values of one input: three products, or one fused product whose rows are
/// queries, then keys, then values.
pub struct Qkv {
    parts: Vec<Linear>,
    n_q: usize,
    n_k: usize,
    n_v: usize,
    head_dim_v: usize,
}

impl Qkv {
    /// Loads `attn_qkv`, or `attn_q`, `attn_k` and `attn_v`, of layer `il`.
    pub fn load(w: &Weights<'_>, hp: &Hparams, il: usize) -> Result<Self, Error> {
        let n_q = hp.n_head[il] * hp.head_dim;
        let n_k = hp.n_head_kv[il] * hp.head_dim;
        let n_v = hp.n_head_kv[il] * hp.head_dim_v;
        let parts = match w.opt_linear("attn_qkv", [hp.n_embd, n_q + n_k + n_v])? {
            Some(fused) if fused.bias.is_some() => vec![fused],
            Some(fused) => Self::with_split_biases(w, fused, [n_q, n_k, n_v])?,
            None => vec![
                w.linear("attn_q", [hp.n_embd, n_q])?,
                w.linear("attn_k", [hp.n_embd, n_k])?,
                w.linear("attn_v", [hp.n_embd, n_v])?,
            ],
        };
        Ok(Self { parts, n_q, n_k, n_v, head_dim_v: hp.head_dim_v })
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

    /// Width of a value head.
    pub fn head_dim_v(&self) -> usize {
        self.head_dim_v
    }

    /// `[queries, keys, values]` of `x`, as columns of one tensor.
    pub fn forward(&self, cx: &mut Forward<'_>, x: Tensor) -> [Tensor; 3] {
        let parts: Vec<&Linear> = self.parts.iter().collect();
        let qkv = cx.linear(x, &parts);
        let (k, v) = (self.n_q, self.n_q + self.n_k);
        [qkv.columns(0..k), qkv.columns(k..v), qkv.columns(v..v + self.n_v)]
    }
}

/// The queries of a layer that attends to another one's keys and values: `attn_q`, or the first
/// rows of `attn_qkv`. Biases and scales of the file don't apply, as in llama.cpp.
pub fn load_queries(w: &Weights<'_>, hp: &Hparams, il: usize) -> Result<Linear, Error> {
    let n_q = hp.n_head[il] * hp.head_dim;
    let n_qkv = n_q + hp.n_head_kv[il] * (hp.head_dim + hp.head_dim_v);
    let weight = match w.opt_matrix("attn_qkv.weight", [hp.n_embd, n_qkv])? {
        Some(fused) => fused.slice_rows(0..n_q),
        None => w.matrix("attn_q.weight", [hp.n_embd, n_q])?,
    };
    Ok(Linear::plain(weight))
}

/// What every layer stores where all have keys and values of the usual widths.
pub fn kv_shapes(hp: &Hparams) -> Vec<KvShape> {
    let (head_dim, head_dim_v) = (hp.head_dim, hp.head_dim_v);
    hp.n_head_kv.iter().map(|&n_head_kv| KvShape { n_head_kv, head_dim, head_dim_v }).collect()
}
