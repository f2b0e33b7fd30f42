//! Perplexity and divergence of a small model, against what follows from their definition.

mod support;

use backend::KvType;
use cpu::{Cpu, CpuOptions};
use fixtures::Fixture;
use gguf::Location;
use model::{Context, Outputs};
use tools::imatrix::imatrix;
use tools::perplexity::{
    Error, Evaluator, Kind, LogitsReader, Options, Task, divergence, evaluate, perplexity,
    perplexity_strided, read_tasks, save_logits,
};

use support::{Folder, changed};

const N_CTX: usize = 16;

fn text() -> Vec<u32> {
    (0..N_CTX as u32 * 5 + 7).map(|i| (i * i * 7 + i * 3) % 128).collect()
}

fn options(n_batch: usize) -> Options {
    Options { n_ctx: N_CTX, n_batch, threads: Some(2), ..Options::default() }
}

fn load(folder: &Folder, n_batch: usize) -> Evaluator {
    let file = folder.path("model.gguf");
    if !file.exists() {
        folder.write("model.gguf", Fixture::named("llama-gqa").file());
    }
    Evaluator::load(&Location::from(file), options(n_batch)).expect("the fixture loads")
}

/// Negative log-likelihoods of tokens, the simplest way.
fn expected(tokens: &[u32], scored: std::ops::Range<usize>) -> Vec<f64> {
    let model = model::load(&Fixture::named("llama-gqa").model()).expect("the fixture loads");
    let backend = Box::new(Cpu::new(CpuOptions { threads: Some(1), ..<_>::default() }));
    let mut context = Context::new(model, backend, 64, KvType::F16).expect("memory");
    let logits = context.decode(tokens, Outputs::All).expect("logits").to_vec();
    scored
        .map(|at| {
            let row = &logits[at * 128..][..128];
            let sum: f64 = row.iter().map(|&logit| f64::from(logit).exp()).sum();
            sum.ln() - f64::from(row[tokens[at + 1] as usize])
        })
        .collect()
}

#[test]
fn the_second_half_of_each_chunk_is_scored() {
    let folder = Folder::new("ppl");
    let tokens = text();
    let mut nll = Vec::new();
    for chunk in tokens.chunks_exact(N_CTX) {
        // This model wants a token that begins texts.
        let opened = [&[1], &chunk[1..]].concat();
        nll.extend(expected(&opened, N_CTX / 2..N_CTX - 1));
    }
    let mean = nll.iter().sum::<f64>() / nll.len() as f64;
    let mut all = Vec::new();
    for n_batch in [8, 16, 48, 1024] {
        let mut chunks = Vec::new();
        let found = perplexity(&load(&folder, n_batch), &tokens, &mut |chunk| chunks.push(chunk));
        let found = found.expect("a perplexity");
        assert_eq!(chunks.iter().map(|c| c.chunk).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        let ratio = found.perplexity.value / mean.exp();
        assert!((ratio - 1.0).abs() < 1e-3, "{n_batch}: {ratio}");
        assert_eq!(found.nll.len(), nll.len());
        assert_eq!(found.by_position().len(), N_CTX / 2 - 1);
        all.push(found.nll);
    }
    assert!(all.iter().all(|nll| *nll == all[0]), "chunks side by side are the same");
}

#[test]
fn windows_move_by_strides() {
    let folder = Folder::new("stride");
    let tokens = text();
    let evaluator = load(&folder, 48);
    let (stride, window) = (4, N_CTX + 2);
    let mut nll = Vec::new();
    for start in (0..tokens.len() - window).step_by(stride) {
        nll.extend(expected(&tokens[start..start + window], window - stride - 1..window - 1));
    }
    let mean = nll.iter().sum::<f64>() / nll.len() as f64;
    let found = perplexity_strided(&evaluator, &tokens, stride, &mut |_| {}).expect("a perplexity");
    assert_eq!(found.nll.len(), nll.len());
    assert!((found.perplexity.value / mean.exp() - 1.0).abs() < 1e-3);
}

#[test]
fn a_model_does_not_diverge_from_itself_but_from_others() {
    let folder = Folder::new("kl");
    let tokens = text();
    let base = folder.path("base");
    let evaluator = load(&folder, 48);
    let saved = save_logits(&evaluator, &tokens, &base, &mut |_| {}).expect("a file");
    let plain = perplexity(&evaluator, &tokens, &mut |_| {}).expect("a perplexity");
    assert!((saved.perplexity.value / plain.perplexity.value - 1.0).abs() < 1e-5);

    let reader = || LogitsReader::open(&base).expect("a file");
    let same = divergence(&evaluator, reader(), &mut |_, _| {}).expect("a divergence");
    assert!(same.kl.value.abs() < 1e-5 && same.same_top.value > 0.9, "{same:?}");
    assert!((same.perplexity.value / plain.perplexity.value - 1.0).abs() < 1e-5);

    let other = changed(&Fixture::named("llama-gqa").model(), &[], |name, mut data| {
        if name == "output_norm.weight" {
            let doubled = data.as_chunks::<4>().0.iter().map(|b| 2.0 * f32::from_le_bytes(*b));
            data = doubled.flat_map(f32::to_le_bytes).collect();
        }
        data
    });
    let path = folder.write("other.gguf", other);
    // Batches of another size, too.
    let other = Evaluator::load(&Location::from(path), options(16)).expect("a model");
    let mut lines = 0;
    let apart = divergence(&other, reader(), &mut |_, _| lines += 1).expect("a divergence");
    assert_eq!((lines, apart.count), (5, saved.nll.len()));
    assert!(apart.kl.value > 0.05 && apart.kl.error > 0.0, "{}", apart.kl.value);
    // Twice the logits: the same most likely tokens.
    assert!(apart.same_top.value > 0.9);
    assert!((apart.base.value / plain.perplexity.value - 1.0).abs() < 1e-3);
    let mean = apart.by_position.iter().sum::<f64>() / apart.by_position.len() as f64;
    assert!((mean / apart.kl.value - 1.0).abs() < 1e-4);
    assert!(apart.kl_percentile(0.5) <= apart.kl_percentile(0.9));
    assert!(apart.page("x", "y", &[]).finish().contains("KL divergence by position"));
    assert!(apart.text().contains("Same top p"));
}

#[test]
fn tasks_are_answered_by_what_is_most_likely() {
    let folder = Folder::new("tasks");
    let evaluator = Evaluator::load(
        &Location::from(folder.write("model.gguf", Fixture::named("llama-gqa").file())),
        Options { n_ctx: 128, ..options(128) },
    )
    .expect("a model");
    let lines: String =
        (3..8).map(|i| format!("t3 t{i}t9\n{}\nt4 t5\nt6\nt7t8t9\nt{i}\n", i % 4)).collect();
    let tasks = read_tasks(Kind::HellaSwag, lines.as_bytes(), 0).expect("tasks");
    let mut scores = Vec::new();
    let last = evaluate(&evaluator, &tasks, &mut |score| scores.push(score.clone()));
    let last = last.expect("answers").expect("a score");
    assert_eq!((last.done, last.total, last.n_answers, scores.len()), (5, 5, 20, 5));
    for (task, score) in tasks.iter().zip(&scores) {
        let answers: Vec<Vec<u32>> = task.texts.iter().map(|t| evaluator.tokens(t)).collect();
        let common =
            (0..).take_while(|&at| answers.iter().all(|a| a[at] == answers[0][at])).count();
        let means: Vec<f64> = answers
            .iter()
            .map(|tokens| {
                let nll = expected(tokens, common - 1..tokens.len() - 1);
                -nll.iter().sum::<f64>() / nll.len() as f64
            })
            .collect();
        for (found, expected) in score.answers.iter().zip(&means) {
            assert!((f64::from(*found) - expected).abs() < 2e-2, "{found} {expected}");
        }
        assert!(score.answers.iter().all(|&answer| answer <= score.answers[score.chosen]));
    }
    let right = tasks.iter().zip(&scores).filter(|(task, score)| task.right[score.chosen]).count();
    assert_eq!(last.correct, right);
    let (low, high) = last.interval();
    assert!(low < last.accuracy() && last.accuracy() < high || last.correct == 0);

    let long = Task { texts: vec!["a".repeat(500)], bases: None, right: vec![true] };
    let error = evaluate(&evaluator, &[long], &mut |_| {}).expect_err("it is too long");
    assert!(matches!(error, Error::LongTask { task: 1, .. }), "{error}");
}

#[test]
fn what_can_t_be_scored_is_refused() {
    let folder = Folder::new("refused");
    let evaluator = load(&folder, 48);
    let error = perplexity(&evaluator, &[1; 20], &mut |_| {}).expect_err("too short");
    assert_eq!(error.to_string(), "the text has 20 tokens; expected at least 32");
    let nan = changed(&Fixture::named("llama-gqa").model(), &[], |name, mut data| {
        if name == "output_norm.weight" {
            data[..4].copy_from_slice(&f32::NAN.to_le_bytes());
        }
        data
    });
    let path = folder.write("nan.gguf", nan);
    let broken = Evaluator::load(&Location::from(path), options(16)).expect("a model");
    let error = perplexity(&broken, &text(), &mut |_| {}).expect_err("nothing to score");
    assert!(error.to_string().contains("NaN or infinity at token 8 of chunk 1"), "{error}");
}

/// Importances are of all tokens, also of those that nothing is predicted for.
#[test]
fn weights_are_measured_over_whole_chunks() {
    let folder = Folder::new("imatrix");
    let tokens = text();
    let usual = perplexity(&load(&folder, 48), &tokens, &mut |_| {}).expect("a perplexity");
    let measured = |n_batch, with_output| {
        let evaluator = load(&folder, n_batch);
        imatrix(evaluator, &tokens, with_output, &mut |_| {}).expect("importances")
    };
    let (file, found) = measured(48, false);
    assert_eq!(found.perplexity, usual.perplexity);
    assert_eq!((file.chunk_count, file.chunk_size), (5, N_CTX as u32));
    assert!(file.entries.keys().all(|name| name.starts_with("blk.")));
    assert!(file.entries.len() >= 14, "{:?}", file.entries.keys());
    assert!(file.entries.values().all(|entry| entry.counts == [5 * N_CTX as u64]));
    let (with_output, _) = measured(16, true);
    assert_eq!(with_output.entries.len(), file.entries.len() + 1);
    for (name, entry) in &file.entries {
        let other = &with_output.entries[name].squares;
        let same = entry.squares.iter().zip(other).all(|(a, b)| (a - b).abs() <= 1e-4 * a.abs());
        assert!(same, "{name}");
    }
    // Two halves are the whole.
    let mut twice = file.clone();
    assert!(twice.add(file.clone()).is_empty());
    assert_eq!(twice.chunk_count, 10);
    let name = file.entries.keys().next().expect("a weight");
    assert_eq!(twice.entries[name].mean_squares(), file.entries[name].mean_squares());
}
