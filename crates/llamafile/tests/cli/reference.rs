//! The default model against what llama.cpp b11434 says: token ids, rendered prompts, and greedy
//! continuations up to the first near tie.

use std::ops::ControlFlow;

use backend::KvType;
use engine::{Engine, Options};
use gguf::Gguf;
use model::{Context, Outputs};
use reference::Reference;
use sample::{Params, Sampler};
use serde_json::Value;

use crate::support::model;

/// Differences of logits below this are ties: rounding decides.
const TIE: f64 = 0.05;

fn reference() -> Value {
    serde_json::from_str(include_str!("data/smollm2.json")).expect("the reference is JSON")
}

fn engine() -> Engine {
    Engine::load(model(), &Options { n_ctx: Some(512), ..Options::default() }).expect("it loads")
}

fn ids(tokens: &Value) -> Vec<u32> {
    let id = |id: &Value| u32::try_from(id.as_u64().expect("an id")).expect("a small id");
    tokens.as_array().expect("a list").iter().map(id).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn entries<'a>(reference: &'a Value, kind: &str) -> &'a [Value] {
    let entries = reference[kind].as_array().expect("a list");
    assert!(!entries.is_empty(), "{kind} has entries");
    entries
}

#[test]
fn texts_have_the_same_tokens() {
    let (engine, reference) = (engine(), reference());
    for entry in entries(&reference, "tokenize") {
        let text = text(&entry["text"]);
        assert_eq!(engine.tokenizer().encode(text, true, true), ids(&entry["tokens"]), "{text:?}");
    }
}

#[test]
fn conversations_have_the_same_prompts() {
    let (engine, reference) = (engine(), reference());
    let template = engine.template().expect("a valid template");
    for entry in entries(&reference, "chat") {
        let message = chat::Message::new("user", text(&entry["user"]));
        let prompt = template.render(&[message], true).expect("it renders");
        assert_eq!(prompt, text(&entry["rendered"]));
        let tokens = engine.tokenizer().encode(&prompt, true, true);
        assert_eq!(tokens, ids(&entry["prompt_tokens"]), "{prompt:?}");
    }
}

/// Where 8-bit activations and half-float attention round in other ways than llama.cpp's, a choice
/// may fall otherwise although llama.cpp was not near a tie. Then exact arithmetic is the judge:
/// with it our choice must be the right one.
#[test]
fn greedy_answers_agree_up_to_the_first_tie() {
    let (engine, reference) = (engine(), reference());
    for entry in entries(&reference, "chat") {
        let steps = entry["greedy"].as_array().expect("a list");
        let gap = |step: &Value| step["gap"].as_f64().expect("a number");
        let certain = steps.iter().take_while(|&step| gap(step) >= TIE).count();
        let expected: Vec<u32> =
            steps.iter().map(|step| step["id"].as_u64().expect("an id") as u32).collect();

        let prompt = ids(&entry["prompt_tokens"]);
        let mut session = engine.session().expect("memory");
        let fed = session.feed(&prompt, &mut |_, _| ControlFlow::Continue(()));
        assert!(fed.expect("a valid prompt"));
        let mut sampler = Sampler::new(Params { temperature: 0.0, ..Params::default() });
        let limit = Some(steps.len());
        session.generate(&mut sampler, limit, &mut |_| ControlFlow::Continue(())).expect("tokens");

        let found = &session.tokens()[prompt.len()..];
        let equal = expected.iter().zip(found).take_while(|(e, f)| e == f).count();
        let user = text(&entry["user"]);
        println!("{user:60?} {equal} of {} equal, first tie at {certain}", steps.len());
        if equal < certain {
            let seen = [&prompt, &found[..equal]].concat();
            assert_eq!(found[equal], exact_choice(&seen), "{user}: step {equal}, {expected:?}");
        }
    }
}

/// The likeliest token after `tokens`, without any rounding but that of `f32` activations.
fn exact_choice(tokens: &[u32]) -> u32 {
    let gguf = Gguf::open(model()).expect("a readable file");
    let model = model::load(&gguf).expect("a supported model");
    let backend = Box::new(Reference::new());
    let mut context = Context::new(model, backend, 512, KvType::F32).expect("memory");
    let logits = context.decode(tokens, Outputs::Last).expect("valid tokens");
    let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
    best.expect("a vocabulary") as u32
}
