//! Sessions over a tiny model: what is kept, what is evaluated again, and why generation stops.

use std::ops::ControlFlow;
use std::path::PathBuf;

use engine::{Engine, Error, Finish, Options, Session};
use fixtures::Fixture;
use sample::{Params, Sampler};

const N_CTX: usize = 96;

/// The engine of the fixture `name`, read from a file named after the test.
fn load(test: &str, name: &str) -> Result<Engine, Error> {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}.gguf"));
    std::fs::write(&path, Fixture::named(name).file()).expect("a writable folder");
    let options = Options { n_ctx: Some(N_CTX), threads: Some(2), n_batch: 16, ..<_>::default() };
    Engine::load(&path, &options)
}

fn greedy(session: &Session<'_>) -> Sampler {
    let params = Params { temperature: 0.0, ..Params::default() };
    session.engine().sampler(&params).expect("valid parameters")
}

fn feed(session: &mut Session<'_>, tokens: &[u32]) {
    let done = session.feed(tokens, &mut |_, _| ControlFlow::Continue(()));
    assert!(done.expect("tokens that fit"));
    assert_eq!(session.tokens(), tokens);
}

fn generate(session: &mut Session<'_>, limit: usize) -> Finish {
    let on_text = &mut |_: &str| ControlFlow::Continue(());
    let mut sampler = greedy(session);
    session.generate(&mut sampler, None, Some(limit), on_text).expect("tokens")
}

fn prompt() -> Vec<u32> {
    Fixture::named("llama-gqa").tokens()
}

#[test]
fn a_shared_beginning_is_not_evaluated_again() {
    let engine = load("shared-beginning", "llama-gqa").expect("a valid model");
    let (mut session, prompt) = (engine.session().expect("memory"), prompt());
    feed(&mut session, &prompt);
    assert_eq!(session.stats().prompt_tokens, prompt.len());

    let mut other = prompt.clone();
    other[30] = prompt[30] ^ 1;
    session.reset_stats();
    feed(&mut session, &other);
    assert_eq!((session.stats().cached_tokens, session.stats().prompt_tokens), (30, 18));
    generate(&mut session, 12);

    let mut fresh = engine.session().expect("memory");
    feed(&mut fresh, &other);
    generate(&mut fresh, 12);
    assert_eq!(session.tokens(), fresh.tokens());
}

#[test]
fn feeding_what_is_held_evaluates_nothing_and_a_part_of_it_only_the_last_token() {
    let engine = load("held", "llama-gqa").expect("a valid model");
    let (mut session, prompt) = (engine.session().expect("memory"), prompt());
    feed(&mut session, &prompt);
    session.reset_stats();
    feed(&mut session, &prompt);
    assert_eq!(session.stats().prompt_tokens, 0);
    feed(&mut session, &prompt[..20]);
    assert_eq!(session.stats().prompt_tokens, 1);
}

/// Recurrent states can't be cut: sessions go back to the end of a page and evaluate from there.
#[test]
fn recurrent_models_go_back_to_the_end_of_a_page() {
    for name in ["mamba", "jamba"] {
        let engine = load(&format!("recurrent-{name}"), name).expect("a valid model");
        let mut session = engine.session().expect("memory");
        let prompt: Vec<u32> = Fixture::named(name).tokens().into_iter().cycle().take(80).collect();
        feed(&mut session, &prompt);
        let mut other = prompt.clone();
        for (change, cached) in [(70, 64), (30, 0)] {
            other[change] ^= 1;
            session.reset_stats();
            feed(&mut session, &other);
            let stats = session.stats();
            assert_eq!((stats.cached_tokens, stats.prompt_tokens), (cached, 80 - cached), "{name}");
            generate(&mut session, 5);

            let mut fresh = engine.session().expect("memory");
            feed(&mut fresh, &other);
            generate(&mut fresh, 5);
            assert_eq!(session.tokens(), fresh.tokens(), "{name}");
        }
    }
}

#[test]
fn generation_continues_where_it_was_broken_off() {
    let engine = load("continue", "llama-gqa").expect("a valid model");
    let mut whole = engine.session().expect("memory");
    feed(&mut whole, &prompt());
    assert_eq!(generate(&mut whole, 20), Finish::Limit);
    assert_eq!(whole.stats().generated_tokens, 20);

    let mut parts = engine.session().expect("memory");
    feed(&mut parts, &prompt());
    assert_eq!(generate(&mut parts, 7), Finish::Limit);
    let mut sampler = greedy(&parts);
    let broken = parts.generate(&mut sampler, None, Some(3), &mut |_| ControlFlow::Break(()));
    assert_eq!(broken.expect("a token"), Finish::Cancelled);
    assert_eq!(parts.tokens().len(), prompt().len() + 8);
    assert_eq!(generate(&mut parts, 12), Finish::Limit);
    assert_eq!(parts.tokens(), whole.tokens());
}

#[test]
fn a_prompt_can_be_broken_off_and_taken_up() {
    let engine = load("broken-prompt", "llama-gqa").expect("a valid model");
    let (mut session, prompt) = (engine.session().expect("memory"), prompt());
    let mut reported = Vec::new();
    let finished = session.feed(&prompt, &mut |done, total| {
        reported.push((done, total));
        ControlFlow::Break(())
    });
    assert!(!finished.expect("tokens that fit"));
    assert_eq!(reported, [(16, 48)]);
    feed(&mut session, &prompt);
    assert_eq!(session.stats().prompt_tokens, 48);
}

#[test]
fn the_context_fills_up() {
    let engine = load("full", "llama-gqa").expect("a valid model");
    let (mut session, prompt) = (engine.session().expect("memory"), prompt());
    feed(&mut session, &prompt);
    assert_eq!(generate(&mut session, 1000), Finish::ContextFull);
    // The last token was chosen, but there is no room to evaluate it.
    assert_eq!(session.tokens().len(), N_CTX + 1);

    let long = [prompt.clone(), prompt, vec![5]].concat();
    let refused = session.feed(&long, &mut |_, _| ControlFlow::Continue(()));
    assert!(matches!(refused, Err(Error::PromptTooLong { tokens: 97, n_ctx: N_CTX })));
    session.clear();
    let mut sampler = greedy(&session);
    let nothing = session.generate(&mut sampler, None, None, &mut |_| ControlFlow::Continue(()));
    assert!(matches!(nothing, Err(Error::EmptyPrompt)));
}
