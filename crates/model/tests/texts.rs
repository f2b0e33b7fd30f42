//! Models that read a whole text at once: what they make of it, and what they refuse.

use backend::{Backend, KvType};
use cpu::{Cpu, CpuOptions};
use fixtures::{Fixture, nmse};
use model::{Context, Error, Outputs, Part, Pooling};
use reference::Reference;

/// Outputs may differ by the order of sums.
const LIMIT: f64 = 1e-9;

fn backends() -> [Box<dyn Backend>; 2] {
    let cpu = Cpu::new(CpuOptions { threads: Some(2), ..<_>::default() });
    [Box::new(Reference::new()), Box::new(cpu)]
}

fn contexts(name: &str, n_ctx: usize) -> [Context; 2] {
    let model = model::load(&Fixture::named(name).model()).expect("the fixture loads");
    backends().map(|backend| {
        Context::with_sequences(model.clone(), backend, n_ctx, 3, KvType::F32).expect("memory")
    })
}

#[test]
fn texts_are_pooled_as_asked() {
    let tokens = &Fixture::named("bert").tokens()[..20];
    for mut context in contexts("bert", 64) {
        let mut embed = |pooling| context.embed(tokens, pooling).expect("a text");
        let all = embed(Some(Pooling::None));
        let width = all.len() / tokens.len();
        assert_eq!(embed(Some(Pooling::First)), all[..width]);
        assert_eq!(embed(Some(Pooling::Last)), all[all.len() - width..]);
        let column = |col: usize| all[col..].iter().step_by(width).sum::<f32>();
        let mean: Vec<f32> = (0..width).map(|col| column(col) / tokens.len() as f32).collect();
        assert!(nmse(&mean, &embed(Some(Pooling::Mean))) < 1e-12);
        assert_eq!(embed(None), embed(Some(Pooling::Mean)), "as the file says");
        let refused = context.embed(tokens, Some(Pooling::Rank));
        assert!(matches!(refused, Err(Error::NoClassifier)));
        assert!(matches!(context.embed(&[], None), Err(Error::EmptyText)));
        assert!(context.is_empty());
    }
}

#[test]
fn models_that_rank_also_embed() {
    let tokens = Fixture::named("bert-rank").tokens();
    for mut context in contexts("bert-rank", 64) {
        let scores = context.embed(&tokens, None).expect("a text");
        assert_eq!(scores.len(), 1);
        let mean = context.embed(&tokens, Some(Pooling::Mean)).expect("a text");
        assert_eq!(mean.len(), 256);
    }
}

/// The output matrix makes of the embeddings the logits.
#[test]
fn models_of_logits_embed_what_logits_are_made_of() {
    for (name, output) in [("llama", "output.weight"), ("llama-linear-tied", "token_embd.weight")] {
        let fixture = Fixture::named(name);
        let (tokens, file) = (fixture.tokens(), fixture.model());
        let output = file.tensor(output).expect("the output matrix");
        let (data, n_embd) = (file.data(output), output.shape[0]);
        let floats = data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        let matrix: Vec<f32> = floats.collect();
        for mut context in contexts(name, 256) {
            let rows = context.embed(&tokens, Some(Pooling::None)).expect("a text");
            assert_eq!(rows.len(), tokens.len() * n_embd);
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
            let logits_of = |row| matrix.chunks_exact(n_embd).map(move |column| dot(row, column));
            let logits: Vec<f32> = rows.chunks_exact(n_embd).flat_map(logits_of).collect();
            assert!(nmse(&fixture.outputs(), &logits) < 1e-5, "{name}");
            let mean = context.embed(&tokens, None).expect("a text");
            assert_eq!(mean, context.embed(&tokens, Some(Pooling::Mean)).expect("a text"));
            assert!(context.is_empty());
        }
    }
}

#[test]
fn a_text_for_all_its_positions_comes_in_one_batch() {
    for name in ["bert", "llada", "modern-bert"] {
        for mut context in contexts(name, 64) {
            context.decode(&[5, 6, 7], Outputs::None).expect("a whole text");
            let refused = context.decode(&[8], Outputs::Last);
            assert!(matches!(refused, Err(Error::NotCausal { len: 3 })), "{name}");
            let parts =
                [1, 2].map(|sequence| Part { sequence, tokens: &[5, 6], outputs: Outputs::Last });
            let outputs = context.decode_batch(&parts).expect("texts of other sequences");
            let (first, second) = outputs.split_at(outputs.len() / 2);
            assert!(nmse(first, second) < LIMIT, "{name}: the texts are the same");
        }
    }
}

#[test]
fn answers_need_a_text_and_an_encoder() {
    for mut context in contexts("t5", 64) {
        assert!(matches!(context.decode(&[5], Outputs::Last), Err(Error::NothingEncoded)));
        assert!(matches!(context.encode(0, &[]), Err(Error::EmptyText)));
        assert!(matches!(context.encode(0, &[128]), Err(Error::Token { id: 128, n_vocab: 128 })));
        let most = [5; 65];
        let refused = context.encode(0, &most);
        assert!(matches!(refused, Err(Error::ContextFull { needed: 65, n_ctx: 64 })));
        context.encode(0, &most[..64]).expect("room for 64");
        context.decode(&[5], Outputs::Last).expect("a text was read");
    }
    for mut context in contexts("llama", 64) {
        assert!(matches!(context.encode(0, &[5]), Err(Error::NoEncoder)));
    }
}

/// Sequences answer to texts of their own, in one batch or alone, and again from the beginning; a
/// copy answers to the same text.
#[test]
fn sequences_answer_to_their_own_texts() {
    let tokens = Fixture::named("t5").tokens();
    let (texts, answer) = ([&tokens[..30], &tokens[20..25]], &tokens[..8]);
    for mut context in contexts("t5", 256) {
        let part = |sequence| Part { sequence, tokens: answer, outputs: Outputs::All };
        let expected = texts.map(|text| {
            context.encode(0, text).expect("a text");
            context.decode(answer, Outputs::All).expect("an answer").to_vec()
        });
        assert!(nmse(&expected[0], &expected[1]) > 0.01, "texts matter");
        context.clear();
        for (sequence, text) in texts.into_iter().enumerate() {
            context.encode(sequence, text).expect("a text");
        }
        let both = context.decode_batch(&[part(0), part(1)]).expect("answers").to_vec();
        assert!(nmse(&expected.concat(), &both) < LIMIT);
        context.fork(1, 2);
        assert_eq!(context.truncate_sequence(2, 0), 0);
        context.encode(1, texts[0]).expect("a text");
        assert_eq!(context.len_of(1), 0, "the answer to another text is forgotten");
        let copy = context.decode_batch(&[part(2)]).expect("an answer").to_vec();
        assert!(nmse(&expected[1], &copy) < LIMIT);
        let other = context.decode_batch(&[part(1)]).expect("an answer").to_vec();
        assert!(nmse(&expected[0], &other) < LIMIT);
    }
}
