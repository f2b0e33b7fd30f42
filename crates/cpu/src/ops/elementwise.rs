//! Operations on single elements.

use backend::{Activation, Glu};

use super::{Rows, RowsMut};
use crate::simd::{Kernel, Simd, exp, expm1, sigmoid, softplus, tanh};

/// A function of one element.
#[derive(Clone, Copy)]
pub enum MapOp {
    /// Plus a number.
    Offset(f32),
    /// Times a factor.
    Scale(f32),
    /// `cap · tanh(x / cap)`.
    Softcap(f32),
    /// See [`Activation`].
    Activate(Activation),
    /// `x²`.
    Square,
    /// Within `±limit`.
    Clamp(f32),
}

impl MapOp {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, x: S::V) -> S::V {
        match self {
            MapOp::Offset(value) => s.add(x, s.splat(value)),
            MapOp::Scale(factor) => s.mul(x, s.splat(factor)),
            MapOp::Softcap(cap) => softcap(s, x, cap),
            MapOp::Activate(activation) => activate(s, x, activation),
            MapOp::Square => s.mul(x, x),
            MapOp::Clamp(limit) => clamp(s, x, limit),
        }
    }
}

/// `cap · tanh(x / cap)`.
#[inline(always)]
pub fn softcap<S: Simd>(s: S, x: S::V, cap: f32) -> S::V {
    let cap = s.splat(cap);
    s.mul(cap, tanh(s, s.div(x, cap)))
}

#[inline(always)]
fn activate<S: Simd>(s: S, x: S::V, activation: Activation) -> S::V {
    let zero = s.splat(0.0);
    match activation {
        Activation::Identity => x,
        Activation::Silu => times_sigmoid(s, x, x),
        Activation::GeluTanh => {
            let y = s.round_f16(gelu(s, s.round_f16(x)));
            let y = s.select_lt(x, s.splat(10.0), y, x);
            s.select_lt(s.splat(-10.0), x, y, s.mul(zero, x))
        }
        Activation::Relu => s.max(zero, x),
        Activation::ReluSquared => {
            let x = s.max(zero, x);
            s.mul(x, x)
        }
        Activation::Sigmoid => sigmoid(s, x),
        Activation::Tanh => tanh(s, x),
        Activation::Exp => exp(s, x),
        Activation::Softplus => softplus(s, x),
        Activation::Xielu { alpha_p, alpha_n, beta, eps } => {
            let above = s.mul(s.splat(alpha_p), s.mul(x, x));
            let below = s.sub(expm1(s, s.min(s.splat(eps), x)), x);
            let curved = s.select_lt(zero, x, above, s.mul(s.splat(alpha_n), below));
            s.mul_add(s.splat(beta), x, curved)
        }
    }
}

/// Within `±limit`.
#[inline(always)]
fn clamp<S: Simd>(s: S, x: S::V, limit: f32) -> S::V {
    s.max(s.splat(-limit), s.min(s.splat(limit), x))
}

/// A gate and what it gates, joined.
#[inline(always)]
fn join<S: Simd>(s: S, gate: S::V, up: S::V, glu: Glu) -> S::V {
    match glu {
        Glu::Plain(activation) => s.mul(activate(s, gate, activation), up),
        Glu::ClampedSilu { limit } => {
            let gate = s.min(s.splat(limit), gate);
            s.mul(times_sigmoid(s, gate, gate), clamp(s, up, limit))
        }
        Glu::SiluClamped { limit } => {
            let open = s.min(s.splat(limit), times_sigmoid(s, gate, gate));
            s.mul(open, clamp(s, up, limit))
        }
        Glu::Situ { beta, up_beta } => {
            let up = if up_beta > 0.0 { softcap(s, up, up_beta) } else { up };
            s.mul(s.mul(softcap(s, gate, beta), sigmoid(s, gate)), up)
        }
        Glu::ClampedSwish { alpha, limit } => {
            let gate = s.min(s.splat(limit), gate);
            let open = times_sigmoid(s, gate, s.mul(s.splat(alpha), gate));
            s.mul(open, s.add(clamp(s, up, limit), s.splat(1.0)))
        }
    }
}

/// `x/2 · (1 + tanh(sqrt(2/π) · (x + 0.044715 x³)))`.
#[inline(always)]
fn gelu<S: Simd>(s: S, x: S::V) -> S::V {
    // (1 + tanh(u)) / 2 is sigmoid(2u), which doesn't cancel.
    const FACTOR: f32 = 1.595_769_2; // 2 sqrt(2/π)
    let cubic = s.mul(x, s.mul(x, s.splat(FACTOR * 0.044_715)));
    times_sigmoid(s, x, s.mul(x, s.add(cubic, s.splat(FACTOR))))
}

/// `x · sigmoid(y)`.
#[inline(always)]
fn times_sigmoid<S: Simd>(s: S, x: S::V, y: S::V) -> S::V {
    s.div(x, s.add(s.splat(1.0), exp(s, s.sub(s.splat(0.0), y))))
}

/// `x = op(x)`.
pub struct Map<'a> {
    pub x: RowsMut<'a>,
    pub op: MapOp,
}

impl Kernel for Map<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        for row in self.x.iter_mut() {
            let mut vectors = row.chunks_exact_mut(S::LANES);
            for x in &mut vectors {
                s.store(self.op.apply(s, s.load(x)), x);
            }
            let x = vectors.into_remainder();
            if !x.is_empty() {
                s.store_partial(self.op.apply(s, s.load_partial(x)), x);
            }
        }
    }
}

/// A function of two elements.
#[derive(Clone, Copy)]
pub enum ZipOp {
    /// `b`.
    Assign,
    Add,
    /// `a + factor · b`.
    AddScaled(f32),
    Mul,
}

impl ZipOp {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, a: S::V, b: S::V) -> S::V {
        match self {
            ZipOp::Assign => b,
            ZipOp::Add => s.add(a, b),
            ZipOp::AddScaled(factor) => s.mul_add(b, s.splat(factor), a),
            ZipOp::Mul => s.mul(a, b),
        }
    }
}

/// `acc = op(acc, x)`; row `i` of `acc` meets row `first_row + i` of `x`, or the only one.
pub struct Zip<'a> {
    pub acc: RowsMut<'a>,
    pub x: Rows<'a>,
    pub first_row: usize,
    pub broadcast: bool,
    pub op: ZipOp,
}

impl Kernel for Zip<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        for (i, row) in self.acc.iter_mut().enumerate() {
            let x = self.x.row(if self.broadcast { 0 } else { self.first_row + i });
            let mut acc = row.chunks_exact_mut(S::LANES);
            let mut x = x.chunks_exact(S::LANES);
            for (acc, x) in std::iter::zip(&mut acc, &mut x) {
                s.store(self.op.apply(s, s.load(acc), s.load(x)), acc);
            }
            let (acc, x) = (acc.into_remainder(), x.remainder());
            if !acc.is_empty() {
                s.store_partial(self.op.apply(s, s.load_partial(acc), s.load_partial(x)), acc);
            }
        }
    }
}

/// `out = glu(gate, up)`; row `i` of `out` is row `first_row + i` of the others.
pub struct GatedUnit<'a> {
    pub gate: Rows<'a>,
    pub up: Rows<'a>,
    pub first_row: usize,
    pub glu: Glu,
    pub out: RowsMut<'a>,
}

impl Kernel for GatedUnit<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        for (i, out) in self.out.iter_mut().enumerate() {
            let mut gate = self.gate.row(self.first_row + i).chunks_exact(S::LANES);
            let mut up = self.up.row(self.first_row + i).chunks_exact(S::LANES);
            let mut out = out.chunks_exact_mut(S::LANES);
            for ((gate, up), out) in (&mut gate).zip(&mut up).zip(&mut out) {
                s.store(join(s, s.load(gate), s.load(up), self.glu), out);
            }
            let (gate, up, out) = (gate.remainder(), up.remainder(), out.into_remainder());
            if !out.is_empty() {
                let (gate, up) = (s.load_partial(gate), s.load_partial(up));
                s.store_partial(join(s, gate, up, self.glu), out);
            }
        }
    }
}

/// `gate = glu(gate, up)`, of one row.
pub struct JoinRow<'a> {
    pub gate: &'a mut [f32],
    pub up: &'a [f32],
    pub glu: Glu,
}

impl Kernel for JoinRow<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut gate = self.gate.chunks_exact_mut(S::LANES);
        let mut up = self.up.chunks_exact(S::LANES);
        for (gate, up) in (&mut gate).zip(&mut up) {
            s.store(join(s, s.load(gate), s.load(up), self.glu), gate);
        }
        let (gate, up) = (gate.into_remainder(), up.remainder());
        if !gate.is_empty() {
            let joined = join(s, s.load_partial(gate), s.load_partial(up), self.glu);
            s.store_partial(joined, gate);
        }
    }
}
