//! Logits to probabilities, values to means. Precisions are llama.cpp's, so that results agree.

use std::num::NonZero;

use serde::Serialize;

/// A mean with its standard error.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Estimate {
    /// The mean.
    pub value: f64,
    /// Its standard error.
    pub error: f64,
}

/// Sums of values, from which their mean follows.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sums {
    pub sum: f64,
    pub squares: f64,
    pub count: usize,
}

impl Sums {
    pub(super) fn add(&mut self, value: f64) {
        self.sum += value;
        self.squares += value * value;
        self.count += 1;
    }

    pub(super) fn mean(&self) -> f64 {
        self.sum / self.count.max(1) as f64
    }

    /// The mean, and how sure it is; that of less than a dozen values is not said.
    pub(super) fn estimate(&self) -> Estimate {
        let value = self.mean();
        let variance = self.squares / self.count.max(1) as f64 - value * value;
        let sure = variance > 0.0 && self.count > 10;
        let error = if sure { (variance / (self.count - 1) as f64).sqrt() } else { 0.0 };
        Estimate { value, error }
    }
}

impl Estimate {
    /// Of `e` to the power of this.
    pub(super) fn exp(self) -> Self {
        let value = self.value.exp();
        Self { value, error: value * self.error }
    }

    /// In per cent.
    pub fn percent(self) -> Self {
        Self { value: 100.0 * self.value, error: 100.0 * self.error }
    }
}

/// The largest logit and the sum of all exponentials relative to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Softmax {
    pub max: f32,
    pub sum: f64,
}

impl Softmax {
    pub(super) fn of(logits: &[f32]) -> Self {
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum = logits.iter().map(|&logit| f64::from((logit - max).exp())).sum();
        Self { max, sum }
    }

    /// The negative logarithm of a token's probability.
    pub(super) fn nll(&self, logit: f32) -> f64 {
        self.sum.ln() - f64::from(logit - self.max)
    }
}

/// Values at a share of the sorted `values`, between two neighbours where need be.
pub(super) fn percentile(values: &[f32], share: f32) -> f32 {
    let (Some(first), Some(last)) = (values.first(), values.last()) else { return f32::NAN };
    if share <= 0.0 {
        return *first;
    }
    if share >= 1.0 {
        return *last;
    }
    let place = share * (values.len() - 1) as f32;
    let at = place as usize;
    let part = place - at as f32;
    (1.0 - part) * values[at] + part * values[(at + 1).min(values.len() - 1)]
}

/// `compute` of each row, in order, by several threads.
pub(super) fn map_rows<T: Send>(n: usize, compute: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(n.max(1));
    let share = n.div_ceil(threads);
    std::thread::scope(|scope| {
        let compute = &compute;
        let workers: Vec<_> = (0..threads)
            .map(|i| {
                let rows = (i * share).min(n)..((i + 1) * share).min(n);
                scope.spawn(move || rows.map(compute).collect::<Vec<T>>())
            })
            .collect();
        let join = |worker: std::thread::ScopedJoinHandle<'_, Vec<T>>| match worker.join() {
            Ok(rows) => rows,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        workers.into_iter().flat_map(join).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_of_known_logits() {
        let logits = [1.0, 2.0, 3.0];
        let softmax = Softmax::of(&logits);
        let total: f64 = logits.iter().map(|&logit| (-softmax.nll(logit)).exp()).sum();
        assert!((total - 1.0).abs() < 1e-6);
        assert!((softmax.nll(3.0) - 0.407_606).abs() < 1e-5);
    }

    #[test]
    fn means_and_percentiles() {
        let mut sums = Sums::default();
        (1..=12).for_each(|n| sums.add(f64::from(n)));
        let Estimate { value, error } = sums.estimate();
        assert!(value == 6.5 && (error - (143.0f64 / 12.0 / 11.0).sqrt()).abs() < 1e-12);
        let values = [0.0, 1.0, 2.0, 4.0];
        let at = [0.0, 0.5, 1.0].map(|share| percentile(&values, share));
        assert_eq!(at, [0.0, 1.5, 4.0]);
        assert!(percentile(&[], 0.5).is_nan());
        assert_eq!(map_rows(5, |i| i * i), [0, 1, 4, 9, 16]);
        assert!(map_rows(0, |i| i).is_empty());
    }
}
