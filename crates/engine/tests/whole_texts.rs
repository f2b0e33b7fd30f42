//! Models that read a whole text before they answer, and those that fill in masks.

use std::ops::ControlFlow;
use std::path::PathBuf;

use engine::{Algorithm, Diffusion, Draw, Engine, Error, Finish, Options, Schedule};
use fixtures::Fixture;
use gguf::{Gguf, Writer};
use sample::Params;

fn load(test: &str, file: &[u8]) -> Engine {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}.gguf"));
    std::fs::write(&path, file).expect("a writable folder");
    let options = Options { n_ctx: Some(96), threads: Some(2), ..<_>::default() };
    Engine::load(&path, &options).expect("a valid model")
}

/// The file with a mask.
fn with_mask(model: &Gguf, mask: u32) -> Vec<u8> {
    let mut writer = Writer::new();
    for (key, value) in model.metadata().iter() {
        writer.put(key, value).expect("a new key");
    }
    writer.put("tokenizer.ggml.mask_token_id", mask).expect("a new key");
    for tensor in model.tensors() {
        let data = model.data(tensor);
        writer
            .tensor(&tensor.name, tensor.ty, &tensor.shape, move |out| out.write_all(&data))
            .expect("a new tensor");
    }
    let mut file = Vec::new();
    writer.finish(&mut file).expect("memory");
    file
}

fn settings() -> Diffusion {
    Diffusion {
        len: 16,
        steps: 4,
        schedule: Schedule::Block { len: 8 },
        algorithm: Algorithm::Confidence,
        alg_temp: 0.0,
        cfg_scale: 0.0,
        draw: Draw { temperature: 0.0, top_k: 40, top_p: 0.95, add_gumbel_noise: false },
        seed: 1,
    }
}

#[test]
fn masks_are_filled_in_by_every_architecture_that_can() {
    for name in ["dream", "llada", "llada-moe", "rnd1"] {
        let engine = load(name, &with_mask(&Fixture::named(name).model(), 4));
        assert!(engine.is_diffusion());
        let prompt = [5, 6, 7];
        let mut n_steps = 0;
        let mut on_step = |_: usize, _: &[Option<u32>]| {
            n_steps += 1;
            ControlFlow::Continue(())
        };
        let answer = engine.diffuse(&prompt, &settings(), &mut on_step).expect("an answer");
        assert_eq!((answer.len(), n_steps), (16, 4), "{name}");
        assert!(answer.iter().all(|&token| token != 4));
        let again = engine.diffuse(&prompt, &settings(), &mut |_, _| ControlFlow::Continue(()));
        assert_eq!(again.expect("an answer"), answer);
        let mut left = 2;
        let broken_off = engine.diffuse(&prompt, &settings(), &mut |_, _| {
            left -= 1;
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(broken_off.expect("a part").len(), 4);
        let long = Diffusion { len: 94, ..settings() };
        let refused = engine.diffuse(&prompt, &long, &mut |_, _| ControlFlow::Continue(()));
        assert!(matches!(refused, Err(Error::PromptTooLong { tokens: 97, n_ctx: 96 })));
    }
}

#[test]
fn masks_need_a_model_that_has_them() {
    for name in ["llada", "llama"] {
        let engine = load(&format!("masks-{name}"), &Fixture::named(name).file());
        let refused = engine.diffuse(&[5], &settings(), &mut |_, _| ControlFlow::Continue(()));
        assert!(matches!(refused, Err(Error::NoMasks)));
    }
}

#[test]
fn an_encoder_reads_before_the_answer_begins() {
    let engine = load("t5", &Fixture::named("t5").file());
    assert!(engine.has_encoder());
    let mut session = engine.session().expect("memory");
    let greedy = Params { temperature: 0.0, ..Params::default() };
    let mut answer = |text: &[u32]| {
        session.encode(text).expect("a text");
        let start = session.tokens().to_vec();
        assert_eq!(start.len(), 1);
        let mut sampler = engine.sampler(&greedy).expect("a sampler");
        let on_text = &mut |_: &str| ControlFlow::Continue(());
        let finish = session.generate(&mut sampler, None, Some(8), on_text).expect("an answer");
        assert!(matches!(finish, Finish::Limit | Finish::EndOfGeneration));
        session.tokens().to_vec()
    };
    let first = answer(&[5, 6, 7, 8]);
    assert_ne!(answer(&[9, 10, 11]), first, "the text counts");
    assert_eq!(answer(&[5, 6, 7, 8]), first, "and nothing before it");
    assert!(matches!(session.encode(&[]), Err(Error::Model(_))));
    assert!(matches!(session.encode(&[5; 97]), Err(Error::PromptTooLong { .. })));
    let llama = load("no-encoder", &Fixture::named("llama").file());
    assert!(!llama.has_encoder());
    assert!(llama.session().expect("memory").encode(&[5]).is_err());
}
