//! Prompt and generation speed of a model file, measured as `llama-bench` does: a prompt of 512
//! tokens into an empty memory, and 128 single tokens from an empty memory.
//!
//! `cargo bench -p engine -- MODEL.gguf [THREADS [REPETITIONS]]`

use std::path::Path;
use std::time::Instant;

use backend::KvType;
use cpu::{Cpu, CpuOptions};
use gguf::Gguf;
use model::{Context, Outputs};

const PROMPT: usize = 512;
const GENERATED: usize = 128;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let Some(path) = args.first() else {
        println!("give a model file: cargo bench -p engine -- MODEL.gguf [THREADS [REPETITIONS]]");
        return;
    };
    let number = |at: usize| args.get(at).map(|arg| arg.parse().expect("a number"));
    let threads = number(1);
    let repetitions = number(2).unwrap_or(5);
    let gguf = Gguf::open(Path::new(path)).expect("a readable model file");
    let model = model::load(&gguf).expect("a supported model");
    let n_vocab = model.shape().n_vocab as u32;
    let backend = Cpu::new(CpuOptions { threads, isa: None });
    println!("{path} on {}", backend::Backend::describe(&backend));
    let mut context =
        Context::new(model, Box::new(backend), PROMPT, KvType::F16).expect("enough memory");
    let tokens: Vec<u32> = (0..PROMPT as u32).map(|i| i * 7919 % n_vocab).collect();

    let prompt = |context: &mut Context| {
        context.truncate(0);
        context.decode(&tokens, Outputs::Last).expect("a valid prompt");
    };
    let generate = |context: &mut Context| {
        context.truncate(0);
        for token in &tokens[..GENERATED] {
            context.decode(&[*token], Outputs::Last).expect("a valid token");
        }
    };
    report("pp512", PROMPT, repetitions, || prompt(&mut context));
    report("tg128", GENERATED, repetitions, || generate(&mut context));
}

/// Times `run` after one warm-up and prints the median, least and greatest speed.
fn report(name: &str, tokens: usize, repetitions: usize, mut run: impl FnMut()) {
    run();
    let mut speeds: Vec<f64> = (0..repetitions.max(1))
        .map(|_| {
            let start = Instant::now();
            run();
            tokens as f64 / start.elapsed().as_secs_f64()
        })
        .collect();
    speeds.sort_by(f64::total_cmp);
    let (least, greatest) = (speeds[0], speeds[speeds.len() - 1]);
    println!("{name} {:8.1} t/s  ({least:.1} to {greatest:.1})", speeds[speeds.len() / 2]);
}
