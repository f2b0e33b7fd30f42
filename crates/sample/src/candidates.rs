use std::cmp::Ordering;
use std::collections::HashMap;

use crate::exp::exp;
use crate::greedy::{greedy, highest};

/// A token that may still be chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) token: u32,
    pub(crate) logit: f32,
    /// Its probability, where [`Candidates::softmax`] was the last to change anything.
    pub(crate) p: f32,
}

impl Candidate {
    /// Likelier first; of equals the lower token, so that runs repeat exactly.
    pub(crate) fn by_rank(a: &Self, b: &Self) -> Ordering {
        b.logit.total_cmp(&a.logit).then(a.token.cmp(&b.token))
    }
}

/// The tokens that may still be chosen: the whole vocabulary first, a list once something is left
/// out. Forbidden tokens (of logit -inf) are never listed.
pub(crate) struct Candidates<'l> {
    logits: &'l mut [f32],
    items: Vec<Candidate>,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// All of `logits`; `items` is not filled yet.
    Vocabulary,
    /// `items`, in any order.
    Listed,
    /// `items`, in rank order.
    Ranked,
}

impl<'l> Candidates<'l> {
    /// All tokens of `logits`; `space` is only room to work in.
    pub(crate) fn new(logits: &'l mut [f32], mut space: Vec<Candidate>) -> Self {
        space.clear();
        Self { logits, items: space, form: Form::Vocabulary }
    }

    /// Number of tokens in the vocabulary.
    pub(crate) fn n_vocab(&self) -> usize {
        self.logits.len()
    }

    /// The candidates, listed.
    pub(crate) fn items(&mut self) -> &mut [Candidate] {
        if self.form == Form::Vocabulary {
            let all = listed(self.logits);
            self.items.extend(all.filter(|c| c.logit > f32::NEG_INFINITY));
            self.form = Form::Listed;
        }
        &mut self.items
    }

    /// The candidates, for good.
    pub(crate) fn into_items(mut self) -> Vec<Candidate> {
        self.items();
        self.items
    }

    /// Gives `change` the logit of every candidate that is a key of `map`, with its value.
    pub(crate) fn change<T>(&mut self, map: &HashMap<u32, T>, change: impl Fn(&mut f32, &T)) {
        if self.form == Form::Vocabulary {
            for (&token, value) in map {
                if let Some(logit) = self.logits.get_mut(token as usize) {
                    change(logit, value);
                }
            }
            return;
        }
        for c in &mut self.items {
            if let Some(value) = map.get(&c.token) {
                change(&mut c.logit, value);
            }
        }
        self.items.retain(|c| c.logit > f32::NEG_INFINITY);
        self.form = Form::Listed;
    }

    /// Changes every logit in a way that keeps their order.
    pub(crate) fn scale(&mut self, scale: impl Fn(f32) -> f32) {
        self.items().iter_mut().for_each(|c| c.logit = scale(c.logit));
    }

    /// Number of candidates of at least this logit.
    pub(crate) fn count_from(&self, least: f32) -> usize {
        match self.form {
            Form::Vocabulary => {
                let count = |chunk: &[f32]| -> u32 {
                    chunk.iter().map(|logit| u32::from(*logit >= least)).sum()
                };
                self.logits.chunks(1024).map(|chunk| count(chunk) as usize).sum()
            }
            _ => self.items.iter().filter(|c| c.logit >= least).count(),
        }
    }

    /// Number, mean and variance of the logits of all candidates.
    pub(crate) fn moments(&self) -> (usize, f64, f64) {
        let mut moments = Moments::default();
        match self.form {
            Form::Vocabulary => self.logits.chunks(LANES).for_each(|chunk| moments.add(chunk)),
            _ => self.items.iter().for_each(|c| moments.add(&[c.logit])),
        }
        moments.finish()
    }

    /// The highest logit; -inf when there are no candidates.
    pub(crate) fn max(&self) -> f32 {
        match (self.form, self.items.first()) {
            (Form::Vocabulary, _) => highest(self.logits),
            (Form::Ranked, Some(first)) => first.logit,
            _ => self.items.iter().fold(f32::NEG_INFINITY, |m, c| m.max(c.logit)),
        }
    }

    /// Keeps the candidate of the highest logit, the lowest token of equals.
    pub(crate) fn keep_best(&mut self) {
        let best = match self.form {
            Form::Vocabulary => greedy(self.logits).map(|token| {
                let logit = self.logits.get(token as usize).copied().unwrap_or_default();
                Candidate { token, logit, p: 0.0 }
            }),
            _ => self.items.iter().copied().min_by(Candidate::by_rank),
        };
        self.items.clear();
        self.items.extend(best);
        self.form = Form::Ranked;
    }

    /// Keeps candidates of at least this logit.
    pub(crate) fn keep_from(&mut self, least: f32) {
        if self.form == Form::Vocabulary {
            for logit in self.logits.iter_mut() {
                *logit = if *logit >= least { *logit } else { f32::NEG_INFINITY };
            }
        } else {
            self.items.retain(|c| c.logit >= least);
        }
    }

    /// Keeps the `k` likeliest candidates, ranked.
    ///
    /// Over a vocabulary this is one pass with a rising threshold: almost every logit is turned
    /// away by one comparison, and nothing is sorted but the survivors.
    pub(crate) fn keep_top(&mut self, k: usize) {
        if self.form == Form::Vocabulary {
            let room = k.saturating_mul(2).max(64);
            let mut threshold = f32::NEG_INFINITY;
            for c in listed(self.logits) {
                // An equal logit of a later token ranks below the k already held.
                if c.logit > threshold {
                    self.items.push(c);
                    if self.items.len() == room {
                        truncate(&mut self.items, k);
                        threshold = self.items.last().map_or(threshold, |c| c.logit);
                    }
                }
            }
            self.form = Form::Listed;
        }
        truncate_from(&mut self.items, k, self.form);
        self.rank_first(k);
    }

    /// Leaves out the first `n` candidates in rank order.
    pub(crate) fn drop_top(&mut self, n: usize) {
        self.rank_first(n);
        let n = n.min(self.items.len());
        self.items.drain(..n);
    }

    /// Keeps the shortest run of candidates in the order of `rank` whose weights `p` reach
    /// `target`, but `least` at least. No sorting: a quickselect that adds up weights.
    pub(crate) fn keep_weight(
        &mut self,
        target: f32,
        least: usize,
        rank: impl Fn(&Candidate, &Candidate) -> Ordering,
    ) {
        let items = self.items();
        let (mut low, mut high) = (0, items.len());
        let mut before = 0.0;
        while high - low > 32 {
            let half = (high - low) / 2;
            items[low..high].select_nth_unstable_by(half - 1, &rank);
            let middle = low + half;
            let weight: f32 = items[low..middle].iter().map(|c| c.p).sum();
            if before + weight >= target {
                high = middle;
            } else {
                before += weight;
                low = middle;
            }
        }
        items[low..high].sort_unstable_by(&rank);
        let reached = items[low..high].iter().position(|c| {
            before += c.p;
            before >= target
        });
        let keep = reached.map_or(high, |at| low + at + 1);
        let least = least.min(items.len());
        if keep < least {
            items.select_nth_unstable_by(least - 1, &rank);
        }
        self.items.truncate(keep.max(least));
        self.form = Form::Listed;
    }

    /// Keeps the candidates that `keep` says.
    pub(crate) fn retain(&mut self, keep: impl FnMut(&Candidate) -> bool) {
        self.items();
        self.items.retain(keep);
    }

    /// Takes `items` in place of the candidates.
    pub(crate) fn replace(&mut self, items: impl IntoIterator<Item = Candidate>) {
        self.items.clear();
        self.items.extend(items);
        self.form = Form::Listed;
    }

    /// Says that logits were changed in a way that need not keep their order.
    pub(crate) fn forget_order(&mut self) {
        self.items();
        self.form = Form::Listed;
    }

    /// Puts the first `n` candidates in their final rank order.
    pub(crate) fn rank_first(&mut self, n: usize) {
        self.items();
        if self.form == Form::Ranked {
            return;
        }
        if n >= self.items.len() {
            self.items.sort_unstable_by(Candidate::by_rank);
            self.form = Form::Ranked;
        } else if n > 0 {
            self.items.select_nth_unstable_by(n - 1, Candidate::by_rank);
            self.items[..n].sort_unstable_by(Candidate::by_rank);
        }
    }

    /// `p = exp(logit - max) / sum`; returns `max` and `ln(sum)`.
    pub(crate) fn softmax(&mut self) -> (f32, f32) {
        let max = self.max();
        let items = self.items();
        let mut sum = 0.0;
        for chunk in items.chunks_mut(16) {
            let mut part = 0.0;
            for c in chunk {
                c.p = exp(c.logit - max);
                part += c.p;
            }
            sum += f64::from(part);
        }
        let scale = sum.recip() as f32;
        items.iter_mut().for_each(|c| c.p *= scale);
        (max, sum.ln() as f32)
    }
}

const LANES: usize = 8;

/// Sums over independent lanes, which vectorise.
#[derive(Default)]
struct Moments {
    counts: [f64; LANES],
    sums: [f64; LANES],
    squares: [f64; LANES],
}

impl Moments {
    /// Adds the logits of one chunk, but none that is forbidden.
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

fn listed(logits: &[f32]) -> impl Iterator<Item = Candidate> {
    (0u32..).zip(logits).map(|(token, &logit)| Candidate { token, logit, p: 0.0 })
}

/// Leaves the `k` best items, the worst of them last.
fn truncate(items: &mut Vec<Candidate>, k: usize) {
    if items.len() > k {
        items.select_nth_unstable_by(k - 1, Candidate::by_rank);
        items.truncate(k);
    }
}

fn truncate_from(items: &mut Vec<Candidate>, k: usize, form: Form) {
    match form {
        Form::Ranked => items.truncate(k),
        _ => truncate(items, k),
    }
}

/// What steps are tested with.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// Runs `step` on candidates of these logits and returns what it leaves, in rank order.
    pub(crate) fn after(logits: &[f32], step: impl FnOnce(&mut Candidates)) -> Vec<Candidate> {
        let mut logits = logits.to_vec();
        let mut candidates = Candidates::new(&mut logits, Vec::new());
        step(&mut candidates);
        let mut items = candidates.into_items();
        items.sort_by(Candidate::by_rank);
        items
    }

    /// The tokens `step` leaves, likeliest first.
    pub(crate) fn left(logits: &[f32], step: impl FnOnce(&mut Candidates)) -> Vec<u32> {
        after(logits, step).into_iter().map(|c| c.token).collect()
    }

    /// Logits of these probabilities.
    pub(crate) fn logits_of(probs: &[f64]) -> Vec<f32> {
        probs.iter().map(|p| p.ln() as f32).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::testing::{after, left};
    use super::*;

    #[test]
    fn softmax_matches_the_formula() {
        let items = after(&[1.0, 3.0, f32::NEG_INFINITY, 2.0], |c| {
            let (max, log_sum) = c.softmax();
            assert_eq!(max, 3.0);
            let expected = (1.0 + (-1f64).exp() + (-2f64).exp()).ln();
            assert!((f64::from(log_sum) - expected).abs() < 1e-6);
        });
        let sum = 1f64.exp() + 3f64.exp() + 2f64.exp();
        for (c, logit) in items.iter().zip([3f64, 2.0, 1.0]) {
            assert!((f64::from(c.p) - logit.exp() / sum).abs() < 1e-6);
        }
        assert_eq!(items.iter().map(|c| c.token).collect::<Vec<_>>(), [1, 3, 0]);
    }

    #[test]
    fn changes_reach_listed_candidates_and_the_vocabulary() {
        let map = HashMap::from([(1, 5.0f32), (9, 1.0)]);
        let add = |logit: &mut f32, value: &f32| *logit += value;
        assert_eq!(left(&[3.0, 2.0, 1.0], |c| c.change(&map, add)), [1, 0, 2]);
        let listed = left(&[3.0, 2.0, 1.0], |c| {
            c.keep_top(2);
            c.change(&map, add);
        });
        assert_eq!(listed, [1, 0]);
    }

    proptest! {
        #[test]
        fn keep_weight_keeps_what_a_full_sort_would(
            logits in prop::collection::vec(-8f32..8.0, 1..400),
            target in 0f32..1.1,
            least in 0usize..20,
        ) {
            let mut sorted = after(&logits, |c| { c.softmax(); });
            let mut sum = 0.0;
            let reached = sorted.iter().position(|c| { sum += c.p; sum >= target });
            // Sums in another order may fall just on the other side of the target.
            let slack = 1e-5;
            sorted.truncate(reached.map_or(sorted.len(), |at| at + 1).max(least));
            let kept = after(&logits, |c| {
                c.softmax();
                c.keep_weight(target, least, Candidate::by_rank);
            });
            if kept != sorted {
                let weight = |items: &[Candidate]| items.iter().map(|c| c.p).sum::<f32>();
                let shorter = if kept.len() < sorted.len() { &kept } else { &sorted };
                prop_assert!(shorter.iter().zip(&sorted).all(|(a, b)| a == b));
                prop_assert!((weight(shorter) - target).abs() < slack);
            }
        }
    }
}
