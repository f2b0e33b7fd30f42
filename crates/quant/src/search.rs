//! Searching the scale, and minimum, that keep the weighted squared error of a block small.
//!
//! The order of operations is part of the result: it decides between candidates of nearly equal
//! error, and is the one that makes the encoders reproduce files of llama.cpp.

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

/// The square of a difference, a penalty for [`fit_affine`].
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

/// Finds `scale` and levels such that `scale * (level - zero)` is near the values; levels are
/// within `0..2 * zero`.
pub(crate) fn fit_symmetric(values: &[f32], weights: &[f32], zero: i32, levels: &mut [u8]) -> f32 {
    let largest = extreme(values);
    if largest.abs() < ZERO {
        levels.fill(0);
        return 0.0;
    }
    let level = |value: f32, inverse: f32| nearest(inverse * value).clamp(-zero, zero - 1);
    // Least squares of the scale for given levels: numerator and denominator.
    let sums = |inverse: f32| {
        let (mut xl, mut ll) = (0f32, 0f32);
        for (&x, &w) in values.iter().zip(weights) {
            let l = level(x, inverse) as f32;
            xl += w * x * l;
            ll += w * l * l;
        }
        (xl, ll)
    };

    let mut chosen = -(zero as f32) / largest;
    let (xl, ll) = sums(chosen);
    let mut scale = if ll == 0.0 { 0.0 } else { xl / ll };
    let mut best = scale * xl;
    for step in (-9..=9).filter(|&step| step != 0) {
        let inverse = -(zero as f32 + 0.1 * step as f32) / largest;
        let (xl, ll) = sums(inverse);
        if ll > 0.0 && xl * xl > best * ll {
            chosen = inverse;
            scale = xl / ll;
            best = scale * xl;
        }
    }
    for (out, &value) in levels.iter_mut().zip(values) {
        *out = (level(value, chosen) + zero) as u8;
    }
    scale
}

/// As [`fit_symmetric`], but starts with the scale of the largest value and then moves levels.
pub(crate) fn descend_symmetric(
    values: &[f32],
    weights: &[f32],
    zero: i32,
    levels: &mut [u8],
) -> f32 {
    let largest = extreme(values);
    if largest.abs() < ZERO {
        levels.fill(0);
        return 0.0;
    }
    let level = |value: f32| nearest(value).clamp(-zero, zero - 1);
    let inverse = -(zero as f32) / largest;
    let mut buffer = [0; MAX_LEN];
    let chosen = &mut buffer[..values.len()];
    for (l, value) in chosen.iter_mut().zip(values) {
        *l = level(inverse * value);
    }
    let scale = descend(values, weights, level, chosen);
    for (out, l) in levels.iter_mut().zip(chosen) {
        *out = (*l + zero) as u8;
    }
    scale
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

/// Finds `scale` and `min <= 0` and levels such that `scale * level + min` is near the values by
/// the penalty of the differences; levels are within `0..=most`.
pub(crate) fn fit_affine(
    values: &[f32],
    weights: &[f32],
    most: u8,
    grid: Grid,
    penalty: impl Fn(f32) -> f32,
    levels: &mut [u8],
) -> (f32, f32) {
    let (mut min, mut max) = (values[0], values[0]);
    let (mut sum_w, mut sum_x) = (0f32, 0f32);
    for (&x, &w) in values.iter().zip(weights) {
        min = min.min(x);
        max = max.max(x);
        sum_w += w;
        sum_x += w * x;
    }
    min = min.min(0.0);
    if max <= min {
        levels.fill(0);
        return (0.0, min);
    }
    let error = |levels: &[u8], scale: f32, min: f32| {
        let mut error = 0f32;
        for ((&x, &w), &l) in values.iter().zip(weights).zip(levels) {
            error += w * penalty(scale * f32::from(l) + min - x);
        }
        error
    };
    let assign = |levels: &mut [u8], inverse: f32, min: f32| {
        for (out, &x) in levels.iter_mut().zip(values) {
            *out = nearest(inverse * (x - min)).clamp(0, i32::from(most)) as u8;
        }
    };

    let inverse = f32::from(most) / (max - min);
    let mut scale = 1.0 / inverse;
    assign(levels, inverse, min);
    let mut best = error(levels, scale, min);
    let mut buffer = [0; MAX_LEN];
    let trial = &mut buffer[..values.len()];
    for step in 0..=grid.steps {
        let inverse = (grid.start + grid.step * f32::from(step) + f32::from(most)) / (max - min);
        assign(trial, inverse, min);
        let (mut sum_l, mut sum_ll, mut sum_xl) = (0f32, 0f32, 0f32);
        for ((&x, &w), &l) in values.iter().zip(weights).zip(&*trial) {
            let l = f32::from(l);
            sum_l += w * l;
            sum_ll += w * l * l;
            sum_xl += w * l * x;
        }
        let determinant = sum_w * sum_ll - sum_l * sum_l;
        // Also false for NaN.
        if determinant > 0.0 {
            let mut new_scale = (sum_w * sum_xl - sum_x * sum_l) / determinant;
            let mut new_min = (sum_ll * sum_x - sum_l * sum_xl) / determinant;
            if new_min > 0.0 {
                new_min = 0.0;
                new_scale = sum_xl / sum_ll;
            }
            let new = error(trial, new_scale, new_min);
            if new < best {
                levels.copy_from_slice(trial);
                (best, scale, min) = (new, new_scale, new_min);
            }
        }
    }
    (scale, min)
}
