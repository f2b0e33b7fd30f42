const LANES: usize = 8;

/// Sums over independent lanes, which vectorise.
#[derive(Default)]
pub(crate) struct Moments {
    counts: [f64; LANES],
    sums: [f64; LANES],
    squares: [f64; LANES],
}

impl Moments {
    /// Number, mean and variance of the logits of all candidates: those above -inf.
    pub(crate) fn of(logits: &[f32]) -> (usize, f64, f64) {
        let mut moments = Self::default();
        logits.chunks(LANES).for_each(|chunk| moments.add(chunk));
        moments.finish()
    }

    /// Adds the logits of one chunk, but none that is left out.
    fn add(&mut self, chunk: &[f32]) {
        let Self { counts, sums, squares } = self;
        for (((count, sum), square), &logit) in counts.iter_mut().zip(sums).zip(squares).zip(chunk)
        {
            let allowed = logit > f32::NEG_INFINITY;
            let logit = if allowed { f64::from(logit) } else { 0.0 };
            *count += if allowed { 1.0 } else { 0.0 };
            *sum += logit;
            *square += logit * logit;
        }
    }

    fn finish(self) -> (usize, f64, f64) {
        let count: f64 = self.counts.iter().sum();
        let mean = self.sums.iter().sum::<f64>() / count;
        let variance = self.squares.iter().sum::<f64>() / count - mean * mean;
        (count as usize, mean, variance.max(0.0))
    }
}
