//! Operations with recurrent states.

use backend::{
    Backend, HeadSharing, LinearAttention, SelectiveScan, ShortConv, Span, StateId, StateSpec,
    Tensor, Update, Vector,
};

use super::{Extent, of_extent};
use crate::case::{Case, Limit, download};
use crate::random::Random;

/// Rows of a sequence's beginning, and of what follows.
const STEPS: [usize; 2] = [7, 1];
/// All rows.
const ROWS: usize = 8;

/// Runs a sequence in steps.
fn in_steps(
    backend: &mut dyn Backend,
    len: usize,
    step: impl Fn(&mut dyn Backend, StateId, usize, &[Span<'_>]) -> Tensor,
) -> Vec<f32> {
    let spec = StateSpec { len, n_slots: 2 };
    let state = backend.state_create(spec).expect("memory for some states");
    let (mut pos, mut out) = (0, Vec::new());
    for rows in STEPS {
        let y = step(backend, state, pos, &[Span { rows: 0..rows, pos, pages: &[], slot: 1 }]);
        out.extend(download(backend, y));
        pos += rows;
    }
    out
}

/// Rows of `values` for a span.
fn upload(
    backend: &mut dyn Backend,
    values: &[f32],
    cols: usize,
    first: usize,
    batch: &[Span<'_>],
) -> Tensor {
    backend.upload(&values[first * cols..][..batch[0].rows.len() * cols], cols)
}

pub fn convolution(extent: Extent) -> Vec<Case> {
    let shapes = [(77, 4, true), (1, 2, false), (301, 3, true)];
    let shapes = of_extent(extent, &shapes).iter();
    shapes
        .map(|&(channels, kernel, has_bias)| {
            let mut random = Random::new(channels as u64 + 2);
            let x = random.values(ROWS * channels);
            let conv = ShortConv {
                weight: Vector::new(random.values(channels * kernel)),
                bias: has_bias.then(|| Vector::new(random.values(channels))),
                kernel,
            };
            let name = format!("{channels} channels, {kernel} rows");
            Case::new(name, Limit::relative(channels, 2e-5), move |backend| {
                in_steps(backend, conv.state_len(), |backend, state, first, batch| {
                    let x = upload(backend, &x, channels, first, batch);
                    backend.short_conv(x, &conv, state, batch)
                })
            })
        })
        .collect()
}

pub fn scan(extent: Extent) -> Vec<Case> {
    let shapes = of_extent(extent, &[(37, 16), (1, 1), (65, 37)]).iter();
    shapes
        .map(|&(channels, n)| {
            let mut random = Random::new(channels as u64 + 3);
            let x = random.values(ROWS * channels);
            let dt = random.range(ROWS * channels, 0.0, 1.0);
            let [b, c] = [0, 1].map(|_| random.values(ROWS * n));
            let a = Vector::new(random.range(channels * n, -2.0, 0.0));
            let name = format!("{channels} channels of {n} values");
            Case::new(name, Limit::relative(channels, 2e-5), move |backend| {
                in_steps(backend, channels * n, |backend, state, first, batch| {
                    let mut take = |x: &[f32], cols| upload(backend, x, cols, first, batch);
                    let (x, dt) = (take(&x, channels), take(&dt, channels));
                    let (b, c) = (take(&b, n), take(&c, n));
                    backend.selective_scan(&SelectiveScan { x, dt, b, c, a: &a }, state, batch)
                })
            })
        })
        .collect()
}

pub fn linear_attention(extent: Extent) -> Vec<Case> {
    let shapes = of_extent(extent, &[(2, 1, 37, 21), (4, 2, 64, 64), (1, 1, 128, 5)]);
    let mut cases = Vec::new();
    for &(n_head, n_head_k, dim, dim_v) in shapes {
        for kind in [Kind::Add, Kind::AddLate, Kind::Delta, Kind::Replace] {
            cases.push(linear_attention_of(kind, [n_head, n_head_k, dim, dim_v]));
        }
    }
    cases
}

/// How the memory changes, see [`Update`].
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Add,
    AddLate,
    Delta,
    Replace,
}

fn linear_attention_of(kind: Kind, [n_head, n_head_k, dim, dim_v]: [usize; 4]) -> Case {
    let mut random = Random::new(dim as u64 + 4);
    // Short keys keep the memory from growing without bounds.
    let length = 1.0 / (dim as f32).sqrt();
    let per_key = n_head * dim;
    let q = random.values(ROWS * n_head_k * dim);
    let k = random.range(ROWS * n_head_k * dim, -length, length);
    let v = random.values(ROWS * n_head * dim_v);
    let decays = random.range(ROWS * n_head, -1.0, 0.0);
    let beta = random.range(ROWS * n_head, 0.0, 1.0);
    let [from, to] = [0, 1].map(|_| random.range(ROWS * per_key, -length, length));
    let bonus = Vector::new(random.values(per_key));
    let name = format!("{kind:?}, {n_head} heads of {dim} to {dim_v}");
    Case::new(name, Limit::relative(n_head * dim_v, 2e-5), move |backend| {
        in_steps(backend, per_key * dim_v, |backend, state, first, batch| {
            let mut take = |x: &[f32], cols| upload(backend, x, cols, first, batch);
            let update = match kind {
                Kind::Add => Update::Add,
                Kind::AddLate => Update::AddLate(&bonus),
                Kind::Delta => Update::Delta,
                Kind::Replace => Update::Replace { a: take(&from, per_key), b: take(&to, per_key) },
            };
            let strong = matches!(kind, Kind::Add | Kind::Delta);
            let attention = LinearAttention {
                q: take(&q, n_head_k * dim),
                k: take(&k, n_head_k * dim),
                v: take(&v, n_head * dim_v),
                log_decay: take(&decays, n_head),
                beta: strong.then(|| take(&beta, n_head)),
                update,
                n_head,
                n_head_k,
                sharing: HeadSharing::Neighbours,
                scale: 0.5,
            };
            backend.linear_attention(&attention, state, batch)
        })
    })
}
