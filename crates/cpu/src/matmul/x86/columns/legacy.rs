//! Types of 32-value blocks.

use super::super::super::formats::legacy::{Q4_0, Q4_1, Q5_0, Q5_1, Q8_0};
use super::lanes::Lanes;
use super::{Columns, Out, Rows};

impl Columns for Q4_0 {
    #[inline(always)]
    unsafe fn unpack<L: Lanes>(rows: Rows<L>, out: Out<L>) {
        // SAFETY: as asked.
        unsafe {
            nibbles(rows, 2, out, |_, codes| codes);
            out.scale(0, rows.lanes.half(rows.word(0)));
        }
    }
}

impl Columns for Q4_1 {
    #[inline(always)]
    unsafe fn unpack<L: Lanes>(rows: Rows<L>, out: Out<L>) {
        // SAFETY: as asked.
        unsafe {
            nibbles(rows, 4, out, |_, codes| codes);
            scale_and_min(rows, out);
        }
    }
}

impl Columns for Q5_0 {
    #[inline(always)]
    unsafe fn unpack<L: Lanes>(rows: Rows<L>, out: Out<L>) {
        // SAFETY: as asked.
        unsafe {
            let bits = rows.word(2);
            nibbles(rows, 6, out, |i, codes| with_fifth(rows.lanes, codes, bits, i));
            out.scale(0, rows.lanes.half(rows.word(0)));
        }
    }
}

impl Columns for Q5_1 {
    #[inline(always)]
    unsafe fn unpack<L: Lanes>(rows: Rows<L>, out: Out<L>) {
        // SAFETY: as asked.
        unsafe {
            let bits = rows.word(4);
            nibbles(rows, 8, out, |i, codes| with_fifth(rows.lanes, codes, bits, i));
            scale_and_min(rows, out);
        }
    }
}

impl Columns for Q8_0 {
    #[inline(always)]
    unsafe fn unpack<L: Lanes>(rows: Rows<L>, out: Out<L>) {
        let l = rows.lanes;
        // SAFETY: as asked.
        unsafe {
            for half in 0..2 {
                for (i, codes) in rows.quad(2 + 16 * half).into_iter().enumerate() {
                    out.codes(4 * half + i, l.xor(codes, l.splat(0x8080_8080)));
                }
            }
            out.scale(0, l.half(rows.word(0)));
        }
    }
}

/// 32 codes from 16 bytes: the low nibbles, then the high ones. `finish(i, codes)` makes codes
/// `4 i..4 i + 4` of these.
///
/// # Safety
/// As [`Columns::unpack`].
#[inline(always)]
pub(super) unsafe fn nibbles<L: Lanes>(
    rows: Rows<L>,
    at: usize,
    out: Out<L>,
    finish: impl Fn(usize, L::Words) -> L::Words,
) {
    let l = rows.lanes;
    let mask = l.splat(0x0f0f_0f0f);
    // SAFETY: as asked.
    unsafe {
        for (i, bytes) in rows.quad(at).into_iter().enumerate() {
            out.codes(i, finish(i, l.and(bytes, mask)));
            out.codes(4 + i, finish(4 + i, l.and(l.shr(bytes, 4), mask)));
        }
    }
}

/// Sets bit 4 of codes where bits `4 i..4 i + 4` are set.
#[inline(always)]
fn with_fifth<L: Lanes>(l: L, codes: L::Words, bits: L::Words, i: usize) -> L::Words {
    let four = l.and(l.shr(bits, 4 * i as u32), l.splat(15));
    // Each bit goes to the bottom of its byte.
    let apart = l.and(l.mul(four, l.splat(0x0020_4081)), l.splat(0x0101_0101));
    l.or(codes, l.shl(apart, 4))
}

#[inline(always)]
unsafe fn scale_and_min<L: Lanes>(rows: Rows<L>, out: Out<L>) {
    // SAFETY: blocks begin with both.
    unsafe {
        let both = rows.word(0);
        out.scale(0, rows.lanes.half(both));
        out.min(0, rows.lanes.half(rows.lanes.shr(both, 16)));
    }
}
