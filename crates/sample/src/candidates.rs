use std::cmp::Ordering;
use std::collections::HashMap;

use crate::cut::Cut;
use crate::draw::draw;
use crate::exp::{exp_all, sum};
use crate::greedy::{greedy, highest};
use crate::moments::Moments;
use crate::rng::Rng;

/// So many logits are turned away at once.
const CHUNK: usize = 32;

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

/// The tokens that may still be chosen: the whole vocabulary first, a list once only some are
/// kept. One that is left out, or forbidden from the start, has the logit -inf.
///
/// Logits and probabilities lie in rows of their own, so that what is done to all vectorises.
pub(crate) struct Candidates<'l> {
    logits: &'l mut [f32],
    n_vocab: usize,
    listed: bool,
    /// The maximum and the logarithm of the sum that the probabilities are of, while no logit has
    /// changed since but to -inf.
    softmax: Option<(f32, f32)>,
    space: &'l mut Space,
}

/// Room to work in.
#[derive(Clone, Default)]
pub(crate) struct Space {
    /// Tokens in the list.
    tokens: Vec<u32>,
    /// Probabilities, one per logit once they were computed.
    probs: Vec<f32>,
    keys: Vec<f32>,
    best: Vec<Candidate>,
}

impl<'l> Candidates<'l> {
    /// All tokens of `logits`.
    pub(crate) fn new(logits: &'l mut [f32], space: &'l mut Space) -> Self {
        space.probs.clear();
        Self { n_vocab: logits.len(), logits, listed: false, softmax: None, space }
    }

    /// Number of tokens in the vocabulary.
    pub(crate) fn n_vocab(&self) -> usize {
        self.n_vocab
    }

    /// Number of candidates.
    pub(crate) fn count(&self) -> usize {
        self.count_from(f32::MIN)
    }

    /// Number of candidates of at least this logit.
    pub(crate) fn count_from(&self, least: f32) -> usize {
        count(self.logits, |logit| logit >= least)
    }

    /// Number of candidates of at least this probability.
    pub(crate) fn count_likely(&self, least: f32) -> usize {
        let all = self.logits.iter().zip(&self.space.probs);
        all.map(|(logit, p)| usize::from(*logit > f32::NEG_INFINITY && *p >= least)).sum()
    }

    /// The candidates, in no order of note.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Candidate> {
        let present = |at: &usize| self.logits[*at] > f32::NEG_INFINITY;
        (0..self.logits.len()).filter(present).map(|at| self.at(at))
    }

    /// The candidates in rank order.
    pub(crate) fn ranked(&self) -> Vec<Candidate> {
        let mut items: Vec<Candidate> = self.iter().collect();
        items.sort_unstable_by(Candidate::by_rank);
        items
    }

    /// Gives `change` the logit of every candidate that is a key of `map`, with its value.
    pub(crate) fn change<T>(&mut self, map: &HashMap<u32, T>, change: impl Fn(&mut f32, &T)) {
        self.softmax = None;
        if self.listed {
            for (logit, token) in self.logits.iter_mut().zip(&self.space.tokens) {
                if let Some(value) = map.get(token) {
                    change(logit, value);
                }
            }
        } else {
            for (&token, value) in map {
                if let Some(logit) = self.logits.get_mut(token as usize) {
                    change(logit, value);
                }
            }
        }
    }

    /// Changes the logits of all candidates.
    pub(crate) fn change_all(&mut self, change: impl Fn(f32) -> f32) {
        self.softmax = None;
        for logit in self.logits.iter_mut() {
            let changed = change(*logit);
            *logit = if *logit > f32::NEG_INFINITY { changed } else { *logit };
        }
    }

    /// Makes the logits of all candidates anew out of their probabilities, which
    /// [`Candidates::softmax`] was the last to change.
    pub(crate) fn remake(&mut self, logit_of: impl Fn(f32) -> f32) {
        self.softmax = None;
        for (logit, p) in self.logits.iter_mut().zip(&self.space.probs) {
            let made = logit_of(*p);
            *logit = if *logit > f32::NEG_INFINITY { made } else { *logit };
        }
    }

    /// Number, mean and variance of the logits of all candidates.
    pub(crate) fn moments(&self) -> (usize, f64, f64) {
        Moments::of(self.logits)
    }

    /// The highest logit; -inf when there are no candidates.
    pub(crate) fn max(&self) -> f32 {
        highest(self.logits)
    }

    /// Keeps the candidate of the highest logit, the lowest token of equals.
    pub(crate) fn keep_best(&mut self) {
        if self.listed {
            return self.keep_top(1);
        }
        let best = greedy(self.logits).map(|token| self.at(token as usize));
        self.replace(best);
    }

    /// Keeps candidates of at least this logit.
    pub(crate) fn keep_from(&mut self, least: f32) {
        for logit in self.logits.iter_mut() {
            *logit = if *logit >= least { *logit } else { f32::NEG_INFINITY };
        }
    }

    /// Keeps the `k` likeliest candidates, as a list in rank order.
    pub(crate) fn keep_top(&mut self, k: usize) {
        let best = self.top(k);
        self.replace(best.iter().copied());
        self.space.best = best;
    }

    /// The `k` likeliest candidates in rank order.
    ///
    /// This is one pass with a rising threshold: almost every chunk of logits is turned away by its
    /// highest, and nothing is sorted but the survivors.
    pub(crate) fn top(&mut self, k: usize) -> Vec<Candidate> {
        let mut best = std::mem::take(&mut self.space.best);
        best.clear();
        let room = k.saturating_mul(2).max(64);
        // Of equal logits the later place may be that of the lower token only in a list.
        let above = |logit: f32, threshold: f32| match self.listed {
            true => logit >= threshold && logit > f32::NEG_INFINITY,
            false => logit > threshold,
        };
        let mut threshold = f32::NEG_INFINITY;
        for (chunk, logits) in self.logits.chunks(CHUNK).enumerate() {
            if !logits.iter().fold(false, |any, logit| any | above(*logit, threshold)) {
                continue;
            }
            for (at, &logit) in (chunk * CHUNK..).zip(logits) {
                if above(logit, threshold) {
                    best.push(Candidate { token: self.token(at), logit, p: 0.0 });
                    if best.len() == room {
                        truncate(&mut best, k);
                        threshold = best.last().map_or(threshold, |c| c.logit);
                    }
                }
            }
        }
        truncate(&mut best, k);
        best.sort_unstable_by(Candidate::by_rank);
        best
    }

    /// Keeps the shortest run of candidates in the order of `key` (of the logit; the lowest first,
    /// of equals those of higher rank) whose probabilities reach `target`, but `least` at least.
    pub(crate) fn keep_weight(&mut self, target: f32, least: usize, key: impl Fn(f32) -> f32) {
        let key = |&logit: &f32| match logit > f32::NEG_INFINITY {
            true => key(logit).min(f32::MAX),
            false => f32::INFINITY,
        };
        let mut keys = std::mem::take(&mut self.space.keys);
        keys.clear();
        keys.extend(self.logits.iter().map(key));
        let mut cut = Cut::at(&keys, &self.space.probs, target.into());
        if count(&keys, |key| key < cut.key) + cut.ties < least {
            let ones: Vec<f32> = keys.iter().map(|key| u8::from(key.is_finite()).into()).collect();
            cut = Cut::at(&keys, &ones, least as f64);
        }
        if cut.ties < cut.equals {
            let equals = keys.iter().enumerate().filter(|(_, key)| **key == cut.key);
            let mut equals: Vec<usize> = equals.map(|(at, _)| at).collect();
            equals.sort_by_key(|at| self.token(*at));
            equals.sort_by(|a, b| self.logits[*b].total_cmp(&self.logits[*a]));
            equals[cut.ties..].iter().for_each(|at| keys[*at] = f32::INFINITY);
        }
        for (logit, key) in self.logits.iter_mut().zip(&keys) {
            *logit = if *key <= cut.key { *logit } else { f32::NEG_INFINITY };
        }
        self.space.keys = keys;
    }

    /// Leaves out the candidates that `drop` says.
    pub(crate) fn drop(&mut self, drop: impl Fn(&Candidate) -> bool) {
        for at in 0..self.logits.len() {
            if drop(&self.at(at)) {
                self.logits[at] = f32::NEG_INFINITY;
            }
        }
    }

    /// Takes `items` in place of the candidates, no more than these were.
    pub(crate) fn replace(&mut self, items: impl IntoIterator<Item = Candidate>) {
        self.listed = true;
        self.softmax = None;
        self.space.tokens.clear();
        for (c, logit) in items.into_iter().zip(self.logits.iter_mut()) {
            *logit = c.logit;
            self.space.tokens.push(c.token);
        }
        let n = self.space.tokens.len();
        self.logits = &mut std::mem::take(&mut self.logits)[..n];
        self.space.probs.truncate(n);
    }

    /// `p = exp(logit - max) / sum`; returns `max` and `ln(sum)`.
    pub(crate) fn softmax(&mut self) -> (f32, f32) {
        let max = self.max();
        let probs = &mut self.space.probs;
        if max == f32::NEG_INFINITY {
            probs.clear();
            return (max, f32::NEG_INFINITY);
        }
        // Where the likeliest are still there, so are most of the exponentials.
        let (sum, before) = match self.softmax {
            Some((same, log_sum)) if same == max => (left_of(self.logits, probs), log_sum),
            _ => {
                probs.resize(self.logits.len(), 0.0);
                (exp_all(self.logits, max, probs), 0.0)
            }
        };
        let scale = sum.recip() as f32;
        probs.iter_mut().for_each(|p| *p *= scale);
        let softmax = (max, before + sum.ln() as f32);
        self.softmax = Some(softmax);
        softmax
    }

    /// The entropy `-Σ p · ln(p)`, after [`Candidates::softmax`] returned `max` and `log_sum`.
    pub(crate) fn entropy(&self, (max, log_sum): (f32, f32)) -> f32 {
        // Of no probability, the logarithm may be infinite.
        let part = |(logit, p): (&f32, &f32)| match *p > 0.0 {
            true => p * (log_sum + max - logit),
            false => 0.0,
        };
        let rows = self.logits.chunks(256).zip(self.space.probs.chunks(256));
        let mut space = [0.0; 256];
        let chunks = rows.map(|(logits, probs)| {
            let parts = logits.iter().zip(probs).map(part);
            space.iter_mut().zip(parts).for_each(|(to, part)| *to = part);
            sum(&space[..logits.len()])
        });
        chunks.sum::<f64>() as f32
    }

    /// Draws the place of a candidate with its probability; `None` where there are none.
    pub(crate) fn draw(&self, rng: &mut Rng) -> Option<usize> {
        draw(rng, &self.space.probs)
    }

    /// The candidate at a place.
    pub(crate) fn at(&self, at: usize) -> Candidate {
        let p = self.space.probs.get(at).copied().unwrap_or_default();
        Candidate { token: self.token(at), logit: self.logits[at], p }
    }

    /// The probabilities by place, 0 where a candidate was left out.
    pub(crate) fn probabilities(&self) -> &[f32] {
        &self.space.probs
    }

    fn token(&self, at: usize) -> u32 {
        if self.listed { self.space.tokens[at] } else { at as u32 }
    }
}

/// Takes the probability from those left out; returns the sum of the others'.
fn left_of(logits: &[f32], probs: &mut [f32]) -> f64 {
    for (logit, p) in logits.iter().zip(&mut *probs) {
        *p = if *logit > f32::NEG_INFINITY { *p } else { 0.0 };
    }
    sum(probs)
}

/// How many of a row `counts`, added up in chunks, which vectorises.
fn count(row: &[f32], counts: impl Fn(f32) -> bool) -> usize {
    let chunk = |chunk: &[f32]| chunk.iter().map(|x| u32::from(counts(*x))).sum::<u32>() as usize;
    row.chunks(1024).map(chunk).sum()
}

/// Leaves the `k` best items, the worst of them last.
fn truncate(items: &mut Vec<Candidate>, k: usize) {
    if items.len() > k {
        items.select_nth_unstable_by(k.max(1) - 1, Candidate::by_rank);
        items.truncate(k);
    }
}

/// What steps are tested with.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// Runs `step` on candidates of these logits and returns what it leaves, in rank order.
    pub(crate) fn after(logits: &[f32], step: impl FnOnce(&mut Candidates)) -> Vec<Candidate> {
        let (mut logits, mut space) = (logits.to_vec(), Space::default());
        let mut candidates = Candidates::new(&mut logits, &mut space);
        step(&mut candidates);
        candidates.ranked()
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
    use crate::rng::Rng;

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
    fn probabilities_of_those_left_are_as_if_there_were_no_others() {
        let logits: Vec<f32> = (0..700).map(|i| (i as f32 * 0.61).sin() * 6.0).collect();
        for low in [false, true] {
            let step = |c: &mut Candidates| {
                c.keep_weight(0.7, 0, |logit| if low { logit } else { -logit });
            };
            let fresh = after(&logits, |c| {
                c.softmax();
                step(c);
                c.change_all(|logit| logit);
                c.softmax();
            });
            let again = after(&logits, |c| {
                let before = c.softmax();
                step(c);
                let (max, log_sum) = c.softmax();
                assert_eq!(max == before.0, !low);
                let sum: f32 = c.iter().map(|c| (c.logit - max).exp()).sum();
                assert!((log_sum - sum.ln()).abs() < 1e-5);
            });
            assert_eq!(fresh.len(), again.len());
            assert!(fresh.iter().zip(&again).all(|(a, b)| (a.p - b.p).abs() < 1e-6));
        }
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

    #[test]
    fn of_equals_the_lower_tokens_stay_whatever_their_places() {
        let kept = left(&[3.0, 2.0, 1.0, 1.0], |c| {
            c.keep_top(3);
            c.change(&HashMap::from([(0, 1.0f32), (1, 1.0), (2, 1.0)]), |l, to| *l = *to);
            c.change(&HashMap::from([(0, 0.5f32)]), |l, to| *l = *to);
            c.keep_top(1);
        });
        assert_eq!(kept, [1]);
    }

    #[test]
    fn without_candidates_there_is_nothing_to_do() {
        let none = left(&[f32::NEG_INFINITY; 3], |c| {
            c.softmax();
            c.keep_weight(0.5, 2, |logit| -logit);
            c.keep_from(0.0);
            c.keep_top(2);
            c.softmax();
            assert_eq!((c.count(), c.draw(&mut Rng::new(1))), (0, None));
        });
        assert!(none.is_empty());
    }

    proptest! {
        #[test]
        fn keep_weight_keeps_what_a_full_sort_would(
            logits in prop::collection::vec(-8f32..8.0, 1..2000),
            target in 0f32..1.1,
            least in 0usize..20,
            listed in any::<bool>(),
        ) {
            let mut sorted = after(&logits, |c| { c.softmax(); });
            let mut sum = 0.0;
            let reached = sorted.iter().position(|c| { sum += f64::from(c.p); sum >= target.into() });
            // Sums in another order may fall just on the other side of the target.
            let slack = 1e-6;
            sorted.truncate(reached.map_or(sorted.len(), |at| at + 1).max(least));
            let kept = after(&logits, |c| {
                if listed {
                    c.keep_top(logits.len());
                }
                let max = c.max();
                c.softmax();
                c.keep_weight(target, least, |logit| max - logit);
            });
            if kept != sorted {
                let weight = |items: &[Candidate]| items.iter().map(|c| f64::from(c.p)).sum::<f64>();
                let shorter = if kept.len() < sorted.len() { &kept } else { &sorted };
                prop_assert!(shorter.iter().zip(&sorted).all(|(a, b)| (a.token, a.logit) == (b.token, b.logit)));
                prop_assert!(kept.len() == sorted.len() || (weight(shorter) - f64::from(target)).abs() < slack);
            }
        }
    }
}
