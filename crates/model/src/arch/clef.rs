//! Clef (2026): Qwen3.5 that decides instead of answering. A head reads a text in which questions and
//! their options are marked, and scores the options.
//!
//! The features of a token ([`crate::Context::decode_with`]) are one number: 0 for text, 1 to 3 for
//! the words of a question of some kind, 4 for those of an option of the question before. A text must
//! be one batch with all outputs: output `i` is the score of option `i`; those left over are 0.

use std::ops::Range;

use backend::{Linear, Weight};

use super::prelude::*;
use super::qwen_next;
use crate::{OutputKind, Pooling, Shape};

/// Kinds of questions.
const N_KINDS: usize = 3;
/// The mark of an option.
const OPTION: usize = 4;
/// Least length.
const LEAST: f32 = 1e-12;

struct Clef {
    shape: Shape,
    backbone: Decoder,
    hidden_norm: Norm,
    memory: Linear,
    question: Linear,
    option_question: Linear,
    global: Linear,
    option_context: Linear,
    option_lexical: Linear,
    /// Options read the text.
    routing: Vec<HeadLayer>,
    /// Questions read each other and the text.
    joint: Vec<HeadLayer>,
    summary_norm: Norm,
    field_norm: Norm,
    option_norm: Norm,
    kinds: Weight,
    scorer: [Linear; 2],
    scales: [f32; 3],
    words: Weight,
}

struct HeadLayer {
    own: Option<(Norm, HeadAttention)>,
    cross_norm: Norm,
    memory_norm: Option<Norm>,
    cross: HeadAttention,
    ffn_norm: Norm,
    ffn: [Linear; 2],
}

struct HeadAttention {
    n_head: usize,
    q: Linear,
    kv: [Linear; 2],
    output: Linear,
}

/// A question with its kind and its words.
struct Question {
    kind: usize,
    words: Range<usize>,
}

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, weights: w } = source;
    let mut backbone = qwen_next::load_backbone(source)?;
    backbone.head.output = None;
    let norm = source.layer_norm()?;
    let n_embd = hp.n_embd;
    let width = w.table("decision.proj_memory.weight", n_embd)?.rows();
    let n_head = keys.count("decision.head_count")?;
    if !width.is_multiple_of(n_head) {
        let (key, value) = ("decision.head_count".into(), n_head.to_string());
        return Err(Error::Value { key, value, expected: format!("a divisor of {width}") });
    }
    let (n_routing, n_joint) =
        (keys.count("decision.routing_block_count")?, keys.count("decision.block_count")?);
    let layer = |il| HeadLayer::load(&w.named(format!("dec.blk.{il}.")), [width, n_head], norm);
    let layers = |range: Range<usize>| range.map(layer).collect::<Result<Vec<_>, _>>();
    let from_hidden = |name: &str| w.linear(&format!("decision.{name}"), [n_embd, width]);
    let scales = w.vector("decision.scales", 3)?;
    let shape = Shape {
        n_embd: 1,
        output: OutputKind::Embeddings(Pooling::Mean),
        ..backbone.shape().clone()
    };
    let words = if w.has("output.weight") { "output.weight" } else { "token_embd.weight" };
    Ok(Arc::new(Clef {
        words: w.matrix(words, [n_embd, shape.n_vocab])?,
        shape,
        backbone,
        hidden_norm: norm.load(w, "decision.hidden_norm", n_embd)?,
        memory: from_hidden("proj_memory")?,
        question: from_hidden("proj_question")?,
        option_question: from_hidden("proj_option_question")?,
        global: from_hidden("proj_global")?,
        option_context: from_hidden("proj_option_context")?,
        option_lexical: from_hidden("proj_option_lexical")?,
        routing: layers(0..n_routing)?,
        joint: layers(n_routing..n_routing + n_joint)?,
        summary_norm: norm.load(w, "decision.option_summary_norm", width)?,
        field_norm: norm.load(w, "decision.field_norm", width)?,
        option_norm: norm.load(w, "decision.option_norm", width)?,
        kinds: w.matrix("token_types.weight", [width, N_KINDS])?,
        scorer: [
            w.linear("decision.scorer", [4 * width, width])?,
            w.linear("decision.scorer_out", [width, 1])?,
        ],
        scales: [scales[0], scales[1], scales[2]],
    }))
}

impl HeadLayer {
    fn load(w: &Weights<'_>, sizes: [usize; 2], norm: NormKind) -> Result<Self, Error> {
        let width = sizes[0];
        let n_ff = w.cols("ffn_down.weight")?;
        let own = || {
            let attention = HeadAttention::load(w, "attn", sizes)?;
            Ok::<_, Error>((norm.load(w, "attn_norm", width)?, attention))
        };
        Ok(Self {
            own: w.has("attn_q.weight").then(own).transpose()?,
            cross_norm: norm.load(w, "cross_attn_norm", width)?,
            memory_norm: norm.opt(w, "cross_attn_norm_kv", width)?,
            cross: HeadAttention::load(w, "cross_attn", sizes)?,
            ffn_norm: norm.load(w, "ffn_norm", width)?,
            ffn: [w.linear("ffn_up", [width, n_ff])?, w.linear("ffn_down", [n_ff, width])?],
        })
    }

    /// Changes `x`, in place, which reads `memory`.
    fn forward(&self, cx: &mut Forward<'_>, x: Tensor, memory: Tensor) {
        if let Some((norm, attention)) = &self.own {
            let h = norm.forward(cx, x);
            let a = attention.forward(cx, h, h);
            cx.add_assign(x, a);
        }
        let h = self.cross_norm.forward(cx, x);
        let memory = self.memory_norm.as_ref().map_or(memory, |norm| norm.forward(cx, memory));
        let a = self.cross.forward(cx, h, memory);
        cx.add_assign(x, a);
        let h = self.ffn_norm.forward(cx, x);
        let f = perceptron(cx, h, &self.ffn);
        cx.add_assign(x, f);
    }
}

impl HeadAttention {
    fn load(w: &Weights<'_>, name: &str, [width, n_head]: [usize; 2]) -> Result<Self, Error> {
        let part = |part: &str| w.linear(&format!("{name}_{part}"), [width, width]);
        Ok(Self { n_head, q: part("q")?, kv: [part("k")?, part("v")?], output: part("o")? })
    }

    /// Every row of `x` to every row of `memory`.
    fn forward(&self, cx: &mut Forward<'_>, x: Tensor, memory: Tensor) -> Tensor {
        let q = cx.linear1(x, &self.q);
        let [k, v] = &self.kv;
        let kv = cx.linear(memory, &[k, v]);
        let (width, n) = (q.cols(), q.cols() / self.n_head);
        let (q, kv) = (download(cx, q), download(cx, kv));
        let mut out = Vec::with_capacity(q.len());
        for q in q.chunks_exact(n).enumerate() {
            let (first, q) = (q.0 % self.n_head * n, q.1);
            let rows = || kv.chunks_exact(2 * width);
            let scores = rows().map(|kv| dot(q, &kv[first..][..n]) / (n as f32).sqrt());
            let weights = softmax(scores.collect());
            out.extend((0..n).map(|i| {
                let values = rows().map(|kv| kv[width + first + i]);
                values.zip(&weights).map(|(value, weight)| value * weight).sum::<f32>()
            }));
        }
        let out = cx.upload(&out, width);
        cx.linear1(out, &self.output)
    }
}

impl Clef {
    /// The scores of options.
    fn decide(
        &self,
        cx: &mut Forward<'_>,
        hidden: Tensor,
        questions: &[Question],
        options: &[(usize, Range<usize>)],
    ) -> Vec<f32> {
        let hidden = self.hidden_norm.forward(cx, hidden);
        let memory = cx.linear1(hidden, &self.memory);
        let last = hidden.row_range(hidden.rows() - 1..hidden.rows());
        let owner: Vec<usize> = options.iter().map(|&(question, _)| question).collect();
        let spans: Vec<Range<usize>> = options.iter().map(|(_, words)| words.clone()).collect();
        let question =
            means(cx, hidden, &questions.iter().map(|q| q.words.clone()).collect::<Vec<_>>());
        let context = means(cx, hidden, &spans);
        let words = cx.embed_tokens(&self.words);
        let lexical = means(cx, words, &spans);

        let option = cx.linear1(context, &self.option_context);
        let by_words = cx.linear1(lexical, &self.option_lexical);
        cx.add_assign(option, by_words);
        let asked = cx.linear1(question, &self.option_question);
        let asked = cx.gather(asked, &owner);
        cx.add_assign(option, asked);
        self.routing.iter().for_each(|layer| layer.forward(cx, option, memory));

        let field = cx.linear1(question, &self.question);
        let summary = self.summary(cx, field, option, &owner);
        let summary = self.summary_norm.forward(cx, summary);
        cx.add_assign(field, summary);
        let global = cx.linear1(last, &self.global);
        let global = cx.gather(global, &vec![0; questions.len()]);
        cx.add_assign(field, global);
        let kinds: Vec<u32> = questions.iter().map(|question| question.kind as u32).collect();
        let kinds = cx.embed(&self.kinds, &kinds);
        cx.add_assign(field, kinds);
        self.joint.iter().for_each(|layer| layer.forward(cx, field, memory));
        let field = self.field_norm.forward(cx, field);
        let field = cx.gather(field, &owner);
        let option = self.option_norm.forward(cx, option);

        let end = cx.gather(last, &vec![0; questions.len()]);
        cx.add_assign(question, end);
        let anchor = cx.gather(question, &owner);
        let prior = cosines(cx, lexical, anchor);
        let joint = cosines(cx, field, option);
        let residual = self.residual(cx, field, option);
        let [of_prior, of_cosine, of_joint] = self.scales;
        let score =
            |i: usize| of_prior * prior[i] + of_joint * (of_cosine * joint[i] + residual[i]);
        (0..options.len()).map(score).collect()
    }

    /// For each question the mean of its options, by how they fit it.
    fn summary(
        &self,
        cx: &mut Forward<'_>,
        field: Tensor,
        option: Tensor,
        owner: &[usize],
    ) -> Tensor {
        let width = field.cols();
        let (fields, options) = (download(cx, field), download(cx, option));
        let mut out = Vec::with_capacity(fields.len());
        for (question, field) in fields.chunks_exact(width).enumerate() {
            let own = || {
                let rows = options.chunks_exact(width).zip(owner);
                rows.filter(|&(_, &owner)| owner == question).map(|(row, _)| row)
            };
            let scores = own().map(|row| dot(row, field) / (width as f32).sqrt());
            let weights = softmax(scores.collect());
            out.extend(
                (0..width).map(|i| own().zip(&weights).map(|(row, w)| row[i] * w).sum::<f32>()),
            );
        }
        cx.upload(&out, width)
    }

    /// What the scorer makes of fields and options beside each other.
    fn residual(&self, cx: &mut Forward<'_>, field: Tensor, option: Tensor) -> Vec<f32> {
        let (fields, options) = (download(cx, field), download(cx, option));
        let products: Vec<f32> = fields.iter().zip(&options).map(|(a, b)| a * b).collect();
        let distances: Vec<f32> = fields.iter().zip(&options).map(|(a, b)| (a - b).abs()).collect();
        let [products, distances] = [products, distances].map(|x| cx.upload(&x, field.cols()));
        let all = cx.concat(&[field, option, products, distances]);
        let score = perceptron(cx, all, &self.scorer);
        download(cx, score)
    }
}

/// Two products with GELU between them.
fn perceptron(cx: &mut Forward<'_>, x: Tensor, [up, down]: &[Linear; 2]) -> Tensor {
    let h = cx.linear1(x, up);
    let cols = h.cols();
    let mut h = download(cx, h);
    h.iter_mut().for_each(|x| *x = gelu(*x));
    let h = cx.upload(&h, cols);
    cx.linear1(h, down)
}

/// `x/2 · (1 + erf(x/√2))`, with the error function of Abramowitz & Stegun 7.1.26, within 2e-7.
fn gelu(x: f32) -> f32 {
    const FACTORS: [f64; 5] =
        [1.061_405_429, -1.453_152_027, 1.421_413_741, -0.284_496_736, 0.254_829_592];
    let x = f64::from(x);
    let u = x.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * u);
    let polynomial = FACTORS.iter().fold(0.0, |sum, factor| sum * t + factor) * t;
    let erf = 1.0 - polynomial * (-u * u).exp();
    (x / 2.0 * (1.0 + erf.copysign(x))) as f32
}

fn download(cx: &mut Forward<'_>, x: Tensor) -> Vec<f32> {
    let mut values = vec![0.0; x.rows() * x.cols()];
    cx.download(x, &mut values);
    values
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn softmax(mut x: Vec<f32>) -> Vec<f32> {
    let most = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    x.iter_mut().for_each(|x| *x = (*x - most).exp());
    let total: f32 = x.iter().sum();
    x.iter_mut().for_each(|x| *x /= total);
    x
}

/// The mean of some rows for each of these ranges.
fn means(cx: &mut Forward<'_>, x: Tensor, spans: &[Range<usize>]) -> Tensor {
    let (n, cols) = (x.rows(), x.cols());
    let mut weights = vec![0.0; spans.len() * n];
    for (weights, span) in weights.chunks_exact_mut(n).zip(spans) {
        weights[span.clone()].fill(1.0 / span.len() as f32);
    }
    let weights = cx.upload(&weights, spans.len() * n);
    let x = cx.concat(&[x]).reshape(1, n * cols);
    cx.mix_streams(x, weights, cols).reshape(spans.len(), cols)
}

/// Cosines of the angles between rows.
fn cosines(cx: &mut Forward<'_>, a: Tensor, b: Tensor) -> Vec<f32> {
    let cols = a.cols();
    let (a, b) = (download(cx, a), download(cx, b));
    let length = |x: &[f32]| dot(x, x).sqrt().max(LEAST);
    let pairs = a.chunks_exact(cols).zip(b.chunks_exact(cols));
    pairs.map(|(a, b)| dot(a, b) / (length(a) * length(b))).collect()
}

/// Questions, and options with the number of their question; `None` where marks make no sense.
type Marked = Option<(Vec<Question>, Vec<(usize, Range<usize>)>)>;

fn read_marks(marks: &[f32]) -> Marked {
    let (mut questions, mut options) = (Vec::new(), Vec::<(usize, Range<usize>)>::new());
    let mut start = 0;
    for run in marks.chunk_by(|a, b| a == b) {
        let words = start..start + run.len();
        start = words.end;
        match run[0] as usize {
            0 => {}
            mark @ 1..=N_KINDS => questions.push(Question { kind: mark - 1, words }),
            OPTION => options.push((questions.len().checked_sub(1)?, words)),
            _ => return None,
        }
    }
    let asked = |question| options.iter().any(|&(owner, _)| owner == question);
    (0..questions.len()).all(asked).then_some((questions, options))
}

impl Model for Clef {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn feature_width(&self) -> usize {
        1
    }

    fn forward(&self, cx: &mut Forward<'_>) -> Tensor {
        let hidden = self.backbone.forward(cx);
        let marks = cx.features(1);
        let marks = download(cx, marks);
        let mut scores = vec![0.0; hidden.rows()];
        match read_marks(&marks).filter(|_| marks.len() == hidden.rows()) {
            None => scores.fill(f32::NAN),
            Some((questions, options)) if !questions.is_empty() => {
                let decided = self.decide(cx, hidden, &questions, &options);
                scores[..decided.len()].copy_from_slice(&decided);
            }
            Some(_) => {}
        }
        cx.upload(&scores, 1)
    }
}
