//! The decoder of WavTokenizer (Ji et al. 2024, arXiv:2408.16532): convolutions and one attention
//! over all positions make of each code the spectrum of a piece of sound.
//!
//! As in llama.cpp, convolutions take half floats: the norms amplify the rounding, so that it belongs
//! to what the model is known to answer.

use backend::{AttentionParams, Linear, TensorType, Vector, Weight};

use super::prelude::*;
use crate::blocks::pooling::Pooling;
use crate::memory::KvShape;
use crate::{OutputKind, Shape};

/// Values that the first and the later convolutions see.
const WIDE: usize = 7;
const NARROW: usize = 3;
/// Which of the six parts of the position net attends, and which is a norm alone.
const N_PARTS: usize = 6;
const ATTENDING: usize = 2;

struct WavTokenizer {
    shape: Shape,
    table: Weight,
    first: Conv,
    parts: Vec<Part>,
    norm: Norm,
    blocks: Vec<ConvNext>,
    output_norm: Norm,
    output: Linear,
}

/// A convolution over positions before and after, with zeros beyond the ends.
struct Conv {
    kernel: usize,
    /// Of the values seen, `[channels in][kernel]`.
    product: Linear,
}

/// A norm of groups of channels over all positions.
struct GroupNorm {
    n_groups: usize,
    eps: f32,
    weight: Vector,
    bias: Vector,
}

enum Part {
    Residual(Box<[(GroupNorm, Conv); 2]>),
    Attention(Box<PositionAttention>),
    Norm(GroupNorm),
}

/// One head that attends to all positions.
struct PositionAttention {
    norm: GroupNorm,
    qkv: [Linear; 3],
    output: Linear,
    params: AttentionParams,
}

/// ConvNeXt's block (Liu et al. 2022, arXiv:2201.03545).
struct ConvNext {
    /// A channel's weights for each value seen.
    taps: Vec<Vector>,
    bias: Vector,
    norm: Norm,
    up: Linear,
    down: Linear,
    scale: Vector,
}

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, weights: w } = source;
    let norm = source.layer_norm()?;
    let width = keys.width("posnet.embedding_length")?;
    if keys.width("convnext.embedding_length")? != width {
        let (key, value) = ("convnext.embedding_length".into(), "another".into());
        return Err(Error::Value { key, value, expected: width.to_string() });
    }
    let n_parts = keys.count("posnet.block_count")?;
    if n_parts > N_PARTS {
        let (key, value) = ("posnet.block_count".into(), n_parts.to_string());
        return Err(Error::Value { key, value, expected: format!("at most {N_PARTS}") });
    }
    let groups = Groups {
        n: keys.count("attention.group_norm_groups")?,
        eps: keys.f32("attention.group_norm_epsilon")?,
        width,
    };
    if !width.is_multiple_of(groups.n) {
        let (key, value) = ("attention.group_norm_groups".into(), groups.n.to_string());
        return Err(Error::Value { key, value, expected: format!("a divisor of {width}") });
    }
    let n_features = keys.opt_width("features_length")?.unwrap_or(hp.n_embd);
    let table = w.table("token_embd.weight", n_features)?;
    let n_blocks = keys.count("convnext.block_count")?;
    let blocks = (0..n_blocks).map(|i| ConvNext::load(w, i, width, norm));
    Ok(Arc::new(WavTokenizer {
        shape: Shape {
            n_embd: hp.n_embd,
            n_vocab: table.rows(),
            n_ctx_train: hp.n_ctx_train,
            kv: vec![KvShape { n_head_kv: 1, head_dim: width, head_dim_v: width, window: None }],
            caches: vec![],
            states: vec![],
            output: OutputKind::Embeddings(Pooling::Mean),
        },
        table,
        first: Conv::load(w, "conv1d", [WIDE, n_features, width])?,
        parts: (0..n_parts).map(|i| Part::load(w, i, groups)).collect::<Result<_, _>>()?,
        norm: norm.load(w, "token_embd_norm", width)?,
        blocks: blocks.collect::<Result<_, _>>()?,
        output_norm: norm.load(w, "output_norm", width)?,
        output: w.linear("output", [width, hp.n_embd])?,
    }))
}

/// How groups of channels are normed.
#[derive(Clone, Copy)]
struct Groups {
    n: usize,
    eps: f32,
    width: usize,
}

impl GroupNorm {
    fn load(w: &Weights<'_>, name: &str, groups: Groups) -> Result<Self, Error> {
        let Groups { n, eps, width } = groups;
        let vector = |part: &str| w.groups(&format!("{name}.{part}"), [1, width]);
        Ok(Self { n_groups: n, eps, weight: vector("weight")?, bias: vector("bias")? })
    }

    fn forward(&self, cx: &mut Forward<'_>, x: Tensor) -> Tensor {
        let (rows, cols, n) = (x.rows(), x.cols(), self.n_groups);
        // A group's channels of all rows, side by side.
        let x = cx.concat(&[x]).reshape(1, rows * cols);
        let groups = cx.deinterleave(x, &vec![cols / n; n]).reshape(n, rows * cols / n);
        let normed = cx.layer_norm(groups, rows * cols / n, None, None, self.eps);
        let normed = normed.reshape(1, rows * cols);
        let x = cx.deinterleave(normed, &vec![cols / n; rows]).reshape(rows, cols);
        let x = cx.mul_vector(x, &self.weight);
        add_row(cx, x, &self.bias);
        x
    }
}

/// Adds a vector to each row.
fn add_row(cx: &mut Forward<'_>, x: Tensor, row: &Vector) {
    let rows = cx.upload(&row.repeat(x.rows()), row.len());
    cx.add_assign(x, rows);
}

/// Rounded to a half float.
fn half(value: f32) -> f32 {
    quant::f16_to_f32(quant::f32_to_f16(value))
}

/// The matrix, rounded to half floats.
fn halves(weight: Weight) -> Result<Weight, Error> {
    if weight.ty() == TensorType::F16 {
        return Ok(weight);
    }
    let (cols, rows) = (weight.cols(), weight.rows());
    let mut values = vec![0.0; cols * rows];
    for (row, values) in values.chunks_exact_mut(cols.max(1)).enumerate() {
        weight.decode_row(0, row, values);
    }
    let bytes: Vec<u8> = values.iter().flat_map(|&v| quant::f32_to_f16(v).to_le_bytes()).collect();
    Ok(Weight::new(weight.name(), TensorType::F16, [cols, rows, 1], bytes.into())?)
}

/// A copy, rounded to half floats.
fn rounded(cx: &mut Forward<'_>, x: Tensor) -> Tensor {
    let mut values = vec![0.0; x.rows() * x.cols()];
    cx.download(x, &mut values);
    values.iter_mut().for_each(|value| *value = half(*value));
    cx.upload(&values, x.cols())
}

/// Rows `by` before or after each row of `x`, which is followed by a row of zeros.
fn shifted(cx: &mut Forward<'_>, x: Tensor, by: isize) -> Tensor {
    let n = x.rows() - 1;
    let row = |row: usize| row.checked_add_signed(by).filter(|&row| row < n).unwrap_or(n);
    let rows: Vec<usize> = (0..n).map(row).collect();
    cx.gather(x, &rows)
}

/// `x` followed by a row of zeros.
fn with_zeros(cx: &mut Forward<'_>, x: Tensor) -> Tensor {
    let all = cx.alloc(x.rows() + 1, x.cols());
    cx.assign(all.row_range(0..x.rows()), x);
    let zeros = cx.upload(&vec![0.0; x.cols()], x.cols());
    cx.assign(all.row_range(x.rows()..x.rows() + 1), zeros);
    all
}

/// `x`, rounded, as it is `kernel / 2` rows before, and so on to as many after.
fn seen(cx: &mut Forward<'_>, x: Tensor, kernel: usize) -> Vec<Tensor> {
    let x = rounded(cx, x);
    let x = with_zeros(cx, x);
    (0..kernel).map(|tap| shifted(cx, x, tap as isize - (kernel / 2) as isize)).collect()
}

impl Conv {
    /// Loads `NAME.weight` of `shape` `[kernel, channels in, channels out]` and `NAME.bias`.
    fn load(w: &Weights<'_>, name: &str, shape: [usize; 3]) -> Result<Self, Error> {
        let [kernel, _, n_out] = shape;
        let weight = halves(w.kernel(&format!("{name}.weight"), shape)?)?;
        let bias = Some(w.groups(&format!("{name}.bias"), [1, n_out])?);
        Ok(Self { kernel, product: Linear { weight, bias, scale: 1.0 } })
    }

    fn forward(&self, cx: &mut Forward<'_>, x: Tensor) -> Tensor {
        let taps = seen(cx, x, self.kernel);
        let all = cx.concat(&taps);
        // From `[kernel][channels]` to `[channels][kernel]`.
        let all = cx.deinterleave(all, &vec![1; x.cols()]);
        cx.linear1(all, &self.product)
    }
}

impl Part {
    fn load(w: &Weights<'_>, i: usize, groups: Groups) -> Result<Self, Error> {
        let (w, width) = (&w.named(format!("posnet.{i}.")), groups.width);
        Ok(match i {
            ATTENDING => {
                let product =
                    |name| Ok::<_, Error>(Conv::load(w, name, [1, width, width])?.product);
                Part::Attention(Box::new(PositionAttention {
                    norm: GroupNorm::load(w, "attn_norm", groups)?,
                    qkv: [product("attn_q")?, product("attn_k")?, product("attn_v")?],
                    output: product("attn_output")?,
                    params: AttentionParams {
                        mask: Mask::Full,
                        ..AttentionParams::causal(1, 1.0 / (width as f32).sqrt())
                    },
                }))
            }
            i if i + 1 == N_PARTS => Part::Norm(GroupNorm::load(w, "attn_norm", groups)?),
            _ => {
                let conv = |name| Conv::load(w, name, [NARROW, width, width]);
                let norm = |name| GroupNorm::load(w, name, groups);
                Part::Residual(Box::new([
                    (norm("norm1")?, conv("conv1")?),
                    (norm("norm2")?, conv("conv2")?),
                ]))
            }
        })
    }

    fn forward(&self, cx: &mut Forward<'_>, x: Tensor) -> Tensor {
        match self {
            Part::Norm(norm) => norm.forward(cx, x),
            Part::Residual(convs) => {
                let mut h = x;
                for (norm, conv) in convs.iter() {
                    h = norm.forward(cx, h);
                    cx.activate(h, Activation::Silu);
                    h = conv.forward(cx, h);
                }
                cx.add_assign(h, x);
                h
            }
            Part::Attention(attention) => {
                let PositionAttention { norm, qkv: [q, k, v], output, params } = &**attention;
                let h = norm.forward(cx, x);
                let h = rounded(cx, h);
                let qkv = cx.linear(h, &[q, k, v]);
                let n = x.cols();
                let qkv = [0, 1, 2].map(|i| qkv.columns(i * n..(i + 1) * n));
                let a = cx.attend(0, qkv, params);
                let a = rounded(cx, a);
                let y = cx.linear1(a, output);
                cx.add_assign(y, x);
                y
            }
        }
    }
}

impl ConvNext {
    fn load(w: &Weights<'_>, i: usize, width: usize, norm: NormKind) -> Result<Self, Error> {
        let w = &w.named(format!("convnext.{i}."));
        let weights = w.values("dw.weight", &[WIDE, 1, width])?;
        let tap = |tap| {
            weights.iter().skip(tap).step_by(WIDE).map(|&w| half(w)).collect::<Vec<_>>().into()
        };
        let n_ff = w.cols("pw2.weight")?;
        Ok(Self {
            taps: (0..WIDE).map(tap).collect(),
            bias: w.groups("dw.bias", [1, width])?,
            norm: norm.load(w, "norm", width)?,
            up: w.linear("pw1", [width, n_ff])?,
            down: w.linear("pw2", [n_ff, width])?,
            scale: w.vector("gamma.weight", width)?,
        })
    }

    fn forward(&self, cx: &mut Forward<'_>, x: Tensor) {
        let sum = cx.upload(&self.bias.repeat(x.rows()), x.cols());
        for (x, tap) in seen(cx, x, WIDE).into_iter().zip(&self.taps) {
            let product = cx.mul_vector(x, tap);
            cx.add_assign(sum, product);
        }
        let h = self.norm.forward(cx, sum);
        let h = cx.linear1(h, &self.up);
        cx.activate(h, Activation::GeluTanh);
        let h = cx.linear1(h, &self.down);
        let h = cx.mul_vector(h, &self.scale);
        cx.add_assign(x, h);
    }
}

impl Model for WavTokenizer {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Convolutions and attention look at later positions, too.
    fn is_causal(&self) -> bool {
        false
    }

    fn forward(&self, cx: &mut Forward<'_>) -> Tensor {
        let x = cx.embed_tokens(&self.table);
        let mut x = self.first.forward(cx, x);
        for part in &self.parts {
            x = part.forward(cx, x);
        }
        let x = self.norm.forward(cx, x);
        self.blocks.iter().for_each(|block| block.forward(cx, x));
        let x = cx.keep_outputs(x);
        let x = self.output_norm.forward(cx, x);
        cx.linear1(x, &self.output)
    }
}
