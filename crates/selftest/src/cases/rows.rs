//! Functions of rows.

use backend::{RopeLayout, Vector};

use super::{Extent, of_extent};
use crate::case::{Case, Limit, download};
use crate::random::Random;

/// Rows and columns.
const SHAPES: [(usize, usize); 3] = [(3, 77), (1, 1), (5, 576)];

pub fn norm(extent: Extent) -> Vec<Case> {
    let mut cases = Vec::new();
    for &(rows, cols) in of_extent(extent, &SHAPES) {
        let mut random = Random::new(cols as u64 + 1);
        let cols = 2 * cols;
        let x = random.values(rows * (cols + 2));
        let (one, all) = (Vector::new(random.values(cols / 2)), Vector::new(random.values(cols)));
        let target = random.values(rows * cols);
        let limit = Limit::relative(cols, 5e-6);
        cases.push(Case::new(format!("{rows}x{cols} values"), limit, move |backend| {
            let x = backend.upload(&x, cols + 2).columns(1..cols + 1);
            let rms = backend.rms_norm(x, cols / 2, Some(&one), None, 1e-5);
            let plain = backend.rms_norm(x, cols, None, None, 1e-5);
            backend.offset(x, 5.0);
            let layer = backend.layer_norm(x, cols / 2, Some(&all), Some(&one), 1e-2);
            let target = backend.upload(&target, cols);
            backend.match_length(x, target);
            let all = backend.concat(&[rms, plain, layer, x]);
            download(backend, all)
        }));
    }
    cases
}

pub fn rope(extent: Extent) -> Vec<Case> {
    let shapes = [(3, 2, 64, 64), (2, 3, 20, 10), (5, 1, 7, 2), (2, 2, 256, 192)];
    let mut cases = Vec::new();
    for &(rows, heads, head_dim, turned) in of_extent(extent, &shapes) {
        let mut random = Random::new(head_dim as u64);
        let cols = heads * head_dim;
        let x = random.values(rows * (cols + 1));
        let angles: Vec<f32> = random
            .range(rows * turned / 2, 0.0, 6.0)
            .into_iter()
            .flat_map(|angle| [angle.cos(), angle.sin()])
            .collect();
        let name = format!("{rows}x{heads}x{head_dim}, {turned} turned");
        cases.push(Case::new(name, Limit::relative(cols, 2e-6), move |backend| {
            let table = backend.upload(&angles, turned);
            let mut out = Vec::new();
            for layout in [RopeLayout::Norm, RopeLayout::Neox] {
                let x = backend.upload(&x, cols + 1).columns(1..cols + 1);
                backend.rope(x, head_dim, table, layout);
                let dense = backend.concat(&[x]);
                out.extend(download(backend, dense));
            }
            out
        }));
    }
    cases
}

pub fn softmax(extent: Extent) -> Vec<Case> {
    let shapes = of_extent(extent, &SHAPES).iter();
    shapes
        .map(|&(rows, cols)| {
            let x = Random::new(cols as u64 + 3).range(rows * (cols + 1), -40.0, 40.0);
            let limit = Limit::relative(cols, 5e-6);
            Case::new(format!("{rows}x{cols} values"), limit, move |backend| {
                let x = backend.upload(&x, cols + 1).columns(1..cols + 1);
                backend.softmax(x);
                let dense = backend.concat(&[x]);
                download(backend, dense)
            })
        })
        .collect()
}

pub fn sparsity(extent: Extent) -> Vec<Case> {
    let shapes = of_extent(extent, &SHAPES).iter();
    shapes
        .map(|&(rows, cols)| {
            let x = Random::new(cols as u64 + 4).values(rows * (cols + 1));
            let limit = Limit { group: cols, relative: 2e-6, absolute: 1e-6 };
            Case::new(format!("{rows}x{cols} values"), limit, move |backend| {
                let x = backend.upload(&x, cols + 1).columns(1..cols + 1);
                backend.gaussian_top(x, 0.6);
                let dense = backend.concat(&[x]);
                download(backend, dense)
            })
        })
        .collect()
}

pub fn streams(extent: Extent) -> Vec<Case> {
    let shapes = [(3, 77, 4, 4), (1, 1, 1, 4), (2, 64, 4, 1), (5, 301, 3, 2)];
    let shapes = of_extent(extent, &shapes).iter();
    shapes
        .map(|&(rows, width, m, n)| {
            let mut random = Random::new((width + m * n) as u64);
            let x = random.values(rows * m * width);
            let coefs = random.values(rows * n * m);
            let limit = Limit { group: width, relative: 5e-6, absolute: 1e-6 };
            let name = format!("{m} to {n} streams of {rows}x{width}");
            Case::new(name, limit, move |backend| {
                let x = backend.upload(&x, m * width);
                let coefs = backend.upload(&coefs, n * m);
                let mixed = backend.mix_streams(x, coefs, width);
                download(backend, mixed)
            })
        })
        .collect()
}
