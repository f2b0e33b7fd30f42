use crate::Vocabulary;
use crate::candidates::{Candidate, Candidates};

/// Chooses for text between a prefix and a suffix (llama.cpp pull request 9896). With the sums
/// `p_text` and `p_end` over tokens that don't and do end the generation, and `n` candidates:
///
/// 1. where `3 · p_end · n > p_text`, only tokens that end are kept;
/// 2. tokens whose texts begin alike are united under the likelier one;
/// 3. of those, the ones of at least 0.2 are kept, then, with probabilities anew, the ones of at
///    least `1 / (kept + 1)`; tokens that end stay. Where no text is left, the turn ends.
pub(crate) fn infill(vocabulary: &dyn Vocabulary, candidates: &mut Candidates) {
    candidates.softmax();
    let mut items = candidates.ranked();
    let ends = |c: &Candidate| vocabulary.end_tokens().binary_search(&c.token).is_ok();
    let sum_of =
        |which: bool| -> f32 { items.iter().filter(|c| ends(c) == which).map(|c| c.p).sum() };
    if 3.0 * sum_of(true) * items.len() as f32 > sum_of(false) {
        items.retain(ends);
        return candidates.replace(items);
    }
    unite(vocabulary, &mut items);
    items.retain(|c| ends(c) || c.p >= 0.2);
    let n = items.iter().filter(|c| !ends(c)).count();
    if n == 0 {
        // A vocabulary without such a token keeps what there is to end with.
        if let Some(token) = vocabulary.end_of_turn() {
            items = vec![Candidate { token, logit: 1.0, p: 1.0 }];
        }
        return candidates.replace(items);
    }
    let sum: f32 = items.iter().map(|c| c.p).sum();
    let least = sum / (n + 1) as f32;
    items.retain(|c| ends(c) || c.p >= least);
    candidates.replace(items);
}

/// Gives the probability of tokens whose texts begin alike to the likelier one; the others get
/// none. Takes `items` in rank order.
fn unite(vocabulary: &dyn Vocabulary, items: &mut [Candidate]) {
    let text = |c: &Candidate| match vocabulary.is_control(c.token) {
        true => Vec::new(),
        false => vocabulary.bytes(c.token).into_owned(),
    };
    let texts: Vec<Vec<u8>> = items.iter().map(text).collect();
    let mut alphabetical: Vec<usize> = (0..items.len()).collect();
    alphabetical.sort_by(|&a, &b| texts[a].cmp(&texts[b]));
    let mut united = vec![false; items.len()];
    for (at, prefix) in texts.iter().enumerate() {
        if prefix.is_empty() || united[at] {
            continue;
        }
        // Texts with this prefix follow each other in the alphabet.
        let first = alphabetical.partition_point(|&i| texts[i] < *prefix);
        let rest = alphabetical[first..].iter();
        let mut alike: Vec<usize> =
            rest.copied().take_while(|&i| texts[i].starts_with(prefix)).collect();
        alike.sort_unstable();
        for other in alike {
            if other == at || united[other] {
                continue;
            }
            let (to, from) = if items[other].p > items[at].p { (other, at) } else { (at, other) };
            items[to].p += items[from].p;
            items[from].p = 0.0;
            united[from] = true;
            if united[at] {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidates::testing::{left, logits_of};
    use crate::vocabulary::testing::Words;

    fn kept(words: &[&str], probs: &[f64]) -> Vec<u32> {
        // The last word ends a generation.
        let mut vocabulary = Words::new(words);
        vocabulary.ends = vec![words.len() as u32 - 1];
        left(&logits_of(probs), |c| infill(&vocabulary, c))
    }

    #[test]
    fn a_likely_end_ends() {
        assert_eq!(kept(&["a", "b", "c", "END"], &[0.5, 0.3, 0.1, 0.1]), [3]);
    }

    #[test]
    fn common_beginnings_are_united_under_the_likelier_token() {
        // "fo" takes "f" and "foo": 0.6 of 0.9, above 1/3; "x" has 0.3, below.
        let words = ["f", "fo", "foo", "x", "y", "END"];
        let probs = [0.1, 0.4, 0.1, 0.299, 0.1, 0.001];
        assert_eq!(kept(&words, &probs), [1, 5]);
    }

    #[test]
    fn text_of_even_chances_ends_the_turn() {
        let words = ["a", "b", "c", "d", "e", "f", "g", "END"];
        let mut probs = [0.9999 / 7.0; 8];
        probs[7] = 0.0001;
        assert_eq!(kept(&words, &probs), [7]);
    }
}
