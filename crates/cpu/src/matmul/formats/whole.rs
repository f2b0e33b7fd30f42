//! Types whose codes, each times the small integer that scales its group, still fit in a byte. Panels then
//! have one scale for a whole block, and its products are summed as integers: less work than scaling sums
//! of 16 or 32, and to the same values.

use super::grid::{IQ1, Iq1M, Iq1S, point};
use super::kquant::{Q2K, Q3K};
use super::ternary::{Tq1_0, Tq2_0};
use super::{Format, Primitives, every_byte, u16_at};

/// A type of 256-value blocks that have one scale in panels: value `k` is `scale · (code - ZERO)`, or with
/// mins, of 16 values each, `scale · code + min · (code of the min)`.
pub(in super::super) trait Whole: Format {
    /// The code of the value 0, or, where there is none, what would be in its place between two codes.
    const ZERO: f32;
}

/// One that unpacks row by row.
pub(in super::super) trait WholeByRows: Whole {
    /// Unpacks one block, and gives its scale; `p` helps.
    fn unpack_whole<P: Primitives>(p: P, block: &[u8], codes: &mut [u8]) -> f32;
}

impl Whole for Q2K {
    const ZERO: f32 = 0.0;
}

impl Whole for Q3K {
    const ZERO: f32 = 128.0;
}

/// Codes times scales are odd, -135 to 135: halves of these, from 0.
const HALVES_OF_ODD: f32 = 67.5;

impl Whole for Iq1S {
    const ZERO: f32 = HALVES_OF_ODD;
}

impl Whole for Iq1M {
    const ZERO: f32 = HALVES_OF_ODD;
}

impl Whole for Tq1_0 {
    const ZERO: f32 = Self::OFFSET as f32;
}

impl Whole for Tq2_0 {
    const ZERO: f32 = Self::OFFSET as f32;
}

impl WholeByRows for Iq1S {
    #[inline(always)]
    fn unpack_whole<P: Primitives>(p: P, block: &[u8], codes: &mut [u8]) -> f32 {
        let parts = block[2..34].as_chunks::<4>().0.iter().zip(block[34..50].as_chunks().0);
        for ((low, word), codes) in parts.zip(codes.chunks_exact_mut(32)) {
            let word = u32::from(u16::from_le_bytes(*word));
            for (i, codes) in codes.as_chunks_mut().0.iter_mut().enumerate() {
                *codes = scaled_ternary(low[i], word >> (3 * i), word >> 15, word >> 12);
            }
        }
        p.half(u16_at(block)) / 4.0
    }
}

impl WholeByRows for Iq1M {
    #[inline(always)]
    fn unpack_whole<P: Primitives>(p: P, block: &[u8], codes: &mut [u8]) -> f32 {
        let (scale, groups) = Iq1M::scales(block);
        // 64 values each: four groups of two octets.
        for (i, codes) in codes.chunks_exact_mut(64).enumerate() {
            let (low, high) = (&block[8 * i..][..8], &block[32 + 4 * i..][..4]);
            let octets = codes.as_chunks_mut::<8>().0;
            for g in 0..4 {
                let (group, high) = (u32::from(groups[i] >> (3 * g)), u32::from(high[g]));
                octets[2 * g] = scaled_ternary(low[2 * g], high, high >> 3 & 1, group);
                octets[2 * g + 1] = scaled_ternary(low[2 * g + 1], high >> 4, high >> 7, group);
            }
        }
        p.half(scale) / 4.0
    }
}

/// As [`super::grid::ternary`], times the odd number of the group, whose low 3 bits tell it; halves of
/// these, see [`HALVES_OF_ODD`]. All that bytes are here is positive, so none borrows.
#[inline(always)]
fn scaled_ternary(low: u8, high: u32, negative: u32, group: u32) -> [u8; 8] {
    let group = u64::from(group & 7);
    let octaves = point(&IQ1[usize::from(low) | (high as usize & 7) << 8]) >> 1;
    let halves = octaves - every_byte(3) - u64::from(negative) * every_byte(1);
    (halves * (2 * group + 1) + every_byte(1) * (63 - 9 * group)).to_le_bytes()
}

/// Types whose groups have the same scale anyway.
macro_rules! one_scale {
    ($ty:ty) => {
        impl WholeByRows for $ty {
            #[inline(always)]
            fn unpack_whole<P: Primitives>(p: P, block: &[u8], codes: &mut [u8]) -> f32 {
                const { assert!(Self::ONE_SCALE) };
                let mut scales = [0.0; 8];
                Self::unpack(p, block, codes, &mut scales, &mut []);
                scales[0]
            }
        }
    };
}

one_scale!(Tq1_0);
one_scale!(Tq2_0);
