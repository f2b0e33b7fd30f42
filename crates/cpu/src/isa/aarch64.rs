//! Instructions of 64-bit ARM for which stable Rust has no intrinsics. Functions are named as the
//! intrinsics are, to be replaced by them.

use std::arch::aarch64::{float32x4_t, int8x16_t, int32x4_t, uint16x4_t};
use std::arch::asm;

/// Adds to each lane the products of its four bytes in `a` and `b`.
#[inline]
#[target_feature(enable = "dotprod")]
pub fn vdotq_s32(mut acc: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: registers only, and the instruction is of the enabled feature.
    unsafe {
        asm!("sdot {0:v}.4s, {1:v}.16b, {2:v}.16b", inout(vreg) acc, in(vreg) a, in(vreg) b,
            options(pure, nomem, nostack, preserves_flags));
    }
    acc
}

/// As [`vdotq_s32`], with the four bytes of lane `LANE` of `b` for all lanes.
#[inline]
#[target_feature(enable = "dotprod")]
pub fn vdotq_laneq_s32<const LANE: i32>(
    mut acc: int32x4_t,
    a: int8x16_t,
    b: int8x16_t,
) -> int32x4_t {
    // SAFETY: registers only, and the instruction is of the enabled feature.
    unsafe {
        asm!("sdot {0:v}.4s, {1:v}.16b, {2:v}.4b[{3}]", inout(vreg) acc, in(vreg) a, in(vreg) b,
            const LANE, options(pure, nomem, nostack, preserves_flags));
    }
    acc
}

/// Adds the product of `[2][8]` bytes `a` and the transpose of `[2][8]` bytes `b`: `[2][2]` sums.
#[inline]
#[target_feature(enable = "i8mm")]
pub fn vmmlaq_s32(mut acc: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: registers only, and the instruction is of the enabled feature.
    unsafe {
        asm!("smmla {0:v}.4s, {1:v}.16b, {2:v}.16b", inout(vreg) acc, in(vreg) a, in(vreg) b,
            options(pure, nomem, nostack, preserves_flags));
    }
    acc
}

/// Converts half floats. The intrinsic asks for half-float arithmetic, which the instruction
/// doesn't need.
#[inline]
#[target_feature(enable = "neon")]
pub fn vcvt_f32_f16(a: uint16x4_t) -> float32x4_t {
    let v: float32x4_t;
    // SAFETY: registers only, and every processor has the instruction.
    unsafe {
        asm!("fcvtl {0:v}.4s, {1:v}.4h", out(vreg) v, in(vreg) a,
            options(pure, nomem, nostack, preserves_flags));
    }
    v
}

/// Rounds to half floats, to nearest even.
#[inline]
#[target_feature(enable = "neon")]
pub fn vcvt_f16_f32(a: float32x4_t) -> uint16x4_t {
    let v: uint16x4_t;
    // SAFETY: registers only, and every processor has the instruction.
    unsafe {
        asm!("fcvtn {0:v}.4h, {1:v}.4s", out(vreg) v, in(vreg) a,
            options(pure, nomem, nostack, preserves_flags));
    }
    v
}
