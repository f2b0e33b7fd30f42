use std::collections::{HashMap, VecDeque};

use crate::candidates::Candidates;
use crate::{Params, Vocabulary};

/// Don't repeat yourself (p-e-w 2024, text-generation-webui pull request 5677): a token that would
/// prolong to `n + 1` tokens a run of `n >= allowed` that occurred before loses
///
/// `multiplier · base^(n - allowed)`
///
/// from its logit. Runs don't reach back across a sequence breaker, and tokens that are breakers
/// themselves go unpunished.
#[derive(Debug, Clone)]
pub(crate) struct Dry {
    multiplier: f32,
    base: f32,
    allowed: usize,
    last_n: usize,
    breakers: Breakers,
    recent: VecDeque<u32>,
}

impl Dry {
    /// `None` where the parameters turn the penalty off.
    pub(crate) fn new(params: &Params, vocabulary: &dyn Vocabulary) -> Option<Self> {
        let idle = params.dry_multiplier == 0.0 || params.dry_base < 1.0 || params.dry_last_n == 0;
        (!idle).then(|| Self {
            multiplier: params.dry_multiplier,
            base: params.dry_base,
            allowed: params.dry_allowed_length,
            last_n: params.dry_last_n,
            breakers: Breakers::new(&params.dry_breakers, vocabulary),
            recent: VecDeque::new(),
        })
    }

    pub(crate) fn restart(&mut self, history: &[u32]) {
        self.recent.clear();
        let start = history.len().saturating_sub(self.last_n);
        self.recent.extend(&history[start..]);
    }

    pub(crate) fn accept(&mut self, token: u32) {
        if self.recent.len() == self.last_n {
            self.recent.pop_front();
        }
        self.recent.push_back(token);
    }

    pub(crate) fn apply(&self, candidates: &mut Candidates) {
        let repeated = self.repeated();
        candidates.change(&repeated, |logit, &n| *logit -= self.penalty(n));
    }

    /// For each token that would prolong a repetition, the tokens repeated so far.
    fn repeated(&self) -> HashMap<u32, usize> {
        let mut repeated = HashMap::new();
        if self.recent.len() <= self.allowed {
            return repeated;
        }
        // Latest first, so that repetitions of the end are common prefixes.
        let latest: Vec<u32> = self.recent.iter().rev().copied().collect();
        let limit = self.breakers.last(&latest).unwrap_or(latest.len());
        if limit < self.allowed {
            return repeated;
        }
        let common = common_prefixes(&latest);
        for (&next, n) in latest.iter().zip(&common[1..]) {
            let n = (*n).min(limit);
            if n >= self.allowed && !self.breakers.is_breaker(next) {
                let longest = repeated.entry(next).or_insert(n);
                *longest = n.max(*longest);
            }
        }
        repeated
    }

    fn penalty(&self, n: usize) -> f32 {
        let exponent = (n - self.allowed) as f32;
        // Past this the power is no finite number any more.
        let most = f32::MAX.ln() / self.base.ln();
        self.multiplier * self.base.powf(exponent.min(most.floor()))
    }
}

/// For each place, how many items from there on equal those at the beginning (the Z-algorithm, in
/// linear time).
fn common_prefixes(items: &[u32]) -> Vec<usize> {
    let mut common = vec![items.len(); items.len()];
    let (mut left, mut right) = (0, 0);
    for at in 1..items.len() {
        let mut n = if at < right { common[at - left].min(right - at) } else { 0 };
        while items.get(at + n).is_some_and(|item| *item == items[n]) {
            n += 1;
        }
        if at + n > right {
            (left, right) = (at, at + n);
        }
        common[at] = n;
    }
    common
}

/// Token sequences that contain a text: by their first token, what must follow it.
#[derive(Debug, Clone, Default)]
struct Breakers(HashMap<u32, Vec<Vec<u32>>>);

/// Bytes of a breaker that count, as in llama.cpp.
const MAX_BYTES: usize = 40;
/// Tokens after the first that count.
const MAX_TAIL: usize = 20;

impl Breakers {
    fn new(texts: &[String], vocabulary: &dyn Vocabulary) -> Self {
        let mut breakers = Self::default();
        for text in texts.iter().filter(|text| !text.is_empty()) {
            let text = &text.as_bytes()[..text.len().min(MAX_BYTES)];
            for token in 0..vocabulary.n_tokens() as u32 {
                breakers.add(token, text, vocabulary);
            }
        }
        breakers
    }

    /// Adds the sequences that begin with `token` and contain `text`.
    fn add(&mut self, token: u32, text: &[u8], vocabulary: &dyn Vocabulary) {
        let word = vocabulary.bytes(token);
        let mut add = |tail: Vec<u32>| {
            let tails = self.0.entry(token).or_default();
            if !tails.contains(&tail) {
                tails.push(tail);
            }
        };
        if word.windows(text.len()).any(|window| window == text) {
            return add(Vec::new());
        }
        for start in 0..word.len() {
            // The word ends with the beginning of the text.
            if let Some(rest) = text.strip_prefix(&word[start..]) {
                let mut tail = vocabulary.encode(&String::from_utf8_lossy(rest));
                tail.truncate(MAX_TAIL);
                add(tail);
            }
        }
    }

    /// Tokens after the last breaker in a text whose `latest` tokens come first.
    fn last(&self, latest: &[u32]) -> Option<usize> {
        latest.iter().enumerate().find_map(|(at, head)| {
            let tails = self.0.get(head)?.iter();
            let follows = |tail: &&Vec<u32>| {
                tail.len() <= at && tail.iter().eq(latest[at - tail.len()..at].iter().rev())
            };
            tails.filter(follows).map(|tail| at - tail.len()).min()
        })
    }

    fn is_breaker(&self, token: u32) -> bool {
        self.0.get(&token).is_some_and(|tails| tails.iter().any(Vec::is_empty))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::candidates::testing::after;
    use crate::vocabulary::testing::Words;

    /// The penalties after a text of one-letter tokens `a` to `z`.
    fn penalties(text: &str, breakers: &[&str], allowed: usize) -> HashMap<char, f32> {
        let vocabulary = Words::letters();
        let params = Params {
            dry_multiplier: 0.5,
            dry_base: 2.0,
            dry_allowed_length: allowed,
            dry_last_n: 30,
            dry_breakers: breakers.iter().map(|s| s.to_string()).collect(),
            ..Params::default()
        };
        let mut dry = Dry::new(&params, &vocabulary).expect("a penalty");
        vocabulary.encode(text).into_iter().for_each(|token| dry.accept(token));
        let items = after(&[0.0; 26], |c| dry.apply(c));
        let punished = items.into_iter().filter(|c| c.logit != 0.0);
        punished.map(|c| (char::from(b'a' + c.token as u8), -c.logit)).collect()
    }

    #[test]
    fn follows_the_formula() {
        // "abc" was followed by c before, and "bc" by y, and "c" by b: runs of 3, 2 and 1.
        let got = penalties("abccbcyabc", &[], 1);
        assert_eq!(got, HashMap::from([('c', 0.5 * 4.0), ('y', 0.5 * 2.0), ('b', 0.5)]));
        let got = penalties("abccbcyabc", &[], 2);
        assert_eq!(got, HashMap::from([('c', 0.5 * 2.0), ('y', 0.5)]));
        assert_eq!(penalties("abccbcyabc", &[], 4), HashMap::new());
        assert_eq!(penalties("abcdefg", &[], 2), HashMap::new());
    }

    #[test]
    fn breakers_end_repetitions() {
        // Only "bc" of "abc" counts.
        let got = penalties("abccbcyabc", &["a"], 1);
        assert_eq!(got, HashMap::from([('c', 0.5 * 2.0), ('y', 0.5 * 2.0), ('b', 0.5)]));
        // A breaker of two tokens.
        let got = penalties("abccbcyabc", &["ab"], 1);
        assert_eq!(got, HashMap::from([('c', 0.5), ('y', 0.5), ('b', 0.5)]));
        // Breakers themselves go unpunished.
        let got = penalties("abccbcyabc", &["y"], 2);
        assert_eq!(got, HashMap::from([('c', 0.5 * 2.0)]));
    }

    #[test]
    fn long_repetitions_stay_finite() {
        let vocabulary = Words::letters();
        let params =
            Params { dry_multiplier: 1.0, dry_base: 10.0, dry_last_n: 1000, ..Params::default() };
        let mut dry = Dry::new(&params, &vocabulary).expect("a penalty");
        dry.restart(&[3; 900]);
        let items = after(&[0.0; 26], |c| dry.apply(c));
        let least = items.iter().min_by(|a, b| a.logit.total_cmp(&b.logit)).expect("candidates");
        assert_eq!((least.token, least.logit), (3, -1e38));
    }

    proptest! {
        #[test]
        fn common_prefixes_are_those_of_a_plain_search(
            items in prop::collection::vec(0u32..3, 1..60),
        ) {
            let plain = |at: usize| {
                items[at..].iter().zip(&items).take_while(|(a, b)| a == b).count()
            };
            let expected: Vec<usize> = (0..items.len()).map(plain).collect();
            prop_assert_eq!(common_prefixes(&items), expected);
        }
    }
}
