//! Attention with a matrix as memory.

use std::ops::Range;

use backend::{HeadSharing, LinearAttention, Span, Tensor};

use super::{Target, for_each_chunk, load, part, store};
use crate::ops::Rows;
use crate::pool::{Pool, SharedMut};
use crate::simd::{Kernel, Level, Simd, exp};

/// Values of a head per chunk.
const CHUNK: usize = 64;
/// Values whose memories are in work together.
const BLOCK: usize = 4;
/// Values of a key that have their decay at hand.
const DECAYS: usize = 256;

/// The inputs of a [`backend::LinearAttention`], whose shapes were checked.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    pub q: Rows<'a>,
    pub k: Rows<'a>,
    pub v: Rows<'a>,
    pub log_decay: Rows<'a>,
    /// One row of decays serves all.
    pub constant_decay: bool,
    pub beta: Option<Rows<'a>>,
    pub update: Update<'a>,
    pub n_head: usize,
    pub n_head_k: usize,
    pub sharing: HeadSharing,
    pub scale: f32,
}

/// See [`backend::Update`].
#[derive(Clone, Copy)]
pub enum Update<'a> {
    Add,
    AddLate(&'a [f32]),
    Delta,
    Replace(Rows<'a>, Rows<'a>),
}

impl<'a> Inputs<'a> {
    /// The inputs' rows, and parameters.
    pub fn new(attention: &LinearAttention<'a>, rows: impl Fn(Tensor) -> Rows<'a>) -> Self {
        let LinearAttention { q, k, v, log_decay, beta, update, .. } = *attention;
        Self {
            q: rows(q),
            k: rows(k),
            v: rows(v),
            log_decay: rows(log_decay),
            constant_decay: log_decay.rows() == 1,
            beta: beta.map(&rows),
            update: match update {
                backend::Update::Add => Update::Add,
                backend::Update::AddLate(bonus) => Update::AddLate(bonus),
                backend::Update::Delta => Update::Delta,
                backend::Update::Replace { a, b } => Update::Replace(rows(a), rows(b)),
            },
            n_head: attention.n_head,
            n_head_k: attention.n_head_k,
            sharing: attention.sharing,
            scale: attention.scale,
        }
    }
}

/// Attends, see [`backend::LinearAttention`]. `out` is dense.
pub fn linear_attention(
    pool: &Pool,
    level: Level,
    inputs: Inputs<'_>,
    states: &mut [f32],
    batch: &[Span<'_>],
    out: &mut [f32],
) {
    let (dim, dim_v) = (inputs.k.cols / inputs.n_head_k, inputs.v.cols / inputs.n_head);
    let per_head = dim_v.div_ceil(CHUNK);
    let work = 2 * out.len() * dim;
    let target = Target {
        out: SharedMut::new(out),
        cols: inputs.v.cols,
        states: SharedMut::new(states),
        state_len: inputs.v.cols * dim,
    };
    for_each_chunk(pool, batch, inputs.n_head * per_head, work, |span, chunk| {
        let span = &batch[span];
        let head = chunk / per_head;
        let values = part(chunk % per_head, CHUNK, dim_v);
        level.run(Values { inputs, span, head, dim, dim_v, values, target });
    });
}

/// Some values of a head of a span.
struct Values<'a> {
    inputs: Inputs<'a>,
    span: &'a Span<'a>,
    head: usize,
    dim: usize,
    dim_v: usize,
    values: Range<usize>,
    target: Target<'a>,
}

impl Kernel for Values<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Values { inputs, head, dim, dim_v, .. } = self;
        let Inputs { n_head, n_head_k, scale, .. } = inputs;
        let key_head = inputs.sharing.key_head(head, n_head, n_head_k);
        let (keys, own) = (key_head * dim..(key_head + 1) * dim, head * dim..(head + 1) * dim);
        let values = head * dim_v + self.values.start..head * dim_v + self.values.end;
        // SAFETY: the memory of a value is its chunk's.
        let memory = unsafe { self.target.begin(self.span, values.start * dim..values.end * dim) };
        let mut few = [0.0; DECAYS];
        let mut many = Vec::new();
        let decay = match few.get_mut(..dim) {
            Some(few) => few,
            None => {
                many.resize(dim, 0.0);
                &mut many[..]
            }
        };
        for (i, row) in self.span.rows.clone().enumerate() {
            if i == 0 || !inputs.constant_decay {
                let logs = inputs.log_decay.row(if inputs.constant_decay { 0 } else { row });
                decays(
                    s,
                    if logs.len() == n_head { &logs[head..=head] } else { &logs[own.clone()] },
                    decay,
                );
            }
            let token = Token {
                q: &inputs.q.row(row)[keys.clone()],
                k: &inputs.k.row(row)[keys.clone()],
                decay,
                beta: inputs.beta.map_or(1.0, |beta| beta.row(row)[head]),
                update: match inputs.update {
                    Update::Add => HeadUpdate::Add,
                    Update::AddLate(bonus) => HeadUpdate::AddLate(&bonus[own.clone()]),
                    Update::Delta => HeadUpdate::Delta,
                    Update::Replace(a, b) => {
                        HeadUpdate::Replace(&a.row(row)[own.clone()], &b.row(row)[own.clone()])
                    }
                },
            };
            let v = &inputs.v.row(row)[values.clone()];
            // SAFETY: rows of the span and values of this chunk.
            let out = unsafe { self.target.out(row, values.clone()) };
            token.run(s, memory, v, out);
            for out in out {
                *out *= scale;
            }
        }
    }
}

/// What is left of the memory, from one logarithm for all or one for each.
#[inline(always)]
fn decays<S: Simd>(s: S, logs: &[f32], out: &mut [f32]) {
    if let [log] = logs {
        let mut one = [0.0; 16];
        s.store(exp(s, s.splat(*log)), &mut one);
        out.fill(one[0]);
        return;
    }
    for (logs, out) in logs.chunks(S::LANES).zip(out.chunks_mut(S::LANES)) {
        store(s, exp(s, load(s, logs)), out);
    }
}

/// One head's part of one row.
struct Token<'a> {
    q: &'a [f32],
    k: &'a [f32],
    decay: &'a [f32],
    beta: f32,
    update: HeadUpdate<'a>,
}

/// An [`Update`] of one head.
#[derive(Clone, Copy)]
enum HeadUpdate<'a> {
    Add,
    AddLate(&'a [f32]),
    Delta,
    Replace(&'a [f32], &'a [f32]),
}

impl Token<'_> {
    /// Changes the memories of values and reads from them.
    #[inline(always)]
    fn run<S: Simd>(&self, s: S, memory: &mut [f32], v: &[f32], out: &mut [f32]) {
        let dim = self.k.len();
        let mut memory = memory.chunks_exact_mut(BLOCK * dim);
        let mut v = v.chunks_exact(BLOCK);
        let mut out = out.chunks_exact_mut(BLOCK);
        for ((memory, v), out) in (&mut memory).zip(&mut v).zip(&mut out) {
            self.block::<S, BLOCK>(s, memory, v, out);
        }
        let memory = memory.into_remainder().chunks_exact_mut(dim);
        let v = v.remainder().chunks_exact(1);
        let out = out.into_remainder().chunks_exact_mut(1);
        for ((memory, v), out) in memory.zip(v).zip(out) {
            self.block::<S, 1>(s, memory, v, out);
        }
    }

    #[inline(always)]
    fn block<S: Simd, const N: usize>(&self, s: S, memory: &mut [f32], v: &[f32], out: &mut [f32]) {
        let mut written = [0.0; N];
        match self.update {
            HeadUpdate::Add => {
                for (written, v) in written.iter_mut().zip(v) {
                    *written = self.beta * v;
                }
                self.write::<S, N, false>(s, memory, written, None, out);
            }
            HeadUpdate::AddLate(bonus) => {
                written.copy_from_slice(v);
                self.write::<S, N, true>(s, memory, written, None, out);
                let own = product3(s, self.q, self.k, bonus);
                for (out, v) in out.iter_mut().zip(v) {
                    *out += v * own;
                }
            }
            HeadUpdate::Delta => {
                let held = self.held::<S, N>(s, memory, self.k, Some(self.decay));
                for ((written, v), held) in written.iter_mut().zip(v).zip(held) {
                    *written = self.beta * (v - held);
                }
                self.write::<S, N, false>(s, memory, written, None, out);
            }
            HeadUpdate::Replace(a, b) => {
                written.copy_from_slice(v);
                let moved = self.held::<S, N>(s, memory, a, None);
                self.write::<S, N, false>(s, memory, written, Some((moved, b)), out);
            }
        }
    }

    /// What the memories of values hold for a key, after they decay if they do.
    #[inline(always)]
    fn held<S: Simd, const N: usize>(
        &self,
        s: S,
        memory: &[f32],
        key: &[f32],
        decay: Option<&[f32]>,
    ) -> [f32; N] {
        let dim = key.len();
        let mut sums = [s.splat(0.0); N];
        for at in (0..dim).step_by(S::LANES) {
            let end = (at + S::LANES).min(dim);
            let mut key = load(s, &key[at..end]);
            if let Some(decay) = decay {
                key = s.mul(key, load(s, &decay[at..end]));
            }
            for (i, sum) in sums.iter_mut().enumerate() {
                *sum = s.mul_add(load(s, &memory[i * dim..][at..end]), key, *sum);
            }
        }
        let mut held = [0.0; N];
        for (held, sum) in held.iter_mut().zip(sums) {
            *held = s.reduce_add(sum);
        }
        held
    }

    /// Decays the memories of values, writes to them, and reads them, before that if `LATE`.
    #[inline(always)]
    fn write<S: Simd, const N: usize, const LATE: bool>(
        &self,
        s: S,
        memory: &mut [f32],
        written: [f32; N],
        moved: Option<([f32; N], &[f32])>,
        out: &mut [f32],
    ) {
        let dim = self.k.len();
        let mut sums = [s.splat(0.0); N];
        for at in (0..dim).step_by(S::LANES) {
            let end = (at + S::LANES).min(dim);
            let (q, k) = (load(s, &self.q[at..end]), load(s, &self.k[at..end]));
            let decay = load(s, &self.decay[at..end]);
            for (i, sum) in sums.iter_mut().enumerate() {
                let memory = &mut memory[i * dim..][at..end];
                let old = load(s, memory);
                let mut new = s.mul_add(s.splat(written[i]), k, s.mul(old, decay));
                if let Some((moved, to)) = &moved {
                    new = s.mul_add(s.splat(moved[i]), load(s, &to[at..end]), new);
                }
                *sum = s.mul_add(if LATE { old } else { new }, q, *sum);
                store(s, new, memory);
            }
        }
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = s.reduce_add(sum);
        }
    }
}

/// `Σ a b c`.
#[inline(always)]
fn product3<S: Simd>(s: S, a: &[f32], b: &[f32], c: &[f32]) -> f32 {
    let mut sum = s.splat(0.0);
    for at in (0..a.len()).step_by(S::LANES) {
        let end = (at + S::LANES).min(a.len());
        let ab = s.mul(load(s, &a[at..end]), load(s, &b[at..end]));
        sum = s.mul_add(ab, load(s, &c[at..end]), sum);
    }
    s.reduce_add(sum)
}
