//! Searching the scale, and minimum, that keep the weighted squared error of a block small.
//!
//! The order of operations is part of the result: it decides between candidates of nearly equal
//! error, and is the one that makes the encoders reproduce files of llama.cpp.

use crate::lanes::Lanes;

/// Magnitude below which a block counts as zero.
pub(crate) const ZERO: f32 = 1e-15;

/// Most values of a block.
const MAX_LEN: usize = 32;

/// Candidates for the number of levels that the range of a block spans:
/// `levels + start + i * step` for `i` in `0..=steps`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grid {
    pub start: f32,
    pub step: f32,
    pub steps: u8,
}

/// The candidates where importance is given.
pub(crate) const FINE: Grid = Grid { start: -0.9, step: 0.05, steps: 36 };

/// Nearest integer, ties to even, for magnitudes below 2^22.
pub(crate) fn nearest(value: f32) -> i32 {
    // Pushes the fraction out of the mantissa; unlike `round_ties_even` this is fast on every CPU.
    const SHIFT: f32 = 12_582_912.0;
    ((value + SHIFT) - SHIFT) as i32
}

/// Reciprocal, 0 for 0.
pub(crate) fn inverse(value: f32) -> f32 {
    if value == 0.0 { 0.0 } else { 1.0 / value }
}

/// The square of a number.
pub(crate) fn square(difference: f32) -> f32 {
    difference * difference
}

/// Magnitude of the largest value by magnitude.
pub(crate) fn largest_magnitude(values: &[f32]) -> f32 {
    values.iter().fold(0f32, |largest, value| largest.max(value.abs()))
}

/// The first value of largest magnitude, 0 if there is none above.
pub(crate) fn extreme(values: &[f32]) -> f32 {
    let mut extreme = 0f32;
    for &value in values {
        if value.abs() > extreme.abs() {
            extreme = value;
        }
    }
    extreme
}

/// Mean of the values' squares.
pub(crate) fn mean_square(values: &[f32]) -> f32 {
    values.iter().map(|value| value * value).sum::<f32>() / values.len() as f32
}

/// Weights of values by their importance and size, relative to the mean square of the values around
/// them.
pub(crate) fn importance_weights(
    values: &[f32],
    importance: &[f32],
    mean_square: f32,
    weights: &mut [f32],
) {
    for ((weight, value), importance) in weights.iter_mut().zip(values).zip(importance) {
        *weight = importance * (mean_square + value * value).sqrt();
    }
}

/// A scale for each of eight groups, and what their levels are found with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Symmetric {
    pub(crate) scale: Lanes,
    inverse: Lanes,
    zero: i32,
    /// The level of 0: `zero`, but 0 in groups of zeros.
    origin: Lanes,
}

impl Symmetric {
    /// Level, around 0, of each group's next value.
    #[inline(always)]
    fn signed(value: Lanes, inverse: Lanes, zero: i32) -> Lanes {
        // Clamped before, as it can't be infinite then.
        let (low, high) = (Lanes::splat(-zero as f32), Lanes::splat((zero - 1) as f32));
        (inverse * value).max(low).min(high).round()
    }

    /// Level of each group's next value.
    #[inline(always)]
    pub(crate) fn level(&self, value: Lanes) -> Lanes {
        Self::signed(value, self.inverse, self.zero) + self.origin
    }
}

/// Finds scales such that `scale * (level - zero)` is near the values; levels are within
/// `0..2 * zero`.
#[inline(always)]
pub(crate) fn fit_symmetric<const N: usize>(
    values: &[Lanes; N],
    weights: &[Lanes; N],
    zero: i32,
) -> Symmetric {
    let largest = extremes(values);
    // Least squares of the scale for given levels: numerator and denominator.
    let sums = |inverse: Lanes| {
        let (mut xl, mut ll) = (Lanes::ZERO, Lanes::ZERO);
        for (&x, &w) in values.iter().zip(weights) {
            let l = Symmetric::signed(x, inverse, zero);
            xl = xl + w * x * l;
            ll = ll + w * l * l;
        }
        (xl, ll)
    };

    let mut chosen = Lanes::splat(-(zero as f32)) / largest;
    let (xl, ll) = sums(chosen);
    let mut scale = ll.differs(Lanes::ZERO).choose(xl / ll, Lanes::ZERO);
    let mut best = scale * xl;
    for step in (-9..=9).filter(|&step| step != 0) {
        let inverse = Lanes::splat(-(zero as f32 + 0.1 * step as f32)) / largest;
        let (xl, ll) = sums(inverse);
        let better = ll.above(Lanes::ZERO).and((xl * xl).above(best * ll));
        chosen = better.choose(inverse, chosen);
        scale = better.choose(xl / ll, scale);
        best = better.choose(scale * xl, best);
    }
    symmetric(largest, scale, chosen, zero)
}

/// The fit where there are values, zero elsewhere.
#[inline(always)]
fn symmetric(largest: Lanes, scale: Lanes, inverse: Lanes, zero: i32) -> Symmetric {
    let any = largest.abs().above(Lanes::splat(ZERO.next_down()));
    let or_zero = |lanes: Lanes| any.choose(lanes, Lanes::ZERO);
    let origin = or_zero(Lanes::splat(zero as f32));
    Symmetric { scale: or_zero(scale), inverse: or_zero(inverse), zero, origin }
}

/// As [`fit_symmetric`] with squares as weights, but starts with the scale of the largest value and
/// then moves one level at a time while that improves the fit. Scales and levels.
#[inline(always)]
pub(crate) fn descend_symmetric<const N: usize>(
    values: &[Lanes; N],
    zero: i32,
) -> (Lanes, [Lanes; N]) {
    const ROUNDS: usize = 5;
    let largest = extremes(values);
    let inverse = Lanes::splat(-(zero as f32)) / largest;
    let mut levels = values.map(|value| Symmetric::signed(value, inverse, zero));
    let (mut xl, mut ll) = (Lanes::ZERO, Lanes::ZERO);
    for (&l, &x) in levels.iter().zip(values) {
        let w = x * x;
        xl = xl + w * x * l;
        ll = ll + w * l * l;
    }
    for _ in 0..ROUNDS {
        let mut changed = false;
        for (l, &x) in levels.iter_mut().zip(values) {
            // The sums without this value tell the scale and so the best level for it.
            let w = x * x;
            let (other_xl, other_ll) = (xl - w * x * *l, ll - w * *l * *l);
            let new = Symmetric::signed(x * other_ll / other_xl, Lanes::splat(1.0), zero);
            let new_xl = other_xl + w * x * new;
            let new_ll = other_ll + w * new * new;
            let better = other_xl
                .above(Lanes::ZERO)
                .and(new.differs(*l))
                .and(new_ll.above(Lanes::ZERO))
                .and((new_xl * new_xl * ll).above(xl * xl * new_ll));
            *l = better.choose(new, *l);
            xl = better.choose(new_xl, xl);
            ll = better.choose(new_ll, ll);
            changed |= better.any();
        }
        if !changed {
            break;
        }
    }
    let scale = ll.above(Lanes::ZERO).choose(xl / ll, Lanes::ZERO);
    let fit = symmetric(largest, scale, inverse, zero);
    (fit.scale, levels.map(|level| level + fit.origin))
}

/// As [`extreme`], of each group.
#[inline(always)]
pub(crate) fn extremes<const N: usize>(values: &[Lanes; N]) -> Lanes {
    let mut extreme = Lanes::ZERO;
    for &value in values {
        extreme = value.abs().above(extreme.abs()).choose(value, extreme);
    }
    extreme
}

/// Finds `scale` and levels such that `scale * level` is near the values, which are not negative;
/// levels are within `0..=most`.
pub(crate) fn fit_positive(values: &[f32], weights: &[f32], most: u8, levels: &mut [u8]) -> f32 {
    let largest = values.iter().copied().fold(0.0, f32::max);
    if largest < ZERO {
        levels.fill(0);
        return 0.0;
    }
    let level = |value: f32| nearest(value).clamp(0, i32::from(most));
    let error = |inverse: f32| {
        let scale = 1.0 / inverse;
        let mut error = 0f32;
        for (&x, &w) in values.iter().zip(weights) {
            let difference = x - scale * level(inverse * x) as f32;
            error += w * difference * difference;
        }
        error
    };
    let mut chosen = f32::from(most) / largest;
    let mut best = error(chosen);
    for step in (-4..=4).filter(|&step| step != 0) {
        let inverse = (0.1 * step as f32 + f32::from(most)) / largest;
        let new = error(inverse);
        if new < best {
            (chosen, best) = (inverse, new);
        }
    }
    let mut buffer = [0; MAX_LEN];
    let trial = &mut buffer[..values.len()];
    for (l, value) in trial.iter_mut().zip(values) {
        *l = level(chosen * value);
    }
    let scale = descend(values, weights, level, trial);
    for (out, l) in levels.iter_mut().zip(trial) {
        *out = *l as u8;
    }
    scale
}

/// Moves one level at a time while that improves the fit; the result is the best scale. `level`
/// tells the level for a value in units of the scale.
fn descend(values: &[f32], weights: &[f32], level: impl Fn(f32) -> i32, levels: &mut [i32]) -> f32 {
    const ROUNDS: usize = 5;
    let (mut xl, mut ll) = (0f32, 0f32);
    for ((&l, &x), &w) in levels.iter().zip(values).zip(weights) {
        xl += w * x * l as f32;
        ll += w * l as f32 * l as f32;
    }
    for _ in 0..ROUNDS {
        let mut changed = false;
        for ((l, &x), &w) in levels.iter_mut().zip(values).zip(weights) {
            // The sums without this value tell the scale and so the best level for it.
            let old = *l as f32;
            let (other_xl, other_ll) = (xl - w * x * old, ll - w * old * old);
            if other_xl > 0.0 {
                let new = level(x * other_ll / other_xl);
                let new_xl = other_xl + w * x * new as f32;
                let new_ll = other_ll + w * new as f32 * new as f32;
                if new != *l && new_ll > 0.0 && new_xl * new_xl * ll > xl * xl * new_ll {
                    (*l, xl, ll, changed) = (new, new_xl, new_ll, true);
                }
            }
        }
        if !changed {
            break;
        }
    }
    if ll > 0.0 { xl / ll } else { 0.0 }
}

/// A scale and a minimum for each of eight groups, and what their levels are found with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Affine {
    pub(crate) scale: Lanes,
    /// Not above 0.
    pub(crate) min: Lanes,
    inverse: Lanes,
    origin: Lanes,
    most: f32,
}

impl Affine {
    /// Level of each group's next value.
    #[inline(always)]
    pub(crate) fn level(&self, value: Lanes) -> Lanes {
        affine_level(value, self.inverse, self.origin, self.most)
    }
}

#[inline(always)]
fn affine_level(value: Lanes, inverse: Lanes, min: Lanes, most: f32) -> Lanes {
    // Clamped before, as it can't be infinite then.
    (inverse * (value - min)).max(Lanes::ZERO).min(Lanes::splat(most)).round()
}

/// Finds scales and minimums such that `scale * level + min` is near the values by the penalty of the
/// differences; levels are within `0..=most`.
#[inline(always)]
pub(crate) fn fit_affine<const N: usize>(
    values: &[Lanes; N],
    weights: &[Lanes; N],
    most: u8,
    grid: Grid,
    penalty: impl Fn(Lanes) -> Lanes,
) -> Affine {
    let most = f32::from(most);
    let (mut min, mut max) = (values[0], values[0]);
    let (mut sum_w, mut sum_x) = (Lanes::ZERO, Lanes::ZERO);
    for (&x, &w) in values.iter().zip(weights) {
        min = x.min(min);
        max = x.max(max);
        sum_w = sum_w + w;
        sum_x = sum_x + w * x;
    }
    min = min.min(Lanes::ZERO);
    let error = |levels: &[Lanes; N], scale: Lanes, min: Lanes| {
        let mut error = Lanes::ZERO;
        for ((&x, &w), &l) in values.iter().zip(weights).zip(levels) {
            error = error + w * penalty(scale * l + min - x);
        }
        error
    };

    let range = max - min;
    let inverse = Lanes::splat(most) / range;
    let levels = values.map(|value| affine_level(value, inverse, min, most));
    let mut best = error(&levels, Lanes::splat(1.0) / inverse, min);
    let scale = Lanes::splat(1.0) / inverse;
    let mut fit = Affine { scale, min, inverse, origin: min, most };
    for step in 0..=grid.steps {
        let top = Lanes::splat(grid.start + grid.step * f32::from(step) + most);
        let inverse = top / (max - fit.min);
        let (mut sum_l, mut sum_ll, mut sum_xl) = (Lanes::ZERO, Lanes::ZERO, Lanes::ZERO);
        let mut levels = [Lanes::ZERO; N];
        for ((&x, &w), level) in values.iter().zip(weights).zip(&mut levels) {
            let l = affine_level(x, inverse, fit.min, most);
            sum_l = sum_l + w * l;
            sum_ll = sum_ll + w * l * l;
            sum_xl = sum_xl + w * l * x;
            *level = l;
        }
        let determinant = sum_w * sum_ll - sum_l * sum_l;
        let scale = (sum_w * sum_xl - sum_x * sum_l) / determinant;
        let min = (sum_ll * sum_x - sum_l * sum_xl) / determinant;
        let above = min.above(Lanes::ZERO);
        let scale = above.choose(sum_xl / sum_ll, scale);
        let min = above.choose(Lanes::ZERO, min);
        let new = error(&levels, scale, min);
        // Also false for NaN.
        let better = determinant.above(Lanes::ZERO).and(best.above(new));
        best = better.choose(new, best);
        fit.inverse = better.choose(inverse, fit.inverse);
        fit.origin = better.choose(fit.min, fit.origin);
        fit.scale = better.choose(scale, fit.scale);
        fit.min = better.choose(min, fit.min);
    }
    // Groups of equal values have no scale.
    let any = range.above(Lanes::ZERO);
    fit.scale = any.choose(fit.scale, Lanes::ZERO);
    fit.inverse = any.choose(fit.inverse, Lanes::ZERO);
    fit.min = any.choose(fit.min, min);
    fit
}
