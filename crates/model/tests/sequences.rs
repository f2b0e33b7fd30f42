//! Sequences that share a context: mixed in one batch, copied, cut and continued.

use backend::{Backend, KvType, PAGE};
use cpu::{Cpu, CpuOptions};
use fixtures::{Fixture, nmse};
use model::{Capacity, Context, Error, Outputs, Part};
use reference::Reference;

/// Models with attention alone, with caches of chosen positions, with states alone, with both, and with
/// sliding windows.
const MODELS: [&str; 12] = [
    "llama",
    "deepseek32",
    "minimax-m3",
    "mamba2",
    "rwkv7",
    "jamba",
    "qwen3next",
    "glm5-next",
    "deepseek4-topk",
    "gemma4-sharedkv",
    "gpt-oss",
    "lfm2",
];
/// Those of them that have no states.
const STATELESS: [&str; 5] = ["llama", "deepseek32", "minimax-m3", "gemma4-sharedkv", "gpt-oss"];

/// Outputs may differ by the order of sums.
const LIMIT: f64 = 1e-9;
/// As above, where GELU is read from a table: a sum that is rounded otherwise takes another entry.
const LIMIT_OF_TABLES: f64 = 1e-7;

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
    let limit = if name.starts_with("gemma") { LIMIT_OF_TABLES } else { LIMIT };
    assert!(error <= limit, "{name}: {error:.2e}");
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
        run(context, 1, &tokens[1..]);
        run(context, 1, &tokens[..1]);
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

/// A sequence has what another one has seen, and so has one that begins after that has ended.
#[test]
fn known_beginnings_are_shared() {
    for_each_model(|name, context, tokens| {
        let is_recurrent = !STATELESS.iter().any(|stateless| name.starts_with(stateless));
        let (text, other) = (&tokens[..2 * PAGE + 20], &tokens[30..50]);
        let feed = |context: &mut Context, sequence: usize, mut tokens: &[u32]| {
            while !tokens.is_empty() {
                let n = context.batch_len_of(sequence, tokens.len());
                let part = Part { sequence, tokens: &tokens[..n], outputs: Outputs::None };
                context.decode_batch(&[part]).expect("a valid batch");
                tokens = &tokens[n..];
            }
        };
        assert_eq!(context.begin(0, text), 0, "{name}");
        feed(context, 0, text);
        let room = context.room();
        let expected = run(context, 0, other);

        // At the same time, without another page, up to where texts part.
        let found = context.begin(1, text);
        assert_eq!(found, 2 * PAGE, "{name}");
        assert_eq!(context.room(), room);
        feed(context, 1, &text[found..]);
        assert_near(name, &expected, &run(context, 1, other));

        // Afterwards, with the page that isn't filled too.
        let whole = [text, other].concat();
        assert_eq!(context.begin(0, &[]), 0);
        assert_eq!(context.begin(1, &[]), 0);
        assert_eq!(context.room(), 12 * PAGE + 2 * PAGE, "all pages are free or only kept");
        let found = context.begin(2, &[&whole, &tokens[..7]].concat());
        assert_eq!(found, whole.len(), "{name}");
        let next = run(context, 2, &tokens[..7]);
        context.begin(0, &tokens[1..]);
        run(context, 0, &whole);
        assert_near(name, &run(context, 0, &tokens[..7]), &next);

        // In the middle of a page where there are no states.
        let parted = [&text[..PAGE + 5], &tokens[90..130]].concat();
        let found = context.begin(1, &parted);
        assert_eq!(found, if is_recurrent { 0 } else { PAGE + 5 }, "{name}");
        feed(context, 1, &parted[found..]);
        let after = run(context, 1, other);
        let found = context.begin(0, &parted);
        assert_eq!(found, if is_recurrent { PAGE } else { parted.len() }, "{name}");
        feed(context, 0, &parted[found..]);
        assert_near(name, &after, &run(context, 0, other));
    });
}

/// Whatever sequences do in turns, each has the outputs that it has alone.
#[test]
fn sequences_never_disturb_each_other() {
    // So few positions that earlier texts must make way.
    let short = Capacity { n_ctx: 5 * PAGE, ..Capacity::of(9 * PAGE, 4) };
    for name in ["llama", "jamba", "deepseek4-topk"] {
        disturb(name, short, 40);
    }
    // All positions, but pages of few windows.
    let n_ctx = 14 * PAGE;
    let long = Capacity { n_ctx, n_batch: 100, ..Capacity::of(2 * n_ctx, 2) };
    for name in ["gemma4-sharedkv", "lfm2"] {
        disturb(name, long, 100);
    }
}

/// Sequences in random order, with at most `most` tokens at once.
fn disturb(name: &str, capacity: Capacity, most: usize) {
    let fixture = Fixture::named(name);
    let model = model::load(&fixture.model()).expect("the fixture loads");
    let vocabulary = fixture.tokens();
    let context = |capacity| {
        let cpu = Cpu::new(CpuOptions { threads: Some(1), ..<_>::default() });
        Context::with_capacity(model.clone(), Box::new(cpu), capacity, KvType::F32).expect("memory")
    };
    let Capacity { n_ctx, n_positions, n_sequences, .. } = capacity;
    let whole = Capacity { full_windows: true, ..Capacity::of(64 * PAGE, 4) };
    let (mut shared, mut alone) = (context(capacity), context(whole));
    let mut random = 1u64;
    let mut below = |n: usize| {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (random >> 33) as usize % n
    };
    let mut texts: [Vec<u32>; 4] = Default::default();
    let (mut n_shared, mut n_passed) = (0, 0);
    for _ in 0..300 {
        let sequence = below(n_sequences);
        match below(5) {
            0 => {
                // One of few texts, so that many begin the same.
                let (from, len) = (below(2), below(n_ctx * 3 / 5));
                let text: Vec<u32> =
                    vocabulary.iter().cycle().skip(from).take(len).copied().collect();
                let found = shared.begin(sequence, &text);
                n_shared += found;
                texts[sequence] = text[..found].to_vec();
            }
            1 => {
                let len = texts[sequence].len();
                let asked = len - below(len.min(3 * most) + 1);
                let left = shared.truncate_sequence(sequence, asked);
                assert!(left <= asked);
                texts[sequence].truncate(left);
            }
            2 => {
                let to = below(n_sequences);
                shared.fork(sequence, to);
                texts[to] = texts[sequence].clone();
            }
            _ => {
                let n = 1 + below(most);
                let n = shared.batch_len_of(sequence, n);
                let text = &mut texts[sequence];
                let next: Vec<u32> = vocabulary
                    .iter()
                    .cycle()
                    .skip(text.len() + below(2))
                    .take(n)
                    .copied()
                    .collect();
                let part = Part { sequence, tokens: &next, outputs: Outputs::Last };
                match shared.decode_batch(&[part]) {
                    Ok(found) => {
                        let found = found.to_vec();
                        text.extend(next);
                        alone.clear();
                        let expected = alone.decode(text, Outputs::Last).expect("alone");
                        assert_near(name, expected, &found);
                    }
                    Err(error @ (Error::ContextFull { .. } | Error::MemoryFull { .. })) => {
                        let is_scarce = n_positions < n_sequences * n_ctx;
                        assert!(is_scarce || matches!(error, Error::ContextFull { .. }), "{name}");
                        let _ = shared.begin(sequence, &[]);
                        text.clear();
                    }
                    Err(error) => panic!("{name}: {error}"),
                }
            }
        }
        for (sequence, text) in texts.iter().enumerate().take(n_sequences) {
            n_passed += shared.first_recent_page(text.len()).unwrap_or(0);
            assert_eq!(shared.len_of(sequence), text.len(), "{name}");
        }
    }
    assert!(n_shared > 10 * PAGE, "{name}: {n_shared}");
    assert!(n_passed > 200 || shared.recent_bytes() == 0, "{name}: {n_passed}");
    (0..n_sequences).for_each(|sequence| assert_eq!(shared.begin(sequence, &[]), 0));
    let all = n_positions + (n_sequences - 1) * PAGE;
    assert_eq!(shared.room(), all, "{name}: all pages are free or only kept");
}

/// A window that has passed is known as long as there is room; else a sequence goes back to where it can.
#[test]
fn windows_that_have_passed_make_way() {
    let fixture = Fixture::named("gpt-oss");
    let model = model::load(&fixture.model()).expect("the fixture loads");
    let tokens: Vec<u32> = fixture.tokens().into_iter().cycle().take(30 * PAGE).collect();
    let capacity = Capacity { n_batch: PAGE, ..Capacity::of(40 * PAGE, 1) };
    let context = |capacity| {
        let backend = Box::new(Cpu::new(CpuOptions { threads: Some(1), ..<_>::default() }));
        Context::with_capacity(model.clone(), backend, capacity, KvType::F32).expect("memory")
    };
    let mut all = context(Capacity { full_windows: true, ..capacity });
    let expected = [&tokens[..], &tokens[..20]].concat();
    let expected = all.decode(&expected, Outputs::Last).expect("room").to_vec();
    let mut context = context(capacity);
    assert_ne!(all.layout(), context.layout());
    let feed = |context: &mut Context, tokens: &[u32]| {
        for batch in tokens.chunks(PAGE) {
            context.decode(batch, Outputs::None).expect("room");
        }
    };
    feed(&mut context, &tokens);
    assert_eq!((context.len(), all.truncate(PAGE)), (30 * PAGE, PAGE));
    // Some way back, and far back.
    assert_eq!(context.truncate(26 * PAGE + 3), 26 * PAGE + 3);
    feed(&mut context, &tokens[26 * PAGE + 3..]);
    let left = context.truncate(12 * PAGE + 3);
    assert!(left < PAGE, "{left}");
    feed(&mut context, &tokens[left..]);
    assert_near("gpt-oss", &expected, context.decode(&tokens[..20], Outputs::Last).expect("room"));
    // What has ended goes on at its end.
    assert_eq!(context.begin(0, &tokens[..29 * PAGE]), 29 * PAGE);
    assert_eq!(context.begin(0, &tokens[..9 * PAGE]), 0);
}

/// What is known of a text can be taken to another context, with all its pages and states.
#[test]
fn texts_move_between_contexts() {
    for name in MODELS {
        let fixture = Fixture::named(name);
        let model = model::load(&fixture.model()).expect("the fixture loads");
        let tokens: Vec<u32> = fixture.tokens().into_iter().cycle().take(3 * PAGE).collect();
        let (text, other) = (&tokens[..2 * PAGE + 20], &tokens[30..50]);
        let is_recurrent = !STATELESS.contains(&name);
        let pair = || backends().into_iter().zip(backends());
        for (from, to) in pair() {
            let name = format!("{name} on {}", from.describe());
            let context = |backend| {
                let context =
                    Context::with_sequences(model.clone(), backend, 12 * PAGE, 3, KvType::F16);
                context.expect("memory")
            };
            let (mut from, mut to) = (context(from), context(to));
            assert_eq!(from.layout(), to.layout());
            // So that pages have other numbers.
            run(&mut to, 1, &tokens[7..90]);
            for part in [&text[..PAGE], &text[PAGE..2 * PAGE], &text[2 * PAGE..]] {
                run(&mut from, 0, part);
            }
            from.keep(0);
            from.keep(0);
            for end in [PAGE, 2 * PAGE, text.len()] {
                let page = from.export_page(&text[..end]).expect("it is kept");
                assert_eq!(page.len(), to.page_bytes());
                let longer = [&page[..], &[0]].concat();
                assert!(!to.import_page(&text[..end], &longer), "{name}");
                assert!(!to.import_page(&[&[3], &text[..2 * PAGE]].concat(), &page));
                assert!(to.import_page(&text[..end], &page) && to.import_page(&text[..end], &page));
                let recent = from.export_recent(&text[..end]);
                assert_eq!(recent.is_some(), from.recent_bytes() > 0, "{name}");
                if let Some(recent) = recent {
                    assert!(!to.import_recent(&text[..end], &recent[1..]));
                    assert!(to.known(&text[..end]) < end);
                    assert!(!to.import_recent(&[&[3], &text[..end]].concat(), &recent));
                    assert!(to.import_recent(&text[..end], &recent));
                    assert!(to.import_recent(&text[..end], &recent));
                }
                let states = from.export_states(&text[..end]);
                assert_eq!(states.is_some(), is_recurrent, "{name}");
                if let Some(states) = states {
                    assert_eq!(states.len(), to.states_bytes());
                    assert!(to.import_states(&text[..end], &states));
                }
            }
            assert_eq!(to.n_known_pages(text), 2);
            assert_eq!(to.begin(2, &[text, other].concat()), text.len(), "{name}");
            assert_near(&name, &run(&mut from, 0, other), &run(&mut to, 2, other));

            // Another ending, from the middle.
            let parted = [&text[..2 * PAGE], &other[..9]].concat();
            assert_eq!((from.begin(0, &parted), to.begin(2, &parted)), (2 * PAGE, 2 * PAGE));
            assert_near(&name, &run(&mut from, 0, &other[..9]), &run(&mut to, 2, &other[..9]));

            // What is used stays.
            assert!(to.forget(text) <= text.len() - 2 * PAGE);
            assert_eq!(to.known(&parted), 2 * PAGE);
            assert_eq!(to.begin(2, &[]), 0);
            let left = to.known(&parted);
            assert_eq!(to.forget(&parted), left, "{name}");
            assert_eq!((to.known(&parted), to.begin(1, &[])), (0, 0));
            to.forget(&tokens[7..90]);
            assert_eq!(to.unused(), to.capacity(), "{name}");
        }
    }
}

/// A sequence that goes back into a page that is kept of it, with no page to spare.
#[test]
fn a_full_memory_lets_a_sequence_go_back() {
    let model = model::load(&Fixture::named("llama-gqa").model()).expect("the fixture loads");
    let mut context =
        Context::new(model, Box::new(Reference::new()), 128, KvType::F32).expect("memory");
    context.decode(&[5; 66], Outputs::None).expect("room");
    assert_eq!(context.truncate(60), 60);
    let logits = context.decode(&[6; 60], Outputs::Last).expect("room").to_vec();
    context.clear();
    let tokens: Vec<u32> = [5; 60].into_iter().chain([6; 60]).collect();
    let fresh = context.decode(&tokens, Outputs::Last).expect("room");
    assert!(nmse(&logits, fresh) < 1e-9);
}
