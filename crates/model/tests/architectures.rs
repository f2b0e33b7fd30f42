//! Every architecture against the outputs of llama.cpp, on both backends, as one batch, token by
//! token and in uneven chunks.

use backend::{Backend, KvType};
use cpu::{Cpu, CpuOptions};
use fixtures::{Fixture, nmse};
use model::{Context, KvShape, OutputKind, Outputs, Pooling};
use reference::Reference;

/// Cuts of the batch: how many tokens at a time.
const CHUNKS: [(&str, &[usize]); 3] =
    [("one batch", &[usize::MAX]), ("token by token", &[1]), ("uneven chunks", &[31, usize::MAX])];

/// Fixtures whose recorded outputs are less precise than their limits: the greatest errors of the judge
/// and of the processor.
const LESS_PRECISE: [(&str, [f64; 2]); 2] = [
    // llama.cpp's attention of the first layer rounds keys and values to half floats, and its sums.
    ("minimax-m3", [2e-6, 2e-6]),
    // Inputs of convolutions are rounded to half floats, and norms amplify it where another order of
    // sums takes the next one: a change of 2e-7 before the rounding moves the outputs by 3e-5.
    ("wavtokenizer-dec", [2e-5, 0.0]),
];

fn backends() -> Vec<Box<dyn Backend>> {
    let cpu = Cpu::new(CpuOptions { threads: Some(2), ..<_>::default() });
    vec![Box::new(Reference::new()), Box::new(cpu)]
}

fn run(context: &mut Context, tokens: &[u32], chunks: &[usize]) -> Vec<f32> {
    let mut outputs = Vec::new();
    let mut rest = tokens;
    for &size in chunks.iter().cycle() {
        let (batch, after) = rest.split_at(size.min(rest.len()));
        outputs.extend_from_slice(context.decode(batch, Outputs::All).expect("a valid batch"));
        rest = after;
        if rest.is_empty() {
            return outputs;
        }
    }
    unreachable!("chunks repeat for ever")
}

/// Greatest error of a fixture.
type Limit = fn(&Fixture) -> f64;

fn check_all(ty: KvType, limit: Limit, cuts: &[(&str, &[usize])]) {
    let mut failures = Vec::new();
    let mut n_run = 0;
    for fixture in Fixture::all() {
        let model = model::load(&fixture.model()).expect("the fixture loads");
        let (tokens, expected) = (fixture.tokens(), fixture.outputs());
        let tol = limit(&fixture);
        let block_len = ty.tensor_type().block_len();
        let whole_blocks =
            |kv: &KvShape| [kv.head_dim, kv.head_dim_v].iter().all(|dim| dim % block_len == 0);
        for (i, backend) in backends().into_iter().enumerate() {
            // Emulated, the judge would take most of the time, and it has no kernels to be tested there.
            if i == 0 && std::env::var_os("EMULATED").is_some() {
                continue;
            }
            let name = backend.describe();
            // What the judge differs in with floats is only the order of sums.
            let tol = if i == 0 && ty == KvType::F32 { fixture.tol_tight } else { tol };
            let exception = LESS_PRECISE.iter().find(|(name, _)| *name == fixture.name);
            let tol = exception.map_or(tol, |(_, limits)| tol.max(limits[i]));
            let context = Context::new(model.clone(), backend, 256, ty);
            if !model.shape().kv.iter().all(whole_blocks) {
                let refusal = context.err().expect("heads that are not whole blocks").to_string();
                assert!(refusal.contains(ty.name()) && refusal.contains("f16"), "{refusal}");
                continue;
            }
            let mut context = context.expect("memory");
            if model.encoder().is_some() {
                context.encode(0, &tokens).expect("a valid text");
            }
            n_run += 1;
            for &(how, chunks) in cuts {
                if !model.is_causal() && how != "one batch" {
                    continue;
                }
                context.clear();
                let embeds = model.shape().output != OutputKind::Logits;
                let outputs = match how {
                    "one batch" if embeds => {
                        context.embed(&tokens, Some(Pooling::None)).expect("a text")
                    }
                    _ => run(&mut context, &tokens, chunks),
                };
                let error = nmse(&expected, &outputs);
                println!("{:20} {name:32} {how:16} {error:9.2e} (limit {tol:.1e})", fixture.name);
                if error.is_nan() || error > tol {
                    failures.push(format!("{} on {name}, {how}: {error:.2e}", fixture.name));
                }
            }
            // A decoder of sound has outputs that nobody pools.
            if !fixture.has("pooled") {
                continue;
            }
            if model.shape().output != OutputKind::Logits {
                let pooled = context.embed(&tokens, None).expect("a valid text");
                let error = nmse(&fixture.floats("pooled"), &pooled);
                // A score is one number, so that nothing averages rounding.
                let tol = limit(&fixture);
                println!("{:20} {name:32} pooled {error:9.2e} (limit {tol:.1e})", fixture.name);
                if error.is_nan() || error > tol {
                    failures.push(format!("{} on {name}, pooled: {error:.2e}", fixture.name));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(n_run > 0, "no fixture has heads of whole blocks");
}

#[test]
fn outputs_match_with_f32_memory() {
    check_all(KvType::F32, |fixture| fixture.tol, &CHUNKS);
}

#[test]
fn outputs_match_with_f16_memory() {
    check_all(KvType::F16, |fixture| fixture.tol_f16_kv, &CHUNKS[..1]);
}

/// The expected outputs are those with floats in memory. The fixtures' random weights amplify the
/// rounding, most where it changes the choice of experts (kimi-k3: 0.02 on either backend); what is
/// wrong differs by about 1.
#[test]
fn outputs_are_near_with_q8_0_memory() {
    check_all(KvType::Q8_0, |_| 3e-2, &CHUNKS[..1]);
}

/// Where it is asked for, logits are the same bits however tokens are batched, and always with any
/// number of threads.
#[test]
fn batch_invariant_outputs_are_the_same_bits() {
    for fixture in Fixture::all() {
        let model = model::load(&fixture.model()).expect("the fixture loads");
        if !model.is_causal() {
            continue;
        }
        let tokens = fixture.tokens();
        let outputs = |threads, batch_invariant, chunks| {
            let options = CpuOptions { threads: Some(threads), batch_invariant, ..<_>::default() };
            let backend = Box::new(Cpu::new(options));
            let mut context = Context::new(model.clone(), backend, 256, KvType::F16).unwrap();
            if model.encoder().is_some() {
                context.encode(0, &tokens).expect("a valid text");
            }
            let outputs = run(&mut context, &tokens, chunks);
            outputs.into_iter().map(f32::to_bits).collect::<Vec<_>>()
        };
        for batch_invariant in [false, true] {
            let expected = outputs(1, batch_invariant, CHUNKS[0].1);
            for threads in [1, 3] {
                for (how, chunks) in CHUNKS {
                    if !batch_invariant && how != "one batch" {
                        continue;
                    }
                    let same = outputs(threads, batch_invariant, chunks) == expected;
                    assert!(same, "{}: {how}, {threads} threads", fixture.name);
                }
            }
        }
    }
}

/// Only the last row's output is computed where only that is asked for, and none where only memory
/// is to be filled; it must be the same. The judge's numbers don't depend on the batch at all.
#[test]
fn last_output_equals_the_last_of_all() {
    for fixture in Fixture::all() {
        let model = model::load(&fixture.model()).expect("the fixture loads");
        if !model.is_causal() {
            continue;
        }
        let tokens = fixture.tokens();
        let (start, end) = tokens.split_at(tokens.len() / 2);
        for (backend, limit) in backends().into_iter().zip([0.0, fixture.tol]) {
            let mut context = Context::new(model.clone(), backend, 256, KvType::F32).unwrap();
            if model.encoder().is_some() {
                context.encode(0, &tokens).expect("a valid text");
            }
            let all = context.decode(&tokens, Outputs::All).unwrap().to_vec();
            context.clear();
            assert!(context.decode(start, Outputs::None).unwrap().is_empty());
            let last = context.decode(end, Outputs::Last).unwrap();
            let error = nmse(&all[all.len() - last.len()..], last);
            assert!(error <= limit, "{}: {error:.2e} (limit {limit:.1e})", fixture.name);
        }
    }
}
