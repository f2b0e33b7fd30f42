//! Answers with guesses are those without.

use std::ops::ControlFlow;
use std::path::PathBuf;

use engine::{DraftModel, Drafter, Engine, Error, Finish, NGrams, Options, Speculation};
use fixtures::Fixture;
use sample::Params;

const N_CTX: usize = 128;

fn load(test: &str, name: &str) -> Engine {
    load_file(&format!("{test}-{name}"), &Fixture::named(name).file())
}

fn load_file(name: &str, file: &[u8]) -> Engine {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.gguf"));
    std::fs::write(&path, file).expect("a writable folder");
    // Rounding must not depend on the batch for answers to be equal.
    let options = Options {
        n_ctx: Some(N_CTX),
        threads: Some(2),
        n_batch: 16,
        batch_invariant: true,
        ..<_>::default()
    };
    Engine::load(&path, &options).expect("a valid model")
}

/// The tokens held after an answer, and the share of guesses that were right.
fn answer(
    target: &Engine,
    drafter: Option<Box<dyn Drafter>>,
    temperature: f32,
    limit: usize,
) -> (Vec<u32>, f64) {
    let mut session = target.session().expect("memory");
    let prompt = Fixture::named("llama-gqa").tokens();
    let fed = session.feed(&prompt, &mut |_, _| ControlFlow::Continue(()));
    assert!(fed.expect("a prompt that fits"));
    let on_text = &mut |_: &str| ControlFlow::Continue(());
    let params = Params { temperature, seed: Some(3), ..Params::default() };
    let mut sampler = target.sampler(&params).expect("a sampler");
    let (finish, share) = match drafter {
        None => (session.generate(&mut sampler, None, Some(limit), on_text), 0.0),
        Some(drafter) => {
            let mut speculation = Speculation::new(drafter, 5, 0);
            let finish =
                session.generate_drafted(&mut sampler, &mut speculation, Some(limit), on_text);
            let share = speculation.n_accepted as f64 / speculation.n_drafted.max(1) as f64;
            (finish, share)
        }
    };
    let finish = finish.expect("an answer");
    assert_eq!(session.stats().generated_tokens, session.tokens().len() - prompt.len());
    // Random models may end where they like.
    let expected = if limit < N_CTX { Finish::Limit } else { Finish::ContextFull };
    assert!([expected, Finish::EndOfGeneration].contains(&finish), "{finish:?}");
    (session.tokens().to_vec(), share)
}

fn model(test: &str, name: &str, target: &Engine) -> Option<Box<dyn Drafter>> {
    let draft = load(&format!("{test}-draft"), name);
    Some(Box::new(DraftModel::new(draft, target, 0.0).expect("a draft model")))
}

#[test]
fn a_model_that_guesses_for_itself_is_always_right() {
    let engine = load("itself", "llama-gqa");
    let (expected, _) = answer(&engine, None, 0.0, 40);
    let (drafted, share) = answer(&engine, model("itself", "llama-gqa", &engine), 0.0, 40);
    assert_eq!(drafted, expected);
    assert!(share > 0.9, "{share}");
}

#[test]
fn wrong_guesses_change_nothing() {
    for target in ["llama-gqa", "gemma3", "mamba"] {
        let target = load("wrong", target);
        let drafters: [Option<Box<dyn Drafter>>; 2] =
            [model("wrong", "llama", &target), Some(Box::new(NGrams { n: 1 }))];
        let (expected, _) = answer(&target, None, 0.0, 40);
        for drafter in drafters {
            let (drafted, share) = answer(&target, drafter, 0.0, 40);
            assert_eq!(drafted, expected, "{}", target.info().name);
            assert!(share < 1.0);
        }
    }
}

/// The sampler takes one number for each token, whether it was guessed or not.
#[test]
fn seeds_repeat_answers_with_guesses() {
    let target = load("seeds", "llama-gqa");
    let (expected, _) = answer(&target, None, 0.7, 40);
    assert_eq!(answer(&target, model("seeds", "llama", &target), 0.7, 40).0, expected);
    assert_eq!(answer(&target, Some(Box::new(NGrams { n: 1 })), 0.7, 40).0, expected);
}

#[test]
fn the_context_is_filled_to_its_end() {
    let target = load("full", "llama-gqa");
    let (expected, _) = answer(&target, None, 0.0, 1000);
    assert_eq!(expected.len(), N_CTX + 1);
    for draft in ["llama", "llama-gqa"] {
        assert_eq!(answer(&target, model("full", draft, &target), 0.0, 1000).0, expected);
    }
}

#[test]
fn unlikely_guesses_are_not_made() {
    let engine = load("unlikely", "llama-gqa");
    let draft = |p_min| DraftModel::new(load("unlikely-draft", "llama-gqa"), &engine, p_min);
    let mut sure = draft(1.5).expect("a draft model");
    assert!(sure.draft(&[5, 6, 7], 4).expect("a draft").is_empty());
    let mut any = draft(0.0).expect("a draft model");
    let four = any.draft(&[5, 6, 7], 4).expect("a draft");
    assert_eq!(four.len(), 4);
    assert_eq!(any.draft(&[5, 6, 7, four[0]], 3).expect("a draft"), four[1..]);
    assert!(any.draft(&[], 4).expect("a draft").is_empty());
    assert!(any.draft(&[5, 1 << 20], 4).expect("a draft").is_empty());
}

#[test]
fn other_vocabularies_are_refused() {
    let target = load("other", "llama-gqa");
    let mut file = Fixture::named("llama").file();
    let at = file.windows(4).position(|bytes| bytes == b"t117").expect("a token");
    file[at] = b'x';
    let draft = load_file("other-token", &file);
    let refusal = DraftModel::new(draft, &target, 0.0).err().expect("another vocabulary");
    assert!(matches!(refusal, Error::OtherVocabulary(_)), "{refusal}");
}
