//! Eight numbers side by side, one for each of eight groups of values that are fitted together.
//!
//! A sum over a group has to be taken in order, as the order decides its last bits and so, between
//! candidates of nearly equal error, the result. Eight groups at once make that fast: compilers turn
//! the loops over lanes into vector instructions, whichever the processor has.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// How many there are.
pub(crate) const LANES: usize = 8;

/// A number for each of eight groups.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lanes([f32; LANES]);

/// Whether something holds for each of eight groups.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mask([bool; LANES]);

impl Lanes {
    pub(crate) const ZERO: Self = Self([0.0; LANES]);

    #[inline(always)]
    pub(crate) fn splat(value: f32) -> Self {
        Self([value; LANES])
    }

    pub(crate) fn to_array(self) -> [f32; LANES] {
        self.0
    }

    #[inline(always)]
    fn map(self, f: impl Fn(f32) -> f32) -> Self {
        let mut lanes = self.0;
        for lane in &mut lanes {
            *lane = f(*lane);
        }
        Self(lanes)
    }

    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        let mut lanes = self.0;
        for (lane, other) in lanes.iter_mut().zip(other.0) {
            *lane = f(*lane, other);
        }
        Self(lanes)
    }

    #[inline(always)]
    fn compare(self, other: Self, f: impl Fn(f32, f32) -> bool) -> Mask {
        let mut mask = [false; LANES];
        for (g, holds) in mask.iter_mut().enumerate() {
            *holds = f(self.0[g], other.0[g]);
        }
        Mask(mask)
    }

    #[inline(always)]
    pub(crate) fn abs(self) -> Self {
        self.map(f32::abs)
    }

    #[inline(always)]
    pub(crate) fn sqrt(self) -> Self {
        self.map(f32::sqrt)
    }

    /// The smaller one; `other` where this is NaN.
    #[inline(always)]
    pub(crate) fn min(self, other: Self) -> Self {
        self.zip(other, |a, b| if a < b { a } else { b })
    }

    /// The larger one; `other` where this is NaN.
    #[inline(always)]
    pub(crate) fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }

    /// Nearest whole number, ties to even, for magnitudes below 2^22.
    #[inline(always)]
    pub(crate) fn round(self) -> Self {
        const SHIFT: f32 = 12_582_912.0;
        self.map(|value| (value + SHIFT) - SHIFT)
    }

    #[inline(always)]
    pub(crate) fn above(self, other: Self) -> Mask {
        self.compare(other, |a, b| a > b)
    }

    #[inline(always)]
    pub(crate) fn at_least(self, other: Self) -> Mask {
        self.compare(other, |a, b| a >= b)
    }

    #[inline(always)]
    pub(crate) fn differs(self, other: Self) -> Mask {
        self.compare(other, |a, b| a != b)
    }
}

impl From<[f32; LANES]> for Lanes {
    fn from(lanes: [f32; LANES]) -> Self {
        Self(lanes)
    }
}

macro_rules! operator {
    ($($trait:ident $method:ident $op:tt),*) => {
        $(impl $trait for Lanes {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                self.zip(other, |a, b| a $op b)
            }
        })*
    };
}

operator!(Add add +, Sub sub -, Mul mul *, Div div /);

impl Neg for Lanes {
    type Output = Self;

    #[inline(always)]
    fn neg(self) -> Self {
        self.map(|value| -value)
    }
}

impl Mask {
    #[inline(always)]
    pub(crate) fn and(self, other: Self) -> Self {
        let mut mask = self.0;
        for (holds, other) in mask.iter_mut().zip(other.0) {
            *holds &= other;
        }
        Self(mask)
    }

    pub(crate) fn any(self) -> bool {
        self.0.contains(&true)
    }

    /// One or the other.
    #[inline(always)]
    pub(crate) fn choose(self, yes: Lanes, no: Lanes) -> Lanes {
        let mut lanes = no.0;
        for (g, lane) in lanes.iter_mut().enumerate() {
            *lane = if self.0[g] { yes.0[g] } else { *lane };
        }
        Lanes(lanes)
    }
}

/// Value `i` of group `g` of `values` in lane `g` of entry `i`; groups that are missing are zeros.
#[inline(always)]
pub(crate) fn transpose<const N: usize>(values: &[f32]) -> [Lanes; N] {
    let mut lanes = [Lanes::ZERO; N];
    for (g, group) in values.as_chunks::<N>().0.iter().enumerate().take(LANES) {
        for (lanes, value) in lanes.iter_mut().zip(group) {
            lanes.0[g] = *value;
        }
    }
    lanes
}

/// The inverse for levels of at most 255.
#[inline(always)]
pub(crate) fn put_levels<const N: usize>(lanes: &[Lanes; N], levels: &mut [u8]) {
    for (g, group) in levels.as_chunks_mut::<N>().0.iter_mut().enumerate().take(LANES) {
        for (level, lanes) in group.iter_mut().zip(lanes) {
            *level = lanes.0[g] as u8;
        }
    }
}

/// The sum of each group, in order.
#[inline(always)]
pub(crate) fn sum<const N: usize>(values: &[Lanes; N]) -> Lanes {
    values.iter().fold(Lanes::ZERO, |sum, &value| sum + value)
}

/// The sum of the squares of each group, in order.
#[inline(always)]
pub(crate) fn sum_of_squares<const N: usize>(values: &[Lanes; N]) -> Lanes {
    sum(&values.map(|value| value * value))
}

/// Weights of values: their squares, or by importance and size, relative to `square`, that of the
/// values around.
#[inline(always)]
pub(crate) fn weigh<const N: usize>(
    values: &[Lanes; N],
    importance: Option<&[Lanes; N]>,
    square: Lanes,
) -> [Lanes; N] {
    let Some(importance) = importance else { return values.map(|value| value * value) };
    let mut weights = *importance;
    for (weight, &value) in weights.iter_mut().zip(values) {
        *weight = *weight * (square + value * value).sqrt();
    }
    weights
}

/// Encodes eight groups of `N` values at a time, with their importance; they become `bytes` bytes. Less
/// than eight are left at the end of rows: of these there are as many bytes as there are groups.
pub(crate) fn by_eights<const N: usize>(
    src: &[f32],
    importance: Option<&[f32]>,
    dst: &mut [u8],
    bytes: usize,
    encode: impl Fn(&[f32], &[Lanes; N], Option<&[Lanes; N]>, &mut [u8]),
) {
    debug_assert_eq!(dst.len() * LANES * N, src.len() * bytes, "not whole blocks");
    for (index, (src, dst)) in src.chunks(LANES * N).zip(dst.chunks_mut(bytes)).enumerate() {
        let importance = importance.map(|all| transpose(&all[index * LANES * N..]));
        encode(src, &transpose(src), importance.as_ref(), dst);
    }
}
