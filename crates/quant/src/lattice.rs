//! Fitting groups of values to points of a codebook.
//!
//! Coordinates of points are levels `0..radix` in order of their values; level `l` stands for the
//! value `2 l + 1` in units of the scale here, which decoders' codebooks multiply by a constant.

use std::collections::BTreeSet;

use crate::search::{fit_positive, importance_weights, mean_square, nearest};

/// Values per super-block.
const LEN: usize = 256;

/// Most values that share a scale.
const MAX_GROUP: usize = 32;

/// A codebook with the points near to each combination of levels.
pub(crate) struct Lattice<const DIM: usize> {
    radix: usize,
    points: Vec<[u8; DIM]>,
    /// For each combination of levels, the first lowest, where its points begin in `near`.
    starts: Vec<u32>,
    near: Vec<u16>,
}

/// How a type's groups are fitted.
pub(crate) struct Method {
    /// Values that share a scale.
    pub group: usize,
    /// Scales tried on each side of the first, and the distance of their inverses.
    pub tries: i32,
    pub step: f32,
    /// Groups with values up to this are zero.
    pub zero: f32,
    /// Whether of eight signs an even number are negative.
    pub even: bool,
    /// What is fitted again with the best scale.
    pub again: Again,
    /// By how much the scale of the super-block is corrected.
    pub correction: f32,
}

/// What is fitted again with the best scale of a group.
#[derive(PartialEq)]
pub(crate) enum Again {
    /// Points that were not the nearest combination of levels.
    Moved,
    /// All points if any was not.
    AllIfMoved,
    /// All points, always; and the first scale is the best one without a codebook.
    All,
}

/// A super-block before it is packed.
pub(crate) struct Fitted {
    /// Scale of the super-block.
    pub d: f32,
    /// Of each group: levels of four bits, `2 s + 1` in units of `d`.
    pub scales: [u8; LEN / 16],
    /// Index of each point.
    pub indices: [u16; LEN / 4],
    /// Signs of eight values each, set for negative ones.
    pub signs: [u8; LEN / 8],
}

impl<const DIM: usize> Lattice<DIM> {
    /// Notes for each combination the points at its `distances` smallest distances, near ones
    /// first.
    pub(crate) fn new(codebook: &[[i8; DIM]], distances: usize) -> Self {
        let values: BTreeSet<i8> = codebook.iter().flatten().copied().collect();
        let values: Vec<i8> = values.into_iter().collect();
        let level = |value: i8| values.partition_point(|&other| other < value) as u8;
        let points: Vec<_> = codebook.iter().map(|point| point.map(level)).collect();
        let radix = values.len();
        let (mut starts, mut near) = (vec![0], Vec::new());
        for code in 0..radix.pow(DIM as u32) {
            let levels: [i32; DIM] =
                std::array::from_fn(|i| (code / radix.pow(i as u32) % radix) as i32);
            let square = |point: &[u8; DIM]| -> i32 {
                point.iter().zip(levels).map(|(&a, b)| (i32::from(a) - b).pow(2)).sum()
            };
            let squares: Vec<i32> = points.iter().map(square).collect();
            let distinct: BTreeSet<i32> = squares.iter().copied().collect();
            // A point of the codebook needs no other.
            let count = if distinct.contains(&0) { 1 } else { distances };
            for distance in distinct.into_iter().take(count) {
                let at = (0..points.len()).filter(|&at| squares[at] == distance);
                near.extend(at.map(|at| at as u16));
            }
            starts.push(near.len() as u32);
        }
        Self { radix, points, starts, near }
    }

    /// Fits a super-block; nothing if all values are 0.
    pub(crate) fn fit(
        &self,
        values: &[f32; LEN],
        weights: &[f32; LEN],
        method: &Method,
    ) -> Option<Fitted> {
        let mut fitted =
            Fitted { d: 0.0, scales: [0; 16], indices: [0; LEN / 4], signs: [0; LEN / 8] };
        let mut scales = [0f32; 16];
        for (g, values) in values.chunks_exact(method.group).enumerate() {
            let weights = &weights[g * method.group..][..method.group];
            let mut group = Group::new(values, weights, method.even);
            let points = method.group / DIM;
            let indices = &mut fitted.indices[g * points..][..points];
            scales[g] = self.fit_group(&mut group, method, indices);
            if scales[g] != 0.0 {
                let octets = method.group / 8;
                fitted.signs[g * octets..][..octets].copy_from_slice(&group.signs[..octets]);
            }
        }
        let largest = scales.iter().copied().fold(0.0, f32::max);
        if largest == 0.0 {
            return None;
        }
        let d = largest / 31.0;
        let inverse = 1.0 / d;
        fitted.d = d * method.correction;
        fitted.scales = scales.map(|s| nearest(0.5 * (inverse * s - 1.0)).clamp(0, 15) as u8);
        Some(fitted)
    }

    /// Scale and points of a group; the scale is 0 and the points are the first for zeros.
    fn fit_group(&self, group: &mut Group, method: &Method, indices: &mut [u16]) -> f32 {
        let top = 2.0 * self.radix as f32 - 1.0;
        let mut largest = group.values().iter().copied().fold(f32::MIN, f32::max);
        if largest <= method.zero {
            return 0.0;
        }
        if method.again == Again::All {
            let mut levels = [0; MAX_GROUP];
            let most = self.radix as u8;
            let levels = &mut levels[..group.len];
            let scale = fit_positive(group.values(), group.weights(), most + 1, levels);
            largest = scale * f32::from(most);
            if largest <= 0.0 {
                return 0.0;
            }
        }
        let mut best = 0f32;
        let mut scale = largest / top;
        let mut trial = [0; MAX_GROUP / 4];
        let trial = &mut trial[..indices.len()];
        let mut moved = [false; MAX_GROUP / 4];
        for step in -method.tries..=method.tries {
            let inverse = (top + step as f32 * method.step) / largest;
            let mut trial_moved = [false; MAX_GROUP / 4];
            for (k, index) in trial.iter_mut().enumerate() {
                (*index, trial_moved[k]) = self.point(group, k, inverse, 1.0 / inverse);
            }
            let (xq, qq) = self.sums(group, trial);
            if qq > 0.0 && xq * xq > best * qq {
                scale = xq / qq;
                best = scale * xq;
                indices.copy_from_slice(trial);
                moved = trial_moved;
            }
        }
        let any = moved[..indices.len()].contains(&true);
        if scale > 0.0 && (any || method.again == Again::All) {
            for (k, index) in indices.iter_mut().enumerate() {
                if moved[k] || method.again != Again::Moved {
                    *index = self.point(group, k, 1.0 / scale, scale).0;
                }
            }
            let (xq, qq) = self.sums(group, indices);
            if qq > 0.0 {
                scale = xq / qq;
            }
        }
        if scale < 0.0 {
            group.signs = group.signs.map(|signs| !signs);
        }
        scale.abs()
    }

    /// The best point for the `k`-th values of a group, and whether it is not the nearest
    /// combination of levels.
    fn point(&self, group: &Group, k: usize, inverse: f32, scale: f32) -> (u16, bool) {
        let values = &group.values()[k * DIM..][..DIM];
        let roots = &group.roots[k * DIM..][..DIM];
        let top = self.radix as i32 - 1;
        let code = self.code(std::array::from_fn(|i| {
            nearest(0.5 * (inverse * values[i] - 1.0)).clamp(0, top) as u8
        }));
        let index = self.closest(code, values, roots, scale, |level| f32::from(2 * level + 1));
        (index, self.code(self.points[usize::from(index)]) != code)
    }

    /// The index of the point that fits values best, of those near to a combination of levels;
    /// `value` tells what a level stands for in units of the scale.
    pub(crate) fn closest(
        &self,
        code: usize,
        values: &[f32],
        weights: &[f32],
        scale: f32,
        value: impl Fn(u8) -> f32,
    ) -> u16 {
        let near = &self.near[self.starts[code] as usize..self.starts[code + 1] as usize];
        let mut best = near[0];
        let mut least = f32::MAX;
        for &index in near {
            let mut error = 0f32;
            for ((&l, &x), &w) in self.points[usize::from(index)].iter().zip(values).zip(weights) {
                let difference = scale * value(l) - x;
                error += w * difference * difference;
            }
            if error < least {
                (best, least) = (index, error);
            }
        }
        best
    }

    /// The number of a combination of levels.
    pub(crate) fn code(&self, levels: [u8; DIM]) -> usize {
        levels.iter().rev().fold(0, |code, &level| code * self.radix + usize::from(level))
    }

    /// Least squares of the scale for given points: numerator and denominator.
    fn sums(&self, group: &Group, indices: &[u16]) -> (f32, f32) {
        let levels = indices.iter().flat_map(|&index| &self.points[usize::from(index)]);
        let (mut xq, mut qq) = (0f32, 0f32);
        for ((&l, &x), &w) in levels.zip(group.values()).zip(group.weights()) {
            let q = f32::from(2 * l + 1);
            xq += w * x * q;
            qq += w * q * q;
        }
        (xq, qq)
    }
}

/// Weights of values of a super-block by their importance, with `spread` times the mean square.
pub(crate) fn weights(values: &[f32; LEN], importance: &[f32; LEN], spread: f32) -> [f32; LEN] {
    let mut weights = [0.0; LEN];
    importance_weights(values, importance, spread * mean_square(values), &mut weights);
    weights
}

/// Values that share a scale.
struct Group {
    len: usize,
    /// Magnitudes; with an even number of signs there may be a negative one.
    values: [f32; MAX_GROUP],
    weights: [f32; MAX_GROUP],
    /// Square roots of the weights, which choose among points.
    roots: [f32; MAX_GROUP],
    signs: [u8; MAX_GROUP / 8],
}

impl Group {
    fn new(values: &[f32], weights: &[f32], even: bool) -> Self {
        let mut group = Self {
            len: values.len(),
            values: [0.0; MAX_GROUP],
            weights: [0.0; MAX_GROUP],
            roots: [0.0; MAX_GROUP],
            signs: [0; MAX_GROUP / 8],
        };
        for (i, (&value, &weight)) in values.iter().zip(weights).enumerate() {
            let negative = value < 0.0;
            group.values[i] = if negative { -value } else { value };
            group.weights[i] = weight;
            group.roots[i] = weight.sqrt();
            group.signs[i / 8] |= u8::from(negative) << (i % 8);
        }
        if even {
            group.even_out();
        }
        group
    }

    /// Flips the sign of the value that matters least where an odd number are negative.
    fn even_out(&mut self) {
        for (k, signs) in self.signs[..self.len / 8].iter_mut().enumerate() {
            if signs.count_ones() % 2 == 1 {
                let error = |i: usize| self.weights[i] * self.values[i] * self.values[i];
                let first = 8 * k;
                let least = (first..first + 8)
                    .reduce(|least, i| if error(i) < error(least) { i } else { least });
                let least = least.unwrap_or(first);
                self.values[least] = -self.values[least];
                *signs ^= 1 << (least - first);
            }
        }
    }

    fn values(&self) -> &[f32] {
        &self.values[..self.len]
    }

    fn weights(&self) -> &[f32] {
        &self.weights[..self.len]
    }
}
