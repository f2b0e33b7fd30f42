//! Floating-point types: F32, F16 (IEEE 754 binary16), BF16 (the upper half of binary32).

use crate::block::{decode_blocks, encode_blocks};

/// Exact value of a binary16; a NaN keeps its sign and payload.
#[inline(always)]
pub fn f16_to_f32(half: u16) -> f32 {
    const EXPONENT: u32 = 0x7c00 << 13;
    // Difference of the exponent biases, 127 - 15, in place.
    const REBIAS: u32 = 112 << 23;
    let sign = u32::from(half & 0x8000) << 16;
    let magnitude = u32::from(half & 0x7fff) << 13;
    let exponent = magnitude & EXPONENT;
    // A subnormal counts units of 2^-24: append its bits to 2^-14 and take that away again.
    let subnormal = f32::from_bits(magnitude + REBIAS + (1 << 23)) - f32::from_bits(113 << 23);
    let bits = if exponent == 0 {
        subnormal.to_bits()
    } else if exponent == EXPONENT {
        magnitude + 2 * REBIAS
    } else {
        magnitude + REBIAS
    };
    f32::from_bits(sign | bits)
}

/// Nearest binary16, ties to even; overflow gives infinity, a NaN stays a (quiet) NaN.
pub fn f32_to_f16(value: f32) -> u16 {
    const INFINITY: u32 = 0x7f80_0000;
    // 65520, halfway between the largest binary16 and the next power of two.
    const OVERFLOW: u32 = 0x477f_f000;
    // 2^-14, the smallest normal binary16.
    const NORMAL: u32 = 113 << 23;
    let bits = value.to_bits();
    let sign = (bits >> 16) as u16 & 0x8000;
    let magnitude = bits & 0x7fff_ffff;
    let half = if magnitude > INFINITY {
        0x7e00 | ((magnitude >> 13) & 0x3ff)
    } else if magnitude >= OVERFLOW {
        0x7c00
    } else if magnitude < NORMAL {
        // Next to 0.5 the spacing of binary32 is 2^-24, that of binary16's subnormals.
        (f32::from_bits(magnitude) + 0.5).to_bits() - 0.5f32.to_bits()
    } else {
        let odd = (magnitude >> 13) & 1;
        (magnitude - (112 << 23) + 0xfff + odd) >> 13
    };
    sign | half as u16
}

/// Exact value of a BF16.
#[inline(always)]
pub fn bf16_to_f32(half: u16) -> f32 {
    f32::from_bits(u32::from(half) << 16)
}

/// Nearest BF16, ties to even; a NaN stays a (quiet) NaN.
pub fn f32_to_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        return (bits >> 16) as u16 | 0x40;
    }
    let odd = (bits >> 16) & 1;
    ((bits + 0x7fff + odd) >> 16) as u16
}

pub(crate) fn decode_f32(src: &[u8], dst: &mut [f32]) {
    decode_blocks(src, dst, |bytes: &[u8; 4], [out]: &mut [f32; 1]| {
        *out = f32::from_le_bytes(*bytes);
    });
}

pub(crate) fn encode_f32(src: &[f32], _importance: Option<&[f32]>, dst: &mut [u8]) {
    encode_blocks(src, None, dst, |[value]: &[f32; 1], _, bytes: &mut [u8; 4]| {
        *bytes = value.to_le_bytes();
    });
}

pub(crate) fn decode_f16(src: &[u8], dst: &mut [f32]) {
    decode_blocks(src, dst, |bytes: &[u8; 2], [out]: &mut [f32; 1]| {
        *out = f16_to_f32(u16::from_le_bytes(*bytes));
    });
}

pub(crate) fn encode_f16(src: &[f32], _importance: Option<&[f32]>, dst: &mut [u8]) {
    encode_blocks(src, None, dst, |[value]: &[f32; 1], _, bytes: &mut [u8; 2]| {
        *bytes = f32_to_f16(*value).to_le_bytes();
    });
}

pub(crate) fn decode_bf16(src: &[u8], dst: &mut [f32]) {
    decode_blocks(src, dst, |bytes: &[u8; 2], [out]: &mut [f32; 1]| {
        *out = bf16_to_f32(u16::from_le_bytes(*bytes));
    });
}

pub(crate) fn encode_bf16(src: &[f32], _importance: Option<&[f32]>, dst: &mut [u8]) {
    encode_blocks(src, None, dst, |[value]: &[f32; 1], _, bytes: &mut [u8; 2]| {
        *bytes = f32_to_bf16(*value).to_le_bytes();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value by the definition of binary16, in f64.
    fn by_definition(half: u16) -> f64 {
        let sign = if half & 0x8000 == 0 { 1.0 } else { -1.0 };
        let exponent = i32::from((half >> 10) & 0x1f);
        let fraction = f64::from(half & 0x3ff);
        sign * match exponent {
            0 => fraction * 2f64.powi(-24),
            31 if fraction == 0.0 => f64::INFINITY,
            31 => f64::NAN,
            _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
        }
    }

    #[test]
    fn every_f16_decodes_by_definition_and_round_trips() {
        for half in 0..=u16::MAX {
            let value = f16_to_f32(half);
            let expected = by_definition(half);
            if expected.is_nan() {
                assert!(value.is_nan(), "{half:#06x}");
                assert_eq!(f32_to_f16(value), half | 0x200, "{half:#06x}");
            } else {
                assert_eq!(f64::from(value).to_bits(), expected.to_bits(), "{half:#06x}");
                assert_eq!(f32_to_f16(value), half, "{half:#06x}");
            }
        }
    }

    #[test]
    fn f16_rounds_to_nearest_even_between_all_neighbours() {
        for half in 0..0x7bffu16 {
            let (low, high) = (f16_to_f32(half), f16_to_f32(half + 1));
            let middle = (low + high) / 2.0;
            let even = if half & 1 == 0 { half } else { half + 1 };
            assert_eq!(f32_to_f16(middle), even, "{half:#06x}");
            assert_eq!(f32_to_f16(middle.next_down()), half);
            assert_eq!(f32_to_f16(middle.next_up()), half + 1);
            assert_eq!(f32_to_f16(-middle), even | 0x8000);
        }
        assert_eq!(f32_to_f16(65520.0f32.next_down()), 0x7bff);
        assert_eq!(f32_to_f16(65520.0), 0x7c00);
        assert_eq!(f32_to_f16(f32::MAX), 0x7c00);
        assert_eq!(f32_to_f16(f32::NEG_INFINITY), 0xfc00);
        assert_eq!(f32_to_f16(f32::from_bits(1)), 0);
    }

    #[test]
    fn bf16_round_trips_and_rounds_to_nearest_even() {
        for half in 0..=u16::MAX {
            let value = bf16_to_f32(half);
            let expected = if value.is_nan() { half | 0x40 } else { half };
            assert_eq!(f32_to_bf16(value), expected, "{half:#06x}");
        }
        assert_eq!(f32_to_bf16(f32::from_bits(0x3f80_8000)), 0x3f80);
        assert_eq!(f32_to_bf16(f32::from_bits(0x3f80_8001)), 0x3f81);
        assert_eq!(f32_to_bf16(f32::from_bits(0x3f81_8000)), 0x3f82);
        assert_eq!(f32_to_bf16(f32::MAX), 0x7f80);
        assert!(bf16_to_f32(f32_to_bf16(f32::from_bits(0x7f80_0001))).is_nan());
    }

    #[test]
    fn halves_of_every_kind() {
        for (half, value) in [
            (0x0000, 0.0),
            (0x8000, -0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
            (0x7c00, f32::INFINITY),
            (0xfc00, f32::NEG_INFINITY),
        ] {
            assert_eq!(f16_to_f32(half).to_bits(), f32::to_bits(value), "{half:#x}");
        }
        assert!(f16_to_f32(0x7e00).is_nan());
        assert_eq!(bf16_to_f32(0xc040), -3.0);
    }
}
