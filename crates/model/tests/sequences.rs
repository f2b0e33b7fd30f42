//! Sequences that share a context: mixed in one batch, copied, cut and continued.

use backend::{Backend, KvType, PAGE};
use cpu::{Cpu, CpuOptions};
use fixtures::{Fixture, nmse};
use model::{Context, Outputs, Part};
use reference::Reference;

/// Models with attention alone, with caches of chosen positions, with states alone, and with both.
const MODELS: [&str; 9] = [
    "llama",
    "deepseek32",
    "minimax-m3",
    "mamba2",
    "rwkv7",
    "jamba",
    "qwen3next",
    "glm5-next",
    "deepseek4-topk",
];
/// Those of them that have no states.
const STATELESS: [&str; 3] = ["llama", "deepseek32", "minimax-m3"];

/// Outputs may differ by the order of sums.
const LIMIT: f64 = 1e-9;

fn backends() -> [Box<dyn Backend>; 2] {
    let cpu = Cpu::new(CpuOptions { threads: Some(2), ..<_>::default() });
    [Box::new(Reference::new()), Box::new(cpu)]
}

/// Runs a case on every model and backend, with a context of three sequences, and tokens enough for
/// several pages.
fn for_each_model(case: impl Fn(&str, &mut Context, &[u32])) {
    for name in MODELS {
        let fixture = Fixture::named(name);
        let model = model::load(&fixture.model()).expect("the fixture loads");
        let tokens: Vec<u32> = fixture.tokens().into_iter().cycle().take(4 * PAGE).collect();
        for backend in backends() {
            let name = format!("{name} on {}", backend.describe());
            let n_ctx = 12 * PAGE;
            let context = Context::with_sequences(model.clone(), backend, n_ctx, 3, KvType::F32);
            case(&name, &mut context.expect("memory"), &tokens);
        }
    }
}

/// All outputs of a sequence for these tokens alone.
fn run(context: &mut Context, sequence: usize, tokens: &[u32]) -> Vec<f32> {
    let part = Part { sequence, tokens, outputs: Outputs::All };
    context.decode_batch(&[part]).expect("a valid batch").to_vec()
}

#[track_caller]
fn assert_near(name: &str, expected: &[f32], found: &[f32]) {
    let error = nmse(expected, found);
    assert!(error <= LIMIT, "{name}: {error:.2e}");
}

/// A sequence in its prompt and another one at its next token don't see each other.
#[test]
fn phases_mix_in_one_batch() {
    for_each_model(|name, context, tokens| {
        let (a, b) = (&tokens[..40], &tokens[7..70]);
        let (expected_a, expected_b) = (run(context, 0, a), run(context, 1, b));
        context.clear();
        let width = expected_a.len() / a.len();
        let mut found = [Vec::new(), Vec::new()];
        let mut rest = [a, b];
        for sizes in [[10, 0], [1, 30], [29, 1], [0, 1], [0, 31]] {
            let mut parts = Vec::new();
            for (sequence, (rest, size)) in rest.iter_mut().zip(sizes).enumerate() {
                let (tokens, after) = rest.split_at(size);
                *rest = after;
                parts.push(Part { sequence, tokens, outputs: Outputs::All });
            }
            let outputs = context.decode_batch(&parts).expect("a valid batch");
            let (first, second) = outputs.split_at(sizes[0] * width);
            found[0].extend_from_slice(first);
            found[1].extend_from_slice(second);
        }
        assert_near(name, &expected_a, &found[0]);
        assert_near(name, &expected_b, &found[1]);
    });
}

/// A copy goes its own way, in the middle of a page and at the end of one.
#[test]
fn copies_share_only_the_past() {
    for_each_model(|name, context, tokens| {
        for common in [PAGE + 9, 2 * PAGE] {
            context.clear();
            let (a, b) = (&tokens[common..common + 20], &tokens[common + 30..common + 50]);
            let expected = [a, b].map(|rest| {
                context.clear();
                run(context, 0, &tokens[..common]);
                run(context, 0, rest)
            });
            context.clear();
            run(context, 1, &tokens[..common]);
            context.fork(1, 2);
            assert_eq!(context.len_of(2), common);
            // The copy first, so that it may spoil the original's page.
            assert_near(name, &expected[1], &run(context, 2, b));
            assert_near(name, &expected[0], &run(context, 1, a));
            // Over what it has.
            context.fork(1, 2);
            let next = &tokens[..5];
            let (next_of_1, next_of_2) = (run(context, 1, next), run(context, 2, next));
            assert_near(name, &next_of_1, &next_of_2);
        }
    });
}

/// What is forgotten and evaluated again, with another ending, is as if it had never been.
#[test]
fn cut_sequences_go_on_from_what_is_left() {
    for_each_model(|name, context, tokens| {
        let keep = 2 * PAGE + 10;
        let other = &tokens[5..25];
        run(context, 0, &tokens[..keep]);
        let expected = run(context, 0, other);
        context.clear();
        // In batches that end at pages, as sessions cut them.
        let mut done = 0;
        while done < 3 * PAGE + 30 {
            let n = context.batch_len(3 * PAGE + 30 - done);
            context.decode(&tokens[done..done + n], Outputs::None).expect("a valid batch");
            done += n;
        }
        let left = context.truncate(keep);
        let is_recurrent = !STATELESS.iter().any(|stateless| name.starts_with(stateless));
        assert_eq!(left, if is_recurrent { 0 } else { keep }, "{name}: one batch, no snapshot");
        run(context, 0, &tokens[left..keep]);
        assert_near(name, &expected, &run(context, 0, other));

        context.clear();
        for batch in tokens[..3 * PAGE + 30].chunks(PAGE) {
            context.decode(batch, Outputs::None).expect("a valid batch");
        }
        let left = context.truncate(keep);
        assert_eq!(left, if is_recurrent { 2 * PAGE } else { keep }, "{name}");
        run(context, 0, &tokens[left..keep]);
        assert_near(name, &expected, &run(context, 0, other));
        assert_eq!(context.truncate(1000), keep + other.len());
    });
}

/// Sequences take pages from each other's supply, give them back, and fail without harm.
#[test]
fn memory_that_is_full_says_so() {
    for_each_model(|name, context, tokens| {
        run(context, 0, tokens);
        run(context, 1, tokens);
        let most: Vec<u32> = tokens.iter().copied().cycle().take(12 * PAGE + 1).collect();
        let refused = context.decode(&most, Outputs::None).expect_err("too many").to_string();
        assert!(refused.contains("context"), "{name}: {refused}");
        let part = Part { sequence: 2, tokens: &most[..7 * PAGE], outputs: Outputs::None };
        assert!(context.decode_batch(&[part]).is_err(), "{name}");
        assert_eq!((context.len_of(0), context.len_of(2)), (4 * PAGE, 0));
        assert_eq!(context.truncate_sequence(1, 0), 0);
        let part = Part { tokens: &most[..6 * PAGE], ..part };
        assert!(context.decode_batch(&[part]).is_ok(), "{name}");
    });
}
