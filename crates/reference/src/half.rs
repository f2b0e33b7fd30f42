//! IEEE 754 binary16.

/// Rounds to nearest, ties to even.
pub fn from_f32(x: f32) -> u16 {
    let sign = (x.to_bits() >> 16) as u16 & 0x8000;
    let x = x.abs();
    if x.is_nan() {
        return sign | 0x7e00;
    }
    if x >= 65520.0 {
        return sign | 0x7c00;
    }
    if x < 2f32.powi(-14) {
        // Subnormal: the addition rounds to multiples of 2^-24.
        return sign | ((x + 0.5).to_bits() - 0.5f32.to_bits()) as u16;
    }
    let bits = x.to_bits();
    let rounded = bits + 0xfff + (bits >> 13 & 1);
    sign | ((rounded >> 13) - (112 << 10)) as u16
}

/// Exact.
pub fn to_f32(h: u16) -> f32 {
    let (exponent, mantissa) = (i32::from(h >> 10 & 31), f32::from(h & 0x3ff));
    let magnitude = match exponent {
        0 => mantissa * 2f32.powi(-24),
        31 if mantissa == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (mantissa + 1024.0) * 2f32.powi(exponent - 25),
    };
    if h & 0x8000 == 0 { magnitude } else { -magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_round_trips_and_ties_go_to_even() {
        for h in 0..=0xffff {
            if !to_f32(h).is_nan() {
                assert_eq!(from_f32(to_f32(h)), h);
            }
        }
        assert_eq!(from_f32(1.0 + 2f32.powi(-11)), 0x3c00);
        assert_eq!(from_f32(1.0 + 3.0 * 2f32.powi(-11)), 0x3c02);
        assert_eq!(from_f32(65519.9), 0x7bff);
        assert_eq!(from_f32(2f32.powi(-25)), 0);
        assert!(to_f32(from_f32(f32::NAN)).is_nan());
    }
}
