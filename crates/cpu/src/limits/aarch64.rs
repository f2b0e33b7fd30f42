//! Loops over the registers of 64-bit ARM. There are as many accumulators as hide the latency.

use std::arch::aarch64::*;
use std::hint::black_box;

use super::Loop;
use crate::isa::Isa;
use crate::isa::aarch64::{vdotq_s32, vmmlaq_s32};

pub(super) fn int8(isa: Isa) -> Option<Loop> {
    match isa {
        Isa::I8mm => Some(Loop { run: mmla, operations: 16 * 64 }),
        Isa::Dotprod => Some(Loop { run: dot, operations: 16 * 32 }),
        Isa::Neon => Some(Loop { run: mull, operations: 16 * 32 }),
        _ => None,
    }
}

pub(super) fn f32(isa: Isa) -> Option<Loop> {
    match isa {
        Isa::I8mm | Isa::Dotprod | Isa::Neon => Some(Loop { run: fma, operations: 16 * 8 }),
        _ => None,
    }
}

#[target_feature(enable = "neon,i8mm")]
fn mmla(rounds: usize) {
    let mut acc = [vdupq_n_s32(0); 16];
    let (a, b) = (black_box(vdupq_n_s8(3)), black_box(vdupq_n_s8(5)));
    for _ in 0..rounds {
        for acc in &mut acc {
            *acc = vmmlaq_s32(*acc, a, b);
        }
    }
    black_box(acc);
}

#[target_feature(enable = "neon,dotprod")]
fn dot(rounds: usize) {
    let mut acc = [vdupq_n_s32(0); 16];
    let (a, b) = (black_box(vdupq_n_s8(3)), black_box(vdupq_n_s8(5)));
    for _ in 0..rounds {
        for acc in &mut acc {
            *acc = vdotq_s32(*acc, a, b);
        }
    }
    black_box(acc);
}

/// Products depend on the sums, or they would be computed once.
#[target_feature(enable = "neon")]
fn mull(rounds: usize) {
    let mut acc = [vdupq_n_s32(0); 16];
    let a = black_box(vdupq_n_s8(3));
    for _ in 0..rounds {
        for acc in &mut acc {
            let bytes = vreinterpretq_s8_s32(*acc);
            let low = vmull_s8(vget_low_s8(bytes), vget_low_s8(a));
            *acc = vpadalq_s16(*acc, vmlal_high_s8(low, bytes, a));
        }
    }
    black_box(acc);
}

#[target_feature(enable = "neon")]
fn fma(rounds: usize) {
    let mut acc = [vdupq_n_f32(0.0); 16];
    let (a, b) = (black_box(vdupq_n_f32(0.5)), black_box(vdupq_n_f32(0.25)));
    for _ in 0..rounds {
        for acc in &mut acc {
            *acc = vfmaq_f32(b, *acc, a);
        }
    }
    black_box(acc);
}
