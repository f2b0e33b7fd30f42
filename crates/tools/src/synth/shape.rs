//! The shapes of real models: hyper-parameters, and the tensors that follow from them.

/// Sizes of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// What users call it.
    pub name: &'static str,
    /// The model that has it.
    pub title: &'static str,
    pub(super) architecture: &'static str,
    pub(super) n_layer: usize,
    pub(super) n_embd: usize,
    /// Width of the feed-forward, or of one expert.
    pub(super) n_ff: usize,
    pub(super) n_head: usize,
    pub(super) n_head_kv: usize,
    pub(super) head_dim: usize,
    pub(super) n_vocab: usize,
    pub(super) n_ctx: usize,
    pub(super) rope_base: f32,
    pub(super) norm_eps: f32,
    /// Whether the output matrix is the token embedding.
    pub(super) tied: bool,
    /// Number of experts, and how many a token uses.
    pub(super) experts: Option<(usize, usize)>,
    /// Queries and keys are normed.
    pub(super) head_norms: bool,
    /// What attention and feed-forward yield is normed.
    pub(super) post_norms: bool,
    /// Positions that most layers see.
    pub(super) window: Option<usize>,
}

const LLAMA_1B: Shape = Shape {
    name: "llama-1b",
    title: "Llama 3.2 1B",
    architecture: "llama",
    n_layer: 16,
    n_embd: 2048,
    n_ff: 8192,
    n_head: 32,
    n_head_kv: 8,
    head_dim: 64,
    n_vocab: 128_256,
    n_ctx: 131_072,
    rope_base: 500_000.0,
    norm_eps: 1e-5,
    tied: true,
    experts: None,
    head_norms: false,
    post_norms: false,
    window: None,
};

/// Widths of Qwen3 30B A3B with half of its experts and a sixth of its layers, so that it fits small
/// machines.
const LLAMA_MOE: Shape = Shape {
    name: "llama-moe",
    title: "a mixture of 64 experts, 8 of them used",
    n_layer: 8,
    n_ff: 768,
    n_head_kv: 4,
    head_dim: 128,
    n_vocab: 32_000,
    n_ctx: 40_960,
    rope_base: 1_000_000.0,
    norm_eps: 1e-6,
    tied: false,
    experts: Some((64, 8)),
    ..LLAMA_1B
};

/// All shapes.
pub const SHAPES: &[Shape] = &[
    Shape {
        name: "smollm2-135m",
        title: "SmolLM2 135M",
        n_layer: 30,
        n_embd: 576,
        n_ff: 1536,
        n_head: 9,
        n_head_kv: 3,
        n_vocab: 49_152,
        n_ctx: 8192,
        rope_base: 100_000.0,
        ..LLAMA_1B
    },
    LLAMA_1B,
    Shape {
        name: "llama-3b",
        title: "Llama 3.2 3B",
        n_layer: 28,
        n_embd: 3072,
        n_head: 24,
        head_dim: 128,
        ..LLAMA_1B
    },
    Shape {
        name: "llama-8b",
        title: "Llama 3.1 8B",
        n_layer: 32,
        n_embd: 4096,
        n_ff: 14_336,
        head_dim: 128,
        tied: false,
        ..LLAMA_1B
    },
    Shape {
        name: "qwen3-0.6b",
        title: "Qwen3 0.6B",
        architecture: "qwen3",
        n_layer: 28,
        n_embd: 1024,
        n_ff: 3072,
        n_head: 16,
        head_dim: 128,
        n_vocab: 151_936,
        n_ctx: 40_960,
        rope_base: 1_000_000.0,
        norm_eps: 1e-6,
        head_norms: true,
        ..LLAMA_1B
    },
    Shape {
        name: "gemma3-1b",
        title: "Gemma 3 1B",
        architecture: "gemma3",
        n_layer: 26,
        n_embd: 1152,
        n_ff: 6912,
        n_head: 4,
        n_head_kv: 1,
        head_dim: 256,
        n_vocab: 262_144,
        n_ctx: 32_768,
        rope_base: 1_000_000.0,
        norm_eps: 1e-6,
        head_norms: true,
        post_norms: true,
        window: Some(512),
        ..LLAMA_1B
    },
    LLAMA_MOE,
    Shape {
        name: "qwen3-moe",
        title: "the same, as Qwen3 MoE",
        architecture: "qwen3moe",
        head_norms: true,
        ..LLAMA_MOE
    },
];

/// What a tensor is for, as far as its type and values depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Factors of a norm.
    Norm,
    /// Scores of experts, always `f32`.
    Router,
    /// The token embedding that is not the output matrix too.
    Embedding,
    /// The output matrix.
    Output,
    /// Values of attention in this layer.
    Values(usize),
    /// The last product of a feed-forward in this layer.
    Down(usize),
    /// Any other matrix.
    Matrix,
}

/// A tensor to be written.
#[derive(Debug)]
pub(super) struct Tensor {
    pub(super) name: String,
    /// Contiguous dimension first.
    pub(super) shape: Vec<usize>,
    pub(super) role: Role,
}

impl Shape {
    /// The shape of this name, in any case.
    pub fn named(name: &str) -> Option<&'static Self> {
        SHAPES.iter().find(|shape| shape.name.eq_ignore_ascii_case(name))
    }

    /// The named shape, but small enough for tests; rows are still whole super-blocks.
    #[cfg(test)]
    pub(crate) fn tiny(name: &str) -> Self {
        let shape = Self::named(name).expect("a known shape");
        let experts = shape.experts.map(|_| (4, 2));
        let (n_embd, n_ff, n_vocab, n_layer) = (256, 512, 300, 2);
        let (n_head, n_head_kv, head_dim) = (8, 4, 32);
        Self { n_embd, n_ff, n_vocab, n_layer, n_head, n_head_kv, head_dim, experts, ..*shape }
    }

    /// Every tensor, in the order of the file.
    pub(super) fn tensors(&self) -> Vec<Tensor> {
        let vocabulary = [self.n_embd, self.n_vocab];
        let embedding = if self.tied { Role::Output } else { Role::Embedding };
        let mut tensors = vec![
            tensor("token_embd", &vocabulary, embedding),
            tensor("output_norm", &[self.n_embd], Role::Norm),
        ];
        if !self.tied {
            tensors.push(tensor("output", &vocabulary, Role::Output));
        }
        for il in 0..self.n_layer {
            self.layer(il, &mut |name, shape, role| {
                tensors.push(tensor(&format!("blk.{il}.{name}"), shape, role));
            });
        }
        tensors
    }

    fn layer(&self, il: usize, add: &mut dyn FnMut(&str, &[usize], Role)) {
        let (n_embd, n_ff) = (self.n_embd, self.n_ff);
        let (q, kv) = (self.n_head * self.head_dim, self.n_head_kv * self.head_dim);
        add("attn_norm", &[n_embd], Role::Norm);
        add("attn_q", &[n_embd, q], Role::Matrix);
        add("attn_k", &[n_embd, kv], Role::Matrix);
        add("attn_v", &[n_embd, kv], Role::Values(il));
        add("attn_output", &[q, n_embd], Role::Matrix);
        if self.head_norms {
            add("attn_q_norm", &[self.head_dim], Role::Norm);
            add("attn_k_norm", &[self.head_dim], Role::Norm);
        }
        add("ffn_norm", &[n_embd], Role::Norm);
        if self.post_norms {
            add("post_attention_norm", &[n_embd], Role::Norm);
            add("post_ffw_norm", &[n_embd], Role::Norm);
        }
        match self.experts {
            None => {
                add("ffn_gate", &[n_embd, n_ff], Role::Matrix);
                add("ffn_up", &[n_embd, n_ff], Role::Matrix);
                add("ffn_down", &[n_ff, n_embd], Role::Down(il));
            }
            Some((n, _)) => {
                add("ffn_gate_inp", &[n_embd, n], Role::Router);
                add("ffn_gate_exps", &[n_embd, n_ff, n], Role::Matrix);
                add("ffn_up_exps", &[n_embd, n_ff, n], Role::Matrix);
                add("ffn_down_exps", &[n_ff, n_embd, n], Role::Down(il));
            }
        }
    }
}

fn tensor(name: &str, shape: &[usize], role: Role) -> Tensor {
    Tensor { name: format!("{name}.weight"), shape: shape.to_vec(), role }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(name: &str) -> usize {
        let tensors = Shape::named(name).unwrap().tensors();
        tensors.iter().map(|tensor| tensor.shape.iter().product::<usize>()).sum()
    }

    /// As the models' makers count them.
    #[test]
    fn shapes_have_the_parameters_of_the_real_models() {
        assert_eq!(parameters("smollm2-135m"), 134_515_008);
        assert_eq!(parameters("llama-1b"), 1_235_814_400);
        assert_eq!(parameters("llama-3b"), 3_212_749_824);
        assert_eq!(parameters("llama-8b"), 8_030_261_248);
        assert_eq!(parameters("qwen3-0.6b"), 596_049_920);
        assert_eq!(parameters("gemma3-1b"), 999_885_952);
    }
}
