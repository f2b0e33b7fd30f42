//! Caches of rows.

use backend::{
    Backend, BlockPool, CacheAttention, CacheId, CacheSpec, KvType, Names, PAGE, Scoring,
    Selection, Source, Span, StateSpec, Vector, Visible,
};

use super::{Extent, of_extent};
use crate::case::{Case, Limit, download};
use crate::random::Random;

/// Positions of the sequence, and how many of the last ones ask.
const LEN: usize = 90;
const ROWS: usize = 3;
const PAGES: [u32; LEN.div_ceil(PAGE)] = [1, 0];

pub fn cache(extent: Extent) -> Vec<Case> {
    let types = [KvType::F16, KvType::F32, KvType::Q8_0];
    let mut cases: Vec<Case> =
        of_extent(extent, &types).iter().map(|&ty| attention_to_rows(ty)).collect();
    cases.push(choice());
    cases.push(pooled());
    cases
}

/// A cache with rows for all positions.
fn filled(backend: &mut dyn Backend, width: usize, ty: KvType, rows: &[f32]) -> CacheId {
    let spec = CacheSpec { width, stride: 1, n_pages: PAGES.len(), ty };
    let cache = backend.cache_create(spec).expect("memory for some rows");
    let x = backend.upload(rows, width);
    backend.cache_write(cache, x, &[Span { rows: 0..LEN, pos: 0, pages: &PAGES, slot: 0 }]);
    cache
}

/// The last rows.
fn batch() -> [Span<'static>; 1] {
    [Span { rows: 0..ROWS, pos: LEN - ROWS, pages: &PAGES, slot: 0 }]
}

fn attention_to_rows(ty: KvType) -> Case {
    let (n_head, width, head_dim_v) = (5, 96, 64);
    let mut random = Random::new(ty as u64 + 50);
    let keys = random.values(LEN * width);
    let q = random.values(ROWS * n_head * width);
    let sinks = Vector::new(random.values(n_head));
    let names: Vec<f32> = (0..ROWS * 20).map(|i| (i % 20 * 4) as f32).collect();
    let limit = Limit { group: head_dim_v, relative: 1e-5, absolute: 1e-6 };
    Case::new(format!("attention to rows in {ty}"), limit, move |backend| {
        let cache = filled(backend, width, ty, &keys);
        let q = backend.upload(&q, n_head * width);
        let names = backend.upload(&names, 20);
        let own = Source { keys: cache, values: cache, rows: Visible::ALL };
        let named = Source { rows: Visible::Chosen { names, n_sets: 1 }, ..own };
        let last = Source { rows: Visible::Last(7), ..own };
        let mut out = Vec::new();
        for (sources, sinks) in [(&[own][..], None), (&[named, last][..], Some(&sinks))] {
            let scale = 0.5 / (width as f32).sqrt();
            let attention =
                CacheAttention { q, n_head, n_head_kv: 1, head_dim_v, scale, sinks, sources };
            let y = backend.attention_to_cache(&attention, &batch());
            out.extend(download(backend, y));
        }
        out
    })
}

/// Integers, so that scores are exact.
fn choice() -> Case {
    let (n_head, width) = (4, 20);
    let mut random = Random::new(60);
    let mut integers =
        |n: usize| -> Vec<f32> { (0..n).map(|_| random.below(5) as f32 - 2.0).collect() };
    let (keys, q) = (integers(LEN * width), integers(ROWS * n_head * width));
    let weights = integers(ROWS * n_head);
    let limit = Limit { group: 1, relative: 0.0, absolute: 0.5 };
    Case::new("choice of rows", limit, move |backend| {
        let cache = filled(backend, width, KvType::F32, &keys);
        let q = backend.upload(&q, n_head * width);
        let weights = backend.upload(&weights, n_head);
        let mut out = Vec::new();
        for scoring in [Scoring::Rectified(weights), Scoring::Blocks { block: 4, local: 1 }] {
            let selection = Selection { q, n_head, scoring, top_k: 9, names: Names::Rows };
            let chosen = backend.select(&selection, cache, &batch());
            out.extend(download(backend, chosen));
        }
        out
    })
}

fn pooled() -> Case {
    let (width, block) = (37, 5);
    let mut random = Random::new(70);
    let [values, scores] = [0, 1].map(|_| random.values(LEN * 2 * width));
    let places = Vector::new(random.values(block * 2 * width));
    let limit = Limit { group: width, relative: 5e-6, absolute: 1e-6 };
    Case::new("pooled blocks", limit, move |backend| {
        let len = 2 * block * 4 * width;
        let spec = StateSpec { len, n_slots: 1 };
        let state = backend.state_create(spec).expect("memory for a state");
        let values = backend.upload(&values, 2 * width);
        let scores = Some(backend.upload(&scores, 2 * width));
        let pool = BlockPool { values, scores, places: Some(&places), block, overlap: true };
        let span = Span { rows: 0..LEN, pos: 0, pages: &PAGES, slot: 0 };
        let pooled = backend.pool_blocks(&pool, state, &[span]);
        download(backend, pooled)
    })
}
