//! Speed of encoding.
//!
//! `cargo bench -p tokenizer --bench encode -- TEXT MODEL...`: a text file, and GGUF files, which
//! need hold no more than a vocabulary.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use gguf::Gguf;
use tokenizer::Tokenizer;

/// The best of this many runs counts.
const RUNS: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let mut paths = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let text = paths.next().ok_or("expected a text file and model files")?;
    let text = std::fs::read_to_string(text)?;
    for path in paths {
        let gguf = Gguf::open(Path::new(&path))?;
        let start = Instant::now();
        let tokenizer = Tokenizer::from_metadata(gguf.metadata())?;
        let load = start.elapsed();
        let mut best = Duration::MAX;
        let mut count = 0;
        for _ in 0..RUNS {
            let start = Instant::now();
            count = tokenizer.encode(&text, false, false).len();
            best = best.min(start.elapsed());
        }
        println!(
            "{path}: {:.1} MB/s, {count} tokens, loaded in {:.0} ms",
            text.len() as f64 / best.as_secs_f64() / 1e6,
            load.as_secs_f64() * 1e3
        );
    }
    Ok(())
}
