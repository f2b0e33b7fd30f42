//! One conversation with a model.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use backend::Backend;
use grammar::{Constraint, TokenSet};
use model::{Capacity, Context, Outputs};
use sample::Sampler;
use tokenizer::{Decoder, Tokenizer};

use crate::{Engine, Error};

/// Why generation stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// The model said that it is done.
    EndOfGeneration,
    /// A stop text was found.
    StopText,
    /// The limit of tokens is reached.
    Limit,
    /// The context has no room for another token.
    ContextFull,
    /// The caller broke off.
    Cancelled,
}

/// Work done and the time it took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stats {
    /// Prompt tokens evaluated.
    pub prompt_tokens: usize,
    /// Time for them.
    pub prompt_time: Duration,
    /// Prompt tokens that memory still held.
    pub cached_tokens: usize,
    /// Tokens generated.
    pub generated_tokens: usize,
    /// Time for them.
    pub generation_time: Duration,
}

impl Stats {
    /// Prompt tokens per second.
    pub fn prompt_speed(&self) -> f64 {
        rate(self.prompt_tokens, self.prompt_time)
    }

    /// Generated tokens per second.
    pub fn generation_speed(&self) -> f64 {
        rate(self.generated_tokens, self.generation_time)
    }
}

fn rate(count: usize, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { count as f64 / time.as_secs_f64() }
}

/// Chooses tokens of an answer, see [`Session::answer`].
pub(crate) type Choose<'a, 'e> =
    dyn FnMut(&mut Session<'e>, &mut Sampler, usize) -> Result<Option<Vec<u32>>, Error> + 'a;

/// One conversation: the tokens seen and the model's memory of them.
pub struct Session<'e> {
    pub(crate) engine: &'e Engine,
    pub(crate) context: Context,
    /// Tokens seen; the last one may still await evaluation.
    pub(crate) tokens: Vec<u32>,
    /// Logits after the last token, where it is evaluated.
    pub(crate) logits: Vec<f32>,
    pub(crate) stats: Stats,
    /// Special tokens that answers show as text.
    visible: Vec<u32>,
}

impl<'e> Session<'e> {
    pub(crate) fn new(engine: &'e Engine) -> Result<Self, Error> {
        let n_positions = engine.plan.n_ctx;
        let capacity = Capacity { n_positions, n_sequences: 1, ..engine.plan.capacity() };
        let (model, mut backend) = (engine.model.clone(), Box::new(engine.backend()?));
        backend.reserve(engine.plan.batch_values);
        let context = Context::with_capacity(model, backend, capacity, engine.options.kv_types)?;
        let (tokens, logits, stats) = (Vec::new(), Vec::new(), Stats::default());
        Ok(Self { engine, context, tokens, logits, stats, visible: Vec::new() })
    }

    /// The model.
    pub fn engine(&self) -> &'e Engine {
        self.engine
    }

    /// Positions that the session can remember.
    pub fn n_ctx(&self) -> usize {
        self.context.n_ctx()
    }

    /// The tokens seen.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// The backend's description of itself.
    pub fn backend(&self) -> String {
        self.context.describe_backend()
    }

    /// Work done since the session began or [`Session::reset_stats`].
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Has answers show these special tokens as text; others are left out.
    pub fn show(&mut self, visible: Vec<u32>) {
        self.visible = visible;
    }

    /// A decoder of answers.
    pub(crate) fn decoder(&self) -> Decoder<&'e Tokenizer> {
        Decoder::new(self.engine.tokenizer(), false).showing(&self.visible)
    }

    /// Starts counting anew.
    pub fn reset_stats(&mut self) {
        self.stats = Stats::default();
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.rewind(0);
    }

    /// Makes the session hold exactly `tokens`: keeps the longest common beginning and evaluates
    /// the rest batch by batch, calling `progress(done, total)` after each. Returns whether it got
    /// to the end; where `progress` broke off, what was evaluated stays.
    pub fn feed(
        &mut self,
        tokens: &[u32],
        progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<bool, Error> {
        if tokens.len() > self.n_ctx() {
            return Err(Error::PromptTooLong { tokens: tokens.len(), n_ctx: self.n_ctx() });
        }
        let start = Instant::now();
        let common = self.tokens.iter().zip(tokens).take_while(|(a, b)| a == b).count();
        // The last token is evaluated again where its logits are not at hand.
        let reusable = common.min(self.context.len());
        let complete = reusable == tokens.len() && self.has_logits() && common == self.tokens.len();
        let keep = if complete { reusable } else { reusable.min(tokens.len().saturating_sub(1)) };
        let keep = if complete { keep } else { self.rewind(keep) };
        self.stats.cached_tokens += keep;
        let mut finished = true;
        while self.tokens.len() < tokens.len() {
            let done = self.tokens.len();
            let batch = &tokens[done..done + self.batch_len(tokens.len() - done)];
            let is_last = done + batch.len() == tokens.len();
            self.evaluate(batch, if is_last { Outputs::Last } else { Outputs::None })?;
            self.tokens.extend_from_slice(batch);
            self.stats.prompt_tokens += batch.len();
            if progress(self.tokens.len(), tokens.len()).is_break() && !is_last {
                finished = false;
                break;
            }
        }
        self.stats.prompt_time += start.elapsed();
        Ok(finished)
    }

    /// Continues the tokens held: samples until the model ends its turn, `limit` tokens are
    /// generated, the context is full or `on_text` breaks off. `on_text` receives the answer as it
    /// grows, in whole characters. All generated tokens, the ending one too, are held afterwards.
    /// The sampler's penalties see the tokens held, whatever it saw before. `constraint` holds the
    /// tokens generated to a grammar; those that it forces are not asked of the model. Generation
    /// ends where the grammar allows nothing more.
    pub fn generate(
        &mut self,
        sampler: &mut Sampler,
        mut constraint: Option<&mut Constraint>,
        limit: Option<usize>,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Finish, Error> {
        let mut forced = Vec::new().into_iter();
        self.answer(sampler, limit, on_text, &mut |session, sampler, _| {
            if let Some(constraint) = constraint.as_deref_mut() {
                if constraint.is_complete() {
                    return Ok(None);
                }
                if forced.as_slice().is_empty() {
                    forced = constraint.forced().into_iter();
                }
            }
            let id = match forced.next() {
                Some(id) => id,
                None => {
                    let allowed = match constraint.as_deref_mut() {
                        Some(constraint) => constraint.allowed()?,
                        None => None,
                    };
                    session.sample(sampler, allowed)?
                }
            };
            if let Some(constraint) = constraint.as_deref_mut() {
                constraint.accept(id)?;
            }
            session.hold(sampler, id);
            Ok(Some(vec![id]))
        })
    }

    /// Answers with the tokens that `choose` chooses, and holds, one or more at a time but at most as
    /// many as it is told; the answer ends where it chooses none.
    pub(crate) fn answer(
        &mut self,
        sampler: &mut Sampler,
        limit: Option<usize>,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
        choose: &mut Choose<'_, 'e>,
    ) -> Result<Finish, Error> {
        if self.tokens.is_empty() {
            return Err(Error::EmptyPrompt);
        }
        let mut decoder = self.decoder();
        let start = Instant::now();
        sampler.restart(&self.tokens);
        let mut generated = 0;
        let finish = 'answer: loop {
            let left = limit.map_or(usize::MAX, |limit| limit - generated);
            if left == 0 {
                break Finish::Limit;
            }
            if self.tokens.len() > self.n_ctx() {
                break Finish::ContextFull;
            }
            let Some(chosen) = choose(self, sampler, left)? else {
                break Finish::EndOfGeneration;
            };
            for id in chosen {
                generated += 1;
                if self.engine.tokenizer.is_eog(id) {
                    break 'answer Finish::EndOfGeneration;
                }
                let text = decoder.push(id);
                if !text.is_empty() && on_text(text).is_break() {
                    break 'answer Finish::Cancelled;
                }
            }
        };
        let rest = decoder.finish();
        if !rest.is_empty() && finish != Finish::Cancelled {
            let _ = on_text(&rest);
        }
        self.stats.generated_tokens += generated;
        self.stats.generation_time += start.elapsed();
        Ok(finish)
    }

    /// Chooses a token to follow those held.
    pub(crate) fn sample(
        &mut self,
        sampler: &mut Sampler,
        allowed: Option<&TokenSet>,
    ) -> Result<u32, Error> {
        self.catch_up()?;
        Ok(sampler.sample(&mut self.logits, allowed.map(TokenSet::words))?)
    }

    /// Holds a token that was chosen.
    pub(crate) fn hold(&mut self, sampler: &mut Sampler, id: u32) {
        self.logits.clear();
        sampler.accept(id);
        self.tokens.push(id);
    }

    fn has_logits(&self) -> bool {
        !self.logits.is_empty()
    }

    /// Evaluates the held tokens that memory lacks, so that the logits follow the last one.
    fn catch_up(&mut self) -> Result<(), Error> {
        if self.has_logits() {
            return Ok(());
        }
        let from = self.context.len().min(self.tokens.len() - 1);
        let mut done = self.context.truncate(from);
        while done < self.tokens.len() {
            let batch = self.tokens[done..done + self.batch_len(self.tokens.len() - done)].to_vec();
            done += batch.len();
            let is_last = done == self.tokens.len();
            self.evaluate(&batch, if is_last { Outputs::Last } else { Outputs::None })?;
        }
        Ok(())
    }

    /// How many of the next `n` tokens to evaluate at once.
    fn batch_len(&self, n: usize) -> usize {
        self.context.batch_len(n.min(self.engine.options.n_batch.max(1)))
    }

    fn evaluate(&mut self, batch: &[u32], outputs: Outputs) -> Result<(), Error> {
        self.logits.clear();
        let logits = self.context.decode(batch, outputs)?;
        self.logits.extend_from_slice(logits);
        Ok(())
    }

    /// Forgets what follows the first `len` tokens, or more where memory can't go back to exactly
    /// there; returns how many are left.
    fn rewind(&mut self, len: usize) -> usize {
        let len = self.context.truncate(len);
        self.tokens.truncate(len);
        self.logits.clear();
        len
    }
}
