//! Keys and values, and attention to them.

use backend::{AttentionParams, KvSpec, KvType, Mask, PAGE, Span, Vector};

use super::{Extent, of_extent};
use crate::case::{Case, Limit, download};
use crate::random::Random;

/// Sequences of some lengths, of which the last rows ask.
struct Shape {
    sequences: &'static [(usize, usize)],
    n_head: usize,
    n_head_kv: usize,
    head_dim: usize,
    head_dim_v: usize,
    mask: Mask,
    /// With a cap and sinks.
    extras: bool,
}

/// Generation beside a prompt; long prompts; one of each.
const SHAPES: [Shape; 4] = [
    Shape {
        sequences: &[(90, 1), (13, 13)],
        n_head: 4,
        n_head_kv: 2,
        head_dim: 64,
        head_dim_v: 64,
        mask: Mask::Causal,
        extras: false,
    },
    Shape {
        sequences: &[(200, 150)],
        n_head: 3,
        n_head_kv: 1,
        head_dim: 96,
        head_dim_v: 32,
        mask: Mask::Sliding(70),
        extras: false,
    },
    Shape {
        sequences: &[(300, 1)],
        n_head: 4,
        n_head_kv: 4,
        head_dim: 128,
        head_dim_v: 128,
        mask: Mask::Causal,
        extras: true,
    },
    Shape {
        sequences: &[(64, 40), (65, 3), (1, 1)],
        n_head: 2,
        n_head_kv: 2,
        head_dim: 32,
        head_dim_v: 64,
        mask: Mask::Full,
        extras: true,
    },
];

pub fn attention(ty: KvType, extent: Extent) -> Vec<Case> {
    of_extent(extent, &SHAPES).iter().map(|shape| of_shape(ty, shape)).collect()
}

fn of_shape(ty: KvType, shape: &'static Shape) -> Case {
    let Shape { sequences, n_head, n_head_kv, head_dim, head_dim_v, mask, extras } = *shape;
    let mut random = Random::new(ty as u64 + head_dim as u64);
    let (k_cols, v_cols, q_cols) =
        (n_head_kv * head_dim, n_head_kv * head_dim_v, n_head * head_dim);
    let inputs: Vec<[Vec<f32>; 3]> = sequences
        .iter()
        .map(|&(len, rows)| {
            let [k, v] = [k_cols, v_cols].map(|cols| random.values(len * cols));
            // Quantised keys meet queries in 8 bits, which costs these nothing.
            [k, v, random.exact(rows * q_cols, 32)]
        })
        .collect();
    let params = AttentionParams {
        mask,
        softcap: if extras { 5.0 } else { 0.0 },
        sinks: extras.then(|| Vector::new(random.values(n_head))),
        // Queries are of magnitude 4, keys of 1.
        ..AttentionParams::causal(n_head, 0.25 / (head_dim as f32).sqrt())
    };
    let name = format!("{} sequences, {n_head}/{n_head_kv} heads of {head_dim}", sequences.len());
    let limit = Limit { group: head_dim_v, relative: 1e-5, absolute: 1e-6 };
    Case::new(name, limit, move |backend| {
        let n_pages: usize = sequences.iter().map(|(len, _)| len.div_ceil(PAGE)).sum();
        // Backwards.
        let pages: Vec<u32> = (0..n_pages as u32).rev().collect();
        let spec = KvSpec { n_head_kv, head_dim, head_dim_v, n_pages, types: ty.into() };
        let kv = backend.kv_create(spec).expect("memory for some keys and values");
        let (mut rest, mut batch, mut queries) = (&pages[..], Vec::new(), Vec::new());
        let mut first_row = 0;
        for (&(len, rows), [k, v, q]) in sequences.iter().zip(&inputs) {
            let (own, others) = rest.split_at(len.div_ceil(PAGE));
            rest = others;
            let [k, v] = [(k, k_cols), (v, v_cols)].map(|(x, cols)| backend.upload(x, cols));
            backend.kv_write(kv, k, v, &[Span { rows: 0..len, pos: 0, pages: own, slot: 0 }]);
            let rows_of_all = first_row..first_row + rows;
            batch.push(Span { rows: rows_of_all, pos: len - rows, pages: own, slot: 0 });
            first_row += rows;
            queries.extend_from_slice(q);
        }
        let q = backend.upload(&queries, q_cols);
        let out = backend.attention(q, kv, &batch, &params);
        download(backend, out)
    })
}
