//! One computation whose result is known.

use std::fmt;

use backend::{Backend, Tensor};
use reference::Reference;

type Compute = Box<dyn Fn(&mut dyn Backend) -> Vec<f32> + Send + Sync>;

/// A computation for a backend, the right result, and how far off others may be.
pub struct Case {
    /// What is computed.
    pub name: String,
    compute: Compute,
    expected: Vec<f32>,
    limit: Limit,
}

/// How far results may be off: by `relative` times the greatest expected magnitude among the `group` of
/// values that they belong to, and by `absolute`.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    pub group: usize,
    pub relative: f32,
    pub absolute: f32,
}

impl Limit {
    pub fn relative(group: usize, relative: f32) -> Self {
        Self { group, relative, absolute: 1e-7 }
    }
}

/// A result that is wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Disagreement {
    /// What was computed.
    pub case: String,
    /// Which of the result's values.
    pub at: usize,
    /// What it is.
    pub found: f32,
    /// What it should be.
    pub expected: f32,
    /// How far it might be off.
    pub limit: f32,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { case, at, found, expected, limit } = self;
        write!(f, "{case}: value {at} is {found} instead of {expected}, within {limit:.1e}")
    }
}

impl Case {
    /// A case that the `reference` backend knows the result of.
    pub fn new(
        name: impl Into<String>,
        limit: Limit,
        compute: impl Fn(&mut dyn Backend) -> Vec<f32> + Send + Sync + 'static,
    ) -> Self {
        let expected = compute(&mut Reference::new());
        Self::known(name, limit, expected, compute)
    }

    /// A case whose result is known.
    pub fn known(
        name: impl Into<String>,
        limit: Limit,
        expected: Vec<f32>,
        compute: impl Fn(&mut dyn Backend) -> Vec<f32> + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), compute: Box::new(compute), expected, limit }
    }

    /// Runs it. The result is the greatest error as a share of what it may be.
    pub fn judge(&self, backend: &mut dyn Backend) -> Result<f32, Disagreement> {
        let found = (self.compute)(backend);
        self.compare(&found)
    }

    fn compare(&self, found: &[f32]) -> Result<f32, Disagreement> {
        assert_eq!(found.len(), self.expected.len(), "values of {}", self.name);
        let Limit { group, relative, absolute } = self.limit;
        let mut worst = 0f32;
        let groups = self.expected.chunks(group).zip(found.chunks(group)).enumerate();
        for (g, (expected, found)) in groups {
            let most = expected.iter().fold(0f32, |most, v| most.max(v.abs()));
            let limit = relative * most + absolute;
            for (i, (&expected, &found)) in expected.iter().zip(found).enumerate() {
                let error = (found - expected).abs();
                // Also where it is no number.
                if error.is_nan() || error > limit {
                    let (case, at) = (self.name.clone(), g * group + i);
                    return Err(Disagreement { case, at, found, expected, limit });
                }
                worst = worst.max(error / limit);
            }
        }
        Ok(worst)
    }
}

/// All of a tensor.
pub fn download(b: &mut dyn Backend, t: Tensor) -> Vec<f32> {
    let mut out = vec![0.0; t.rows() * t.cols()];
    b.download(t, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_judged_by_group() {
        let limit = Limit { group: 2, relative: 0.01, absolute: 0.0 };
        let case = Case::known("a case", limit, vec![100.0, 1.0, 1.0, 1.0], |_| Vec::new());
        let share = case.compare(&[100.5, 0.5, 1.0, 1.0]).unwrap();
        assert!((share - 0.5).abs() < 1e-5);
        let wrong = case.compare(&[100.0, 1.0, 1.0, 1.5]).unwrap_err();
        assert_eq!((wrong.at, wrong.found, wrong.expected, wrong.limit), (3, 1.5, 1.0, 0.01));
        assert_eq!(wrong.to_string(), "a case: value 3 is 1.5 instead of 1, within 1.0e-2");
        assert!(case.compare(&[f32::NAN, 1.0, 1.0, 1.0]).is_err());
    }
}
