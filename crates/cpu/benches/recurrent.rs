//! Times of a layer's recurrent operations.
//!
//! `cargo bench -p cpu --bench recurrent [threads]`

use std::time::{Duration, Instant};

use backend::{
    Backend, HeadSharing, LinearAttention, SelectiveScan, ShortConv, Span, StateSpec, Tensor,
    Update, Vector,
};
use cpu::{Cpu, CpuOptions};

/// How the memory of a model's linear attention changes.
#[derive(Clone, Copy)]
enum Kind {
    Mamba2,
    Rwkv6,
    GatedDelta,
    Rwkv7,
}

fn main() {
    let threads = std::env::args().skip(1).find_map(|arg| arg.parse().ok());
    let mut cpu = Cpu::new(CpuOptions { threads, ..<_>::default() });
    println!("{}", cpu.describe());
    for rows in [1, 512] {
        let print = |what: &str, time: Duration| {
            println!("  {what:44} {rows:4} rows {:10.1} us", time.as_secs_f64() * 1e6);
        };
        print("convolution of 8192 channels with 4", convolution(&mut cpu, rows, 8192));
        print("Mamba-2.8B: 5120 channels of 16", scan(&mut cpu, rows, [5120, 16]));
        for (name, shape, kind) in [
            ("Mamba2-2.7B: 80 heads of 128 to 64", [80, 1, 128, 64], Kind::Mamba2),
            ("RWKV6-3B: 40 heads of 64", [40, 40, 64, 64], Kind::Rwkv6),
            ("RWKV7-3B: 40 heads of 64", [40, 40, 64, 64], Kind::Rwkv7),
            ("Qwen3-Next: 32 heads of 128", [32, 16, 128, 128], Kind::GatedDelta),
        ] {
            print(name, attention(&mut cpu, rows, shape, kind));
        }
    }
}

fn span(rows: usize) -> [Span<'static>; 1] {
    [Span { rows: 0..rows, pos: 1, pages: &[], slot: 0 }]
}

fn noise(cpu: &mut Cpu, rows: usize, cols: usize, [low, high]: [f32; 2]) -> Tensor {
    let value = |i: usize| low + (high - low) * ((i * 7919 % 1013) as f32 / 1013.0);
    cpu.upload(&(0..rows * cols).map(value).collect::<Vec<_>>(), cols)
}

fn convolution(cpu: &mut Cpu, rows: usize, channels: usize) -> Duration {
    let mark = cpu.mark();
    let conv = ShortConv { weight: Vector::new(vec![0.5; 4 * channels]), bias: None, kernel: 4 };
    let state = cpu.state_create(StateSpec { len: conv.state_len(), n_slots: 1 }).expect("memory");
    let x = noise(cpu, rows, channels, [-1.0, 1.0]);
    let time = time(cpu, |cpu| cpu.short_conv(x, &conv, state, &span(rows)));
    cpu.release(mark);
    time
}

fn scan(cpu: &mut Cpu, rows: usize, [channels, n]: [usize; 2]) -> Duration {
    let mark = cpu.mark();
    let state = cpu.state_create(StateSpec { len: channels * n, n_slots: 1 }).expect("memory");
    let a = Vector::new(vec![-1.0; channels * n]);
    let scan = SelectiveScan {
        x: noise(cpu, rows, channels, [-1.0, 1.0]),
        dt: noise(cpu, rows, channels, [0.0, 0.5]),
        b: noise(cpu, rows, n, [-1.0, 1.0]),
        c: noise(cpu, rows, n, [-1.0, 1.0]),
        a: &a,
    };
    let time = time(cpu, |cpu| cpu.selective_scan(&scan, state, &span(rows)));
    cpu.release(mark);
    time
}

fn attention(
    cpu: &mut Cpu,
    rows: usize,
    [n_head, n_head_k, dim, dim_v]: [usize; 4],
    kind: Kind,
) -> Duration {
    let mark = cpu.mark();
    let len = n_head * dim * dim_v;
    let state = cpu.state_create(StateSpec { len, n_slots: 1 }).expect("memory");
    let bonus = Vector::new(vec![0.5; n_head * dim]);
    let per_key = noise(cpu, rows, n_head * dim, [-0.1, 0.1]);
    let (update, decay_cols) = match kind {
        Kind::Mamba2 => (Update::Add, n_head),
        Kind::Rwkv6 => (Update::AddLate(&bonus), n_head * dim),
        Kind::GatedDelta => (Update::Delta, n_head),
        Kind::Rwkv7 => (Update::Replace { a: per_key, b: per_key }, n_head * dim),
    };
    let attention = LinearAttention {
        q: noise(cpu, rows, n_head_k * dim, [-0.1, 0.1]),
        k: noise(cpu, rows, n_head_k * dim, [-0.1, 0.1]),
        v: noise(cpu, rows, n_head * dim_v, [-1.0, 1.0]),
        log_decay: noise(cpu, rows, decay_cols, [-0.5, -0.1]),
        beta: None,
        update,
        n_head,
        n_head_k,
        sharing: HeadSharing::Neighbours,
        scale: 1.0,
    };
    let time = time(cpu, |cpu| cpu.linear_attention(&attention, state, &span(rows)));
    cpu.release(mark);
    time
}

/// The median time of a call.
fn time(cpu: &mut Cpu, mut call: impl FnMut(&mut Cpu) -> Tensor) -> Duration {
    let mut once = || {
        let (mark, start) = (cpu.mark(), Instant::now());
        call(cpu);
        let time = start.elapsed();
        cpu.release(mark);
        time
    };
    let calls = (0.2 / once().as_secs_f64()).clamp(5.0, 2000.0) as usize;
    let mut times: Vec<Duration> = (0..calls).map(|_| once()).collect();
    times.sort();
    times[calls / 2]
}
