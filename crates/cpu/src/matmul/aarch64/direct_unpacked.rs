//! Direct products with types whose blocks are first unpacked, as for panels.

use std::arch::aarch64::*;

use super::super::activation::Codes;
use super::super::formats::Format;
use super::super::kernels::{DIRECT_ROWS, Strip};
use super::Neon;
use super::dot::Dot;

/// `n_rows` rows times `T` columns.
///
/// # Safety
/// Inlined where the instructions of `D` are enabled.
#[inline(always)]
pub(super) unsafe fn direct<F: Format, D: Dot, const T: usize>(
    rows: &[u8],
    n_rows: usize,
    x: Codes<'_>,
    out: &mut Strip,
) {
    let row_bytes = x.cols / F::LEN * F::BYTES;
    assert!(n_rows <= DIRECT_ROWS && rows.len() == n_rows * row_bytes);
    assert!(x.codes.len() >= T * x.cols && x.pairs.len() >= T * x.cols / 32);
    assert!(x.sums.len() >= T * x.cols / 16 && x.cols.is_multiple_of(F::LEN));
    let mut block = Block { codes: [0; 256], scales: [0.0; 16], mins: [0.0; 16] };
    let n_groups = F::LEN / F::GROUP;
    for (r, row) in rows.chunks_exact(row_bytes.max(1)).enumerate() {
        let mut acc = [Sum { products: vdup(0.0), mins: 0.0 }; T];
        for (b, bytes) in row.chunks_exact(F::BYTES).enumerate() {
            let Block { codes, scales, mins } = &mut block;
            let mins = if F::MINS { &mut mins[..n_groups] } else { &mut [] };
            F::unpack(Neon, bytes, &mut codes[..F::LEN], &mut scales[..n_groups], mins);
            // SAFETY: `b` is a block of `x`, whose lengths are checked above.
            unsafe { add_block::<F, D, T>(&block, x, b * F::LEN, &mut acc) };
        }
        for (out, acc) in out.iter_mut().zip(acc) {
            // SAFETY: registers only.
            out[r] = unsafe { vaddvq_f32(acc.products) } + acc.mins;
        }
    }
}

/// An unpacked block.
struct Block {
    codes: [u8; 256],
    scales: [f32; 16],
    mins: [f32; 16],
}

/// Of a row and a column.
#[derive(Clone, Copy)]
struct Sum {
    /// In lanes yet to be summed.
    products: float32x4_t,
    mins: f32,
}

#[inline(always)]
fn vdup(value: f32) -> float32x4_t {
    // SAFETY: NEON is part of the target.
    unsafe { vdupq_n_f32(value) }
}

/// Adds the products of a block and the values of each column from `first`. Sums of a column are
/// independent of the other columns.
///
/// # Safety
/// The columns have `F::LEN` values from `first`; otherwise as [`direct`].
#[inline(always)]
unsafe fn add_block<F: Format, D: Dot, const T: usize>(
    block: &Block,
    x: Codes<'_>,
    first: usize,
    acc: &mut [Sum; T],
) {
    // SAFETY: as asked; a block has at most 256 values.
    unsafe {
        let offset = vdupq_n_u8(F::OFFSET);
        for g in 0..F::LEN / F::GROUP {
            // Groups have one or two registers of codes.
            let codes = block.codes.as_ptr().add(g * F::GROUP);
            let codes = |i: usize| vreinterpretq_s8_u8(vsubq_u8(vld1q_u8(codes.add(i)), offset));
            let [low, high] = [codes(0), codes(F::GROUP - 16)];
            for (t, acc) in acc.iter_mut().enumerate() {
                let at = t * x.cols + first + g * F::GROUP;
                let values = x.codes.as_ptr().add(at);
                let mut dot = D::bytes(vdupq_n_s32(0), low, vld1q_s8(values));
                if F::GROUP == 32 {
                    dot = D::bytes(dot, high, vld1q_s8(values.add(16)));
                }
                let [x_scale, x_sum] = x.pairs.as_ptr().add(at / 32).read();
                let scale = block.scales[g] * x_scale;
                acc.products = vfmaq_n_f32(acc.products, vcvtq_f32_s32(dot), scale);
                if F::MINS {
                    let sum = x.sums.as_ptr().add(at / 16).read();
                    let sum = if F::GROUP == 32 { x_sum } else { x_scale * f32::from(sum) };
                    acc.mins = block.mins[g].mul_add(sum, acc.mins);
                }
            }
        }
    }
}
