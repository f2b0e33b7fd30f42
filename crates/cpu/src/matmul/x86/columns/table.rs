//! Types of 4-bit codes that number the values of a table.

use quant::half_of_e8m0;

use super::super::super::formats::table::{E2M1, IQ4, Iq4Nl, Iq4Xs, Mxfp4};
use super::lanes::Lanes;
use super::legacy::nibbles;
use super::{Columns, Out, Rows};

impl Columns for Iq4Nl {
    #[inline(always)]
    unsafe fn unpack<L: Lanes>(rows: Rows<L>, out: Out<L>) {
        // SAFETY: as asked.
        unsafe {
            nibbles(rows, 2, out, |_, codes| rows.lanes.lookup(&IQ4, codes));
            out.scale(0, rows.lanes.half(rows.word(0)));
        }
    }
}

impl Columns for Mxfp4 {
    #[inline(always)]
    unsafe fn unpack<L: Lanes>(rows: Rows<L>, out: Out<L>) {
        // SAFETY: as asked.
        unsafe {
            nibbles(rows, 1, out, |_, codes| rows.lanes.lookup(&E2M1, codes));
            out.scale(0, rows.of_first(half_of_e8m0));
        }
    }
}

impl Columns for Iq4Xs {
    #[inline(always)]
    unsafe fn unpack<L: Lanes>(rows: Rows<L>, out: Out<L>) {
        let l = rows.lanes;
        // SAFETY: as asked.
        unsafe {
            for g in 0..8 {
                nibbles(rows, 8 + 16 * g, out.behind(32 * g), |_, codes| l.lookup(&IQ4, codes));
            }
            let (first, low) = (rows.word(0), rows.word(4));
            let scale = l.half(first);
            for g in 0..8u32 {
                let low = l.and(l.shr(low, 4 * g), l.splat(15));
                let high = l.and(l.shr(first, 16 + 2 * g), l.splat(3));
                let group = l.add(l.or(low, l.shl(high, 4)), l.splat((-32i32).cast_unsigned()));
                out.scale(g as usize, l.scale(scale, l.float(group)));
            }
        }
    }
}
