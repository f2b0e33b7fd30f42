//! What backends store, taken out of one and put into another.

mod common;

use backend::{
    AttentionParams, Backend, CacheAttention, CacheSpec, KvSpec, KvType, KvTypes, PAGE, Source,
    Span, StateSpec, Stored, Visible,
};
use common::{Random, download};
use cpu::isa::Isa;
use cpu::{Cpu, CpuOptions};
use reference::Reference;

const LEN: usize = PAGE + 30;
/// Pages of the sequence, and of its copy in another backend.
const PAGES: [[u32; 2]; 2] = [[2, 0], [1, 4]];

/// Two backends of each kind; those of the processor with its least and its best instructions.
fn pairs() -> Vec<[Box<dyn Backend>; 2]> {
    let cpu = |isa| -> Box<dyn Backend> {
        Box::new(Cpu::new(CpuOptions { threads: Some(2), isa, ..<_>::default() }))
    };
    vec![
        [Box::new(Reference::new()), Box::new(Reference::new())],
        [cpu(Some(Isa::Scalar)), cpu(None)],
        [cpu(None), cpu(Some(Isa::Scalar))],
    ]
}

/// Takes the copy's pages from those of the sequence.
fn move_pages([from, to]: &mut [Box<dyn Backend>; 2], [of, at]: [&dyn Fn(u32) -> Stored; 2]) {
    assert_eq!(from.layout(), to.layout());
    for (page, copy) in PAGES[0].into_iter().zip(PAGES[1]) {
        let (mut bytes, mut again) = (vec![7], Vec::new());
        from.export(of(page), &mut bytes);
        assert!(bytes[1..].iter().any(|&byte| byte != 0), "something is stored");
        assert_eq!(bytes.len(), 1 + to.stored_bytes(at(copy)));
        to.import(at(copy), &bytes[1..]);
        to.export(at(copy), &mut again);
        assert_eq!(bytes[1..], again);
    }
}

fn assert_near(what: &str, expected: &[f32], found: &[f32]) {
    let error = expected.iter().zip(found).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
    let scale = expected.iter().map(|a| a.powi(2)).sum::<f32>();
    assert!(error <= 1e-5 * scale && scale > 0.0, "{what}: {error} of {scale}");
}

#[test]
fn keys_and_values_of_all_types() {
    let mut random = Random::new(1);
    for k in KvType::ALL {
        for (v, head_dim_v) in [(k, 64), (KvType::Q4_1, 32), (KvType::F16, 24)] {
            for mut pair in pairs() {
                let types = KvTypes { k, v };
                let spec = KvSpec { n_head_kv: 2, head_dim: 32, head_dim_v, n_pages: 5, types };
                let of = pair[0].kv_create(spec).unwrap();
                pair[1].kv_create(KvSpec { head_dim: 64, ..spec }).unwrap();
                let at = pair[1].kv_create(spec).unwrap();
                let keys = random.values(LEN * 2 * 32);
                let values = random.values(LEN * 2 * head_dim_v);
                let span =
                    |side: usize, pos, rows| Span { rows, pos, pages: &PAGES[side], slot: 0 };
                let k = pair[0].upload(&keys, 2 * 32);
                let v = pair[0].upload(&values, 2 * head_dim_v);
                pair[0].kv_write(of, k, v, &[span(0, 0, 0..LEN)]);
                move_pages(
                    &mut pair,
                    [&|page| Stored::Page(of, page), &|page| Stored::Page(at, page)],
                );
                let queries = random.values(4 * 32);
                let params = AttentionParams::causal(4, 0.2);
                let attend = |side: usize, kv, backend: &mut dyn Backend| {
                    let q = backend.upload(&queries, 4 * 32);
                    let out = backend.attention(q, kv, &[span(side, LEN - 1, 0..1)], &params);
                    download(backend, out)
                };
                let expected = attend(0, of, &mut *pair[0]);
                assert_near(&format!("{types:?}"), &expected, &attend(1, at, &mut *pair[1]));
            }
        }
    }
}

#[test]
fn cached_rows_of_all_types() {
    let mut random = Random::new(2);
    for ty in KvType::ALL {
        for stride in [1, 4] {
            for mut pair in pairs() {
                let spec = CacheSpec { width: 32, stride, n_pages: 5, ty };
                let of = pair[0].cache_create(spec).unwrap();
                pair[1].cache_create(CacheSpec { width: 64, ..spec }).unwrap();
                let at = pair[1].cache_create(spec).unwrap();
                let rows = random.values(LEN / stride * 32);
                let span =
                    |side: usize, pos, rows| Span { rows, pos, pages: &PAGES[side], slot: 0 };
                let x = pair[0].upload(&rows, 32);
                pair[0].cache_write(of, x, &[span(0, 0, 0..LEN)]);
                move_pages(
                    &mut pair,
                    [&|page| Stored::Rows(of, page), &|page| Stored::Rows(at, page)],
                );
                let queries = random.values(2 * 32);
                let attend = |side: usize, keys, backend: &mut dyn Backend| {
                    let q = backend.upload(&queries, 2 * 32);
                    let sources = [Source { keys, values: keys, rows: Visible::ALL }];
                    let attention = CacheAttention {
                        q,
                        n_head: 2,
                        n_head_kv: 1,
                        head_dim_v: 32,
                        scale: 0.2,
                        sinks: None,
                        sources: &sources,
                    };
                    let out = backend.attention_to_cache(&attention, &[span(side, LEN - 1, 0..1)]);
                    download(backend, out)
                };
                let expected = attend(0, of, &mut *pair[0]);
                assert_near(&format!("{ty:?}"), &expected, &attend(1, at, &mut *pair[1]));
            }
        }
    }
}

#[test]
fn states() {
    for mut pair in pairs() {
        let spec = StateSpec { len: 5, n_slots: 3 };
        let of = pair[0].state_create(spec).unwrap();
        pair[1].state_create(StateSpec { len: 7, ..spec }).unwrap();
        let at = pair[1].state_create(spec).unwrap();
        let row = [1.0, -2.0, 3.5, 0.0, 9.0];
        let span = |slot, pos| [Span { rows: 0..1, pos, pages: &[0, 1], slot }];
        let x = pair[0].upload(&row, 5);
        pair[0].token_shift(x, of, &span(1, 0));
        let mut bytes = Vec::new();
        pair[0].export(Stored::State(of, 1), &mut bytes);
        assert_eq!(bytes.len(), pair[1].stored_bytes(Stored::State(at, 2)));
        pair[1].import(Stored::State(at, 2), &bytes);
        let x = pair[1].upload(&[0.0; 5], 5);
        let out = pair[1].token_shift(x, at, &span(2, 1));
        assert_eq!(download(&mut *pair[1], out), row);
    }
}
