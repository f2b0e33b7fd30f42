//! What tests of the engine's memory share.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};

use engine::{Client, Engine, Event, Options, Outcome, Request, Scheduler, Worker};
use fixtures::Fixture;
use sample::Params;

/// Results don't depend on the batch, so that they can be compared.
pub fn options() -> Options {
    Options {
        n_ctx: Some(448),
        n_positions: Some(2048),
        parallel: 2,
        threads: Some(1),
        n_batch: 48,
        batch_invariant: true,
        ..<_>::default()
    }
}

/// A folder for a test, empty.
pub fn folder(test: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(test);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("a writable folder");
    path
}

/// The engine of the fixture `name`, read from a file named after the test.
pub fn load(test: &str, name: &str, options: &Options) -> Arc<Engine> {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{name}.gguf"));
    if !path.exists() {
        std::fs::write(&path, Fixture::named(name).file()).expect("a writable folder");
    }
    Arc::new(Engine::load(&path, options).expect("a valid model"))
}

/// Greedily, with what is known.
pub fn request(prompt: &[u32], limit: usize) -> Request {
    let sampling = Params { temperature: 0.0, ..<_>::default() };
    let limit = Some(limit);
    Request { prompt: prompt.to_vec(), sampling, limit, use_cache: true, ..<_>::default() }
}

/// Where events go.
pub struct Channel(pub Sender<Event>);

impl Client for Channel {
    fn send(&mut self, event: Event) {
        let _ = self.0.send(event);
    }

    fn is_gone(&self) -> bool {
        false
    }
}

/// An answer on its way.
pub struct Answer(Receiver<Event>);

impl Answer {
    /// All of its tokens, and how it ended.
    pub fn wait(self) -> (Vec<u32>, Outcome) {
        let mut answer = Vec::new();
        for event in self.0 {
            match event {
                Event::Text { tokens, .. } => answer.extend(tokens.iter().map(|token| token.id)),
                Event::Done(outcome) => return (answer, outcome),
                Event::Failed(error) => panic!("{error}"),
                Event::Prompt(_) | Event::Vectors(_) => {}
            }
        }
        panic!("an answer without an end");
    }
}

/// Asks a scheduler and waits.
pub fn run(scheduler: &mut Scheduler, request: Request) -> (Vec<u32>, Outcome) {
    let (sender, events) = mpsc::channel();
    scheduler.submit(request, Box::new(Channel(sender)));
    while scheduler.step() {}
    Answer(events).wait()
}

/// Asks a worker.
pub fn ask(worker: &Worker, request: Request) -> Answer {
    let (sender, events) = mpsc::channel();
    worker.submit(request, Box::new(Channel(sender))).expect("room");
    Answer(events)
}

/// Texts of which two each begin the same for more than two pages.
pub fn texts(name: &str, n: usize) -> Vec<Vec<u32>> {
    let tokens = Fixture::named(name).tokens();
    let text = |i: usize| -> Vec<u32> {
        let begin = tokens.iter().cycle().skip(i / 2).take(150);
        begin.chain(tokens.iter().cycle().skip(7 * i).take(60 + 11 * i)).copied().collect()
    };
    (0..n).map(text).collect()
}
