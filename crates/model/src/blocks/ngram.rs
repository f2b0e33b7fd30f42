//! Embeddings of n-grams (Engram, DeepSeek-AI 2026, arXiv:2601.07372, as in Qwen4's experimental
//! models): a token and those before it choose rows of a table by hashes, which join the residual
//! streams as far as they fit them.

use std::sync::Arc;

use backend::{Activation, Linear, ShortConv, Tensor, Vector, Weight};

use crate::blocks::hyper::StreamStep;
use crate::blocks::norm::{Norm, NormKind};
use crate::error::Error;
use crate::forward::Forward;
use crate::source::Source;
use crate::weights::Weights;

/// Longest n-gram that a file may claim.
const MOST_TOKENS: usize = 16;
/// Token ids are kept as floats, which hold integers up to here.
const MOST_IDS: usize = 1 << 24;
/// Least magnitude whose root is taken.
const LEAST: f32 = 1e-6;

/// The table, and how n-grams choose its rows.
pub struct NgramTable {
    /// The layer that it serves.
    pub layer: usize,
    table: Weight,
    /// Tokens of the longest n-gram.
    n: usize,
    heads_per_gram: usize,
    eos: u32,
    multipliers: Vec<u64>,
    /// First row and number of rows of each head.
    rows: Vec<(u64, u64)>,
}

/// What one layer makes of n-grams.
pub struct NgramMemory {
    table: Arc<NgramTable>,
    n_embd: usize,
    key: Linear,
    value: Linear,
    key_norm: Norm,
    query_norm: Norm,
    conv_norm: Norm,
    conv: ShortConv,
}

impl NgramMemory {
    /// Loads `per_layer_token_embd` and the keys under `ple`; `None` where the file has none.
    pub fn load_table(source: &Source<'_>) -> Result<Option<Arc<NgramTable>>, Error> {
        let Source { keys, hp, weights: w } = source;
        let refuse = |key: &str, value: String, expected: String| {
            Err(Error::Value { key: format!("ple.{key}"), value, expected })
        };
        let layers = keys.numbers("ple.layers")?.unwrap_or_default();
        let &[layer] = &layers[..] else {
            return match layers.len() {
                0 => Ok(None),
                n => refuse("layers", format!("{n} layers"), "one layer".into()),
            };
        };
        let (n, heads_per_gram) =
            (keys.count("ple.ngram_size")?, keys.count("ple.heads_per_ngram")?);
        if !(2..=MOST_TOKENS).contains(&n) {
            return refuse("ngram_size", n.to_string(), format!("2 to {MOST_TOKENS}"));
        }
        let table = w.table(
            "per_layer_token_embd.weight",
            keys.width("embedding_length_per_layer_input")?,
        )?;
        let n_heads = (n - 1) * heads_per_gram;
        let array = |key: &str, len: usize| {
            let mut values = keys.numbers(&format!("ple.{key}"))?.unwrap_or_default();
            if values.len() < len {
                let (value, expected) = (format!("{} values", values.len()), format!("{len}"));
                return Err(Error::Value { key: format!("ple.{key}"), value, expected });
            }
            values.truncate(len);
            Ok(values)
        };
        let (first, len) = (array("head_offsets", n_heads)?, array("head_vocab_sizes", n_heads)?);
        let rows: Vec<(u64, u64)> = std::iter::zip(first, len).collect();
        let fits = |&(first, len): &(u64, u64)| {
            len > 0 && first.checked_add(len).is_some_and(|end| end <= table.rows() as u64)
        };
        if let Some((first, len)) = rows.iter().find(|rows| !fits(rows)) {
            let (value, n) = (format!("{len} from {first} on"), table.rows());
            return refuse("head_vocab_sizes", value, format!("some of {n} rows"));
        }
        let n_vocab = w.table("token_embd.weight", hp.n_embd)?.rows();
        if n_vocab >= MOST_IDS || n_heads * table.cols() != hp.n_embd {
            return refuse(
                "heads_per_ngram",
                n_heads.to_string(),
                format!("{} values in all", hp.n_embd),
            );
        }
        Ok(Some(Arc::new(NgramTable {
            layer: layer as usize,
            table,
            n,
            heads_per_gram,
            eos: keys.opt_usize("ple.eos_token_id")?.map_or(u32::MAX, |id| id as u32),
            multipliers: array("layer_multipliers", n)?,
            rows,
        })))
    }

    /// Loads a layer's `ple_*`.
    pub fn load(
        w: &Weights<'_>,
        source: &Source<'_>,
        table: &Arc<NgramTable>,
        n_streams: usize,
        norm: NormKind,
    ) -> Result<Self, Error> {
        let n_embd = source.hp.n_embd;
        let all = n_streams * n_embd;
        let norm = |name| norm.load_groups(w, name, [n_embd, n_streams]);
        Ok(Self {
            key: w.linear("ple_key", [n_embd, all])?,
            value: w.linear("ple_value", [n_embd, n_embd])?,
            key_norm: norm("ple_norm_key")?,
            query_norm: norm("ple_norm_query")?,
            conv_norm: norm("ple_norm_conv")?,
            conv: dilated(w, source.keys.count("ple.conv_kernel")?.min(MOST_TOKENS), table.n, all)?,
            table: table.clone(),
            n_embd,
        })
    }

    /// Embeddings of the n-grams that end at the batch's tokens, `[rows][n_embd]`.
    fn embed(&self, cx: &mut Forward<'_>, il: usize, first_state: usize) -> Tensor {
        let table = &*self.table;
        // Ids plus one, so that a state of zeros is no token.
        let ids: Vec<f32> = cx.tokens().iter().map(|&id| (id + 1) as f32).collect();
        let mut last = cx.upload(&ids, 1);
        let mut grams = vec![ids];
        for back in 1..table.n {
            let change = cx.token_shift(last, [il, first_state + back - 1]);
            cx.add_assign(change, last);
            last = change;
            let mut ids = vec![0.0; last.rows()];
            cx.download(last, &mut ids);
            grams.push(ids);
        }
        let rows = (0..last.rows()).flat_map(|row| {
            let tokens: Vec<Option<u32>> =
                grams.iter().map(|ids| (ids[row] as u32).checked_sub(1)).collect();
            table.rows_of(&tokens)
        });
        let rows: Vec<u32> = rows.collect();
        cx.embed(&table.table, &rows).reshape(last.rows(), self.n_embd)
    }

    /// How much of the value each stream takes, `[rows][streams]`.
    fn gates(&self, cx: &mut Forward<'_>, key: Tensor, streams: Tensor) -> Tensor {
        let n = streams.rows() * (streams.cols() / self.n_embd);
        let key = self.key_norm.forward(cx, key).reshape(n, self.n_embd);
        let query = self.query_norm.forward(cx, streams).reshape(n, self.n_embd);
        let products = cx.mix_streams(key, query, 1);
        let mut gates = vec![0.0; n];
        cx.download(products, &mut gates);
        for gate in &mut gates {
            let product = *gate / (self.n_embd as f32).sqrt();
            let sign = if product == 0.0 { 0.0 } else { product.signum() };
            *gate = 1.0 / (1.0 + (-sign * product.abs().max(LEAST).sqrt()).exp());
        }
        cx.upload(&gates, streams.cols() / self.n_embd)
    }
}

impl NgramTable {
    /// A row for each head, given a token and those before it, the last first.
    fn rows_of(&self, tokens: &[Option<u32>]) -> Vec<u32> {
        // What lies before the end of a text is not seen; a token itself may be one.
        let mut context = Vec::with_capacity(self.n);
        let mut cut = false;
        for (back, &token) in tokens.iter().enumerate() {
            cut |= back > 0 && token.is_none_or(|token| token == self.eos);
            context.push(u64::from(if cut { self.eos } else { token.unwrap_or(self.eos) }));
        }
        let mut rows = Vec::with_capacity(self.rows.len());
        for n in 2..=self.n {
            let products = std::iter::zip(&context[..n], &self.multipliers);
            let hash = products.fold(0, |hash, (&id, &factor)| hash ^ id.wrapping_mul(factor));
            let heads = &self.rows[(n - 2) * self.heads_per_gram..][..self.heads_per_gram];
            rows.extend(heads.iter().map(|&(first, len)| (hash % len + first) as u32));
        }
        rows
    }
}

/// A convolution over every `step`th row, as one over all of them.
fn dilated(w: &Weights<'_>, taps: usize, step: usize, channels: usize) -> Result<ShortConv, Error> {
    let taken = w.values("ple_conv1d.weight", &[taps, channels])?;
    let kernel = (taps - 1) * step + 1;
    let mut weight = vec![0.0; kernel * channels];
    for (tap, line) in weight.chunks_exact_mut(channels).step_by(step).enumerate() {
        let taken = taken.iter().skip(tap).step_by(taps);
        line.iter_mut().zip(taken).for_each(|(to, &value)| *to = value);
    }
    Ok(ShortConv { weight: Vector::new(weight), bias: None, kernel })
}

impl StreamStep for NgramMemory {
    fn states(&self) -> Vec<usize> {
        let tokens = std::iter::repeat_n(1, self.table.n - 1);
        tokens.chain([self.conv.state_len()]).collect()
    }

    fn forward(&self, cx: &mut Forward<'_>, streams: Tensor, il: usize, first_state: usize) {
        let embedded = self.embed(cx, il, first_state);
        let key = cx.linear1(embedded, &self.key);
        let value = cx.linear1(embedded, &self.value);
        let gates = self.gates(cx, key, streams);
        let gated = cx.mix_streams(value, gates, self.n_embd);
        let h = self.conv_norm.forward(cx, gated);
        let h = cx.short_conv(h, &self.conv, [il, first_state + self.table.n - 1]);
        cx.activate(h, Activation::Silu);
        cx.add_assign(streams, gated);
        cx.add_assign(streams, h);
    }
}
