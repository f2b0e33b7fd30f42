//! Operations on cached rows against the `reference` backend.

mod common;

use backend::{
    Backend, BlockPool, CacheAttention, CacheSpec, KvType, Names, PAGE, Scoring, Selection, Source,
    Span, StateSpec, Tensor, Vector, Visible,
};
use common::{Random, compare, download, is_emulated};
use cpu::isa::Isa;
use cpu::{Cpu, CpuOptions};

/// Pages of two sequences, whose first one is a copy of the last page.
const PAGES: [&[u32]; 2] = [&[12, 3, 7, 1, 5], &[2, 6, 4]];
const N_PAGES: usize = 13;

/// A cache with rows for `lens` positions, written in batches of 37.
fn filled(
    backend: &mut dyn Backend,
    spec: CacheSpec,
    lens: [usize; 2],
    rows: &[f32],
) -> backend::CacheId {
    let cache = backend.cache_create(spec).unwrap();
    for (sequence, len) in lens.into_iter().enumerate() {
        for pos in (0..len).step_by(37) {
            let n = 37.min(len - pos);
            let span = Span { rows: 0..n, pos, pages: PAGES[sequence], slot: 0 };
            let done = span.completes(spec.stride);
            let x =
                backend.upload(&rows[done.start * spec.width..done.end * spec.width], spec.width);
            backend.cache_write(cache, x, &[span]);
        }
    }
    // What is copied there and back is as good as before.
    backend.cache_copy_page(cache, 12, 0);
    backend.cache_copy_page(cache, 0, 12);
    cache
}

/// The last `rows` positions of each sequence.
fn batch(lens: [usize; 2], rows: [usize; 2]) -> Vec<Span<'static>> {
    let starts = [0, rows[0]];
    let span = |i: usize| Span {
        rows: starts[i]..starts[i] + rows[i],
        pos: lens[i] - rows[i],
        pages: PAGES[i],
        slot: i as u32,
    };
    vec![span(0), span(1)]
}

const TYPES: [KvType; 5] = [KvType::F32, KvType::F16, KvType::Bf16, KvType::Q8_0, KvType::Iq4Nl];

#[test]
fn attention_to_windows_choices_and_blocks() {
    let lens = if is_emulated() { [200, 130] } else { [300, 170] };
    for (case, ty) in TYPES.into_iter().enumerate() {
        for (n_head, n_head_kv, head_dim, head_dim_v) in
            [(1, 1, 32, 32), (64, 1, 96, 64), (6, 3, 64, 32)]
        {
            // It takes long to encode.
            if is_emulated() && ty == KvType::Iq4Nl && n_head > 1 {
                continue;
            }
            let many = if is_emulated() { 40 } else { 120 };
            for rows in [[1, 1], [3, 2], if n_head == 64 { [9, 0] } else { [many, 7] }] {
                let mut random = Random::new((case * 100 + n_head + rows[0]) as u64);
                let (wide, narrow) = (n_head_kv * head_dim, n_head_kv * head_dim_v);
                let keys = random.values(lens[0] * wide);
                let values = random.values(lens[0] * narrow);
                let n_rows = rows[0] + rows[1];
                let q = random.values(n_rows * n_head * head_dim);
                let sinks = Vector::new(random.values(n_head));
                // Some of the first 40 rows.
                let mut names = vec![-1.0f32; n_rows * 40];
                for names in names.chunks_exact_mut(40) {
                    let chosen = (0..40).filter(|_| random.below(3) > 0);
                    names.iter_mut().zip(chosen).for_each(|(to, name)| *to = name as f32);
                }
                let name = format!("{ty}, {n_head}/{n_head_kv} heads, {rows:?} rows");
                compare(&name, head_dim_v, [3e-6, 3e-7], |backend| {
                    let spec = |width, stride| CacheSpec { width, stride, n_pages: N_PAGES, ty };
                    let k = filled(backend, spec(wide, 1), lens, &keys);
                    let v = filled(backend, spec(narrow, 1), lens, &values);
                    let blocks = filled(backend, spec(wide, 4), lens, &keys);
                    let q = backend.upload(&q, n_head * head_dim);
                    let names = backend.upload(&names, 40);
                    let named = Visible::Chosen { names, n_sets: 1 };
                    let own = Source { keys: k, values: v, rows: Visible::ALL };
                    let mut sources = vec![
                        vec![own],
                        vec![Source { rows: Visible::Last(100), ..own }],
                        vec![
                            Source { rows: named, ..own },
                            Source { rows: Visible::Last(3), ..own },
                        ],
                    ];
                    if n_head_kv == 1 {
                        let latent = Source { keys: blocks, values: blocks, rows: named };
                        sources.push(vec![Source { rows: Visible::Last(70), ..own }, latent]);
                        sources.push(vec![own, Source { rows: Visible::ALL, ..latent }]);
                        sources.push(vec![Source { keys: k, values: k, rows: Visible::ALL }]);
                    } else {
                        // 13 names for each head.
                        let names = backend.concat(&[names.columns(0..39)]);
                        let named = Visible::Chosen { names, n_sets: 3 };
                        sources.push(vec![
                            Source { rows: named, ..own },
                            Source { rows: Visible::Last(1), ..own },
                        ]);
                    }
                    let mut out = Vec::new();
                    for (i, sources) in sources.iter().enumerate() {
                        let attention = CacheAttention {
                            q,
                            n_head,
                            n_head_kv,
                            head_dim_v,
                            scale: 1.0 / (head_dim as f32).sqrt(),
                            sinks: (i % 2 == 0).then_some(&sinks),
                            sources,
                        };
                        let y = backend.attention_to_cache(&attention, &batch(lens, rows));
                        out.extend(download(backend, y));
                    }
                    out
                });
            }
        }
    }
}

/// A row's result is the same bits alone and among others, and whether all that it sees is named
/// or not.
#[test]
fn attention_is_the_same_in_any_batch() {
    let (len, n_head, width) = (230, 8, 64);
    let mut random = Random::new(3);
    let (keys, q) = (random.values(len * width), random.values(len * n_head * width));
    for isa in Isa::available() {
        let attend = |batch: usize, threads, named: bool| {
            let options = CpuOptions { threads: Some(threads), isa: Some(isa), ..<_>::default() };
            let mut cpu = Cpu::new(options);
            let spec = CacheSpec { width, stride: 1, n_pages: N_PAGES, ty: KvType::F16 };
            let cache = filled(&mut cpu, spec, [len, 0], &keys);
            let mut out = Vec::new();
            for (i, q) in q.chunks(batch * n_head * width).enumerate() {
                let q = cpu.upload(q, n_head * width);
                let span = Span { rows: 0..q.rows(), pos: i * batch, pages: PAGES[0], slot: 0 };
                let names = (0..q.rows()).flat_map(|row| {
                    (0..len).map(move |at| if at <= i * batch + row { at as f32 } else { -1.0 })
                });
                let names = cpu.upload(&names.collect::<Vec<_>>(), len);
                let rows = match named {
                    true => Visible::Chosen { names, n_sets: 1 },
                    false => Visible::ALL,
                };
                let attention = CacheAttention {
                    q,
                    n_head,
                    n_head_kv: 1,
                    head_dim_v: 48,
                    scale: 0.125,
                    sinks: None,
                    sources: &[Source { keys: cache, values: cache, rows }],
                };
                let y = cpu.attention_to_cache(&attention, &[span]);
                out.extend(download(&mut cpu, y));
            }
            out
        };
        let all = attend(len, 1, false);
        for (batch, threads, named) in [(1, 2, false), (29, 1, false), (len, 3, true), (1, 3, true)]
        {
            assert_eq!(attend(batch, threads, named), all, "{isa}, {batch}, named: {named}");
        }
    }
}

#[test]
fn choices_by_all_heads_and_by_each() {
    let lens = [300, 170];
    // Integers, so that scores are exact and tie often.
    for (case, (ty, stride)) in
        [(KvType::F32, 1), (KvType::F16, 4), (KvType::F16, 6)].into_iter().enumerate()
    {
        for (n_head, rows) in [(1, [1, 1]), (4, [3, 5]), (4, [150, 0]), (64, [9, 0])] {
            let mut random = Random::new((case * 100 + n_head + rows[0]) as u64);
            let n_rows = rows[0] + rows[1];
            let mut integers =
                |n: usize| (0..n).map(|_| random.below(5) as f32 - 2.0).collect::<Vec<_>>();
            let (keys, q) = (integers(300 * 20), integers(n_rows * n_head * 20));
            let weights = integers(n_rows * n_head);
            compare(
                &format!("stride {stride}, {n_head} heads, {rows:?} rows"),
                1,
                [0.0; 2],
                |backend| {
                    let spec = CacheSpec { width: 20, stride, n_pages: N_PAGES, ty };
                    let cache = filled(backend, spec, lens, &keys);
                    let q = backend.upload(&q, n_head * 20);
                    let weights = backend.upload(&weights, n_head);
                    let mut out = Vec::new();
                    for (scoring, top_k, names) in [
                        (Scoring::Rectified(weights), 16, Names::Rows),
                        (Scoring::Rectified(weights), 5, Names::Positions { tail: true }),
                        (Scoring::Rectified(weights), 1000, Names::Positions { tail: false }),
                        (Scoring::Blocks { block: 4, local: 1 }, 5, Names::Rows),
                        (Scoring::Blocks { block: 128, local: 2 }, 1, Names::Rows),
                    ] {
                        let selection = Selection { q, n_head, scoring, top_k, names };
                        let chosen = backend.select(&selection, cache, &batch(lens, rows));
                        assert!(chosen.cols() <= PAGE * 5 * n_head);
                        out.extend(download(backend, chosen));
                    }
                    out
                },
            );
        }
    }
}

#[test]
fn blocks_are_pooled_across_batches() {
    for (width, block, overlap, scored) in
        [(1, 4, false, false), (200, 4, true, true), (20, 5, true, false), (33, 128, false, true)]
    {
        let cols = if overlap { 2 * width } else { width };
        let mut random = Random::new(width as u64);
        let (values, scores) = (random.values(300 * cols), random.values(300 * cols));
        let places = Vector::new(random.values(block * cols));
        let name = format!("{width} columns, blocks of {block}, overlapping: {overlap}");
        compare(&name, 1, [3e-6, 1e-6], |backend| {
            let n = block * if overlap { 2 } else { 1 };
            let len = n * cols * if scored { 2 } else { 1 };
            let state = backend.state_create(StateSpec { len, n_slots: 2 }).unwrap();
            let mut out = Vec::new();
            // Sequences that begin, go on, and begin again.
            for (i, (rows, pos)) in
                [([140, 3], [0, 0]), ([1, 1], [140, 3]), ([100, 0], [141, 4]), ([5, 40], [241, 0])]
                    .into_iter()
                    .enumerate()
            {
                let spans = [0, 1].map(|s| Span {
                    rows: s * rows[0]..rows[0] + s * rows[1],
                    pos: pos[s],
                    pages: PAGES[s],
                    slot: s as u32,
                });
                let upload = |backend: &mut dyn Backend, x: &[f32]| -> Tensor {
                    backend.upload(&x[i * cols..][..(rows[0] + rows[1]) * cols], cols)
                };
                let values = upload(backend, &values);
                let scores = scored.then(|| upload(backend, &scores));
                let places = scored.then_some(&places);
                let pool = BlockPool { values, scores, places, block, overlap };
                let pooled = backend.pool_blocks(&pool, state, &spans);
                out.push(pooled.rows() as f32);
                out.extend(download(backend, pooled));
            }
            out
        });
    }
}

#[test]
fn matrices_become_doubly_stochastic() {
    let mut random = Random::new(8);
    let x = random.values(33 * 16);
    compare("sinkhorn", 16, [2e-6, 1e-7], |backend| {
        let x = backend.upload(&x, 16);
        backend.sinkhorn(x, 4, 20, 1e-6);
        backend.offset(x, 0.25);
        let out = download(backend, x);
        let row: f32 = out[..4].iter().sum();
        assert!((row - 2.0).abs() < 1e-2, "{row}");
        out
    });
}
