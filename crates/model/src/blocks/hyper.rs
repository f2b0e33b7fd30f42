//! Hyper-connections (Zhu et al. 2024, arXiv:2409.19606; manifold-constrained ones: Xie et al. 2025,
//! arXiv:2512.24880): the residual stream is several streams wide. Blocks take a mix of the streams,
//! and what they yield is added to each of them by a weight of its own.
//!
//! The streams are side by side, `[rows][n * n_embd]`.

use backend::{Activation, Linear, Tensor, Vector};

use crate::blocks::ffn::FeedForward;
use crate::blocks::head::Embedding;
use crate::blocks::layer::{Block, Mixer};
use crate::blocks::norm::{Norm, NormKind, normed};
use crate::blocks::stack::Stack;
use crate::error::Error;
use crate::forward::Forward;
use crate::hparams::Keys;
use crate::memory::{CacheShape, KvShape};
use crate::source::Source;
use crate::weights::Weights;
use crate::{Model, Shape};

/// Where a block takes from the streams and puts to.
pub trait Connection: Send + Sync {
    /// The block's input for these streams, and how its output will join them.
    fn open(&self, cx: &mut Forward<'_>, streams: Tensor) -> Opened;
}

/// Between a block's input and its output.
#[derive(Debug, Clone, Copy)]
pub struct Opened {
    /// The block's input, `[rows][n_embd]`.
    pub input: Tensor,
    /// The output's weight for each stream, `[rows][n]`.
    pub put: Tensor,
    /// How streams mix, `[rows][n to][n from]`; without it each stays.
    pub mix: Option<Tensor>,
}

impl Opened {
    /// Adds the block's output, `[rows][n_embd]`, to the streams, in place.
    pub fn close(self, cx: &mut Forward<'_>, streams: Tensor, output: Tensor) {
        let added = cx.mix_streams(output, self.put, output.cols());
        if let Some(mix) = self.mix {
            let mixed = cx.mix_streams(streams, mix, output.cols());
            cx.assign(streams, mixed);
        }
        cx.add_assign(streams, added);
    }

    /// Only the rows whose output is wanted.
    fn keep_outputs(&mut self, cx: &mut Forward<'_>) {
        let tensors = [&mut self.input, &mut self.put].into_iter().chain(&mut self.mix);
        tensors.for_each(|tensor| *tensor = cx.keep_outputs(*tensor));
    }
}

/// The sizes of hyper-connections.
#[derive(Debug, Clone, Copy)]
pub struct HyperSizes {
    /// Width of a stream.
    pub n_embd: usize,
    /// Number of streams.
    pub n: usize,
    /// Added to weights.
    pub eps: f32,
    /// Rounds that make the mix of streams nearly doubly stochastic; without them streams stay.
    pub sinkhorn: Option<usize>,
    /// Greatest weight of an output.
    pub magnitude: f32,
    /// Whether `eps` is added to the weights of outputs too.
    pub eps_in_put: bool,
}

impl HyperSizes {
    /// Those of manifold-constrained hyper-connections.
    pub fn load(keys: &Keys<'_>, n_embd: usize) -> Result<Self, Error> {
        Ok(Self {
            n_embd,
            n: small(keys, "hyper_connection.count")?,
            eps: keys.f32("hyper_connection.epsilon")?,
            sinkhorn: Some(small(keys, "hyper_connection.sinkhorn_iterations")?),
            magnitude: 2.0,
            eps_in_put: false,
        })
    }
}

/// Most streams and rounds that a file may claim.
const MOST: usize = 64;

/// A number of streams or rounds.
pub fn small(keys: &Keys<'_>, key: &str) -> Result<usize, Error> {
    let n = keys.count(key)?;
    if n > MOST {
        let (key, value) = (key.into(), n.to_string());
        return Err(Error::Value { key, value, expected: format!("at most {MOST}") });
    }
    Ok(n)
}

/// Weights from the streams themselves: for products `x` with all streams, normed, those of the
/// input are `sigmoid(x) + eps`, those of the output `magnitude · sigmoid(x)`.
pub struct Dynamic {
    sizes: HyperSizes,
    norm: Norm,
    take: Linear,
    put: Linear,
    mix: Option<Linear>,
}

impl Dynamic {
    /// Loads `NAME_{fn,base,scale}`.
    pub fn load(
        w: &Weights<'_>,
        name: &str,
        sizes: HyperSizes,
        norm: NormKind,
    ) -> Result<Self, Error> {
        let HyperSizes { n, sinkhorn, .. } = sizes;
        let parts = [n, n, if sinkhorn.is_some() { n * n } else { 0 }];
        let n_parts = if sinkhorn.is_some() { 3 } else { 2 };
        let mut linears = load_parts(w, name, sizes, &parts[..n_parts])?.into_iter();
        let missing = || Error::MissingTensor { name: w.full_name(name) };
        let mut next = || linears.next().ok_or_else(missing);
        let (take, put) = (next()?, next()?);
        Ok(Self { sizes, norm: norm.plain(), take, put, mix: linears.next() })
    }
}

/// The products for parts of the weights, each with a scale of its own.
fn load_parts(
    w: &Weights<'_>,
    name: &str,
    sizes: HyperSizes,
    parts: &[usize],
) -> Result<Vec<Linear>, Error> {
    let total = parts.iter().sum();
    let weight = w.matrix(&format!("{name}_fn.weight"), [sizes.n * sizes.n_embd, total])?;
    let base = w.vector(&format!("{name}_base.weight"), total)?;
    let scales = w.vector(&format!("{name}_scale.weight"), parts.len())?;
    let mut start = 0;
    let part = |(&rows, &scale): (&usize, &f32)| {
        let range = start..start + rows;
        start = range.end;
        let bias = Some(Vector::new(&base[range.clone()]));
        Linear { weight: weight.slice_rows(range), bias, scale }
    };
    Ok(parts.iter().zip(scales.iter()).map(part).collect())
}

/// The sum of the streams by these weights.
fn sum(cx: &mut Forward<'_>, streams: Tensor, weights: Tensor, eps: f32, n_embd: usize) -> Tensor {
    cx.activate(weights, Activation::Sigmoid);
    cx.offset(weights, eps);
    cx.mix_streams(streams, weights, n_embd)
}

impl Connection for Dynamic {
    fn open(&self, cx: &mut Forward<'_>, streams: Tensor) -> Opened {
        let HyperSizes { n, n_embd, eps, sinkhorn, magnitude, eps_in_put } = self.sizes;
        let h = self.norm.forward(cx, streams);
        let parts: Vec<&Linear> = [&self.take, &self.put].into_iter().chain(&self.mix).collect();
        let weights = cx.linear(h, &parts);
        let put = weights.columns(n..2 * n);
        cx.activate(put, Activation::Sigmoid);
        cx.scale(put, magnitude);
        if eps_in_put {
            cx.offset(put, eps);
        }
        let mix = sinkhorn.map(|rounds| {
            let from_to = weights.columns(2 * n..weights.cols());
            cx.sinkhorn(from_to, n, rounds, eps);
            // Groups of one part per stream, sorted by part: the matrix transposed.
            cx.deinterleave(from_to, &vec![1; n])
        });
        let input = sum(cx, streams, weights.columns(0..n), eps, n_embd);
        Opened { input, put, mix }
    }
}

/// Weights for each value from the streams themselves, by products of low rank: the input is the mean
/// of the normed streams times `sigmoid(up(silu(down(streams) / n)))`, and outputs have the weights
/// `2 · sigmoid(inject(streams) / n)`.
pub struct LowRank {
    n_embd: usize,
    n: usize,
    norm: Norm,
    down: Linear,
    up: Linear,
    inject: Option<Linear>,
}

impl LowRank {
    /// Loads `NAME_{norm,down,up}` and, where the file has it, `NAME_inject`.
    pub fn load(
        w: &Weights<'_>,
        name: &str,
        [n_embd, n, rank]: [usize; 3],
        norm: NormKind,
    ) -> Result<Self, Error> {
        let all = n * n_embd;
        let scaled = |linear: Linear| Linear { scale: linear.scale / n as f32, ..linear };
        Ok(Self {
            n_embd,
            n,
            norm: norm.load_groups(w, &format!("{name}_norm"), [n_embd, n])?,
            down: scaled(w.linear(&format!("{name}_down"), [all, rank])?),
            up: w.linear(&format!("{name}_up"), [rank, all])?,
            inject: w.opt_linear(&format!("{name}_inject"), [all, n])?.map(scaled),
        })
    }

    /// A block's input from the normed streams.
    fn input(&self, cx: &mut Forward<'_>, h: Tensor) -> Tensor {
        let low = cx.linear1(h, &self.down);
        cx.activate(low, Activation::Silu);
        let gate = cx.linear1(low, &self.up);
        let gated = cx.glu(gate, h, Activation::Sigmoid.into());
        mean(cx, gated, self.n_embd)
    }
}

impl Connection for LowRank {
    fn open(&self, cx: &mut Forward<'_>, streams: Tensor) -> Opened {
        let h = self.norm.forward(cx, streams);
        let put = match &self.inject {
            Some(inject) => cx.linear1(h, inject),
            None => cx.upload(&vec![0.0; h.rows() * self.n], self.n),
        };
        cx.activate(put, Activation::Sigmoid);
        cx.scale(put, 2.0);
        Opened { input: self.input(cx, h), put, mix: None }
    }
}

/// The mean of the streams.
fn mean(cx: &mut Forward<'_>, streams: Tensor, n_embd: usize) -> Tensor {
    let (rows, n) = (streams.rows(), streams.cols() / n_embd);
    let weights = cx.upload(&vec![1.0 / n as f32; rows * n], n);
    cx.mix_streams(streams, weights, n_embd)
}

/// From the streams to one, at the end.
pub enum Collapse {
    /// Their mean.
    Mean,
    /// Their sum with weights as those of a block's input.
    Dynamic(Box<(HyperSizes, Norm, Linear)>),
    /// As a block's input.
    LowRank(Box<LowRank>),
}

impl Collapse {
    /// Loads `output_hc_{fn,base,scale}`.
    pub fn load(w: &Weights<'_>, sizes: HyperSizes, norm: NormKind) -> Result<Self, Error> {
        let linears = load_parts(w, "output_hc", sizes, &[sizes.n])?;
        let missing = || Error::MissingTensor { name: "output_hc_fn.weight".into() };
        let linear = linears.into_iter().next().ok_or_else(missing)?;
        Ok(Self::Dynamic(Box::new((sizes, norm.plain(), linear))))
    }

    fn forward(&self, cx: &mut Forward<'_>, streams: Tensor, n_embd: usize) -> Tensor {
        match self {
            Collapse::Mean => mean(cx, streams, n_embd),
            Collapse::Dynamic(parts) => {
                let (sizes, norm, linear) = &**parts;
                let h = norm.forward(cx, streams);
                let weights = cx.linear1(h, linear);
                sum(cx, streams, weights, sizes.eps, n_embd)
            }
            Collapse::LowRank(connection) => {
                let h = connection.norm.forward(cx, streams);
                connection.input(cx, h)
            }
        }
    }
}

/// Changes the streams before a layer, in place.
pub trait StreamStep: Send + Sync {
    /// Sizes of its recurrent states, which come after those of the layer's mixer.
    fn states(&self) -> Vec<usize>;

    /// Changes the streams, with states of layer `il` from `first_state` on.
    fn forward(&self, cx: &mut Forward<'_>, streams: Tensor, il: usize, first_state: usize);
}

/// A layer on streams.
pub struct HyperLayer {
    /// Comes first.
    pub before: Option<Box<dyn StreamStep>>,
    /// Of the mixer.
    pub attn: Box<dyn Connection>,
    /// Before the mixer.
    pub attn_norm: Option<Norm>,
    /// Looks at other positions.
    pub mixer: Box<dyn Mixer>,
    /// Of the feed-forward.
    pub ffn_connection: Box<dyn Connection>,
    /// Before the feed-forward.
    pub ffn_norm: Option<Norm>,
    /// Looks at each position.
    pub ffn: Box<dyn FeedForward>,
}

impl HyperLayer {
    /// With `attn_norm` and `ffn_norm`, and connections `hc_attn` and `hc_ffn`.
    pub fn load(
        w: &Weights<'_>,
        sizes: HyperSizes,
        norm: NormKind,
        mixer: impl Mixer + 'static,
        ffn: impl FeedForward + 'static,
    ) -> Result<Self, Error> {
        Ok(Self {
            before: None,
            attn: Box::new(Dynamic::load(w, "hc_attn", sizes, norm)?),
            attn_norm: Some(norm.load(w, "attn_norm", sizes.n_embd)?),
            mixer: Box::new(mixer),
            ffn_connection: Box::new(Dynamic::load(w, "hc_ffn", sizes, norm)?),
            ffn_norm: Some(norm.load(w, "ffn_norm", sizes.n_embd)?),
            ffn: Box::new(ffn),
        })
    }
}

impl Block for HyperLayer {
    fn kv(&self) -> KvShape {
        self.mixer.kv()
    }

    fn caches(&self) -> Vec<CacheShape> {
        self.mixer.caches()
    }

    fn states(&self) -> Vec<usize> {
        let before = self.before.iter().flat_map(|step| step.states());
        self.mixer.states().into_iter().chain(before).collect()
    }

    fn prepare(&self, cx: &mut Forward<'_>) {
        self.mixer.prepare(cx);
    }

    fn forward(&self, cx: &mut Forward<'_>, il: usize, streams: Tensor, last: bool) -> Tensor {
        if let Some(step) = &self.before {
            step.forward(cx, streams, il, self.mixer.states().len());
        }
        let mut opened = self.attn.open(cx, streams);
        let h = normed(&self.attn_norm, cx, opened.input);
        let mut y = self.mixer.forward(cx, il, h);
        let mut streams = streams;
        if last {
            [streams, y] = [streams, y].map(|t| cx.keep_outputs(t));
            opened.keep_outputs(cx);
        }
        opened.close(cx, streams, y);
        let opened = self.ffn_connection.open(cx, streams);
        let h = normed(&self.ffn_norm, cx, opened.input);
        let y = self.ffn.forward(cx, h);
        opened.close(cx, streams, y);
        streams
    }
}

/// A decoder with hyper-connections.
pub struct HyperDecoder {
    shape: Shape,
    embedding: Embedding,
    layers: Stack,
    n_streams: usize,
    collapse: Collapse,
    last: Option<Norm>,
    output: Linear,
}

impl HyperDecoder {
    /// Loads the ends, with `last` as the last norm if there is one, and each layer by `layer`.
    pub fn load(
        source: &Source<'_>,
        n_streams: usize,
        collapse: Collapse,
        last: impl Into<Option<Norm>>,
        layer: impl FnMut(usize, &Weights<'_>) -> Result<HyperLayer, Error>,
    ) -> Result<Self, Error> {
        let Source { hp, weights: w, .. } = source;
        let layers = Stack::load(source, layer)?;
        let embedding = Embedding::load(w, hp)?;
        let output = w.opt_linear("output", [hp.n_embd, embedding.table.rows()])?;
        Ok(Self {
            output: output.unwrap_or_else(|| Linear::plain(embedding.table.clone())),
            last: last.into(),
            shape: layers.shape(hp, embedding.table.rows()),
            embedding,
            layers,
            n_streams,
            collapse,
        })
    }
}

impl Model for HyperDecoder {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn forward(&self, cx: &mut Forward<'_>) -> Tensor {
        self.layers.prepare(cx);
        let x = self.embedding.forward(cx);
        let streams = cx.concat(&vec![x; self.n_streams]);
        let streams = self.layers.forward(cx, streams);
        let x = self.collapse.forward(cx, streams, self.shape.n_embd);
        let x = normed(&self.last, cx, x);
        if cx.wants_embeddings() { x } else { cx.linear1(x, &self.output) }
    }
}
