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
