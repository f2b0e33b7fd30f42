//! Draft models, and models that decide: what they take besides tokens, against llama.cpp.

use backend::{Backend, KvType};
use cpu::{Cpu, CpuOptions};
use fixtures::{Fixture, nmse};
use model::{Context, Error, Outputs};
use reference::Reference;

fn backends() -> [Box<dyn Backend>; 2] {
    let cpu = Cpu::new(CpuOptions { threads: Some(2), ..<_>::default() });
    [Box::new(Reference::new()), Box::new(cpu)]
}

/// Runs a case on both backends, which gives the error of its result.
fn check(name: &str, case: impl Fn(&Fixture, &mut Context) -> f64) {
    let fixture = Fixture::named(name);
    let model = model::load(&fixture.model()).expect("the fixture loads");
    for (backend, limit) in backends().into_iter().zip([fixture.tol_tight, fixture.tol]) {
        let described = backend.describe();
        let mut context = Context::new(model.clone(), backend, 256, KvType::F32).expect("memory");
        let error = case(&fixture, &mut context);
        println!("{name} on {described}: {error:.2e} (limit {limit:.1e})");
        assert!(error <= limit, "{name} on {described}: {error:.2e} (limit {limit:.1e})");
    }
}

#[test]
fn eagle3_reads_tokens_beside_fused_features() {
    check("eagle3", |fixture, context| {
        let fused = context.fuse(&fixture.floats("features")).unwrap().expect("a draft model");
        assert!(nmse(&fixture.floats("g"), &fused) <= fixture.tol_tight);
        let tokens = fixture.tokens();
        let (first, second) = tokens.split_at(10);
        let (of_first, of_second) = fused.split_at(10 * fused.len() / tokens.len());
        let mut logits = context.decode_with(first, of_first, Outputs::All).unwrap().to_vec();
        logits.extend_from_slice(context.decode_with(second, of_second, Outputs::All).unwrap());
        nmse(&fixture.outputs(), &logits)
    });
}

#[test]
fn dflash_attends_to_fused_features_and_to_all_of_a_block() {
    check("dflash", |fixture, context| {
        let fused = context.fuse(&fixture.floats("features")).unwrap().expect("a draft model");
        let n = 20;
        context.decode_with(&vec![0; n], &fused, Outputs::None).expect("features");
        assert_eq!(context.len(), n);
        nmse(&fixture.outputs(), context.decode(&fixture.tokens(), Outputs::All).unwrap())
    });
}

#[test]
fn an_assistant_reads_its_targets_memory() {
    let fixture = Fixture::named("gemma4-assistant");
    let target = fixture.target.as_ref().expect("a target");
    let assistant = model::load(&fixture.model()).expect("the fixture loads");
    let model = model::load(&target.model()).expect("the target loads");
    let (tokens, features) = (fixture.tokens(), fixture.floats("features"));
    // Five layers with tables of GELU amplify rounding of the target, so that there is one limit.
    let limit = fixture.tol;
    for backend in backends() {
        let described = backend.describe();
        let mut context = Context::new(model.clone(), backend, 256, KvType::F32).expect("memory");
        let early = context.draft(&*assistant, 0, &tokens, &features);
        assert!(matches!(early, Err(Error::EmptyText)));
        context.decode(&target.tokens(), Outputs::None).expect("a valid batch");
        let drafted = context.draft(&*assistant, 0, &tokens, &features).expect("a draft");
        let error = nmse(&fixture.outputs(), &drafted.logits);
        println!("gemma4-assistant on {described}: {error:.2e} (limit {limit:.1e})");
        assert!(error <= limit, "{described}: {error:.2e} (limit {limit:.1e})");
        assert_eq!(drafted.features.len(), features.len());
        assert_eq!(context.len(), target.tokens().len(), "nothing is stored");
    }
}

#[test]
fn an_assistant_is_refused_without_its_target() {
    let assistant = model::load(&Fixture::named("gemma4-assistant").model()).expect("it loads");
    let [alone, with_another] = backends();
    let refused = Context::new(assistant.clone(), alone, 256, KvType::F32);
    assert!(matches!(refused.err(), Some(Error::NeedsTarget)));
    for (name, features) in [("gemma4", 128), ("llama", 128), ("gemma4", 64)] {
        let model = model::load(&Fixture::named(name).model()).expect("the fixture loads");
        let backend = Box::new(Reference::new());
        let mut context = Context::new(model, backend, 256, KvType::F32).expect("memory");
        context.decode(&[5, 6, 7], Outputs::None).expect("a valid batch");
        let drafted = context.draft(&*assistant, 0, &[8], &vec![0.5; features]);
        match (name, features) {
            ("llama", _) => assert!(matches!(drafted, Err(Error::OtherTarget(_)))),
            (_, 64) => {
                assert!(matches!(drafted, Err(Error::Features { n: 64, rows: 1, width: 128 })))
            }
            _ => assert!(drafted.is_ok(), "a target of the same shape"),
        }
    }
    let model = model::load(&Fixture::named("gemma4").model()).expect("the fixture loads");
    let mut context = Context::new(model.clone(), with_another, 256, KvType::F32).expect("memory");
    let drafted = context.draft(&*model, 0, &[8], &[0.5; 128]);
    assert!(matches!(drafted, Err(Error::OtherTarget(_))));
}

#[test]
fn clef_scores_the_options_of_questions() {
    check("clef", |fixture, context| {
        let (tokens, marks) = (fixture.tokens(), fixture.integers("order"));
        let scores = context.decode_with(&tokens, &marks, Outputs::All).unwrap();
        nmse(&fixture.outputs(), scores)
    });
}

#[test]
fn features_that_make_no_sense_are_refused() {
    let fixture = Fixture::named("clef");
    let model = model::load(&fixture.model()).expect("the fixture loads");
    for backend in backends() {
        let mut context = Context::new(model.clone(), backend, 256, KvType::F32).expect("memory");
        let refused = context.decode_with(&[5, 6], &[0.0; 3], Outputs::All);
        assert!(matches!(refused, Err(Error::Features { n: 3, rows: 2, width: 1 })));
        assert!(context.is_empty());
        assert!(context.fuse(&[1.0]).unwrap().is_none());
        // An option without a question.
        assert!(matches!(
            context.decode_with(&[5, 6], &[0.0, 4.0], Outputs::All),
            Err(Error::NotFinite)
        ));
    }
}
