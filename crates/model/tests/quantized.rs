//! Every architecture with weights in few bits: outputs are near those of weights in 32 bits.

use backend::{KvType, TensorType};
use cpu::{Cpu, CpuOptions};
use fixtures::{Fixture, nmse};
use gguf::Gguf;
use model::{Context, OutputKind, Outputs, Pooling};

/// Greatest errors. Random weights amplify rounding more than trained ones do, deep models and those
/// with experts most, whose choice may change; what is wrong differs by about 1.
struct Limits {
    usual: f64,
    with_experts: f64,
    /// Of models whose name begins so.
    others: &'static [(&'static str, f64)],
}

impl Limits {
    fn of(&self, name: &str, gguf: &Gguf) -> f64 {
        let other = self.others.iter().find(|(start, _)| name.starts_with(start));
        let has_experts = gguf.tensors().iter().any(|tensor| tensor.name.contains("ffn_gate_inp"));
        match other {
            Some(&(_, limit)) => limit,
            None if has_experts => self.with_experts,
            None => self.usual,
        }
    }
}

fn check_all(ty: TensorType, limits: &Limits) {
    let mut failures = Vec::new();
    let mut n_models = 0;
    for fixture in Fixture::all() {
        let (gguf, n_quantized) = fixture.quantized(ty);
        if n_quantized == 0 {
            continue;
        }
        n_models += 1;
        let model = model::load(&gguf).expect("the fixture loads");
        let cpu = Cpu::new(CpuOptions { threads: Some(2), ..<_>::default() });
        let mut context =
            Context::new(model.clone(), Box::new(cpu), 256, KvType::F32).expect("memory");
        let tokens = fixture.tokens();
        if model.encoder().is_some() {
            context.encode(0, &tokens).expect("a valid text");
        }
        let outputs = match model.shape().output {
            OutputKind::Embeddings(_) => {
                context.embed(&tokens, Some(Pooling::None)).expect("a valid text")
            }
            OutputKind::Logits => context.decode(&tokens, Outputs::All).expect("a batch").to_vec(),
        };
        let (error, limit) = (nmse(&fixture.outputs(), &outputs), limits.of(&fixture.name, &gguf));
        println!("{:24} {n_quantized:3} tensors {error:9.2e} (limit {limit:.1e})", fixture.name);
        if error.is_nan() || error > limit {
            failures.push(format!("{}: {error:.2e}", fixture.name));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(n_models > 100, "{n_models} models have rows of whole blocks");
}

#[test]
fn outputs_are_near_with_q8_0_weights() {
    // The gates of Gemma 3n keep what stands out.
    let others = &[("gemma3n", 2e-1), ("rwkv6-rescale", 2e-2), ("mamba-falcon", 2e-2)];
    check_all(TensorType::Q8_0, &Limits { usual: 5e-3, with_experts: 5e-2, others });
}

#[test]
fn outputs_are_near_with_q4_k_weights() {
    let others = &[("rwkv6-rescale", 8e-1), ("mamba-falcon", 3e-1), ("wavtokenizer", 3e-1)];
    check_all(TensorType::Q4_K, &Limits { usual: 2e-1, with_experts: 4e-1, others });
}
