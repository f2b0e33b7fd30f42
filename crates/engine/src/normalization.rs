//! Lengths of vectors.

/// What the length of a vector becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Normalization {
    /// What it is.
    None,
    /// The greatest value becomes 32760, so that all fit 16-bit integers.
    MaxAbsolute,
    /// The sum of absolute values to this power becomes 1: 1 for taxicab, 2 for Euclid.
    Power(u32),
}

impl Default for Normalization {
    fn default() -> Self {
        Self::Power(2)
    }
}

impl Normalization {
    /// As `--embd-normalize` numbers them: -1, 0, or the power.
    pub fn from_number(number: i32) -> Option<Self> {
        match number {
            -1 => Some(Self::None),
            0 => Some(Self::MaxAbsolute),
            power => u32::try_from(power).ok().map(Self::Power),
        }
    }

    /// Gives a vector its length; one of zeros stays.
    pub fn apply(self, vector: &mut [f32]) {
        let values = || vector.iter().map(|&v| f64::from(v).abs());
        let length = match self {
            Self::None => return,
            Self::MaxAbsolute => values().fold(0.0, f64::max) / 32760.0,
            Self::Power(power) => {
                let power = f64::from(power);
                values().map(|v| v.powf(power)).sum::<f64>().powf(1.0 / power)
            }
        };
        let factor = if length > 0.0 { 1.0 / length } else { 0.0 };
        vector.iter_mut().for_each(|v| *v = (f64::from(*v) * factor) as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_become_what_the_number_says() {
        let normal = |number: i32| {
            let mut vector = [3.0f32, -4.0, 0.0];
            Normalization::from_number(number).expect("a number").apply(&mut vector);
            vector
        };
        assert_eq!(normal(-1), [3.0, -4.0, 0.0]);
        assert_eq!(normal(0), [24570.0, -32760.0, 0.0]);
        assert_eq!(normal(1), [3.0 / 7.0, -4.0 / 7.0, 0.0]);
        assert_eq!(normal(2), [0.6, -0.8, 0.0]);
        let cube = 91f32.cbrt();
        assert!((normal(3)[0] - 3.0 / cube).abs() < 1e-6);
        assert_eq!(Normalization::from_number(-2), None);
        let mut zeros = [0.0; 2];
        Normalization::default().apply(&mut zeros);
        assert_eq!(zeros, [0.0; 2]);
    }
}
