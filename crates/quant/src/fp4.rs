//! E2M1 elements of four bits with shared scales: MXFP4, NVFP4.
//!
//! MXFP4 (OCP Microscaling Formats 1.0): 32 values; a scale of E8M0, 16 bytes of elements.
//!
//! NVFP4: 64 values in groups of 16; four scales of unsigned E4M3, then 8 bytes of elements for each
//! group.
//!
//! Byte `i` of `n` bytes of elements holds value `i` low and value `i + n` high. Elements are kept
//! doubled, as integers, so that scales are halved here.

use crate::block::{decode_blocks, encode_blocks, pack_nibbles};
use crate::codebook::E2M1_DOUBLED;
use crate::float::f16_to_f32;
use crate::search::largest_magnitude;

/// Values per scale of NVFP4.
const GROUP: usize = 16;

/// The scale that NVFP4 writes for values beyond the reach of others, its largest: 448.
const LARGEST_E4M3: u8 = 0x7e;

pub(crate) fn decode_mxfp4(src: &[u8], dst: &mut [f32]) {
    decode_blocks(src, dst, |block: &[u8; 17], out: &mut [f32; 32]| {
        unpack(&block[1..], half_of_e8m0(block[0]), out);
    });
}

pub(crate) fn decode_nvfp4(src: &[u8], dst: &mut [f32]) {
    decode_blocks(src, dst, |block: &[u8; 36], out: &mut [f32; 64]| {
        let (scales, elements) = block.split_at(4);
        let groups = elements.chunks_exact(GROUP / 2).zip(out.chunks_exact_mut(GROUP));
        for (scale, (elements, out)) in scales.iter().zip(groups) {
            unpack(elements, half_of_e4m3(*scale), out);
        }
    });
}

/// The scale follows from the largest value alone, as in the specification; importance is not used.
pub(crate) fn encode_mxfp4(src: &[f32], _importance: Option<&[f32]>, dst: &mut [u8]) {
    encode_blocks(src, None, dst, |values: &[f32; 32], _, block: &mut [u8; 17]| {
        // The exponent of the largest value less that of the largest element, 4.
        let exponent = (largest_magnitude(values).to_bits() >> 23) as u8;
        block[0] = exponent.saturating_sub(2);
        pack(values, half_of_e8m0(block[0]), &mut block[1..]);
    });
}

/// The scale maps the largest value to the largest element, 6; importance is not used.
pub(crate) fn encode_nvfp4(src: &[f32], _importance: Option<&[f32]>, dst: &mut [u8]) {
    encode_blocks(src, None, dst, |values: &[f32; 64], _, block: &mut [u8; 36]| {
        let (scales, elements) = block.split_at_mut(4);
        let groups = values.as_chunks::<GROUP>().0.iter().zip(elements.chunks_exact_mut(GROUP / 2));
        for (scale, (values, elements)) in scales.iter_mut().zip(groups) {
            *scale = to_e4m3(largest_magnitude(values) / 6.0);
            pack(values, half_of_e4m3(*scale), elements);
        }
    });
}

fn unpack(bytes: &[u8], scale: f32, out: &mut [f32]) {
    let (low, high) = out.split_at_mut(bytes.len());
    for ((byte, low), high) in bytes.iter().zip(low).zip(high) {
        *low = f32::from(E2M1_DOUBLED[usize::from(byte & 15)]) * scale;
        *high = f32::from(E2M1_DOUBLED[usize::from(byte >> 4)]) * scale;
    }
}

fn pack<const N: usize>(values: &[f32; N], scale: f32, bytes: &mut [u8]) {
    pack_nibbles(&values.map(|value| nearest_element(value, scale)), bytes);
}

/// The element nearest to the value, of two the first.
fn nearest_element(value: f32, scale: f32) -> u8 {
    let mut nearest = 0;
    let mut least = f32::INFINITY;
    for (element, &doubled) in E2M1_DOUBLED.iter().enumerate() {
        let error = (f32::from(doubled) * scale - value).abs();
        if error < least {
            (nearest, least) = (element as u8, error);
        }
    }
    nearest
}

/// Half of the E8M0 number `2^(exponent - 127)`, the scale of MXFP4's doubled elements; the code for
/// NaN is not special.
#[inline]
pub fn half_of_e8m0(exponent: u8) -> f32 {
    let exponent = u32::from(exponent);
    // The first two are subnormal. Either is computed and one chosen, without a branch.
    let (subnormal, normal) = (1 << (21 + (exponent & 1)), exponent.wrapping_sub(1) << 23);
    f32::from_bits(if exponent < 2 { subnormal } else { normal })
}

/// Half the value of a scale; the sign is ignored and the code for NaN means 0.
fn half_of_e4m3(scale: u8) -> f32 {
    if scale == 0x7f {
        return 0.0;
    }
    // As a half float its exponent is too small by 15 - 7.
    f16_to_f32(u16::from(scale & 0x7f) << 7) * 128.0
}

/// The nearest scale, ties away from 0, but none above the largest subnormal one for values below
/// the smallest normal one; from 248 on the largest. Both are as llama.cpp has it.
fn to_e4m3(value: f32) -> u8 {
    // 2^-6, the smallest normal scale.
    if value < 1.0 / 64.0 {
        return ((value * 512.0 + 0.5) as u8).min(7);
    }
    // Rebiases the exponent and rounds the fraction to three bits.
    let code = (value.to_bits() - (120 << 23) + (1 << 19)) >> 20;
    if code < 15 << 3 { code as u8 } else { LARGEST_E4M3 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e4m3_decodes_by_definition_and_round_trips() {
        for scale in 0..LARGEST_E4M3 {
            let (exponent, fraction) = (i32::from(scale >> 3), f64::from(scale & 7) / 8.0);
            let value = match exponent {
                0 => fraction * 2f64.powi(-6),
                _ => (1.0 + fraction) * 2f64.powi(exponent - 7),
            };
            assert_eq!(f64::from(half_of_e4m3(scale)), value / 2.0, "{scale:#04x}");
            let expected = if value < 248.0 { scale } else { LARGEST_E4M3 };
            assert_eq!(to_e4m3(value as f32), expected, "{scale:#04x}");
        }
        assert_eq!(half_of_e4m3(LARGEST_E4M3), 224.0);
        assert_eq!(half_of_e4m3(0x7f), 0.0);
    }

    #[test]
    fn e4m3_rounds_to_nearest() {
        for scale in 0..0x76 {
            let (low, high) = (2.0 * half_of_e4m3(scale), 2.0 * half_of_e4m3(scale + 1));
            assert_eq!(to_e4m3(low + 0.49 * (high - low)), scale, "{scale:#04x}");
            // From the largest subnormal scale values are only rounded up in the next range.
            let above = if scale == 7 { scale } else { scale + 1 };
            assert_eq!(to_e4m3(low + 0.51 * (high - low)), above, "{scale:#04x}");
        }
    }

    #[test]
    fn e8m0_decodes_by_definition() {
        for exponent in 0..=u8::MAX {
            let expected = 2f64.powi(i32::from(exponent) - 128);
            assert_eq!(f64::from(half_of_e8m0(exponent)), expected, "{exponent}");
        }
    }
}
