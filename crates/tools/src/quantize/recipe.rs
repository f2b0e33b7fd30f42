//! Which type each matrix gets: the mixtures of llama.cpp, which spend more bits where a model is
//! sensitive.

use quant::TensorType::{self, *};

use super::role::{Role, layer};
use super::target::FileType as Mix;

/// What of a model recipes depend on.
#[derive(Debug, Clone, Default)]
pub(super) struct Traits {
    pub(super) architecture: String,
    pub(super) n_layer: usize,
    pub(super) n_expert: usize,
    pub(super) n_head: usize,
    pub(super) n_head_kv: usize,
    /// The token embedding serves as output matrix.
    pub(super) tied: bool,
    /// Matrices of [`Role::Value`].
    pub(super) n_values: usize,
    /// There is an importance matrix.
    pub(super) importance: bool,
}

impl Traits {
    fn is(&self, architecture: &str) -> bool {
        self.architecture == architecture
    }

    /// Four heads or more share keys and values, which are small then.
    fn grouped(&self) -> bool {
        self.n_head_kv > 0 && self.n_head / self.n_head_kv >= 4
    }

    fn eight_experts(&self) -> bool {
        self.n_expert == 8
    }

    /// Models of about 70 billion weights.
    fn is_70b(&self) -> bool {
        match self.architecture.as_str() {
            "llama" => self.n_layer == 80 && self.n_head != self.n_head_kv,
            "qwen2" | "deci" | "olmo" => self.n_layer == 80,
            "jais2" => self.n_layer == 68,
            _ => false,
        }
    }
}

/// Chooses types for the matrices of a model, asked in the order of layers.
pub(super) struct Recipe<'a> {
    mix: Mix,
    base: TensorType,
    traits: &'a Traits,
    /// How many of each kind were seen.
    values: usize,
    downs: usize,
    gates: usize,
    ups: usize,
}

impl<'a> Recipe<'a> {
    pub(super) fn new(mix: Mix, base: TensorType, traits: &'a Traits) -> Self {
        Self { mix, base, traits, values: 0, downs: 0, gates: 0, ups: 0 }
    }

    /// The type for a matrix of this name, role and shape; `output` is what the user wants for the
    /// output matrix, whichever serves as one.
    pub(super) fn choose(
        &mut self,
        name: &str,
        role: Role,
        shape: &[usize],
        output: Option<TensorType>,
    ) -> TensorType {
        const SENSITIVE: [&str; 3] = ["attn_q_a", "attn_q_b", "nextn.eh_proj"];
        let traits = self.traits;
        let narrow = ![F32, F16, BF16].contains(&self.base);
        if traits.is("glm5-next") && narrow && SENSITIVE.iter().any(|part| name.contains(part)) {
            return Q8_0;
        }
        match role {
            Role::Output => output.unwrap_or_else(|| self.output(shape[0])),
            Role::Embedding if traits.tied => output.unwrap_or_else(|| self.output(shape[0])),
            _ if self.mix == Mix::MXFP4_MOE => self.with_mxfp4_experts(role, shape),
            Role::Embedding => self.embedding(),
            _ if self.is_tiny() => self.tiny(role),
            Role::Value => self.value(),
            Role::Key => self.key(),
            Role::Query => self.query(),
            Role::Down => self.down(name),
            Role::AttentionOutput => self.attention_output(),
            Role::Gate => {
                let il = nth(&mut self.gates, name, traits);
                self.up_or_gate(il)
            }
            Role::Up => {
                let il = nth(&mut self.ups, name, traits);
                self.up_or_gate(il)
            }
            Role::Other => self.base,
        }
    }

    /// Two bits or less per weight.
    fn is_tiny(&self) -> bool {
        use Mix::*;
        matches!(self.mix, IQ1_S | IQ1_M | IQ2_XXS | IQ2_XS | IQ2_S | IQ2_M)
    }

    fn output(&self, cols: usize) -> TensorType {
        let whole_blocks = cols.is_multiple_of(self.base.block_len());
        match self.mix {
            Mix::MXFP4_MOE => Q8_0,
            _ if self.traits.is("falcon") || !whole_blocks => Q8_0,
            Mix::IQ3_XXS => Q5_K,
            _ if self.is_tiny() => Q5_K,
            _ if self.base == Q8_0 => Q8_0,
            _ => Q6_K,
        }
    }

    fn with_mxfp4_experts(&self, role: Role, shape: &[usize]) -> TensorType {
        let feeds = matches!(role, Role::Up | Role::Gate | Role::Down);
        // Other matrices of this architecture have three dimensions, too.
        let experts =
            shape.get(2).is_some_and(|&n| n > 1) && (feeds || !self.traits.is("bailingmoe3"));
        if experts { MXFP4 } else { Q8_0 }
    }

    fn embedding(&self) -> TensorType {
        match self.mix {
            Mix::IQ1_S | Mix::IQ1_M | Mix::IQ2_XXS | Mix::IQ2_XS => Q2_K,
            Mix::IQ2_S | Mix::IQ2_M | Mix::IQ3_XXS => IQ3_S,
            Mix::TQ1_0 | Mix::TQ2_0 | Mix::Q2_0 => Q4_K,
            _ => self.base,
        }
    }

    fn tiny(&mut self, role: Role) -> TensorType {
        let larger = matches!(self.mix, Mix::IQ2_S | Mix::IQ2_M);
        let better = if larger { IQ3_S } else { Q2_K };
        let traits = self.traits;
        match role {
            Role::Value if traits.grouped() || traits.n_expert >= 4 => Q4_K,
            Role::Value => better,
            Role::Key if traits.eight_experts() => Q4_K,
            Role::Down => {
                self.downs += 1;
                if self.downs <= traits.n_layer / 8 { better } else { self.base }
            }
            Role::AttentionOutput if traits.eight_experts() => Q5_K,
            Role::AttentionOutput if larger => IQ3_S,
            Role::AttentionOutput if matches!(self.mix, Mix::IQ1_S | Mix::IQ1_M) => IQ2_XXS,
            _ => self.base,
        }
    }

    fn value(&mut self) -> TensorType {
        let traits = self.traits;
        let grouped = traits.grouped();
        let (nth, n) = (self.values, traits.n_values);
        self.values += 1;
        if traits.eight_experts() {
            // Small beside the experts.
            return Q8_0;
        }
        let ty = match self.mix {
            Mix::Q2_K if grouped => Q4_K,
            Mix::Q2_K => Q3_K,
            Mix::Q2_K_S | Mix::IQ3_XXS | Mix::IQ3_XS | Mix::IQ3_S if grouped => Q4_K,
            Mix::IQ3_XXS if traits.importance => IQ3_XXS,
            Mix::IQ3_XXS => IQ3_S,
            Mix::IQ3_M => Q4_K,
            Mix::Q3_K_M if nth < 2 => Q5_K,
            Mix::Q3_K_M => Q4_K,
            Mix::Q3_K_L => Q5_K,
            Mix::IQ4_NL | Mix::IQ4_XS if grouped => Q5_K,
            Mix::Q4_K_M | Mix::Q5_K_M if more_bits(nth, n) => Q6_K,
            Mix::Q4_K_S if nth < 4 => Q5_K,
            _ => self.base,
        };
        // Eight heads share these in such models.
        if traits.is_70b() && matches!(ty, Q3_K | Q4_K) { Q5_K } else { ty }
    }

    fn key(&self) -> TensorType {
        if self.traits.eight_experts() { Q8_0 } else { self.query() }
    }

    fn query(&self) -> TensorType {
        match self.mix {
            Mix::IQ3_XS => IQ3_XXS,
            Mix::IQ3_XXS => IQ2_S,
            _ => self.base,
        }
    }

    fn down(&mut self, name: &str) -> TensorType {
        let traits = self.traits;
        let il = nth(&mut self.downs, name, traits);
        let n = traits.n_layer;
        let (falcon, importance) = (traits.is("falcon"), traits.importance);
        let (first, more) = (il < n / 8, more_bits(il, n));
        match self.mix {
            Mix::Q2_K => Q3_K,
            Mix::Q2_K_S if first => Q4_K,
            Mix::IQ3_XXS if !importance && first => Q4_K,
            Mix::IQ3_XXS if !importance => Q3_K,
            Mix::Q3_K_M if il < n / 16 => Q5_K,
            Mix::Q3_K_M if !falcon || more => Q4_K,
            Mix::IQ3_M if first || (traits.eight_experts() && more) => Q4_K,
            Mix::Q3_K_L if falcon => Q4_K,
            Mix::Q3_K_L => Q5_K,
            Mix::Q4_K_M if falcon && il < n / 16 => Q6_K,
            Mix::Q4_K_M if falcon && more => Q5_K,
            Mix::Q4_K_M if !falcon && more => Q6_K,
            Mix::IQ4_NL | Mix::IQ4_XS if first && !importance => Q5_K,
            Mix::Q5_K_M if more => Q6_K,
            Mix::Q4_K_S if first && !falcon => Q5_K,
            // With importance these lose much in the first layers.
            Mix::Q4_0 if first && importance => Q4_1,
            Mix::Q5_0 if first && importance => Q5_1,
            _ => self.base,
        }
    }

    fn attention_output(&self) -> TensorType {
        use Mix::*;
        let (mix, base) = (self.mix, self.base);
        if self.traits.is("falcon") {
            return if mix == Q3_K_L { TensorType::Q4_K } else { base };
        }
        if self.traits.eight_experts() {
            return match mix {
                Q2_K | Q3_K_S | Q3_K_M | Q4_K_S | Q4_K_M | IQ3_XXS | IQ3_XS | IQ3_S | IQ3_M
                | IQ4_NL | IQ4_XS => TensorType::Q5_K,
                _ => base,
            };
        }
        match mix {
            Q2_K => TensorType::Q3_K,
            IQ3_XXS => TensorType::IQ3_S,
            Q3_K_M | IQ3_M => TensorType::Q4_K,
            Q3_K_L => TensorType::Q5_K,
            _ => base,
        }
    }

    fn up_or_gate(&self, il: usize) -> TensorType {
        let n = self.traits.n_layer;
        let inner = (n / 8..7 * n / 8).contains(&il);
        if self.mix == Mix::IQ3_XS && inner { IQ3_XXS } else { self.base }
    }
}

/// How many were seen before, which is the layer; with experts the name tells the layer, as a layer may
/// have several.
fn nth(seen: &mut usize, name: &str, traits: &Traits) -> usize {
    let nth = *seen;
    *seen += 1;
    let named = if traits.n_expert > 1 { layer(name) } else { None };
    named.unwrap_or(nth)
}

/// Whether a mixture spends more bits on layer `il` of `n`: the first and last eighth and every third
/// between.
fn more_bits(il: usize, n: usize) -> bool {
    il < n / 8 || il >= 7 * n / 8 || (il - n / 8) % 3 == 2
}

/// The type with smaller blocks for a matrix whose rows are not whole blocks of `ty`; F16 where the rows
/// are not whole blocks of that either, `None` where there is no other type.
pub(super) fn fallback(ty: TensorType, cols: usize) -> Option<TensorType> {
    if cols.is_multiple_of(ty.block_len()) {
        return Some(ty);
    }
    let smaller = match ty {
        IQ1_S | IQ1_M | IQ2_XXS | IQ2_XS | IQ2_S | IQ3_XXS | IQ3_S | IQ4_XS => IQ4_NL,
        Q2_0 | Q2_K | Q3_K | TQ1_0 | TQ2_0 => Q4_0,
        Q4_K => Q5_0,
        Q5_K => Q5_1,
        Q6_K => Q8_0,
        _ if ty.block_len() <= 32 => ty,
        _ => return None,
    };
    Some(if cols.is_multiple_of(smaller.block_len()) { smaller } else { F16 })
}

/// Whether a matrix of this type is garbage unless an importance matrix guides the encoder.
pub(super) fn requires_importance(mix: Option<Mix>, role: Role, ty: TensorType) -> bool {
    let matters = !matches!(role, Role::Output | Role::Embedding);
    matters
        && match ty {
            IQ1_S | IQ1_M | IQ2_XXS | IQ2_XS | IQ2_S | IQ3_XXS => true,
            Q2_K => mix == Some(Mix::Q2_K_S),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_not_whole_blocks_get_smaller_ones() {
        assert_eq!(fallback(Q4_K, 512), Some(Q4_K));
        assert_eq!(fallback(Q4_K, 576), Some(Q5_0));
        assert_eq!(fallback(IQ2_S, 96), Some(IQ4_NL));
        assert_eq!(fallback(Q6_K, 100), Some(F16));
        assert_eq!(fallback(Q4_0, 100), Some(F16));
        assert_eq!(fallback(Q1_0, 64), None);
    }
}
