//! Operations with recurrent states against the `reference` backend, on every instruction set of
//! this machine and several numbers of threads.

use backend::{
    Backend, HeadSharing, LinearAttention, SelectiveScan, ShortConv, Span, StateId, StateSpec,
    Tensor, Update, Vector,
};
use cpu::isa::Isa;
use cpu::{Cpu, CpuOptions};
use reference::Reference;

/// Random numbers in a range, roughly normal: xorshift64*.
struct Random(u64);

impl Random {
    fn values(&mut self, n: usize, [low, high]: [f32; 2]) -> Vec<f32> {
        let mut uniform = || {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40) as f32 / (1u64 << 24) as f32
        };
        (0..n).map(|_| low + (high - low) * (uniform() + uniform() + uniform()) / 3.0).collect()
    }
}

/// Batches of two sequences whose phases mix: the first goes on for 4, 1 and 70 rows, the other for
/// 0, 9 and 1, and then the first begins again.
fn batches() -> Vec<Vec<Span<'static>>> {
    let span = |rows, pos, slot| Span { rows, pos, pages: &[], slot };
    vec![
        vec![span(0..4, 0, 2)],
        vec![span(0..9, 0, 0), span(9..10, 4, 2)],
        vec![span(0..70, 5, 2), span(70..71, 9, 0)],
        vec![span(0..2, 0, 2), span(2..2, 10, 0)],
    ]
}

fn rows(batch: &[Span<'_>]) -> usize {
    batch.last().map_or(0, |span| span.rows.end)
}

/// Runs a case over all batches, on the judge and on all others.
fn compare(
    name: &str,
    state_len: usize,
    mut case: impl FnMut(&mut dyn Backend, StateId, &[Span<'_>]) -> Tensor,
) {
    let mut run = |backend: &mut dyn Backend| {
        let state = backend.state_create(StateSpec { len: state_len, n_slots: 4 }).unwrap();
        let mut outputs = Vec::new();
        for (i, batch) in batches().iter().enumerate() {
            if i == 2 {
                // What is copied away and back is the same.
                backend.state_copy(state, 2, 3);
                backend.state_copy(state, 0, 2);
                backend.state_copy(state, 3, 2);
            }
            let out = case(backend, state, batch);
            let mut values = vec![0.0; out.rows() * out.cols()];
            backend.download(out, &mut values);
            outputs.push(values);
        }
        outputs
    };
    let expected = run(&mut Reference::new());
    for isa in Isa::available() {
        for threads in [1, 3] {
            let options = CpuOptions { threads: Some(threads), isa: Some(isa), ..<_>::default() };
            let found = run(&mut Cpu::new(options));
            for (i, (expected, found)) in expected.iter().zip(&found).enumerate() {
                assert_eq!(expected.len(), found.len());
                let most = expected.iter().fold(0f32, |most, v| most.max(v.abs()));
                for (e, f) in expected.iter().zip(found) {
                    let bound = 2e-5 * most + 1e-7;
                    assert!((e - f).abs() <= bound, "{name}, {isa}: {f} for {e}, batch {i}");
                }
            }
        }
    }
}

#[test]
fn shifts_by_one_token() {
    for cols in [1, 37, 256] {
        let x = Random(1).values(71 * (cols + 2), [-1.0, 1.0]);
        compare(&format!("shift of {cols}"), cols, |backend, state, batch| {
            let x = backend.upload(&x[..rows(batch) * (cols + 2)], cols + 2).columns(1..cols + 1);
            backend.token_shift(x, state, batch)
        });
    }
}

#[test]
fn short_convolutions() {
    for (channels, kernel, has_bias) in
        [(1, 2, false), (37, 4, true), (600, 4, false), (64, 1, true), (1030, 3, true)]
    {
        let mut random = Random(2 + channels as u64);
        let x = random.values(71 * (channels + 1), [-1.0, 1.0]);
        let conv = ShortConv {
            weight: Vector::new(random.values(channels * kernel, [-1.0, 1.0])),
            bias: has_bias.then(|| Vector::new(random.values(channels, [-1.0, 1.0]))),
            kernel,
        };
        let name = format!("convolution of {channels} with {kernel}");
        compare(&name, conv.state_len(), |backend, state, batch| {
            let x = &x[..rows(batch) * (channels + 1)];
            let x = backend.upload(x, channels + 1).columns(1..channels + 1);
            backend.short_conv(x, &conv, state, batch)
        });
    }
}

#[test]
fn selective_scans() {
    for (channels, n) in [(1, 1), (100, 16), (65, 37), (130, 128)] {
        let mut random = Random(3 + channels as u64);
        let x = random.values(71 * channels, [-1.0, 1.0]);
        let dt = random.values(71 * channels, [0.0, 1.0]);
        let bc = random.values(71 * 2 * n, [-1.0, 1.0]);
        let a = Vector::new(random.values(channels * n, [-2.0, 0.0]));
        let name = format!("scan of {channels} with {n} states each");
        compare(&name, channels * n, |backend, state, batch| {
            let rows = rows(batch);
            let x = backend.upload(&x[..rows * channels], channels);
            let dt = backend.upload(&dt[..rows * channels], channels);
            let bc = backend.upload(&bc[..rows * 2 * n], 2 * n);
            let (b, c) = (bc.columns(0..n), bc.columns(n..2 * n));
            backend.selective_scan(&SelectiveScan { x, dt, b, c, a: &a }, state, batch)
        });
    }
}

#[test]
fn linear_attention_of_all_kinds() {
    use HeadSharing::{InTurns, Neighbours};
    for (n_head, n_head_k, dim, dim_v, sharing) in [
        (1, 1, 1, 1, InTurns),
        (2, 2, 64, 64, Neighbours),
        (4, 2, 37, 21, Neighbours),
        (6, 2, 16, 70, InTurns),
        (1, 1, 260, 5, InTurns),
        (2, 1, 128, 128, Neighbours),
    ] {
        let mut random = Random(4 + dim as u64);
        let per_key = n_head * dim;
        let most = 71;
        // Short keys keep the rule that replaces values from growing without bounds.
        let length = 1.0 / (dim as f32).sqrt();
        let q = random.values(most * n_head_k * dim, [-1.0, 1.0]);
        let k = random.values(most * n_head_k * dim, [-length, length]);
        let v = random.values(most * n_head * dim_v, [-1.0, 1.0]);
        let decays = random.values(most * per_key, [-1.0, 0.0]);
        let beta = random.values(most * n_head, [0.0, 1.0]);
        let a = random.values(most * per_key, [-length, length]);
        let b = random.values(most * per_key, [-length, length]);
        let bonus = Vector::new(random.values(per_key, [-1.0, 1.0]));
        for kind in ["add", "add late", "delta", "replace"] {
            for (decay_cols, constant) in [(n_head, false), (per_key, false), (n_head, true)] {
                let name =
                    format!("{kind}, {n_head} heads of {dim} to {dim_v}, {decay_cols} decays");
                compare(&name, n_head * dim * dim_v, |backend, state, batch| {
                    let rows = rows(batch);
                    let mut take = |values: &[f32], rows: usize, cols: usize| {
                        backend.upload(&values[..rows * cols], cols)
                    };
                    let decay_rows = if constant { 1 } else { rows };
                    let update = match kind {
                        "add" => Update::Add,
                        "add late" => Update::AddLate(&bonus),
                        "delta" => Update::Delta,
                        _ => Update::Replace {
                            a: take(&a, rows, per_key),
                            b: take(&b, rows, per_key),
                        },
                    };
                    let strong = matches!(update, Update::Add | Update::Delta);
                    let attention = LinearAttention {
                        q: take(&q, rows, n_head_k * dim),
                        k: take(&k, rows, n_head_k * dim),
                        v: take(&v, rows, n_head * dim_v),
                        log_decay: take(&decays, decay_rows, decay_cols),
                        beta: strong.then(|| take(&beta, rows, n_head)),
                        update,
                        n_head,
                        n_head_k,
                        sharing,
                        scale: 0.5,
                    };
                    backend.linear_attention(&attention, state, batch)
                });
            }
        }
    }
}

#[test]
fn parts_sorted_by_kind() {
    let x = Random(5).values(3 * 24, [-1.0, 1.0]);
    let sorted = |backend: &mut dyn Backend| {
        let x = backend.upload(&x, 24).columns(2..22);
        let out = backend.deinterleave(x, &[1, 3, 1]);
        let mut values = vec![0.0; 60];
        backend.download(out, &mut values);
        values
    };
    let found = sorted(&mut Cpu::new(CpuOptions::default()));
    assert_eq!(found, sorted(&mut Reference::new()));
    // The second parts of the four groups of the first row begin after four first parts.
    assert_eq!(found[4..10], [x[3], x[4], x[5], x[8], x[9], x[10]]);
}
