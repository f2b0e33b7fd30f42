//! Float types.

use quant::{TensorType, bf16_to_f32};

use super::{FloatFormat, Primitives, u16_at};
use crate::simd::Simd;

pub(in super::super) struct F32;
pub(in super::super) struct F16;
pub(in super::super) struct Bf16;

impl FloatFormat for F32 {
    const TY: TensorType = TensorType::F32;
    const BYTES: usize = 4;
    #[inline(always)]
    fn value<P: Primitives>(_: P, bytes: &[u8]) -> f32 {
        f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    }

    #[inline(always)]
    fn load<S: Simd>(s: S, bytes: &[u8]) -> S::V {
        s.load_f32_bytes(bytes)
    }
}

impl FloatFormat for F16 {
    const TY: TensorType = TensorType::F16;
    const BYTES: usize = 2;
    #[inline(always)]
    fn value<P: Primitives>(p: P, bytes: &[u8]) -> f32 {
        p.half(u16_at(bytes))
    }

    #[inline(always)]
    fn convert<P: Primitives>(p: P, bytes: &[u8], values: &mut [[u8; 4]]) {
        p.halves(bytes, values);
    }

    #[inline(always)]
    fn load<S: Simd>(s: S, bytes: &[u8]) -> S::V {
        s.load_f16_bytes(bytes)
    }
}

impl FloatFormat for Bf16 {
    const TY: TensorType = TensorType::BF16;
    const BYTES: usize = 2;
    #[inline(always)]
    fn value<P: Primitives>(_: P, bytes: &[u8]) -> f32 {
        bf16_to_f32(u16_at(bytes))
    }

    #[inline(always)]
    fn load<S: Simd>(s: S, bytes: &[u8]) -> S::V {
        s.load_bf16_bytes(bytes)
    }
}
