//! Types of 256-value blocks whose group scales are small integers.

use std::array::from_fn;

use super::super::super::formats::kquant::{Q2K, Q3K, Q4K, Q5K, Q6K};
use super::lanes::Lanes;
use super::{Columns, Out, Rows, WholeByColumns};

/// The lowest two bits of each byte.
const PAIRS: u32 = 0x0303_0303;
/// The lowest bit of each byte.
const BITS: u32 = 0x0101_0101;
/// The low nibble of each byte.
const NIBBLES: u32 = 0x0f0f_0f0f;

impl Columns for Q2K {
    #[inline(always)]
    unsafe fn unpack<L: Lanes>(rows: Rows<L>, out: Out<L>) {
        let l = rows.lanes;
        // SAFETY: as asked.
        unsafe {
            bit_pairs(rows, 16, out, |_, codes| codes);
            let both = rows.word(80);
            let (scale, min) = (l.half(both), l.negate(l.half(l.shr(both, 16))));
            for (i, groups) in rows.quad(0).into_iter().enumerate() {
                for byte in 0..4 {
                    let nibble = |bits| l.float(l.and(l.shr(groups, bits), l.splat(15)));
                    out.scale(4 * i + byte as usize, l.scale(scale, nibble(8 * byte)));
                    out.min(4 * i + byte as usize, l.scale(min, nibble(8 * byte + 4)));
                }
            }
        }
    }
}

impl WholeByColumns for Q2K {
    #[inline(always)]
    unsafe fn unpack_whole<L: Lanes>(rows: Rows<L>, out: Out<L>) {
        let l = rows.lanes;
        // SAFETY: as asked.
        unsafe {
            let groups = rows.quad(0);
            let scales = sixteen_doubled(l, groups, 15);
            // Products are at most 45, so no byte carries.
            bit_pairs(rows, 16, out, |i, codes| l.mul16(codes, scales[i / 4]));
            let both = rows.word(80);
            out.scale(0, l.half(both));
            out.min(0, l.negate(l.half(l.shr(both, 16))));
            for (i, groups) in groups.into_iter().enumerate() {
                for pair in 0..2 {
                    let first = l.and(l.shr(groups, 16 * pair + 4), l.splat(15));
                    let second = l.and(l.shr(groups, 16 * pair + 12), l.splat(15));
                    out.min_codes(2 * i + pair as usize, l.or(first, l.shl(second, 16)));
                }
            }
        }
    }
}

impl Columns for Q3K {
    #[inline(always)]
    unsafe fn unpack<L: Lanes>(rows: Rows<L>, out: Out<L>) {
        let l = rows.lanes;
        // SAFETY: as asked.
        unsafe {
            three_bits(rows, out, |_, codes| codes);
            let scale = l.half(rows.word(108));
            for (i, groups) in sixteen_six_bit(rows).into_iter().enumerate() {
                for byte in 0..4 {
                    let group = l.and(l.shr(groups, 8 * byte), l.splat(0xff));
                    let group = l.add(group, l.splat((-32i32).cast_unsigned()));
                    out.scale(4 * i + byte as usize, l.scale(scale, l.float(group)));
                }
            }
        }
    }
}

impl WholeByColumns for Q3K {
    #[inline(always)]
    unsafe fn unpack_whole<L: Lanes>(rows: Rows<L>, out: Out<L>) {
        let l = rows.lanes;
        // SAFETY: as asked.
        unsafe {
            let scales = sixteen_doubled(l, sixteen_six_bit(rows), 0xff);
            // `(scale - 32) · (code - 4)` is -124 to 128. Its negative plus 128 is `(32 - scale) · code
            // + 4 · scale`, and right for two bytes at once, whatever carries meanwhile.
            let factors: [L::Words; 16] = from_fn(|g| l.sub16(l.splat(0x0020_0020), scales[g]));
            let starts: [L::Words; 16] = from_fn(|g| l.mul16(scales[g], l.splat(0x0404_0404)));
            three_bits(rows, out, |i, codes| {
                l.add16(l.mul16(codes, factors[i / 4]), starts[i / 4])
            });
            out.scale(0, l.negate(l.half(rows.word(108))));
        }
    }
}

impl Columns for Q4K {
    #[inline(always)]
    unsafe fn unpack<L: Lanes>(rows: Rows<L>, out: Out<L>) {
        // SAFETY: as asked.
        unsafe {
            nibbles(rows, 16, out, |_, codes| codes);
            scales_and_mins(rows, out);
        }
    }
}

impl Columns for Q5K {
    #[inline(always)]
    unsafe fn unpack<L: Lanes>(rows: Rows<L>, out: Out<L>) {
        let l = rows.lanes;
        // SAFETY: as asked.
        unsafe {
            let fifths = [rows.quad(16), rows.quad(32)];
            nibbles(rows, 48, out, |i, codes| {
                let fifth = l.shr(fifths[i / 4 % 2][i % 4], i as u32 / 8);
                l.or(codes, l.shl(l.and(fifth, l.splat(BITS)), 4))
            });
            scales_and_mins(rows, out);
        }
    }
}

impl Columns for Q6K {
    #[inline(always)]
    unsafe fn unpack<L: Lanes>(rows: Rows<L>, out: Out<L>) {
        let l = rows.lanes;
        // SAFETY: as asked.
        unsafe {
            // Of each 128 values four times 32 share the bytes of upper bits.
            for half in 0..2 {
                for q in 0..2 {
                    let at = 64 * half + 16 * q;
                    let (low, more_low) = (rows.quad(at), rows.quad(at + 32));
                    let high = rows.quad(128 + 32 * half + 16 * q);
                    for i in 0..4 {
                        let low = [low[i], more_low[i]];
                        for quarter in 0..4 {
                            let shift = quarter as u32 / 2 * 4;
                            let low = l.and(l.shr(low[quarter % 2], shift), l.splat(NIBBLES));
                            let high = l.and(l.shr(high[i], 2 * quarter as u32), l.splat(PAIRS));
                            let codes = l.or(low, l.shl(high, 4));
                            out.codes(32 * half + 8 * quarter + 4 * q + i, codes);
                        }
                    }
                }
            }
            let scale = l.half(l.shr(rows.word(206), 16));
            for (i, groups) in rows.quad(192).into_iter().enumerate() {
                for byte in 0..4 {
                    let group = l.shr_signed(l.shl(groups, 24 - 8 * byte), 24);
                    out.scale(4 * i + byte as usize, l.scale(scale, l.float(group)));
                }
            }
        }
    }
}

/// 256 codes from 128 bytes: groups of 32 take turns in the low and high nibbles of 32 bytes.
/// `finish(i, codes)` makes codes `4 i..4 i + 4` of these.
///
/// # Safety
/// As [`Columns::unpack`].
#[inline(always)]
unsafe fn nibbles<L: Lanes>(
    rows: Rows<L>,
    at: usize,
    out: Out<L>,
    finish: impl Fn(usize, L::Words) -> L::Words,
) {
    let l = rows.lanes;
    let mask = l.splat(NIBBLES);
    // SAFETY: as asked.
    unsafe {
        for q in 0..8 {
            for (i, bytes) in rows.quad(at + 16 * q).into_iter().enumerate() {
                let low = q / 2 * 16 + q % 2 * 4 + i;
                out.codes(low, finish(low, l.and(bytes, mask)));
                out.codes(low + 8, finish(low + 8, l.and(l.shr(bytes, 4), mask)));
            }
        }
    }
}

/// 256 codes from 64 bytes: of each 128, groups of 32 take turns in the bit pairs of 32 bytes.
///
/// # Safety
/// As [`nibbles`].
#[inline(always)]
unsafe fn bit_pairs<L: Lanes>(
    rows: Rows<L>,
    at: usize,
    out: Out<L>,
    finish: impl Fn(usize, L::Words) -> L::Words,
) {
    let l = rows.lanes;
    // SAFETY: as asked.
    unsafe {
        for q in 0..4 {
            for (i, bytes) in rows.quad(at + 16 * q).into_iter().enumerate() {
                for group in 0..4 {
                    let to = q / 2 * 32 + 8 * group + q % 2 * 4 + i;
                    let codes = l.and(l.shr(bytes, 2 * group as u32), l.splat(PAIRS));
                    out.codes(to, finish(to, codes));
                }
            }
        }
    }
}

/// As [`bit_pairs`] for those of Q3_K, with their third bits.
///
/// # Safety
/// As [`nibbles`].
#[inline(always)]
unsafe fn three_bits<L: Lanes>(
    rows: Rows<L>,
    out: Out<L>,
    finish: impl Fn(usize, L::Words) -> L::Words,
) {
    let l = rows.lanes;
    // SAFETY: as asked.
    unsafe {
        let thirds = [rows.quad(0), rows.quad(16)];
        bit_pairs(rows, 32, out, |i, codes| {
            let third = l.shr(thirds[i / 4 % 2][i % 4], i as u32 / 8);
            finish(i, l.or(codes, l.shl(l.and(third, l.splat(BITS)), 2)))
        });
    }
}

/// See [`super::super::super::formats::kquant::sixteen_six_bit`].
///
/// # Safety
/// As [`nibbles`], for blocks of Q3_K.
#[inline(always)]
unsafe fn sixteen_six_bit<L: Lanes>(rows: Rows<L>) -> [L::Words; 4] {
    let l = rows.lanes;
    // SAFETY: as asked.
    let (low, high) = unsafe { ([rows.word(96), rows.word(100)], rows.word(104)) };
    from_fn(|i| {
        let low = l.and(l.shr(low[i % 2], i as u32 / 2 * 4), l.splat(NIBBLES));
        let high = l.and(l.shr(high, 2 * i as u32), l.splat(PAIRS));
        l.or(low, l.shl(high, 4))
    })
}

/// The masked bytes of four words, each in both 16-bit halves of a word of its own.
#[inline(always)]
fn sixteen_doubled<L: Lanes>(l: L, bytes: [L::Words; 4], mask: u32) -> [L::Words; 16] {
    from_fn(|i| {
        let byte = l.and(l.shr(bytes[i / 4], i as u32 % 4 * 8), l.splat(mask));
        l.or(byte, l.shl(byte, 16))
    })
}

/// See [`super::super::super::formats::kquant::six_bit`].
///
/// # Safety
/// As [`Columns::unpack`].
#[inline(always)]
unsafe fn scales_and_mins<L: Lanes>(rows: Rows<L>, out: Out<L>) {
    let l = rows.lanes;
    // SAFETY: as asked.
    unsafe {
        let [both, a, b, c] = rows.quad(0);
        let (scale, min) = (l.half(both), l.negate(l.half(l.shr(both, 16))));
        let first = |word| l.and(word, l.splat(0x3f3f_3f3f));
        let second = |low, high| {
            let high = l.and(l.shr(high, 2), l.splat(0x3030_3030));
            l.or(l.and(low, l.splat(NIBBLES)), high)
        };
        let scales = [first(a), second(c, a)];
        let mins = [first(b), second(l.shr(c, 4), b)];
        for i in 0..2 {
            for byte in 0..4 {
                let number = |word| l.float(l.and(l.shr(word, 8 * byte), l.splat(0xff)));
                out.scale(4 * i + byte as usize, l.scale(scale, number(scales[i])));
                out.min(4 * i + byte as usize, l.scale(min, number(mins[i])));
            }
        }
    }
}
