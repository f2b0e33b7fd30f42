//! Texts to vectors, alone and together; scores of pairs; vectors while others generate.

mod common;

use std::sync::Arc;
use std::sync::mpsc;

use common::{Channel, load, request, run, texts};
use engine::{Engine, Error, Event, Normalization, Options, Pooling, Scheduler, Texts, Worker};
use fixtures::{Fixture, nmse};

fn options() -> Options {
    let kv_types = backend::KvType::F32.into();
    Options { threads: Some(2), kv_types, parallel: 5, ..<_>::default() }
}

fn scheduler(test: &str, name: &str, options: &Options) -> Scheduler {
    Scheduler::new(load(test, name, options)).expect("memory")
}

/// The vectors of each text.
fn embed(
    scheduler: &mut Scheduler,
    texts: &[Vec<u32>],
    pooling: Option<Pooling>,
) -> Result<Vec<Vec<Vec<f32>>>, Error> {
    let (sender, events) = mpsc::channel();
    scheduler.embed(Texts { texts: texts.to_vec(), pooling }, Box::new(Channel(sender)));
    while scheduler.step() {}
    match events.recv().expect("an event") {
        Event::Vectors(vectors) => Ok(vectors),
        Event::Failed(error) => Err(error),
        other => panic!("{other:?}"),
    }
}

#[test]
fn texts_are_the_same_alone_and_together() {
    for name in ["bert", "modern-bert", "gemma-embedding", "t5encoder", "llama-embed"] {
        let fixture = Fixture::named(name);
        let mut scheduler = scheduler("together", name, &options());
        let tokens = fixture.tokens();
        // More than one batch of texts, of different lengths.
        let texts: Vec<Vec<u32>> =
            (0..70).map(|i| tokens[..tokens.len() - i % 7].to_vec()).collect();
        let together = embed(&mut scheduler, &texts, None).expect("vectors");
        assert_eq!(together.len(), texts.len());
        assert!(nmse(&fixture.floats("pooled"), &together[0].concat()) <= fixture.tol, "{name}");
        for (text, vectors) in texts.iter().zip(&together).take(8) {
            let alone = embed(&mut scheduler, std::slice::from_ref(text), None).expect("a vector");
            assert!(nmse(&alone[0].concat(), &vectors.concat()) < 1e-9, "{name}");
        }
    }
}

#[test]
fn without_pooling_each_token_has_a_vector() {
    let fixture = Fixture::named("bert");
    let options = Options { pooling: Some(Pooling::None), ..options() };
    let mut scheduler = scheduler("tokens", "bert", &options);
    let tokens = fixture.tokens();
    let texts = [tokens[..5].to_vec(), tokens.clone()];
    let vectors = embed(&mut scheduler, &texts, None).expect("vectors");
    assert_eq!([vectors[0].len(), vectors[1].len()], [5, tokens.len()]);
    assert!(nmse(&fixture.floats("embd"), &vectors[1].concat()) <= fixture.tol);
}

#[test]
fn what_cannot_be_embedded_is_refused() {
    let mut scheduler = scheduler("refused", "bert", &options());
    let mut refusal = |text: Vec<u32>, pooling| embed(&mut scheduler, &[text], pooling).err();
    assert!(matches!(refusal(vec![5; 100_000], None), Some(Error::PromptTooLong { .. })));
    assert!(matches!(refusal(vec![], None), Some(Error::Model(model::Error::EmptyText))));
    let ranked = refusal(vec![5, 6], Some(Pooling::Rank));
    assert!(matches!(ranked, Some(Error::Model(model::Error::NoClassifier))));
    assert!(matches!(refusal(vec![u32::MAX], None), Some(Error::Model(_))));
    assert!(refusal(vec![5, 6], None).is_none());
}

/// A model that only embeds doesn't answer.
#[test]
fn a_model_of_embeddings_generates_nothing() {
    let engine = load("silent", "bert", &options());
    assert!(matches!(engine.session().err(), Some(Error::NotGenerative { .. })));
    let mut scheduler = Scheduler::new(engine).expect("memory");
    let (sender, events) = mpsc::channel();
    scheduler.submit(request(&[5, 6], 3), Box::new(Channel(sender)));
    let refused = events.recv().expect("an event");
    assert!(matches!(refused, Event::Failed(Error::NotGenerative { .. })), "{refused:?}");
}

/// Also in parts, while others answer, and where memory is short.
#[test]
fn models_that_generate_embed_too() {
    for name in ["llama-gqa", "mamba", "gemma3"] {
        let options = Options { n_batch: 48, ..common::options() };
        let engine: Arc<Engine> = load("both", name, &options);
        assert!(engine.is_generative());
        let mut alone = Scheduler::new(engine.clone()).expect("memory");
        let texts = texts(name, 4);
        assert!(texts.iter().all(|text| text.len() > 4 * 48));
        let vectors = |scheduler: &mut Scheduler, pooling| {
            embed(scheduler, &texts, pooling).expect("vectors")
        };
        let expected = vectors(&mut alone, None);
        let all = vectors(&mut alone, Some(Pooling::None));
        for ((text, rows), mean) in texts.iter().zip(&all).zip(&expected) {
            assert_eq!(rows.len(), text.len(), "{name}");
            let mean_of = |i: usize| {
                rows.iter().map(|row| f64::from(row[i])).sum::<f64>() / rows.len() as f64
            };
            let by_hand: Vec<f32> = (0..rows[0].len()).map(|i| mean_of(i) as f32).collect();
            assert!(nmse(&by_hand, &mean[0]) < 1e-12, "{name}");
        }
        let whole = Options { n_batch: 512, ..options.clone() };
        let mut whole = Scheduler::new(load("both", name, &whole)).expect("memory");
        for (a, b) in vectors(&mut whole, None).iter().zip(&expected) {
            assert!(nmse(&a[0], &b[0]) < 1e-6, "{name}");
        }

        let (answer, _) = run(&mut alone, request(&texts[1], 20));
        let worker = Worker::start(engine, 16).expect("a thread");
        let answers: Vec<_> =
            (0..3).map(|_| common::ask(&worker, request(&texts[1], 20))).collect();
        let (sender, events) = mpsc::channel();
        let wanted = Texts { texts: texts.clone(), pooling: None };
        worker.embed(wanted, Box::new(Channel(sender))).expect("room");
        match events.recv().expect("an event") {
            Event::Vectors(found) => assert_eq!(found, expected, "{name}"),
            other => panic!("{other:?}"),
        }
        for other in answers {
            assert_eq!(other.wait().0, answer, "{name}");
        }
        assert!(worker.is_idle() || worker.load().is_ok_and(|load| load == <_>::default()));
    }
}

#[test]
fn lengths_are_made_one() {
    let mut scheduler = scheduler("lengths", "bert", &options());
    let vectors = embed(&mut scheduler, &[vec![5, 6, 7]], None).expect("a vector");
    let mut vector = vectors.concat().concat();
    Normalization::default().apply(&mut vector);
    let square: f32 = vector.iter().map(|v| v * v).sum();
    assert!((square - 1.0).abs() < 1e-5, "{square}");
}
