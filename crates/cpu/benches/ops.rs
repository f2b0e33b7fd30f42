//! Times of attention and of the small operations of a token.
//!
//! `cargo bench -p cpu --bench ops [threads] [attention types, for example f16 q8_0]`

use std::time::{Duration, Instant};

use backend::{
    Activation, AttentionParams, Backend, KvSpec, KvType, PAGE, RopeLayout, Span, Vector,
};
use cpu::{Cpu, CpuOptions};

/// What counts of a model's shape.
struct Model {
    name: &'static str,
    n_layer: usize,
    n_embd: usize,
    n_ff: usize,
    n_head: usize,
    n_head_kv: usize,
    head_dim: usize,
}

const MODELS: [Model; 2] = [
    Model {
        name: "SmolLM2-135M",
        n_layer: 30,
        n_embd: 576,
        n_ff: 1536,
        n_head: 9,
        n_head_kv: 3,
        head_dim: 64,
    },
    Model {
        name: "Llama-3.2-1B",
        n_layer: 16,
        n_embd: 2048,
        n_ff: 8192,
        n_head: 32,
        n_head_kv: 8,
        head_dim: 64,
    },
];

fn main() {
    let threads = std::env::args().skip(1).find_map(|arg| arg.parse().ok());
    let named: Vec<KvType> = std::env::args().filter_map(|name| KvType::from_name(&name)).collect();
    let types = match named.is_empty() {
        true => vec![KvType::F16, KvType::Q8_0, KvType::Q4_0],
        false => named,
    };
    let mut cpu = Cpu::new(CpuOptions { threads, ..<_>::default() });
    println!("{}", cpu.describe());
    for model in &MODELS {
        println!("{}, all {} layers:", model.name, model.n_layer);
        let print = |what: &str, time: Duration| {
            let time = time.as_secs_f64() * 1e6 * model.n_layer as f64;
            println!("  {what:36} {time:10.1} us");
        };
        for &ty in &types {
            for (rows, depth) in [(512, 0), (512, 4096), (1, 128), (1, 512), (1, 4096), (1, 16384)]
            {
                let (write, attend) = attention(&mut cpu, model, rows, depth, ty);
                print(&format!("kv_write {ty}, {rows} rows at {depth}"), write);
                print(&format!("attention {ty}, {rows} rows at {depth}"), attend);
            }
        }
        for rows in [1, 512] {
            print(&format!("small operations, {rows} rows"), small(&mut cpu, model, rows));
        }
    }
}

/// Times to store the keys and values of one layer and to attend over them.
fn attention(
    cpu: &mut Cpu,
    model: &Model,
    rows: usize,
    depth: usize,
    ty: KvType,
) -> (Duration, Duration) {
    let Model { n_head, n_head_kv, head_dim, .. } = *model;
    let n_pages = (depth + rows).div_ceil(PAGE);
    let spec = KvSpec { n_head_kv, head_dim, head_dim_v: head_dim, n_pages, types: ty.into() };
    let kv = cpu.kv_create(spec).expect("memory for one layer");
    let pages: Vec<u32> = (0..n_pages as u32).collect();
    let mark = cpu.mark();
    let filling = cpu.upload(&noise(depth.max(1) * n_head_kv * head_dim), n_head_kv * head_dim);
    cpu.kv_write(kv, filling, filling, &[Span { rows: 0..depth, pos: 0, pages: &pages, slot: 0 }]);

    let k = cpu.upload(&noise(rows * n_head_kv * head_dim), n_head_kv * head_dim);
    let q = cpu.upload(&noise(rows * n_head * head_dim), n_head * head_dim);
    let batch = [Span { rows: 0..rows, pos: depth, pages: &pages, slot: 0 }];
    let write = time(|| cpu.kv_write(kv, k, k, &batch));
    let params = AttentionParams::causal(n_head, 0.125);
    let attend = time(|| {
        let mark = cpu.mark();
        cpu.attention(q, kv, &batch, &params);
        cpu.release(mark);
    });
    cpu.release(mark);
    (write, attend)
}

/// Time of a layer's operations but products and attention.
fn small(cpu: &mut Cpu, model: &Model, rows: usize) -> Duration {
    let Model { n_embd, n_ff, n_head, n_head_kv, head_dim, .. } = *model;
    let mark = cpu.mark();
    let weight = Vector::new(noise(n_embd));
    let x = cpu.upload(&noise(rows * n_embd), n_embd);
    let heads = n_head + 2 * n_head_kv;
    let qkv = cpu.upload(&noise(rows * heads * head_dim), heads * head_dim);
    let turned = cpu.upload(&noise(rows * head_dim), head_dim);
    let gate_up = cpu.upload(&noise(rows * 2 * n_ff), 2 * n_ff);
    let time = time(|| {
        let mark = cpu.mark();
        let y = cpu.rms_norm(x, n_embd, Some(&weight), None, 1e-5);
        cpu.rope(qkv.columns(0..n_head * head_dim), head_dim, turned, RopeLayout::Norm);
        let k = qkv.columns(n_head * head_dim..(n_head + n_head_kv) * head_dim);
        cpu.rope(k, head_dim, turned, RopeLayout::Norm);
        cpu.add_assign(y, x);
        cpu.rms_norm(x, n_embd, Some(&weight), None, 1e-5);
        let (gate, up) = (gate_up.columns(0..n_ff), gate_up.columns(n_ff..2 * n_ff));
        cpu.glu(gate, up, Activation::Silu.into());
        cpu.add_assign(y, x);
        cpu.release(mark);
    });
    cpu.release(mark);
    time
}

fn noise(n: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7919 % 1013) as f32 / 506.5 - 1.0) * 0.9).collect()
}

/// The median time of a call.
fn time(mut call: impl FnMut()) -> Duration {
    let start = Instant::now();
    call();
    let calls = (0.1 / start.elapsed().as_secs_f64()).clamp(5.0, 2000.0) as usize;
    let mut times: Vec<Duration> = (0..calls)
        .map(|_| {
            let start = Instant::now();
            call();
            start.elapsed()
        })
        .collect();
    times.sort();
    times[calls / 2]
}
