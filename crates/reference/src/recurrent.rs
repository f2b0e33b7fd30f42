//! Recurrent states, and the operations on them.

use backend::{
    BackendError, HeadSharing, HostArena, LinearAttention, SelectiveScan, ShortConv, Span,
    StateSpec, Tensor, Update,
};

use crate::linear::dot;

/// States in their slots.
#[derive(Debug)]
pub struct States {
    len: usize,
    values: Vec<f32>,
}

impl States {
    /// A zeroed store.
    pub fn new(spec: StateSpec) -> Result<Self, BackendError> {
        let bytes = spec.bytes()?;
        let len = spec.len * spec.n_slots;
        let mut values = Vec::new();
        values.try_reserve_exact(len).map_err(|_| BackendError::OutOfMemory { bytes })?;
        values.resize(len, 0.0);
        Ok(Self { len: spec.len, values })
    }

    /// Copies a state.
    pub fn copy(&mut self, from: u32, to: u32) {
        let (from, to) = (from as usize * self.len, to as usize * self.len);
        self.values.copy_within(from..from + self.len, to);
    }

    /// A state.
    pub fn state(&self, slot: u32) -> &[f32] {
        &self.values[slot as usize * self.len..][..self.len]
    }

    /// A state, to be changed.
    pub fn state_mut(&mut self, slot: u32) -> &mut [f32] {
        &mut self.values[slot as usize * self.len..][..self.len]
    }

    /// The state that a span goes on from.
    pub fn begin(&mut self, span: &Span<'_>, len: usize) -> &mut [f32] {
        assert_eq!(self.len, len, "values of a state");
        let state = &mut self.values[span.slot as usize * len..][..len];
        if span.pos == 0 {
            state.fill(0.0);
        }
        state
    }
}

/// See [`backend::Backend::token_shift`].
pub fn token_shift(
    arena: &HostArena,
    x: Tensor,
    states: &mut States,
    batch: &[Span<'_>],
) -> Vec<f32> {
    let mut out = vec![0.0; x.rows() * x.cols()];
    for span in batch {
        let last = states.begin(span, x.cols());
        for row in span.rows.clone() {
            let x = arena.row(x, row);
            let out = &mut out[row * x.len()..][..x.len()];
            for ((out, last), &x) in out.iter_mut().zip(last.iter_mut()).zip(x) {
                *out = *last - x;
                *last = x;
            }
        }
    }
    out
}

/// See [`ShortConv`].
pub fn short_conv(
    arena: &HostArena,
    x: Tensor,
    conv: &ShortConv,
    states: &mut States,
    batch: &[Span<'_>],
) -> Vec<f32> {
    let channels = conv.channels();
    assert_eq!(x.cols(), channels, "channels of {x:?}");
    let mut out = vec![0.0; x.rows() * channels];
    for span in batch {
        let state = states.begin(span, conv.state_len());
        for row in span.rows.clone() {
            let x = arena.row(x, row);
            for c in 0..channels {
                let column = || state.iter().skip(c).step_by(channels).chain([&x[c]]);
                let weights = conv.weight[c..].iter().step_by(channels);
                let products = column().zip(weights).map(|(&x, &w)| f64::from(x) * f64::from(w));
                let bias = conv.bias.as_ref().map_or(0.0, |bias| f64::from(bias[c]));
                out[row * channels + c] = (bias + products.sum::<f64>()) as f32;
            }
            if !state.is_empty() {
                state.copy_within(channels.., 0);
                let end = state.len() - channels;
                state[end..].copy_from_slice(x);
            }
        }
    }
    out
}

/// See [`SelectiveScan`].
pub fn selective_scan(
    arena: &HostArena,
    scan: &SelectiveScan<'_>,
    states: &mut States,
    batch: &[Span<'_>],
) -> Vec<f32> {
    let (channels, n) = (scan.x.cols(), scan.b.cols());
    assert_eq!((scan.dt.cols(), scan.c.cols()), (channels, n), "shapes of {scan:?}");
    assert_eq!(scan.a.len(), channels * n, "rates of {scan:?}");
    let mut out = vec![0.0; scan.x.rows() * channels];
    for span in batch {
        let state = states.begin(span, channels * n);
        for row in span.rows.clone() {
            let (x, dt) = (arena.row(scan.x, row), arena.row(scan.dt, row));
            let (b, c) = (arena.row(scan.b, row), arena.row(scan.c, row));
            for (ch, h) in state.chunks_exact_mut(n).enumerate() {
                let dt = f64::from(dt[ch]);
                for (i, h) in h.iter_mut().enumerate() {
                    let decay = (dt * f64::from(scan.a[ch * n + i])).exp();
                    let input = dt * f64::from(x[ch]) * f64::from(b[i]);
                    *h = (decay * f64::from(*h) + input) as f32;
                }
                out[row * channels + ch] = dot(h, c) as f32;
            }
        }
    }
    out
}

/// See [`LinearAttention`].
pub fn linear_attention(
    arena: &HostArena,
    attention: &LinearAttention<'_>,
    states: &mut States,
    batch: &[Span<'_>],
) -> Vec<f32> {
    attention.check();
    let (dim, dim_v) = (attention.head_dim(), attention.head_dim_v());
    let out_cols = attention.v.cols();
    let mut out = vec![0.0; attention.v.rows() * out_cols];
    for span in batch {
        let state = states.begin(span, attention.state_len());
        for row in span.rows.clone() {
            let out = out[row * out_cols..][..out_cols].chunks_exact_mut(dim_v);
            let heads = state.chunks_exact_mut(dim * dim_v).zip(out);
            for (head, (memory, out)) in heads.enumerate() {
                let token = Token::of(arena, attention, row, head);
                for (j, (memory, out)) in memory.chunks_exact_mut(dim).zip(out).enumerate() {
                    *out = (f64::from(attention.scale) * token.step(memory, j)) as f32;
                }
            }
        }
    }
    out
}

/// One head's part of one row.
struct Token<'a> {
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    /// Factors of the memory, one per value of a key.
    decay: Vec<f64>,
    beta: f64,
    update: HeadUpdate<'a>,
}

/// An [`Update`] of one head.
enum HeadUpdate<'a> {
    Add,
    AddLate(&'a [f32]),
    Delta,
    Replace(&'a [f32], &'a [f32]),
}

impl<'a> Token<'a> {
    fn of(
        arena: &'a HostArena,
        attention: &'a LinearAttention<'_>,
        row: usize,
        head: usize,
    ) -> Self {
        let LinearAttention { q, k, v, log_decay, beta, update, n_head, n_head_k, sharing, .. } =
            *attention;
        let sharing: HeadSharing = sharing;
        let dim = attention.head_dim();
        let part = |t: Tensor, head: usize, dim: usize| &arena.row(t, row)[head * dim..][..dim];
        let key_head = sharing.key_head(head, n_head, n_head_k);
        let logs = arena.row(log_decay, if log_decay.rows() == 1 { 0 } else { row });
        let log = |i: usize| if logs.len() == n_head { logs[head] } else { logs[head * dim + i] };
        Self {
            q: part(q, key_head, dim),
            k: part(k, key_head, dim),
            v: part(v, head, attention.head_dim_v()),
            decay: (0..dim).map(|i| f64::from(log(i)).exp()).collect(),
            beta: beta.map_or(1.0, |beta| f64::from(arena.row(beta, row)[head])),
            update: match update {
                Update::Add => HeadUpdate::Add,
                Update::AddLate(bonus) => HeadUpdate::AddLate(&bonus[head * dim..][..dim]),
                Update::Delta => HeadUpdate::Delta,
                Update::Replace { a, b } => {
                    HeadUpdate::Replace(part(a, head, dim), part(b, head, dim))
                }
            },
        }
    }

    /// Changes the memory of value `j` and reads from it.
    fn step(&self, memory: &mut [f32], j: usize) -> f64 {
        let v = f64::from(self.v[j]);
        let read = dot(memory, self.q);
        let moved = match self.update {
            HeadUpdate::Replace(a, _) => dot(memory, a),
            _ => 0.0,
        };
        let mut new: Vec<f64> =
            memory.iter().zip(&self.decay).map(|(&m, d)| f64::from(m) * d).collect();
        let written = match self.update {
            HeadUpdate::Add => self.beta * v,
            HeadUpdate::AddLate(_) | HeadUpdate::Replace(..) => v,
            HeadUpdate::Delta => {
                let held: f64 = new.iter().zip(self.k).map(|(m, &k)| m * f64::from(k)).sum();
                self.beta * (v - held)
            }
        };
        for (i, m) in new.iter_mut().enumerate() {
            *m += written * f64::from(self.k[i]);
            if let HeadUpdate::Replace(_, b) = self.update {
                *m += moved * f64::from(b[i]);
            }
        }
        memory.iter_mut().zip(&new).for_each(|(m, &new)| *m = new as f32);
        match self.update {
            HeadUpdate::AddLate(bonus) => {
                let own = |((&q, &k), &u): ((&f32, &f32), &f32)| {
                    f64::from(q) * f64::from(k) * f64::from(u)
                };
                read + v * self.q.iter().zip(self.k).zip(bonus).map(own).sum::<f64>()
            }
            _ => new.iter().zip(self.q).map(|(m, &q)| m * f64::from(q)).sum(),
        }
    }
}
