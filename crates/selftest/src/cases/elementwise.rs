//! Functions of single values.

use backend::{Activation, Glu, Vector};

use super::{Extent, of_extent};
use crate::case::{Case, Limit, download};
use crate::random::Random;

/// Rows and columns.
const SHAPES: [(usize, usize); 3] = [(3, 77), (1, 1), (5, 301)];

const ACTIVATIONS: [Activation; 9] = [
    Activation::Silu,
    Activation::GeluTanh,
    Activation::Relu,
    Activation::ReluSquared,
    Activation::Sigmoid,
    Activation::Tanh,
    Activation::Exp,
    Activation::Softplus,
    Activation::Xielu { alpha_p: 0.8, alpha_n: 0.6, beta: 0.5, eps: -1e-6 },
];

/// Those that are rounded to half floats, where an error in the last bit may cost one of theirs.
fn limit(kind: Activation, cols: usize) -> Limit {
    let relative = if kind == Activation::GeluTanh { 1e-3 } else { 5e-6 };
    Limit { group: cols, relative, absolute: 1e-6 }
}

pub fn elementwise(extent: Extent) -> Vec<Case> {
    let mut cases = Vec::new();
    for &(rows, cols) in of_extent(extent, &SHAPES) {
        let mut random = Random::new(cols as u64);
        let (a, b) = (random.values(rows * (cols + 3)), random.values(rows * (cols + 5)));
        let weight = Vector::new(random.values(cols));
        let name = format!("sums and products of {rows}x{cols}");
        let limit = Limit { group: cols, relative: 3e-6, absolute: 1e-6 };
        let x = a.clone();
        cases.push(Case::new(name, limit, move |backend| {
            let a = backend.upload(&a, cols + 3).columns(1..cols + 1);
            let b = backend.upload(&b, cols + 5).columns(4..cols + 4);
            backend.add_assign(a, b);
            backend.mul_assign(a, b.row_range(rows - 1..rows));
            backend.add_scaled(a, b, -0.4);
            backend.mul_assign(b, b);
            backend.scale(b, 0.3);
            backend.offset(b, 0.1);
            backend.assign(b.columns(0..1), a.columns(cols - 1..cols));
            let scaled = backend.mul_vector(a, &weight);
            backend.softcap(a, 3.0);
            backend.clamp(b, 0.6);
            let all = backend.concat(&[a, b, scaled]);
            download(backend, all)
        }));
        for kind in ACTIVATIONS {
            let x = x.clone();
            let name = format!("{kind:?} of {rows}x{cols}");
            cases.push(Case::new(name, self::limit(kind, cols), move |backend| {
                let x = backend.upload(&x, cols + 3).columns(1..cols + 1);
                backend.scale(x, 3.0);
                backend.activate(x, kind);
                let dense = backend.concat(&[x]);
                download(backend, dense)
            }));
        }
    }
    cases
}

pub fn gate(extent: Extent) -> Vec<Case> {
    let clamped = [
        Glu::ClampedSilu { limit: 0.7 },
        Glu::SiluClamped { limit: 0.7 },
        Glu::ClampedSwish { alpha: 1.702, limit: 2.0 },
        Glu::Situ { beta: 4.0, up_beta: 25.0 },
    ];
    let kinds = ACTIVATIONS.map(|kind| (Glu::from(kind), limit(kind, 0)));
    let kinds = kinds.into_iter().chain(clamped.map(|glu| (glu, limit(Activation::Silu, 0))));
    let kinds: Vec<(Glu, Limit)> = kinds.collect();
    let mut cases = Vec::new();
    for &(rows, cols) in of_extent(extent, &SHAPES) {
        for &(glu, limit) in &kinds {
            let x = Random::new(cols as u64 + 9).values(rows * 2 * cols);
            let limit = Limit { group: cols, ..limit };
            cases.push(Case::new(format!("{glu:?} of {rows}x{cols}"), limit, move |backend| {
                let x = backend.upload(&x, 2 * cols);
                let y = backend.glu(x.columns(0..cols), x.columns(cols..2 * cols), glu);
                download(backend, y)
            }));
        }
    }
    cases
}
