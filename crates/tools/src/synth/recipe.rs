//! Which type each tensor of a file gets.

use quant::TensorType;

use super::shape::Role;
use crate::file_type;

/// Types for the tensors of a file.
///
/// A plain recipe gives all matrices one type. `Q4_K_M` and `Q5_K_M` are llama.cpp's mixtures:
/// matrices are Q4_K or Q5_K, but Q6_K are the output matrix (or the token embedding that serves as
/// one), and in half of the layers (the first and last eighth, and every third between) the values
/// of attention and the last product of the feed-forward. Norms and routers are always F32.
///
/// A matrix whose rows are not whole blocks gets the nearest type with blocks of 32 values, as in
/// llama.cpp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipe {
    base: TensorType,
    /// The base is mixed with Q6_K.
    mixed: bool,
}

const MIXED: [(&str, TensorType); 2] = [("Q4_K_M", TensorType::Q4_K), ("Q5_K_M", TensorType::Q5_K)];

impl Recipe {
    /// The recipe of this name, in any case: that of a mixture, or of a tensor type that can be
    /// written.
    pub fn named(name: &str) -> Option<Self> {
        let mixed = MIXED.iter().find(|(mixed, _)| mixed.eq_ignore_ascii_case(name));
        match mixed {
            Some(&(_, base)) => Some(Self { base, mixed: true }),
            None => TensorType::from_name(name)
                .filter(|&base| is_writable(base))
                .map(|base| Self { base, mixed: false }),
        }
    }

    /// Names of all recipes.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let plain = TensorType::all().filter(|&ty| is_writable(ty)).map(TensorType::name);
        plain.chain(MIXED.iter().map(|(name, _)| *name))
    }

    /// The recipe's number in `general.file_type`.
    pub(super) fn file_type(self) -> Option<u32> {
        let mixed = MIXED.iter().find(|(_, base)| self.mixed && *base == self.base);
        match mixed {
            Some((name, _)) => file_type::number(name),
            None => file_type::of_tensors(self.base),
        }
    }

    /// The type of a tensor with rows of `cols` values in a model of `n_layer` layers.
    pub(super) fn tensor_type(self, role: Role, cols: usize, n_layer: usize) -> TensorType {
        let ty = match role {
            Role::Norm | Role::Router => return TensorType::F32,
            Role::Output if self.mixed => TensorType::Q6_K,
            Role::Values(il) | Role::Down(il) if self.mixed && more_bits(il, n_layer) => {
                TensorType::Q6_K
            }
            _ => self.base,
        };
        if cols.is_multiple_of(ty.block_len()) { ty } else { smaller_blocks(ty) }
    }
}

impl Default for Recipe {
    fn default() -> Self {
        Self { base: TensorType::Q4_K, mixed: true }
    }
}

fn is_writable(ty: TensorType) -> bool {
    ty.info().encode.is_some()
}

/// Whether a mixture spends more bits on layer `il`.
fn more_bits(il: usize, n_layer: usize) -> bool {
    let eighth = n_layer / 8;
    il < eighth || il >= 7 * n_layer / 8 || (il - eighth) % 3 == 2
}

/// The type with blocks of 32 values that replaces one with larger blocks.
fn smaller_blocks(ty: TensorType) -> TensorType {
    match ty {
        TensorType::Q4_K => TensorType::Q5_0,
        TensorType::Q5_K => TensorType::Q5_1,
        TensorType::Q6_K => TensorType::Q8_0,
        TensorType::Q1_0
        | TensorType::Q2_0
        | TensorType::Q2_K
        | TensorType::Q3_K
        | TensorType::TQ1_0
        | TensorType::TQ2_0 => TensorType::Q4_0,
        _ => TensorType::IQ4_NL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixtures_spend_more_bits_where_llama_cpp_does() {
        let raised: Vec<usize> = (0..16).filter(|&il| more_bits(il, 16)).collect();
        assert_eq!(raised, [0, 1, 4, 7, 10, 13, 14, 15]);
        let recipe = Recipe::named("q4_k_m").unwrap();
        assert_eq!(recipe, Recipe::default());
        assert_eq!(recipe.tensor_type(Role::Output, 2048, 16), TensorType::Q6_K);
        assert_eq!(recipe.tensor_type(Role::Down(2), 8192, 16), TensorType::Q4_K);
        assert_eq!(recipe.tensor_type(Role::Down(4), 8192, 16), TensorType::Q6_K);
        assert_eq!(recipe.tensor_type(Role::Matrix, 576, 30), TensorType::Q5_0);
        assert_eq!(recipe.tensor_type(Role::Router, 2048, 16), TensorType::F32);
        assert_eq!(recipe.file_type(), Some(15));
    }

    #[test]
    fn every_recipe_has_a_name_and_a_number() {
        for name in Recipe::names() {
            let recipe = Recipe::named(name).unwrap();
            assert!(recipe.file_type().is_some(), "{name}");
        }
        assert_eq!(Recipe::named("q8_1"), None);
        assert_eq!(Recipe::named("q4"), None);
    }
}
