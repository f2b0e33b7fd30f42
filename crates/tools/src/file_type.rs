//! `general.file_type`: what most weights of a file are, by llama.cpp's numbers.

use quant::TensorType::{self as T, *};

/// Number, name, and the tensor type of files whose matrices all have one.
const FILE_TYPES: &[(u32, &str, Option<T>)] = &[
    (0, "F32", Some(F32)),
    (1, "F16", Some(F16)),
    (2, "Q4_0", Some(Q4_0)),
    (3, "Q4_1", Some(Q4_1)),
    (7, "Q8_0", Some(Q8_0)),
    (8, "Q5_0", Some(Q5_0)),
    (9, "Q5_1", Some(Q5_1)),
    (10, "Q2_K", None),
    (11, "Q3_K_S", Some(Q3_K)),
    (12, "Q3_K_M", None),
    (13, "Q3_K_L", None),
    (14, "Q4_K_S", Some(Q4_K)),
    (15, "Q4_K_M", None),
    (16, "Q5_K_S", Some(Q5_K)),
    (17, "Q5_K_M", None),
    (18, "Q6_K", Some(Q6_K)),
    (19, "IQ2_XXS", Some(IQ2_XXS)),
    (20, "IQ2_XS", Some(IQ2_XS)),
    (21, "Q2_K_S", Some(Q2_K)),
    (22, "IQ3_XS", None),
    (23, "IQ3_XXS", Some(IQ3_XXS)),
    (24, "IQ1_S", Some(IQ1_S)),
    (25, "IQ4_NL", Some(IQ4_NL)),
    (26, "IQ3_S", Some(IQ3_S)),
    (27, "IQ3_M", None),
    (28, "IQ2_S", Some(IQ2_S)),
    (29, "IQ2_M", None),
    (30, "IQ4_XS", Some(IQ4_XS)),
    (31, "IQ1_M", Some(IQ1_M)),
    (32, "BF16", Some(BF16)),
    (36, "TQ1_0", Some(TQ1_0)),
    (37, "TQ2_0", Some(TQ2_0)),
    (38, "MXFP4", Some(MXFP4)),
    (39, "NVFP4", Some(NVFP4)),
    (40, "Q1_0", Some(Q1_0)),
    (41, "Q2_0", Some(Q2_0)),
];

/// The name of a number.
pub(crate) fn name(number: u32) -> Option<&'static str> {
    FILE_TYPES.iter().find(|entry| entry.0 == number).map(|entry| entry.1)
}

/// The number of a name.
pub(crate) fn number(name: &str) -> Option<u32> {
    FILE_TYPES.iter().find(|entry| entry.1 == name).map(|entry| entry.0)
}

/// The number of files whose matrices are all of this type.
pub(crate) fn of_tensors(ty: T) -> Option<u32> {
    FILE_TYPES.iter().find(|entry| entry.2 == Some(ty)).map(|entry| entry.0)
}

/// Whether most weights of a file of this number may be of this type; mixtures have several.
pub(crate) fn suits(number: u32, ty: T) -> bool {
    let most: &[T] = match number {
        10 => &[Q2_K, Q3_K],
        12 | 13 => &[Q3_K, Q4_K, Q5_K],
        15 => &[Q4_K, Q5_K, Q6_K],
        17 => &[Q5_K, Q6_K],
        22 | 27 => &[IQ3_S, IQ3_XXS],
        24 | 31 => &[IQ1_S, IQ1_M, IQ2_XXS],
        19 | 20 | 28 | 29 => &[IQ2_XXS, IQ2_XS, IQ2_S],
        // Small models: the token embedding is most of it.
        _ => match FILE_TYPES.iter().find(|entry| entry.0 == number) {
            Some((_, _, Some(own))) => return ty == *own || ty == Q6_K || ty == Q8_0,
            _ => return true,
        },
    };
    most.contains(&ty) || ty == Q6_K || ty == Q8_0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_weights_have_a_number() {
        for ty in T::all().filter(|ty| ty.info().encode.is_some()) {
            assert!(of_tensors(ty).is_some(), "{ty}");
        }
        assert_eq!(of_tensors(Q4_K).and_then(name), Some("Q4_K_S"));
        assert_eq!(number("Q4_K_M"), Some(15));
        assert_eq!(name(4), None);
        assert!(suits(15, Q4_K) && suits(2, Q4_0) && suits(1, F16));
        assert!(!suits(15, F16) && !suits(2, Q4_1) && !suits(1, F32));
    }
}
