//! Pooling of token embeddings into one vector.

use crate::error::Error;
use crate::hparams::Keys;

/// How a sequence's embeddings become one; values as in `ARCH.pooling_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The mean over all tokens.
    Mean,
    /// The first token's.
    First,
    /// The last token's.
    Last,
}

impl Pooling {
    /// Reads `pooling_type`; files that don't say take the mean.
    pub(crate) fn load(keys: &Keys<'_>) -> Result<Self, Error> {
        match keys.opt_usize("pooling_type")? {
            None | Some(0 | 1) => Ok(Pooling::Mean),
            Some(2) => Ok(Pooling::First),
            Some(3) => Ok(Pooling::Last),
            Some(other) => Err(Error::Value {
                key: "pooling_type".into(),
                value: other.to_string(),
                expected: "0 (none), 1 (mean), 2 (cls) or 3 (last)".into(),
            }),
        }
    }

    /// Pools rows of `width` values; zeros for no rows.
    pub fn pool(self, rows: &[f32], width: usize) -> Vec<f32> {
        let n = rows.len() / width;
        match self {
            _ if n == 0 => vec![0.0; width],
            Pooling::First => rows[..width].to_vec(),
            Pooling::Last => rows[(n - 1) * width..].to_vec(),
            Pooling::Mean => (0..width)
                .map(|col| {
                    let sum: f64 = rows[col..].iter().step_by(width).map(|&v| f64::from(v)).sum();
                    (sum / n as f64) as f32
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_columns() {
        let rows = [1.0, 2.0, 3.0, 6.0];
        assert_eq!(Pooling::Mean.pool(&rows, 2), [2.0, 4.0]);
        assert_eq!(Pooling::First.pool(&rows, 2), [1.0, 2.0]);
        assert_eq!(Pooling::Last.pool(&rows, 2), [3.0, 6.0]);
        assert_eq!(Pooling::Mean.pool(&[], 2), [0.0, 0.0]);
    }
}
