use std::collections::{HashMap, VecDeque};

use crate::Params;
use crate::candidates::Candidates;

/// Makes recently accepted tokens less likely. For a token seen `n > 0` times
/// among the last `repeat_last_n`:
///
/// `logit = (logit <= 0 ? logit * repeat : logit / repeat) - n * frequency - presence`
///
/// (repetition: Keskar et al. 2019, arXiv 1909.05858, with the product for logits below 0;
/// frequency and presence as in OpenAI's interface).
#[derive(Debug, Clone)]
pub(crate) struct Penalties {
    repeat: f32,
    frequency: f32,
    presence: f32,
    last_n: usize,
    recent: VecDeque<u32>,
    counts: HashMap<u32, u32>,
}

impl Penalties {
    /// `None` where the parameters turn the penalties off.
    pub(crate) fn new(params: &Params) -> Option<Self> {
        let idle = params.repeat_penalty == 1.0
            && params.frequency_penalty == 0.0
            && params.presence_penalty == 0.0;
        (!idle && params.repeat_last_n > 0).then(|| Self {
            repeat: params.repeat_penalty,
            frequency: params.frequency_penalty,
            presence: params.presence_penalty,
            last_n: params.repeat_last_n,
            recent: VecDeque::new(),
            counts: HashMap::new(),
        })
    }

    pub(crate) fn restart(&mut self, history: &[u32]) {
        self.recent.clear();
        self.counts.clear();
        let start = history.len().saturating_sub(self.last_n);
        history[start..].iter().for_each(|&token| self.accept(token));
    }

    pub(crate) fn accept(&mut self, token: u32) {
        if self.recent.len() == self.last_n {
            self.forget_oldest();
        }
        self.recent.push_back(token);
        *self.counts.entry(token).or_insert(0) += 1;
    }

    pub(crate) fn apply(&self, candidates: &mut Candidates) {
        candidates.change(&self.counts, |logit, &count| {
            if *logit <= 0.0 {
                *logit *= self.repeat;
            } else {
                *logit /= self.repeat;
            }
            *logit -= count as f32 * self.frequency + self.presence;
        });
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.recent.pop_front() else { return };
        if let Some(count) = self.counts.get_mut(&oldest) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidates::testing::after;

    const LOGITS: [f32; 4] = [2.0, -2.0, 0.5, 1.0];

    fn penalised(params: &Params, accepted: &[u32]) -> [f32; 4] {
        let mut penalties = Penalties::new(params).expect("penalties");
        accepted.iter().for_each(|&t| penalties.accept(t));
        logits(&penalties)
    }

    fn logits(penalties: &Penalties) -> [f32; 4] {
        let mut logits = [0.0; 4];
        for c in after(&LOGITS, |c| penalties.apply(c)) {
            logits[c.token as usize] = c.logit;
        }
        logits
    }

    #[test]
    fn follow_the_formula() {
        let params = Params {
            repeat_penalty: 2.0,
            frequency_penalty: 0.25,
            presence_penalty: 0.5,
            ..Params::default()
        };
        let got = penalised(&params, &[0, 1, 0, 9]);
        assert_eq!(got, [2.0 / 2.0 - 2.0 * 0.25 - 0.5, -2.0 * 2.0 - 0.25 - 0.5, 0.5, 1.0]);
    }

    #[test]
    fn forget_what_is_no_longer_recent() {
        let params = Params { presence_penalty: 1.0, repeat_last_n: 2, ..Params::default() };
        assert_eq!(penalised(&params, &[0, 0, 2, 3]), [2.0, -2.0, -0.5, 0.0]);
    }

    #[test]
    fn restart_remembers_only_the_end_of_the_history() {
        let params = Params { presence_penalty: 1.0, repeat_last_n: 2, ..Params::default() };
        let mut penalties = Penalties::new(&params).expect("penalties");
        penalties.accept(3);
        penalties.restart(&[0, 1, 2]);
        assert_eq!(logits(&penalties), [2.0, -3.0, -0.5, 1.0]);
    }

    #[test]
    fn nothing_to_penalise_turns_them_off() {
        assert!(Penalties::new(&Params::default()).is_none());
        let params = Params { presence_penalty: 1.0, repeat_last_n: 0, ..Params::default() };
        assert!(Penalties::new(&params).is_none());
    }
}
