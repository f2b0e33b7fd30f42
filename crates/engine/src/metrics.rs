//! What a scheduler has done, and what it is doing.

use std::time::Duration;

use sample::Params;

use crate::{DiskCacheTotals, Load};

/// What a scheduler has done so far, and what there is now.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Work done.
    pub totals: Totals,
    /// Requests that run and wait.
    pub load: Load,
    /// Positions that memory has pages for.
    pub positions: usize,
    /// Positions of the pages that running requests use.
    pub positions_in_use: usize,
    /// Positions of the pages that are only kept of earlier requests.
    pub positions_kept: usize,
    /// What the disk cache has done, if there is one.
    pub disk_cache: Option<DiskCacheTotals>,
    /// What each sequence does.
    pub slots: Vec<SlotStatus>,
}

impl Metrics {
    /// Share of memory that running requests use, 0 to 1.
    pub fn usage(&self) -> f64 {
        self.positions_in_use as f64 / self.positions.max(1) as f64
    }
}

/// Work done since the start. Time goes by the clock, however many requests share it; that of steps
/// that evaluate prompts and answers is divided by their tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Prompt tokens evaluated.
    pub prompt_tokens: u64,
    /// Time for them.
    pub prompt_time: Duration,
    /// Prompt tokens that memory still held.
    pub cached_tokens: u64,
    /// Tokens of answers.
    pub generated_tokens: u64,
    /// Time for them.
    pub generation_time: Duration,
    /// Requests that were answered.
    pub finished: u64,
    /// Requests that were refused or failed.
    pub failed: u64,
    /// Requests that nobody waited for any more.
    pub cancelled: u64,
    /// Batches evaluated.
    pub steps: u64,
    /// Requests in all these batches.
    pub step_requests: u64,
    /// Tokens of the largest batch.
    pub largest_batch: usize,
}

impl Totals {
    /// Requests in a batch, on average.
    pub fn mean_requests(&self) -> f64 {
        self.step_requests as f64 / self.steps.max(1) as f64
    }

    /// Prompt tokens per second; `None` where there were none.
    pub(crate) fn prompt_speed(&self) -> Option<f64> {
        let time = self.prompt_time.as_secs_f64();
        (time > 0.0).then(|| self.prompt_tokens as f64 / time)
    }

    /// Adds a batch.
    pub(crate) fn count(&mut self, batch: BatchCounts, time: Duration) {
        let n_tokens = batch.prompt_tokens + batch.answer_tokens;
        let for_answers = time.mul_f64(batch.answer_tokens as f64 / n_tokens.max(1) as f64);
        self.prompt_tokens += batch.prompt_tokens as u64;
        self.prompt_time += time - for_answers;
        self.generation_time += for_answers;
        self.steps += 1;
        self.step_requests += batch.requests as u64;
        self.largest_batch = self.largest_batch.max(n_tokens);
    }
}

/// What a batch has.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct BatchCounts {
    pub prompt_tokens: usize,
    pub answer_tokens: usize,
    pub requests: usize,
}

/// What a sequence does.
#[derive(Debug, Clone)]
pub struct SlotStatus {
    /// Its number, from 0.
    pub id: usize,
    /// Positions that it may have.
    pub n_ctx: usize,
    /// Tokens that it has in memory or has left there.
    pub tokens: usize,
    /// The request that it works on, if any.
    pub request: Option<RequestStatus>,
}

/// How far a request is.
#[derive(Debug, Clone)]
pub struct RequestStatus {
    /// Its number, in the order of submission from 0.
    pub number: u64,
    /// See [`crate::Request::client`].
    pub client: u64,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Those of them that memory still held.
    pub cached_tokens: usize,
    /// Tokens generated.
    pub generated_tokens: usize,
    /// Whether the prompt is still being evaluated.
    pub in_prompt: bool,
    /// Tokens to generate at most.
    pub limit: Option<usize>,
    /// Texts that end the answer.
    pub stops: Vec<String>,
    /// How tokens are chosen.
    pub sampling: Params,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixed_steps_are_divided() {
        let mut totals = Totals::default();
        let mixed = BatchCounts { prompt_tokens: 6, answer_tokens: 2, requests: 3 };
        totals.count(mixed, Duration::from_millis(80));
        let answers = BatchCounts { prompt_tokens: 0, answer_tokens: 3, requests: 3 };
        totals.count(answers, Duration::from_millis(30));
        assert_eq!(totals.prompt_tokens, 6);
        assert_eq!(totals.prompt_time, Duration::from_millis(60));
        assert_eq!(totals.generation_time, Duration::from_millis(50));
        assert_eq!((totals.steps, totals.mean_requests(), totals.largest_batch), (2, 3.0, 8));
    }
}
