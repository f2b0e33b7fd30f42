use std::cmp::Ordering;

/// A token that may still be chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) token: u32,
    pub(crate) logit: f32,
}

impl Candidate {
    /// Likelier first; of equals the lower token, so that runs repeat exactly.
    pub(crate) fn by_rank(a: &Self, b: &Self) -> Ordering {
        b.logit.total_cmp(&a.logit).then(a.token.cmp(&b.token))
    }
}

/// The tokens that may still be chosen, and scratch space reused between tokens.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    pub(crate) items: Vec<Candidate>,
    /// Whether `items` is in rank order.
    pub(crate) sorted: bool,
    /// Probabilities of `items`, valid after [`Candidates::softmax`].
    pub(crate) probs: Vec<f32>,
}

impl Candidates {
    /// Takes every token that is not forbidden (-inf).
    pub(crate) fn fill(&mut self, logits: &[f32]) {
        self.items.clear();
        let all = (0u32..).zip(logits).map(|(token, &logit)| Candidate { token, logit });
        self.items.extend(all.filter(|c| c.logit > f32::NEG_INFINITY));
        self.sorted = false;
    }

    /// Puts `items` in rank order.
    pub(crate) fn sort(&mut self) {
        if !self.sorted {
            self.items.sort_unstable_by(Candidate::by_rank);
            self.sorted = true;
        }
    }

    /// Puts at least the first `n` items in their final rank order.
    pub(crate) fn rank_prefix(&mut self, n: usize) {
        if n == 0 || n >= self.items.len() {
            self.sort();
        } else if !self.sorted {
            self.items.select_nth_unstable_by(n - 1, Candidate::by_rank);
            self.items[..n].sort_unstable_by(Candidate::by_rank);
        }
    }

    /// The highest logit; -inf when there are no items.
    pub(crate) fn max(&self) -> f32 {
        match self.items.first() {
            Some(first) if self.sorted => first.logit,
            _ => self.items.iter().fold(f32::NEG_INFINITY, |m, c| m.max(c.logit)),
        }
    }

    /// `probs[i] = exp(logit[i] - max) / sum`.
    pub(crate) fn softmax(&mut self) {
        let max = self.max();
        self.probs.clear();
        self.probs.extend(self.items.iter().map(|c| (c.logit - max).exp()));
        let sum: f32 = self.probs.iter().sum();
        self.probs.iter_mut().for_each(|p| *p /= sum);
    }
}

#[cfg(test)]
pub(crate) fn candidates(logits: &[f32]) -> Candidates {
    let mut candidates = Candidates::default();
    candidates.fill(logits);
    candidates
}

#[cfg(test)]
impl Candidates {
    pub(crate) fn tokens(&self) -> Vec<u32> {
        self.items.iter().map(|c| c.token).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_matches_the_formula() {
        let mut c = candidates(&[1.0, 3.0, f32::NEG_INFINITY, 2.0]);
        c.softmax();
        let sum = 1f64.exp() + 3f64.exp() + 2f64.exp();
        for (p, logit) in c.probs.iter().zip([1f64, 3.0, 2.0]) {
            assert!((f64::from(*p) - logit.exp() / sum).abs() < 1e-6);
        }
        assert_eq!(c.tokens(), [0, 1, 3]);
    }
}
