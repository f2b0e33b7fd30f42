//! Texts to vectors, alone and together; scores of pairs.

use std::path::PathBuf;

use engine::{Embedder, Error, Normalization, Options, Pooling};
use fixtures::{Fixture, nmse};

fn load(test: &str, name: &str, pooling: Option<Pooling>) -> Result<Embedder, Error> {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{name}.gguf"));
    std::fs::write(&path, Fixture::named(name).file()).expect("a writable folder");
    let kv_types = backend::KvType::F32.into();
    Embedder::load(&path, &Options { threads: Some(2), kv_types, ..<_>::default() }, pooling)
}

#[test]
fn texts_are_the_same_alone_and_together() {
    for name in ["bert", "modern-bert", "gemma-embedding", "t5encoder", "llama-embed"] {
        let fixture = Fixture::named(name);
        let mut embedder = load("together", name, None).expect("a model that embeds");
        let tokens = fixture.tokens();
        // More than one batch of texts, of different lengths.
        let texts: Vec<Vec<u32>> =
            (0..70).map(|i| tokens[..tokens.len() - i % 7].to_vec()).collect();
        let together = embedder.embed(&texts).expect("vectors");
        assert_eq!(together.len(), texts.len());
        assert!(nmse(&fixture.floats("pooled"), &together[0].concat()) <= fixture.tol, "{name}");
        for (text, vectors) in texts.iter().zip(&together).take(8) {
            let alone = embedder.embed(std::slice::from_ref(text)).expect("a vector");
            assert!(nmse(&alone[0].concat(), &vectors.concat()) < 1e-9, "{name}");
        }
    }
}

#[test]
fn without_pooling_each_token_has_a_vector() {
    let fixture = Fixture::named("bert");
    let mut embedder = load("tokens", "bert", Some(Pooling::None)).expect("a model that embeds");
    let tokens = fixture.tokens();
    let vectors = embedder.embed(&[tokens[..5].to_vec(), tokens.clone()]).expect("vectors");
    assert_eq!([vectors[0].len(), vectors[1].len()], [5, tokens.len()]);
    assert!(nmse(&fixture.floats("embd"), &vectors[1].concat()) <= fixture.tol);
}

#[test]
fn what_cannot_be_embedded_is_refused() {
    assert!(matches!(load("refused", "llama", None), Err(Error::NotEmbedding { .. })));
    let mut embedder = load("refused", "bert", None).expect("a model that embeds");
    let long = vec![5; embedder.n_ctx() + 1];
    assert!(matches!(embedder.embed(&[long]), Err(Error::PromptTooLong { .. })));
    assert!(embedder.embed(&[vec![]]).is_err());
    let mut ranker = load("refused", "bert", Some(Pooling::Rank)).expect("it loads");
    let scores = ranker.embed(&[vec![5, 6]]);
    assert!(scores.is_err(), "no classifier");
}

#[test]
fn lengths_are_made_one() {
    let mut embedder = load("lengths", "bert", None).expect("a model that embeds");
    let mut vector = embedder.embed(&[vec![5, 6, 7]]).expect("a vector").concat().concat();
    Normalization::default().apply(&mut vector);
    let square: f32 = vector.iter().map(|v| v * v).sum();
    assert!((square - 1.0).abs() < 1e-5, "{square}");
}
