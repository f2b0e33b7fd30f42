//! Speed of products by type, shape and instruction set, beside what the machine can do.
//!
//! `cargo bench -p cpu --bench matmul -- [threads] [parts of type names,...] [rows x cols] [columns,...]`; [`cpu::isa::ENV`]
//! picks an instruction set.

use std::hint::black_box;
use std::time::{Duration, Instant};

use backend::{Linear, TensorType, Weight};
use cpu::isa::Isa;
use cpu::limits;
use cpu::matmul::{Method, Rows, Scratch, linear};
use cpu::pool::Pool;

/// Weights `[rows][cols]` of SmolLM2-135M, and one of a larger model.
const SHAPES: [(usize, usize); 3] = [(1536, 576), (576, 1536), (4096, 4096)];
const COLUMNS: [usize; 7] = [2, 4, 5, 7, 8, 32, 512];
/// More than any cache.
const STREAM_BYTES: usize = 256 << 20;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let threads = args.first().and_then(|arg| arg.parse().ok());
    let pool = Pool::new(threads.unwrap_or_else(cpu::topology::default_threads));
    let filter = args.get(1).map_or("", String::as_str);
    let columns: Vec<usize> = args
        .get(3)
        .map_or(COLUMNS.to_vec(), |arg| arg.split(',').filter_map(|m| m.parse().ok()).collect());
    let shape = args.get(2).and_then(|arg| arg.split_once('x'));
    let shape = shape.and_then(|(rows, cols)| Some((rows.parse().ok()?, cols.parse().ok()?)));
    let shapes = shape.map_or(SHAPES.to_vec(), |shape| vec![shape]);
    let bandwidth = limits::bandwidth(&pool, STREAM_BYTES).expect("memory");
    println!("{} threads, {bandwidth:.1} GB/s of memory", pool.threads());
    let only = std::env::var(cpu::isa::ENV).map(|_| Isa::from_env().expect("an instruction set"));
    let all = Isa::available().filter(|isa| only.as_ref().map_or(true, |only| only == isa));
    for isa in all.collect::<Vec<_>>().into_iter().rev() {
        let peak = limits::int8_peak(&pool, isa).unwrap_or(f64::INFINITY);
        println!("{isa}: at most {peak:.0} GOPS of 8-bit products");
        for ty in
            TensorType::all().filter(|ty| cpu::matmul::supports(*ty) && matches(ty.name(), filter))
        {
            for (rows, cols) in shapes.iter().copied() {
                report(&pool, isa, ty, [rows, cols], &columns, [bandwidth, peak]);
            }
        }
    }
}

/// Whether a type is among those that a list, separated by commas, names in part.
fn matches(name: &str, filter: &str) -> bool {
    filter.split(',').any(|part| name.contains(part))
}

/// One line: GB/s of weights for one column from memory and from caches, and GOPS for each number of columns.
fn report(
    pool: &Pool,
    isa: Isa,
    ty: TensorType,
    [rows, cols]: [usize; 2],
    columns: &[usize],
    machine: [f64; 2],
) {
    let Some(row_bytes) = ty.row_bytes(cols) else { return };
    let [bandwidth, peak] = machine;
    let copies = STREAM_BYTES / (rows * row_bytes);
    let layers: Vec<Linear> = (0..copies).map(|_| Linear::plain(weight(ty, rows, cols))).collect();
    let x: Vec<f32> = (0..512 * cols).map(|i| (i * 37 % 101) as f32 * 0.02 - 1.0).collect();
    let mut out = vec![0.0; 512 * rows];
    let method = Method::new(isa, false);
    let mut scratch = Scratch::default();
    let mut product = |layer: &Linear, m: usize| {
        let x = Rows { data: &x, rows: m, cols, stride: cols };
        linear(pool, &method, &mut scratch, x, &[layer], &mut out[..m * rows]);
        black_box(&out);
    };
    let mut next = 0;
    let stream = time(|| {
        product(&layers[next % copies], 1);
        next += 1;
    });
    let stream = (rows * row_bytes) as f64 / stream;
    let cached = (rows * row_bytes) as f64 / time(|| product(&layers[0], 1));
    print!(
        "{isa:<12} {ty:<7} {rows:>5}x{cols:<5} {stream:5.1} GB/s {:3.0}%, cached {cached:5.1} |",
        100.0 * stream / bandwidth
    );
    for &m in columns {
        let seconds = time(|| product(&layers[0], m));
        print!(" {m}: {:.0}", (2 * m * rows * cols) as f64 / seconds);
        if m == 512 {
            print!(" ({:.0}%)", 100.0 * (2 * m * rows * cols) as f64 / seconds / peak);
        }
    }
    println!();
}

fn weight(ty: TensorType, rows: usize, cols: usize) -> Weight {
    let len = rows * ty.row_bytes(cols).expect("whole blocks");
    // Scales of such bytes are small, finite and, in any form, not subnormal.
    let bytes: Vec<u8> = (0..len).map(|i| 0x18 + (i * 29 % 0x1b) as u8).collect();
    Weight::new("bench", ty, [cols, rows, 1], bytes.into()).expect("a fitting weight")
}

/// Nanoseconds of a call: the best of some runs, each long enough to measure.
fn time(mut call: impl FnMut()) -> f64 {
    let total = Duration::from_millis(150);
    let (start, mut best) = (Instant::now(), f64::MAX);
    let mut calls = 1;
    while start.elapsed() < total {
        let run = Instant::now();
        (0..calls).for_each(|_| call());
        let elapsed = run.elapsed();
        best = best.min(elapsed.as_nanos() as f64 / calls as f64);
        if elapsed < Duration::from_millis(1) {
            calls *= 2;
        }
    }
    best
}
