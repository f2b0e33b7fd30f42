//! Transcendental functions on vectors.

use super::Simd;

/// `e^x` within 1.5 units in the last place; 0 and infinity beyond the range of `f32`.
#[inline(always)]
pub fn exp<S: Simd>(s: S, x: S::V) -> S::V {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // Taylor's series with coefficients adjusted to |r| <= ln(2)/2 (Cephes, expf).
    const POLYNOMIAL: [f32; 7] =
        [1.987_569_2e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5, 1.0];
    // Bounds first: they give way to NaN.
    let x = s.min(s.splat(89.0), s.max(s.splat(-104.0), x));
    let n = s.round(s.mul(x, s.splat(std::f32::consts::LOG2_E)));
    let r = s.mul_add(n, s.splat(-LN2_HIGH), x);
    let r = s.mul_add(n, s.splat(-LN2_LOW), r);
    let mut p = s.splat(POLYNOMIAL[0]);
    for c in &POLYNOMIAL[1..] {
        p = s.mul_add(p, r, s.splat(*c));
    }
    s.scale2(s.mul_add(p, r, s.splat(1.0)), n)
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub fn sigmoid<S: Simd>(s: S, x: S::V) -> S::V {
    let one = s.splat(1.0);
    s.div(one, s.add(one, exp(s, s.sub(s.splat(0.0), x))))
}

/// Hyperbolic tangent.
#[inline(always)]
pub fn tanh<S: Simd>(s: S, x: S::V) -> S::V {
    // Odd polynomial for |x| < 0.625, where the other formula cancels (Cephes, tanhf).
    const POLYNOMIAL: [f32; 5] =
        [-5.704_989e-3, 2.063_909e-2, -5.373_971_6e-2, 1.333_144_2e-1, -3.333_328e-1];
    let square = s.mul(x, x);
    let mut p = s.splat(POLYNOMIAL[0]);
    for c in &POLYNOMIAL[1..] {
        p = s.mul_add(p, square, s.splat(*c));
    }
    let small = s.mul_add(s.mul(p, square), x, x);
    let one = s.splat(1.0);
    let large = s.sub(one, s.div(s.splat(2.0), s.add(one, exp(s, s.add(x, x)))));
    s.select_lt(square, s.splat(0.625 * 0.625), small, large)
}

/// `e^x - 1` for `x` of at most 0, without the loss of digits near 0.
#[inline(always)]
pub fn expm1<S: Simd>(s: S, x: S::V) -> S::V {
    // tanh(x/2) (e^x + 1) is the same and doesn't cancel.
    let half = tanh(s, s.mul(x, s.splat(0.5)));
    s.mul(half, s.add(exp(s, x), s.splat(1.0)))
}

/// `ln(1 + e^x)`.
#[inline(always)]
pub fn softplus<S: Simd>(s: S, x: S::V) -> S::V {
    let zero = s.splat(0.0);
    let magnitude = s.max(x, s.sub(zero, x));
    let y = exp(s, s.sub(zero, magnitude));
    s.add(s.max(x, zero), ln_1p(s, y))
}

/// `ln(1 + y)` for `y` from 0 to 1.
#[inline(always)]
fn ln_1p<S: Simd>(s: S, y: S::V) -> S::V {
    // 2 artanh(z) with z = y / (2 + y), which is at most 1/3.
    const POLYNOMIAL: [f32; 8] =
        [2.0 / 15.0, 2.0 / 13.0, 2.0 / 11.0, 2.0 / 9.0, 2.0 / 7.0, 2.0 / 5.0, 2.0 / 3.0, 2.0];
    let z = s.div(y, s.add(s.splat(2.0), y));
    let square = s.mul(z, z);
    let mut p = s.splat(POLYNOMIAL[0]);
    for c in &POLYNOMIAL[1..] {
        p = s.mul_add(p, square, s.splat(*c));
    }
    s.mul(p, z)
}
