//! What a model can be quantised to: the names, numbers and base types of llama.cpp.

use quant::TensorType::{self, *};

/// A kind of file; discriminants are those of `general.file_type`.
#[allow(non_camel_case_types, missing_docs)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum FileType {
    F32 = 0,
    F16 = 1,
    Q4_0 = 2,
    Q4_1 = 3,
    Q8_0 = 7,
    Q5_0 = 8,
    Q5_1 = 9,
    Q2_K = 10,
    Q3_K_S = 11,
    Q3_K_M = 12,
    Q3_K_L = 13,
    Q4_K_S = 14,
    Q4_K_M = 15,
    Q5_K_S = 16,
    Q5_K_M = 17,
    Q6_K = 18,
    IQ2_XXS = 19,
    IQ2_XS = 20,
    Q2_K_S = 21,
    IQ3_XS = 22,
    IQ3_XXS = 23,
    IQ1_S = 24,
    IQ4_NL = 25,
    IQ3_S = 26,
    IQ3_M = 27,
    IQ2_S = 28,
    IQ2_M = 29,
    IQ4_XS = 30,
    IQ1_M = 31,
    BF16 = 32,
    TQ1_0 = 36,
    TQ2_0 = 37,
    MXFP4_MOE = 38,
    Q1_0 = 40,
    Q2_0 = 41,
}

/// A name that a user may ask for.
#[derive(Debug)]
pub struct Target {
    /// The name, in the spelling of llama.cpp.
    pub name: &'static str,
    /// What becomes of the file; `None` where weights are copied as they are.
    pub file_type: Option<FileType>,
    /// The type of most weights.
    pub base: TensorType,
    /// In a few words, for whom it is.
    pub about: &'static str,
}

macro_rules! targets {
    ($($name:literal => $file_type:ident, $base:ident, $about:literal;)*) => {
        &[$(Target {
            name: $name,
            file_type: Some(FileType::$file_type),
            base: TensorType::$base,
            about: $about,
        },)* Target {
            name: "COPY",
            file_type: None,
            base: F32,
            about: "weights as they are, to join shards or change metadata",
        }]
    };
}

/// All targets, smallest first in each family.
pub const TARGETS: &[Target] = targets! {
    "Q2_K_S" => Q2_K_S, Q2_K, "very small, needs an importance matrix";
    "Q2_K" => Q2_K, Q2_K, "very small, much quality lost";
    "Q3_K_S" => Q3_K_S, Q3_K, "small, quality suffers";
    "Q3_K_M" => Q3_K_M, Q3_K, "small, better where it matters";
    "Q3_K_L" => Q3_K_L, Q3_K, "small, better still";
    "Q3_K" => Q3_K_M, Q3_K, "the same as Q3_K_M";
    "Q4_K_S" => Q4_K_S, Q4_K, "good, a bit smaller than Q4_K_M";
    "Q4_K_M" => Q4_K_M, Q4_K, "good for most uses: the usual choice";
    "Q4_K" => Q4_K_M, Q4_K, "the same as Q4_K_M";
    "Q5_K_S" => Q5_K_S, Q5_K, "very good";
    "Q5_K_M" => Q5_K_M, Q5_K, "very good, a bit larger";
    "Q5_K" => Q5_K_M, Q5_K, "the same as Q5_K_M";
    "Q6_K" => Q6_K, Q6_K, "hardly to be told from the original";
    "Q8_0" => Q8_0, Q8_0, "as good as the original";
    "IQ1_S" => IQ1_S, IQ1_S, "smallest of all, needs an importance matrix";
    "IQ1_M" => IQ1_M, IQ1_M, "nearly smallest, needs an importance matrix";
    "IQ2_XXS" => IQ2_XXS, IQ2_XXS, "tiny, needs an importance matrix";
    "IQ2_XS" => IQ2_XS, IQ2_XS, "tiny, needs an importance matrix";
    "IQ2_S" => IQ2_S, IQ2_XS, "very small, needs an importance matrix";
    "IQ2_M" => IQ2_M, IQ2_S, "very small, needs an importance matrix";
    "IQ3_XXS" => IQ3_XXS, IQ3_XXS, "small, needs an importance matrix";
    "IQ3_XS" => IQ3_XS, IQ3_S, "small, needs an importance matrix";
    "IQ3_S" => IQ3_S, IQ3_S, "small, better than Q3_K_S at its size";
    "IQ3_M" => IQ3_M, IQ3_S, "small, better where it matters";
    "IQ4_XS" => IQ4_XS, IQ4_XS, "good, smaller than Q4_K_S but slower";
    "IQ4_NL" => IQ4_NL, IQ4_NL, "good, for rows that IQ4_XS can't have";
    "Q4_0" => Q4_0, Q4_0, "older and fast; Q4_K_M is better";
    "Q4_1" => Q4_1, Q4_1, "older and fast";
    "Q5_0" => Q5_0, Q5_0, "older; Q5_K_M is better";
    "Q5_1" => Q5_1, Q5_1, "older";
    "TQ1_0" => TQ1_0, TQ1_0, "for models trained with three values per weight";
    "TQ2_0" => TQ2_0, TQ2_0, "the same, faster";
    "Q1_0" => Q1_0, Q1_0, "for models trained with one bit per weight";
    "Q2_0" => Q2_0, Q2_0, "for models trained with two bits per weight";
    "MXFP4_MOE" => MXFP4_MOE, MXFP4, "experts as MXFP4, all else as Q8_0";
    "F16" => F16, F16, "half precision, for conversion only";
    "BF16" => BF16, BF16, "half precision with the range of F32";
    "F32" => F32, F32, "full precision";
};

impl Target {
    /// The target of a name, in any case, or of a number of `general.file_type`.
    pub fn named(name: &str) -> Option<&'static Self> {
        let number = name.parse().ok();
        let numbered = |target: &Target| target.file_type.map(|ty| ty as u32) == number;
        TARGETS
            .iter()
            .find(|target| target.name.eq_ignore_ascii_case(name))
            .or_else(|| number.and_then(|_| TARGETS.iter().find(|target| numbered(target))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_found_by_name_and_number() {
        assert_eq!(TARGETS.len(), 39);
        for target in TARGETS {
            assert_eq!(Target::named(&target.name.to_lowercase()).unwrap().name, target.name);
            if let Some(ty) = target.file_type {
                let by_number = Target::named(&(ty as u32).to_string()).unwrap();
                assert_eq!(by_number.file_type, Some(ty));
            }
        }
        assert!(Target::named("Q9").is_none() && Target::named("4").is_none());
    }
}
