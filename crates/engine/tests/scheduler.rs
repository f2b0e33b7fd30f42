//! Many requests at once over tiny models: each gets the answer that it gets alone, whatever the
//! others do.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use engine::{Client, Engine, Error, Event, Finish, Options, Outcome, Progress, Request};
use engine::{Scheduler, Worker};
use fixtures::Fixture;
use sample::Params;

/// What a client was sent.
#[derive(Default)]
struct Record {
    text: String,
    tokens: Vec<u32>,
    progress: Vec<Progress>,
    end: Option<Result<Outcome, Error>>,
}

/// A client that remembers, and may leave.
#[derive(Clone, Default)]
struct Recorder {
    record: Arc<Mutex<Record>>,
    is_gone: Arc<AtomicBool>,
}

impl Client for Recorder {
    fn send(&mut self, event: Event) {
        let mut record = self.record.lock().unwrap();
        assert!(record.end.is_none(), "nothing comes after the end");
        match event {
            Event::Prompt(progress) => record.progress.push(progress),
            Event::Text { text, tokens, .. } => {
                record.text += &text;
                record.tokens.extend(tokens.iter().map(|choice| choice.id));
            }
            Event::Done(outcome) => record.end = Some(Ok(outcome)),
            Event::Failed(error) => record.end = Some(Err(error)),
            Event::Vectors(_) => panic!("nobody asked for vectors"),
        }
    }

    fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Relaxed)
    }
}

impl Recorder {
    fn tokens(&self) -> Vec<u32> {
        self.record.lock().unwrap().tokens.clone()
    }

    fn is_over(&self) -> bool {
        self.record.lock().unwrap().end.is_some()
    }

    fn outcome(&self) -> Outcome {
        let record = self.record.lock().unwrap();
        record.end.as_ref().expect("an end").as_ref().expect("an answer").clone()
    }

    fn error(&self) -> String {
        let record = self.record.lock().unwrap();
        record.end.as_ref().expect("an end").as_ref().expect_err("no answer").to_string()
    }
}

/// Results don't depend on the batch, so that they can be compared.
fn options() -> Options {
    Options {
        n_ctx: Some(256),
        parallel: 4,
        threads: Some(2),
        n_batch: 48,
        batch_invariant: true,
        ..<_>::default()
    }
}

fn load(test: &str, name: &str, options: &Options) -> Arc<Engine> {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}.gguf"));
    std::fs::write(&path, Fixture::named(name).file()).expect("a writable folder");
    Arc::new(Engine::load(&path, options).expect("a valid model"))
}

fn request(prompt: &[u32], limit: usize) -> Request {
    let sampling = Params { temperature: 0.0, ..<_>::default() };
    Request {
        prompt: prompt.to_vec(),
        sampling,
        limit: Some(limit),
        use_cache: true,
        ..<_>::default()
    }
}

fn run(scheduler: &mut Scheduler, request: Request) -> Recorder {
    let client = Recorder::default();
    scheduler.submit(request, Box::new(client.clone()));
    while scheduler.step() {}
    client
}

/// Texts of which many begin the same.
fn prompts(name: &str, n: usize) -> Vec<Vec<u32>> {
    let tokens = Fixture::named(name).tokens();
    let text =
        |i: usize| tokens.iter().cycle().skip(i % 3).take(20 + 37 * i % 130).copied().collect();
    (0..n).map(text).collect()
}

#[test]
fn answers_are_those_of_requests_alone() {
    for (name, n_positions) in
        [("llama-gqa", 2048), ("llama-gqa", 320), ("jamba", 320), ("gpt-oss", 320)]
    {
        let test = format!("alone-{name}-{n_positions}");
        let alone = load(&test, name, &Options { parallel: 1, ..options() });
        let together = load(&test, name, &Options { n_positions: Some(n_positions), ..options() });
        let prompts = prompts(name, 24);
        let mut scheduler = Scheduler::new(alone).expect("memory");
        let expected: Vec<Vec<u32>> = prompts
            .iter()
            .map(|prompt| {
                let request = Request { use_cache: false, ..request(prompt, 40) };
                run(&mut scheduler, request).tokens()
            })
            .collect();

        let mut scheduler = Scheduler::new(together).expect("memory");
        let mut clients = HashMap::new();
        for (i, prompt) in prompts.iter().enumerate() {
            let client = Recorder::default();
            let request = Request { client: i as u64 % 5, ..request(prompt, 40) };
            scheduler.submit(request, Box::new(client.clone()));
            clients.insert(i, client);
            // They come while others run, and some go.
            (0..i % 4).for_each(|_| _ = scheduler.step());
            if i % 7 == 3
                && let Some(gone) = clients.remove(&(i - 2))
            {
                gone.is_gone.store(true, Ordering::Relaxed);
            }
        }
        while scheduler.step() {}
        assert_eq!(scheduler.load(), Default::default());
        assert!(clients.len() > 18);
        let mut cached = 0;
        for (i, client) in &clients {
            assert_eq!(client.tokens(), expected[*i], "{test}: request {i}");
            let stats = client.outcome().stats;
            cached += stats.cached_tokens;
            assert_eq!(stats.cached_tokens + stats.prompt_tokens, prompts[*i].len());
            assert_eq!(stats.generated_tokens, expected[*i].len());
        }
        assert!(cached > 100, "{test}: {cached}");
    }
}

/// The prompts that begin the same and come together are evaluated once.
#[test]
fn equal_prompts_wait_for_the_first() {
    let engine = load("equal", "llama-gqa", &options());
    let mut scheduler = Scheduler::new(engine).expect("memory");
    let prompt: Vec<u32> = Fixture::named("llama-gqa").tokens().repeat(4)[..150].to_vec();
    let clients: Vec<Recorder> = (0..4).map(|_| Recorder::default()).collect();
    for client in &clients {
        scheduler.submit(request(&prompt, 3), Box::new(client.clone()));
    }
    while scheduler.step() {}
    let evaluated: Vec<usize> = clients.iter().map(|c| c.outcome().stats.prompt_tokens).collect();
    assert_eq!(evaluated[0], 150);
    assert!(evaluated[1..].iter().all(|&n| n <= 22), "{evaluated:?}");
    assert!(clients.iter().all(|client| client.tokens() == clients[0].tokens()));
}

/// A long prompt is cut, so that answers go on meanwhile.
#[test]
fn answers_go_on_while_a_prompt_is_read() {
    let engine = load("chunked", "llama-gqa", &options());
    let mut scheduler = Scheduler::new(engine).expect("memory");
    let prompts = prompts("llama-gqa", 2);
    let (first, second) = (Recorder::default(), Recorder::default());
    scheduler.submit(request(&prompts[0], 100), Box::new(first.clone()));
    (0..3).for_each(|_| _ = scheduler.step());
    let long: Vec<u32> = Fixture::named("llama-gqa").tokens().repeat(5)[..200].to_vec();
    scheduler.submit(request(&long, 2), Box::new(second.clone()));
    let mut steps = 0;
    while second.tokens().is_empty() {
        let before = scheduler.load().positions;
        scheduler.step();
        assert!(scheduler.load().positions - before <= 48 + 1);
        steps += 1;
    }
    assert!(steps >= 4 && first.tokens().len() >= steps, "{steps}");
    let progress = second.record.lock().unwrap().progress.clone();
    assert!(
        progress.len() >= 4 && progress.last().is_some_and(|p| p.done == 200 && p.total == 200)
    );
}

#[test]
fn ends_are_named() {
    let engine = load("ends", "llama-gqa", &options());
    let mut scheduler = Scheduler::new(engine.clone()).expect("memory");
    let prompt = prompts("llama-gqa", 3).pop().expect("a prompt");
    let whole = run(&mut scheduler, request(&prompt, 30));
    assert_eq!((whole.outcome().finish, whole.tokens().len()), (Finish::Limit, 30));
    let text = whole.record.lock().unwrap().text.clone();
    assert_eq!(text, engine.tokenizer().decode(&whole.tokens(), false));

    let nothing = run(&mut scheduler, request(&prompt, 0));
    assert_eq!((nothing.outcome().finish, nothing.tokens().len()), (Finish::Limit, 0));

    let middle: String = text.chars().skip(9).take(4).collect();
    let stops = vec![middle.clone()];
    let stopped = run(&mut scheduler, Request { stops, ..request(&prompt, 30) });
    let outcome = stopped.outcome();
    assert_eq!((outcome.finish, outcome.stop.as_ref()), (Finish::StopText, Some(&middle)));
    let found = text.find(&middle).expect("it is there");
    assert_eq!(stopped.record.lock().unwrap().text, text[..found]);

    let full = run(&mut scheduler, Request { limit: None, ..request(&prompt, 0) });
    assert_eq!(full.outcome().finish, Finish::ContextFull);
    assert_eq!(prompt.len() + full.tokens().len(), 257);
    let shift = Some(5);
    let shifted = run(&mut scheduler, Request { shift, ..request(&prompt, 600) });
    assert_eq!((shifted.outcome().finish, shifted.tokens().len()), (Finish::Limit, 600));
    assert!(shifted.outcome().shifted && shifted.tokens().starts_with(&full.tokens()));

    let long = vec![1; 257];
    let refused = run(&mut scheduler, request(&long, 1)).error();
    assert!(refused.contains("257") && refused.contains("256"), "{refused}");
    assert!(run(&mut scheduler, request(&[], 1)).error().contains("no prompt"));
    assert!(run(&mut scheduler, request(&[1 << 30], 1)).error().contains("vocabulary"));
}

/// Each client has its turn, however much another one asks for.
#[test]
fn clients_are_served_in_turns() {
    let engine = load("turns", "llama-gqa", &Options { parallel: 2, ..options() });
    let mut scheduler = Scheduler::new(engine).expect("memory");
    let prompt = prompts("llama-gqa", 1).pop().expect("a prompt");
    let greedy: Vec<Recorder> = (0..10).map(|_| Recorder::default()).collect();
    for client in &greedy {
        scheduler.submit(request(&prompt, 10), Box::new(client.clone()));
    }
    scheduler.step();
    let modest = Recorder::default();
    scheduler.submit(Request { client: 1, ..request(&prompt, 10) }, Box::new(modest.clone()));
    while !modest.is_over() {
        assert!(scheduler.step());
    }
    assert!(greedy.iter().filter(|client| client.is_over()).count() <= 4);
}

#[test]
fn a_worker_serves_threads_and_refuses_too_many() {
    let engine = load("worker", "llama-gqa", &options());
    let worker = Worker::start(engine.clone(), 8).expect("memory");
    let prompt = prompts("llama-gqa", 3).pop().expect("a prompt");
    let mut clients = Vec::new();
    let refused = loop {
        let client = Recorder::default();
        match worker.submit(request(&prompt, 100), Box::new(client.clone())) {
            Ok(()) => clients.push(client),
            Err(error) => break error.to_string(),
        }
    };
    assert!(clients.len() >= 8 && refused.contains("8 requests wait"), "{refused}");
    let load = worker.load().expect("it runs");
    assert!(load.running + load.waiting > 0);
    drop(worker);
    let expected =
        run(&mut Scheduler::new(engine).expect("memory"), request(&prompt, 100)).tokens();
    assert!(clients.iter().all(|client| client.tokens() == expected));
}

#[test]
fn work_is_counted() {
    let engine = load("counts", "llama-gqa", &options());
    let worker = Worker::start(engine.clone(), 8).expect("memory");
    let prompt: Vec<u32> = Fixture::named("llama-gqa").tokens().repeat(4)[..150].to_vec();
    let submit = |prompt: &[u32], limit| {
        let client = Recorder::default();
        worker.submit(request(prompt, limit), Box::new(client.clone())).expect("room");
        client
    };
    let wait = |client: &Recorder| {
        while !client.is_over() {
            std::thread::yield_now();
        }
    };
    wait(&submit(&prompt, 10));
    wait(&submit(&prompt, 20));
    wait(&submit(&[], 20));
    let running = submit(&prompt, 100);
    let metrics = loop {
        let metrics = worker.metrics().expect("it runs");
        if metrics.load.running > 0 && metrics.totals.generated_tokens > 32 {
            break metrics;
        }
        assert!(!running.is_over(), "{metrics:?}");
    };
    let slot = metrics.slots.iter().find(|slot| slot.request.is_some()).expect("one runs");
    let status = slot.request.as_ref().expect("a request");
    assert_eq!((status.number, status.prompt_tokens, status.limit), (3, 150, Some(100)));
    assert_eq!((slot.n_ctx, metrics.slots.len(), metrics.positions), (256, 4, 256 + 3 * 64));
    assert!(slot.tokens >= 150 && slot.tokens < 250);
    assert_eq!(metrics.positions_in_use, slot.tokens.next_multiple_of(64), "{metrics:?}");
    assert!(metrics.usage() > 0.3);
    wait(&running);

    let gone = submit(&prompt, 100);
    gone.is_gone.store(true, Ordering::Relaxed);
    let metrics = loop {
        let metrics = worker.metrics().expect("it runs");
        if metrics.load == Default::default() {
            break metrics;
        }
    };
    let totals = metrics.totals;
    let ended = [totals.finished, totals.failed, totals.cancelled];
    assert!(ended == [3, 1, 1], "{totals:?}");
    assert!(totals.generated_tokens >= 130 && totals.prompt_tokens >= 150 + 2);
    assert!(totals.cached_tokens >= 2 * 149 && totals.mean_requests() == 1.0, "{totals:?}");
    assert!(totals.prompt_time.as_nanos() > 0 && totals.generation_time.as_nanos() > 0);
    assert_eq!((metrics.positions_in_use, totals.largest_batch), (0, 48));
    assert!(metrics.positions_kept >= 256);
}
