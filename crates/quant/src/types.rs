//! The table of tensor types.

use thiserror::Error;

use crate::{float, fp4, iq, iq1, iq4, k, legacy, ternary};

/// Decodes whole blocks: `src.len() / block_bytes * block_len == dst.len()`.
pub type Decode = fn(src: &[u8], dst: &mut [f32]);

/// Encodes whole blocks; the optional second slice weighs each value's error (importance of the
/// columns, same length as `src`). With that, `src` is one row: Q4 and Q5 of blocks of 32 values look at all of it.
pub type Encode = fn(src: &[f32], importance: Option<&[f32]>, dst: &mut [u8]);

/// What is known of one tensor type.
#[derive(Debug)]
pub struct TypeInfo {
    /// The type this row describes.
    pub ty: TensorType,
    /// Name as llama.cpp prints it, for example `q4_K`.
    pub name: &'static str,
    /// Values per block.
    pub block_len: usize,
    /// Bytes per block.
    pub block_bytes: usize,
    /// Block decoder; `None` for types that never hold weights.
    pub decode: Option<Decode>,
    /// Block encoder; there is one where there is a decoder.
    pub encode: Option<Encode>,
}

/// Why a tensor type id was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TypeError {
    /// The id was once assigned, but files with it are no longer valid.
    #[error(
        "tensor type {id} ({name}) was retired from the GGUF format; download the model again or \
         requantise it from its source to {instead}"
    )]
    Retired {
        /// The id in the file.
        id: u32,
        /// What the id meant.
        name: &'static str,
        /// The type that replaced it.
        instead: &'static str,
    },
    /// The id is not assigned in any version of the format known here.
    #[error("tensor type {id} is unknown; the file is damaged or newer than this program")]
    Unknown {
        /// The id in the file.
        id: u32,
    },
}

macro_rules! tensor_types {
    ($($ty:ident = $id:literal, $name:literal, $len:literal / $bytes:literal, $decode:expr, $encode:expr;)*) => {
        /// A GGUF tensor type; discriminants are the ids in files.
        #[allow(non_camel_case_types, missing_docs)]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum TensorType { $($ty = $id,)* }

        /// All types, in the order of their ids.
        static TABLE: &[TypeInfo] = &[$(TypeInfo {
            ty: TensorType::$ty,
            name: $name,
            block_len: $len,
            block_bytes: $bytes,
            decode: $decode,
            encode: $encode,
        },)*];
    };
}

tensor_types! {
    F32     = 0,  "f32",     1 / 4,     Some(float::decode_f32), Some(float::encode_f32);
    F16     = 1,  "f16",     1 / 2,     Some(float::decode_f16), Some(float::encode_f16);
    Q4_0    = 2,  "q4_0",    32 / 18,   Some(legacy::decode_q4_0), Some(legacy::encode_q4_0);
    Q4_1    = 3,  "q4_1",    32 / 20,   Some(legacy::decode_q4_1), Some(legacy::encode_q4_1);
    Q5_0    = 6,  "q5_0",    32 / 22,   Some(legacy::decode_q5_0), Some(legacy::encode_q5_0);
    Q5_1    = 7,  "q5_1",    32 / 24,   Some(legacy::decode_q5_1), Some(legacy::encode_q5_1);
    Q8_0    = 8,  "q8_0",    32 / 34,   Some(legacy::decode_q8_0), Some(legacy::encode_q8_0);
    Q8_1    = 9,  "q8_1",    32 / 36,   None, None;
    Q2_K    = 10, "q2_K",    256 / 84,  Some(k::decode_q2_k), Some(k::encode_q2_k);
    Q3_K    = 11, "q3_K",    256 / 110, Some(k::decode_q3_k), Some(k::encode_q3_k);
    Q4_K    = 12, "q4_K",    256 / 144, Some(k::decode_q4_k), Some(k::encode_q4_k);
    Q5_K    = 13, "q5_K",    256 / 176, Some(k::decode_q5_k), Some(k::encode_q5_k);
    Q6_K    = 14, "q6_K",    256 / 210, Some(k::decode_q6_k), Some(k::encode_q6_k);
    Q8_K    = 15, "q8_K",    256 / 292, None, None;
    IQ2_XXS = 16, "iq2_xxs", 256 / 66,  Some(iq::decode_iq2_xxs), Some(iq::encode_iq2_xxs);
    IQ2_XS  = 17, "iq2_xs",  256 / 74,  Some(iq::decode_iq2_xs), Some(iq::encode_iq2_xs);
    IQ3_XXS = 18, "iq3_xxs", 256 / 98,  Some(iq::decode_iq3_xxs), Some(iq::encode_iq3_xxs);
    IQ1_S   = 19, "iq1_s",   256 / 50,  Some(iq1::decode_iq1_s), Some(iq1::encode_iq1_s);
    IQ4_NL  = 20, "iq4_nl",  32 / 18,   Some(iq4::decode_iq4_nl), Some(iq4::encode_iq4_nl);
    IQ3_S   = 21, "iq3_s",   256 / 110, Some(iq::decode_iq3_s), Some(iq::encode_iq3_s);
    IQ2_S   = 22, "iq2_s",   256 / 82,  Some(iq::decode_iq2_s), Some(iq::encode_iq2_s);
    IQ4_XS  = 23, "iq4_xs",  256 / 136, Some(iq4::decode_iq4_xs), Some(iq4::encode_iq4_xs);
    I8      = 24, "i8",      1 / 1,     None, None;
    I16     = 25, "i16",     1 / 2,     None, None;
    I32     = 26, "i32",     1 / 4,     None, None;
    I64     = 27, "i64",     1 / 8,     None, None;
    F64     = 28, "f64",     1 / 8,     None, None;
    IQ1_M   = 29, "iq1_m",   256 / 56,  Some(iq1::decode_iq1_m), Some(iq1::encode_iq1_m);
    BF16    = 30, "bf16",    1 / 2,     Some(float::decode_bf16), Some(float::encode_bf16);
    TQ1_0   = 34, "tq1_0",   256 / 54,  Some(ternary::decode_tq1_0), Some(ternary::encode_tq1_0);
    TQ2_0   = 35, "tq2_0",   256 / 66,  Some(ternary::decode_tq2_0), Some(ternary::encode_tq2_0);
    MXFP4   = 39, "mxfp4",   32 / 17,   Some(fp4::decode_mxfp4), Some(fp4::encode_mxfp4);
    NVFP4   = 40, "nvfp4",   64 / 36,   Some(fp4::decode_nvfp4), Some(fp4::encode_nvfp4);
    Q1_0    = 41, "q1_0",    128 / 18,  Some(ternary::decode_q1_0), Some(ternary::encode_q1_0);
    Q2_0    = 42, "q2_0",    64 / 18,   Some(ternary::decode_q2_0), Some(ternary::encode_q2_0);
}

/// Ids that old files may carry: id, former name, replacement.
const RETIRED: &[(u32, &str, &str)] = &[
    (4, "q4_2", "q4_0"),
    (5, "q4_3", "q4_1"),
    (31, "q4_0_4_4", "q4_0"),
    (32, "q4_0_4_8", "q4_0"),
    (33, "q4_0_8_8", "q4_0"),
    (36, "iq4_nl_4_4", "iq4_nl"),
    (37, "iq4_nl_4_8", "iq4_nl"),
    (38, "iq4_nl_8_8", "iq4_nl"),
];

impl TensorType {
    /// Every type, in the order of ids.
    pub fn all() -> impl Iterator<Item = TensorType> {
        TABLE.iter().map(|info| info.ty)
    }

    /// The type with this id in GGUF files.
    pub fn from_id(id: u32) -> Result<Self, TypeError> {
        if let Ok(at) = TABLE.binary_search_by_key(&id, |info| info.ty as u32) {
            return Ok(TABLE[at].ty);
        }
        match RETIRED.iter().find(|(retired, ..)| *retired == id) {
            Some(&(id, name, instead)) => Err(TypeError::Retired { id, name, instead }),
            None => Err(TypeError::Unknown { id }),
        }
    }

    /// The type with this name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        TABLE.iter().find(|info| info.name.eq_ignore_ascii_case(name)).map(|info| info.ty)
    }

    /// The type's row of the table.
    pub fn info(self) -> &'static TypeInfo {
        let at = TABLE.binary_search_by_key(&(self as u32), |info| info.ty as u32);
        &TABLE[at.expect("every type has a row")]
    }

    /// Name as llama.cpp prints it, for example `q4_K`.
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// Values per block.
    pub fn block_len(self) -> usize {
        self.info().block_len
    }

    /// Bytes per block.
    pub fn block_bytes(self) -> usize {
        self.info().block_bytes
    }

    /// Bytes of a row of `len` values; `None` where `len` is not a whole number of blocks or the
    /// size overflows.
    pub fn row_bytes(self, len: usize) -> Option<usize> {
        let info = self.info();
        if !len.is_multiple_of(info.block_len) {
            return None;
        }
        (len / info.block_len).checked_mul(info.block_bytes)
    }
}

impl std::fmt::Display for TensorType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_ordered_and_ids_round_trip() {
        assert!(TABLE.windows(2).all(|pair| (pair[0].ty as u32) < pair[1].ty as u32));
        for ty in TensorType::all() {
            assert_eq!(TensorType::from_id(ty as u32), Ok(ty));
            assert_eq!(TensorType::from_name(ty.name()), Some(ty));
        }
        assert!(matches!(TensorType::from_id(31), Err(TypeError::Retired { .. })));
        assert!(matches!(TensorType::from_id(43), Err(TypeError::Unknown { .. })));
    }

    #[test]
    fn row_bytes_needs_whole_blocks() {
        assert_eq!(TensorType::Q4_1.row_bytes(576), Some(360));
        assert_eq!(TensorType::Q4_K.row_bytes(576), None);
        assert_eq!(TensorType::F64.row_bytes(usize::MAX), None);
    }
}
