//! Speculative decoding (Leviathan et al. 2023, arXiv:2211.17192): something quick guesses the next
//! tokens, and the model evaluates them as one batch.
//!
//! The sampler chooses each token from the model's own logits; guesses that it doesn't choose are
//! forgotten. So the answer is the one without guesses, as far as logits don't depend on how tokens
//! are batched (see [`crate::Options::batch_invariant`]).

use std::ops::ControlFlow;

use model::{Capacity, Context, Outputs};
use sample::Sampler;

use crate::{Engine, Error, Finish, Session};

/// What guesses tokens.
pub trait Drafter {
    /// Up to `n` tokens that may follow `tokens`.
    ///
    /// # Errors
    /// What evaluation refuses.
    fn draft(&mut self, tokens: &[u32], n: usize) -> Result<Vec<u32>, Error>;
}

/// A drafter, and how much of it to use; names and defaults are llama.cpp's.
pub struct Speculation {
    /// What guesses.
    pub drafter: Box<dyn Drafter>,
    /// Most tokens to guess at once.
    pub n_max: usize,
    /// Fewer guesses than this are not worth a batch.
    pub n_min: usize,
    /// Tokens guessed so far.
    pub n_drafted: usize,
    /// How many of these the model chose too.
    pub n_accepted: usize,
}

impl Speculation {
    /// With nothing guessed yet.
    pub fn new(drafter: Box<dyn Drafter>, n_max: usize, n_min: usize) -> Self {
        Self { drafter, n_max, n_min, n_drafted: 0, n_accepted: 0 }
    }

    fn draft(&mut self, tokens: &[u32], n: usize) -> Result<Vec<u32>, Error> {
        let mut draft = self.drafter.draft(tokens, n.min(self.n_max))?;
        draft.truncate(n);
        if draft.len() < self.n_min {
            draft.clear();
        }
        self.n_drafted += draft.len();
        Ok(draft)
    }
}

impl Session<'_> {
    /// As [`Session::generate`], with guesses.
    ///
    /// # Errors
    /// As there, and those of the drafter.
    pub fn generate_drafted(
        &mut self,
        sampler: &mut Sampler,
        speculation: &mut Speculation,
        limit: Option<usize>,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Finish, Error> {
        self.answer(sampler, limit, on_text, &mut |session, sampler, left| {
            session.choose(sampler, speculation, left).map(Some)
        })
    }

    /// Chooses the next tokens, at least one and at most `left`, which are held then.
    fn choose(
        &mut self,
        sampler: &mut Sampler,
        speculation: &mut Speculation,
        left: usize,
    ) -> Result<Vec<u32>, Error> {
        // All but the last token must be in memory, and that one with the guesses after it.
        let held = self.tokens.len();
        let room = self.n_ctx().saturating_sub(held).min(left - 1);
        let is_next = self.logits.is_empty() && self.context.len() + 1 == held;
        let draft = match is_next && room > 0 {
            true => speculation.draft(&self.tokens, room)?,
            false => Vec::new(),
        };
        if draft.is_empty() {
            let id = self.sample(sampler, None)?;
            self.hold(sampler, id);
            return Ok(vec![id]);
        }
        let batch: Vec<u32> = self.tokens.last().copied().into_iter().chain(draft).collect();
        let n_vocab = self.engine.model.shape().n_vocab;
        let logits = self.context.decode(&batch, Outputs::All)?;
        let mut chosen = Vec::with_capacity(batch.len());
        for (i, logits) in logits.chunks_mut(n_vocab).enumerate() {
            let id = sampler.sample(logits, None)?;
            sampler.accept(id);
            chosen.push(id);
            if self.engine.tokenizer.is_eog(id) || batch.get(i + 1) != Some(&id) {
                break;
            }
        }
        speculation.n_accepted += chosen.len() - 1;
        self.tokens.extend_from_slice(&chosen);
        // What is left of the batch in memory are the guesses that were right.
        let _ = self.context.truncate(self.tokens.len() - 1);
        Ok(chosen)
    }
}

/// Guesses of a smaller model.
pub struct DraftModel {
    engine: Engine,
    context: Context,
    /// What memory holds.
    tokens: Vec<u32>,
    /// Guesses less likely than this among the likeliest end a draft.
    p_min: f32,
}

/// Guesses are compared with this number of others.
const N_COMPARED: usize = 10;
/// Vocabularies may differ in as many tokens at their ends, and in the first ones.
const MAX_MORE_TOKENS: usize = 128;
const FIRST_COMPARED: u32 = 5;

impl DraftModel {
    /// `draft` guesses for `target`.
    ///
    /// # Errors
    /// Models whose vocabularies differ, and memory or threads that are not to be had.
    pub fn new(draft: Engine, target: &Engine, p_min: f32) -> Result<Self, Error> {
        check_vocabularies(&draft, target)?;
        let (model, backend) = (draft.model.clone(), Box::new(draft.backend()?));
        let n_ctx = target.plan.n_ctx;
        let full_windows = draft.options.full_windows;
        let n_batch = draft.options.n_batch;
        let capacity = Capacity { n_batch, full_windows, ..Capacity::of(n_ctx, 1) };
        let context = Context::with_capacity(model, backend, capacity, draft.options.kv_types)?;
        Ok(Self { engine: draft, context, tokens: Vec::new(), p_min })
    }

    /// Has memory hold `tokens`, at least one, and returns the logits after them.
    fn feed(&mut self, tokens: &[u32]) -> Result<&mut [f32], Error> {
        let common = self.tokens.iter().zip(tokens).take_while(|(a, b)| a == b).count();
        let mut done = self.context.truncate(common.min(tokens.len() - 1));
        self.tokens.truncate(done);
        while done + 1 < tokens.len() {
            let n = (tokens.len() - 1 - done).min(self.engine.options.n_batch.max(1));
            let batch = &tokens[done..done + self.context.batch_len(n)];
            self.context.decode(batch, Outputs::None)?;
            done += batch.len();
        }
        self.tokens = tokens.to_vec();
        Ok(self.context.decode(&tokens[done..], Outputs::Last)?)
    }
}

impl Drafter for DraftModel {
    fn draft(&mut self, tokens: &[u32], n: usize) -> Result<Vec<u32>, Error> {
        let n_vocab = self.engine.model.shape().n_vocab;
        let n = n.min(self.context.n_ctx().saturating_sub(tokens.len()));
        let known = |tokens: &[u32]| tokens.iter().all(|&id| (id as usize) < n_vocab);
        if tokens.is_empty() || n == 0 || !known(tokens) {
            return Ok(Vec::new());
        }
        let mut text = tokens.to_vec();
        while text.len() < tokens.len() + n {
            let p_min = self.p_min;
            let Some((id, p)) = likeliest(self.feed(&text)?) else { break };
            if p < p_min {
                break;
            }
            text.push(id);
            if self.engine.tokenizer.is_eog(id) {
                break;
            }
        }
        Ok(text.split_off(tokens.len()))
    }
}

/// The likeliest token, and its share among the likeliest.
fn likeliest(logits: &[f32]) -> Option<(u32, f32)> {
    let mut best: Vec<(u32, f32)> = Vec::with_capacity(N_COMPARED + 1);
    for (id, &logit) in (0..).zip(logits) {
        if best.len() == N_COMPARED && best.last().is_some_and(|&(_, least)| logit <= least) {
            continue;
        }
        let at = best.partition_point(|&(_, other)| other >= logit);
        best.insert(at, (id, logit));
        best.truncate(N_COMPARED);
    }
    let &(id, max) = best.first()?;
    let sum: f32 = best.iter().map(|&(_, logit)| (logit - max).exp()).sum();
    Some((id, 1.0 / sum))
}

fn check_vocabularies(draft: &Engine, target: &Engine) -> Result<(), Error> {
    let (ours, theirs) = (&draft.tokenizer, &target.tokenizer);
    let other = |what: String| Err(Error::OtherVocabulary(what));
    let (n_ours, n_theirs) = (ours.n_vocab(), theirs.n_vocab());
    if n_ours.abs_diff(n_theirs) > MAX_MORE_TOKENS {
        return other(format!("it has {n_ours} tokens instead of {n_theirs}"));
    }
    let ends = |tokenizer: &tokenizer::Tokenizer| {
        let bos = tokenizer.bos().filter(|_| tokenizer.add_bos());
        (bos, tokenizer.eos().filter(|_| tokenizer.add_eos()))
    };
    if ends(ours) != ends(theirs) {
        return other("its texts begin or end with other tokens".into());
    }
    let n = u32::try_from(n_ours.min(n_theirs)).unwrap_or(u32::MAX);
    let differs = |&id: &u32| ours.token_text(id) != theirs.token_text(id);
    match (FIRST_COMPARED..n).find(differs) {
        Some(id) => other(format!("token {id} is another")),
        None => Ok(()),
    }
}

/// Guesses that what followed the last tokens before follows again; no model is needed.
#[derive(Debug, Clone, Copy)]
pub struct NGrams {
    /// Tokens that must be the same.
    pub n: usize,
}

impl Default for NGrams {
    /// As long as llama.cpp's.
    fn default() -> Self {
        Self { n: 12 }
    }
}

impl Drafter for NGrams {
    fn draft(&mut self, tokens: &[u32], n: usize) -> Result<Vec<u32>, Error> {
        let Some(start) = tokens.len().checked_sub(self.n.max(1)) else { return Ok(Vec::new()) };
        let (before, last) = (&tokens[..tokens.len() - 1], &tokens[start..]);
        let found = before.windows(last.len()).rposition(|window| window == last);
        let follows = found.map_or(&[][..], |at| &tokens[at + last.len()..]);
        Ok(follows[..follows.len().min(n)].to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_token_has_its_share_of_ten() {
        let mut logits = [0.0f32; 20];
        logits[7] = 9f32.ln();
        let (id, p) = likeliest(&logits).expect("a token");
        assert_eq!(id, 7);
        assert!((p - 0.5).abs() < 1e-6, "{p}");
        assert_eq!(likeliest(&[]), None);
    }

    #[test]
    fn what_followed_before_follows_again() {
        let mut grams = NGrams { n: 2 };
        let mut draft = |tokens: &[u32], n| grams.draft(tokens, n).expect("no model");
        assert_eq!(draft(&[1, 2, 3, 4, 5, 1, 2], 2), [3, 4]);
        assert_eq!(draft(&[1, 2, 3, 1, 2, 4, 1, 2], 9), [4, 1, 2], "the latest counts");
        assert!(draft(&[1, 2, 3], 9).is_empty());
        assert_eq!(draft(&[7, 7, 7], 9), [7]);
        assert!(draft(&[1], 9).is_empty());
    }
}
