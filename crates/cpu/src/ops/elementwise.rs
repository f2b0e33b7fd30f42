//! Operations on single elements.

use backend::Activation;

use super::{Rows, RowsMut};
use crate::simd::{Kernel, Simd, exp, sigmoid, tanh};

/// A function of one element.
#[derive(Clone, Copy)]
pub enum MapOp {
    /// Times a factor.
    Scale(f32),
    /// `cap · tanh(x / cap)`.
    Softcap(f32),
    /// See [`Activation`].
    Activate(Activation),
    /// `x²`.
    Square,
}

impl MapOp {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, x: S::V) -> S::V {
        match self {
            MapOp::Scale(factor) => s.mul(x, s.splat(factor)),
            MapOp::Softcap(cap) => softcap(s, x, cap),
            MapOp::Activate(activation) => activate(s, x, activation),
            MapOp::Square => s.mul(x, x),
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
        Activation::Silu => times_sigmoid(s, x, x),
        Activation::GeluTanh => {
            let y = s.round_f16(gelu(s, s.round_f16(x)));
            let y = s.select_lt(x, s.splat(10.0), y, x);
            s.select_lt(s.splat(-10.0), x, y, s.mul(zero, x))
        }
        Activation::Relu => s.max(zero, x),
        Activation::Sigmoid => sigmoid(s, x),
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
    Add,
    /// `a + factor · b`.
    AddScaled(f32),
    Mul,
}

impl ZipOp {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, a: S::V, b: S::V) -> S::V {
        match self {
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

/// `out = act(gate) * up`; row `i` of `out` is row `first_row + i` of the others.
pub struct Glu<'a> {
    pub gate: Rows<'a>,
    pub up: Rows<'a>,
    pub first_row: usize,
    pub activation: Activation,
    pub out: RowsMut<'a>,
}

impl Kernel for Glu<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        for (i, out) in self.out.iter_mut().enumerate() {
            let mut gate = self.gate.row(self.first_row + i).chunks_exact(S::LANES);
            let mut up = self.up.row(self.first_row + i).chunks_exact(S::LANES);
            let mut out = out.chunks_exact_mut(S::LANES);
            for ((gate, up), out) in (&mut gate).zip(&mut up).zip(&mut out) {
                s.store(s.mul(activate(s, s.load(gate), self.activation), s.load(up)), out);
            }
            let (gate, up, out) = (gate.remainder(), up.remainder(), out.into_remainder());
            if !out.is_empty() {
                let gate = activate(s, s.load_partial(gate), self.activation);
                s.store_partial(s.mul(gate, s.load_partial(up)), out);
            }
        }
    }
}
