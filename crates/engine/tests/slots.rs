//! Slots that are saved, restored and erased.

mod common;

use std::fs;

use common::{ask, folder, load, options, request, texts};
use engine::{Options, Worker};

#[test]
fn slots_are_saved_and_restored() {
    for name in ["llama-gqa", "jamba", "deepseek4-topk", "gpt-oss"] {
        let test = format!("slots-{name}");
        let dir = folder(&test);
        let file = dir.join("one.bin");
        let worker = || Worker::start(load(&test, name, &options()), 8).expect("memory");
        let text = texts(name, 1).remove(0);
        let first = worker();
        let (answer, _) = ask(&first, request(&text, 20)).wait();
        let saved = first.save_slot(0, &file).expect("it is there");
        assert_eq!(saved.tokens, text.len() + 19, "{name}: the last token was not evaluated");
        assert_eq!(fs::metadata(&file).expect("a file").len(), saved.bytes);
        let next = [&text[..], &answer, &text[..9]].concat();
        let (expected, _) = ask(&first, request(&next, 20)).wait();
        drop(first);

        let second = worker();
        let restored = second.restore_slot(1, &file).expect("it fits");
        assert_eq!((restored.tokens, restored.bytes), (saved.tokens, saved.bytes), "{name}");
        let (found, outcome) = ask(&second, request(&next, 20)).wait();
        assert_eq!(outcome.stats.cached_tokens, saved.tokens, "{name}");
        assert_eq!(found, expected, "{name}");

        // The same again, from a slot that was not used by a request. Of states there are only those
        // after the longer text now.
        assert_eq!(second.metrics().expect("it runs").slots[1].tokens, saved.tokens);
        let again = second.save_slot(1, &dir.join("two.bin"));
        match name {
            "llama-gqa" | "gpt-oss" => assert_eq!(again.expect("it is there").tokens, saved.tokens),
            _ => assert!(again.is_err_and(|error| error.to_string().contains("slot 1"))),
        }
        drop(second);

        let third = worker();
        third.restore_slot(0, &file).expect("it fits");
        assert_eq!(third.erase_slot(0).expect("it is idle"), saved.tokens, "{name}");
        assert_eq!(third.erase_slot(0).expect("it is idle"), 0);
        let metrics = third.metrics().expect("it runs");
        assert_eq!((metrics.positions_kept, metrics.slots[0].tokens), (0, 0), "{name}");
        let (found, outcome) = ask(&third, request(&next, 20)).wait();
        assert_eq!((found, outcome.stats.cached_tokens), (expected, 0));
    }
}

#[test]
fn saving_does_not_disturb_an_answer() {
    for name in ["llama-gqa", "jamba"] {
        let test = format!("running-{name}");
        let file = folder(&test).join("slot.bin");
        let worker = Worker::start(load(&test, name, &options()), 8).expect("memory");
        let text = texts(name, 1).remove(0);
        let (expected, _) = ask(&worker, request(&text, 200)).wait();
        let answer = ask(&worker, request(&text, 200));
        let runs = || worker.metrics().expect("it runs").slots[0].request.is_some();
        while !runs() {}
        let mut n_saved = 0;
        while runs() {
            let saved = worker.save_slot(0, &file).expect("it is there");
            n_saved += 1;
            let error = worker.erase_slot(0).map(|n| n.to_string());
            let error = error.err().map(|error| error.to_string());
            assert!(error.is_none_or(|error| error.contains("at work")));
            assert!(saved.tokens <= text.len() + 200);
        }
        assert_eq!(answer.wait().0, expected, "{name}");
        assert!(n_saved > 0);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let (test, name) = ("refused", "llama-gqa");
    let dir = folder(test);
    let file = dir.join("slot.bin");
    let worker = Worker::start(load(test, name, &options()), 8).expect("memory");
    let text = texts(name, 1).remove(0);
    ask(&worker, request(&text, 4)).wait();
    let saved = worker.save_slot(0, &file).expect("it is there");
    let refused = worker.save_slot(2, &file).expect_err("no such slot").to_string();
    assert!(refused.contains("no slot 2") && refused.contains("0 to 1"), "{refused}");
    assert!(worker.save_slot(0, &dir.join("none").join("slot.bin")).is_err());
    assert!(worker.restore_slot(0, &dir.join("none.bin")).is_err());

    let bytes = fs::read(&file).expect("a file");
    let damaged = dir.join("damaged.bin");
    for at in (0..bytes.len()).step_by(bytes.len() / 50) {
        let mut other = bytes.clone();
        other[at] ^= 4;
        for other in [&other[..], &bytes[..at], &[&bytes[..], &[0]].concat()] {
            fs::write(&damaged, other).expect("a writable folder");
            let refused = worker.restore_slot(1, &damaged).expect_err("damaged").to_string();
            assert!(refused.contains("damaged"), "{refused}");
        }
    }
    let small = Options { n_ctx: Some(saved.tokens - 1), ..options() };
    let small = Worker::start(load(test, name, &small), 8).expect("memory");
    assert!(small.restore_slot(0, &file).is_err());
    let other = Worker::start(load(test, "jamba", &options()), 8).expect("memory");
    assert!(other.restore_slot(0, &file).is_err());
}
