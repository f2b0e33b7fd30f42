//! A request on its way through the scheduler.

use std::sync::Arc;
use std::time::Instant;

use grammar::{Constraint, TokenSet};
use sample::Sampler;
use tokenizer::{Decoder, Tokenizer};

use crate::metrics::RequestStatus;
use crate::stop::StopTexts;
use crate::{Choice, Client, Error, Event, Finish, Outcome, Progress, Request, Stats};

/// A request on its way.
pub struct Job {
    number: u64,
    pub request: Request,
    client: Box<dyn Client>,
    /// Prompt and answer; the last ones may await evaluation.
    pub tokens: Vec<u32>,
    /// Tokens of the answer so far.
    n_generated: usize,
    sampler: Sampler,
    /// Holds the answer to the request's grammar.
    constraint: Option<Constraint>,
    decoder: Decoder<Arc<Tokenizer>>,
    stops: StopTexts,
    /// Tokens whose text has not been sent.
    unsent: Vec<Choice>,
    stats: Stats,
    shifted: bool,
    /// When evaluation of the prompt began.
    begun: Option<Instant>,
    /// When the first token could be chosen.
    answering: Option<Instant>,
}

impl Job {
    /// A request as it comes.
    pub fn new(
        number: u64,
        mut request: Request,
        client: Box<dyn Client>,
        mut sampler: Sampler,
        constraint: Option<Constraint>,
        tokenizer: &Arc<Tokenizer>,
    ) -> Self {
        let tokens = std::mem::take(&mut request.prompt);
        sampler.restart(&tokens);
        let decoder = Decoder::new(tokenizer.clone(), request.render_special);
        Self {
            number,
            client,
            tokens,
            n_generated: 0,
            sampler,
            constraint,
            decoder: decoder.showing(&request.visible),
            stops: StopTexts::new(&request.stops),
            unsent: Vec::new(),
            stats: Stats::default(),
            shifted: false,
            begun: None,
            answering: None,
            request,
        }
    }

    /// Whether nobody waits for it.
    pub fn is_abandoned(&self) -> bool {
        self.client.is_gone()
    }

    /// Tokens of the answer so far.
    pub fn n_generated(&self) -> usize {
        self.n_generated
    }

    /// Whether its prompt is still being evaluated.
    pub fn in_prompt(&self) -> bool {
        self.answering.is_none()
    }

    /// How far it is.
    pub fn status(&self) -> RequestStatus {
        RequestStatus {
            number: self.number,
            client: self.request.client,
            prompt_tokens: self.stats.cached_tokens + self.stats.prompt_tokens,
            cached_tokens: self.stats.cached_tokens,
            generated_tokens: self.n_generated,
            in_prompt: self.in_prompt(),
            limit: self.request.limit,
            stops: self.request.stops.clone(),
            sampling: self.request.sampling.clone(),
        }
    }

    /// It runs from now on; `cached` tokens are in memory. Returns how many of these spare work that
    /// was not done before.
    pub fn begin(&mut self, cached: usize) -> usize {
        if self.begun.is_some() {
            return 0;
        }
        self.begun = Some(Instant::now());
        self.stats.cached_tokens = cached;
        self.stats.prompt_tokens = self.tokens.len() - cached;
        cached
    }

    /// `done` of its tokens are in memory.
    pub fn progress(&mut self, done: usize) {
        if self.in_prompt() {
            let (total, cached) = (self.tokens.len(), self.stats.cached_tokens);
            self.client.send(Event::Prompt(Progress { total, cached, done }));
        }
    }

    /// Chooses the next token from the logits that follow its tokens; returns why that was the last
    /// one, if it was.
    pub fn next(
        &mut self,
        logits: &mut [f32],
        tokenizer: &Tokenizer,
    ) -> Result<Option<End>, Error> {
        if self.answering.is_none() {
            let now = Instant::now();
            self.stats.prompt_time = self.begun.map_or_else(Default::default, |begun| now - begun);
            self.answering = Some(now);
        }
        if self.is_at_limit() {
            return Ok(Some(End::of(Finish::Limit)));
        }
        let allowed = match &mut self.constraint {
            Some(constraint) => constraint.allowed()?,
            None => None,
        };
        let id = self.sampler.sample(logits, allowed.map(TokenSet::words))?;
        if let Some(constraint) = &mut self.constraint {
            constraint.accept(id)?;
        }
        self.sampler.accept(id);
        self.tokens.push(id);
        self.n_generated += 1;
        self.unsent.push(Choice { id, probabilities: self.sampler.probabilities().cloned() });
        if tokenizer.is_eog(id) {
            return Ok(Some(End::of(Finish::EndOfGeneration)));
        }
        let (text, stop) = self.stops.push(self.decoder.push(id));
        let stop = stop.map(str::to_owned);
        if !text.is_empty() {
            let tokens = std::mem::take(&mut self.unsent);
            let stats = self.stats();
            self.client.send(Event::Text { text, tokens, stats });
        }
        if stop.is_some() {
            return Ok(Some(End { finish: Finish::StopText, stop }));
        }
        if self.constraint.as_mut().is_some_and(Constraint::is_complete) {
            return Ok(Some(End::of(Finish::EndOfGeneration)));
        }
        Ok(self.is_at_limit().then(|| End::of(Finish::Limit)))
    }

    /// Work so far.
    fn stats(&self) -> Stats {
        let generation_time = self.answering.map_or_else(Default::default, |since| since.elapsed());
        Stats { generated_tokens: self.n_generated, generation_time, ..self.stats }
    }

    fn is_at_limit(&self) -> bool {
        let elapsed = self.answering.map(|since| since.elapsed());
        self.request.limit.is_some_and(|limit| self.n_generated >= limit)
            || self.request.time_limit.zip(elapsed).is_some_and(|(limit, elapsed)| elapsed > limit)
    }

    /// Forgets half of what follows the tokens to keep.
    pub fn shift(&mut self, keep: usize) {
        let keep = keep.min(self.tokens.len() / 2);
        let dropped = (self.tokens.len() - keep).div_ceil(2);
        self.tokens.drain(keep..keep + dropped);
        self.shifted = true;
    }

    /// Sends what was held back and how it has ended.
    pub fn finish(mut self, end: End) {
        let stats = self.stats();
        let mut text = String::new();
        if end.stop.is_none() {
            text += &self.stops.push(&self.decoder.finish()).0;
            text += &self.stops.finish();
        }
        if !text.is_empty() || !self.unsent.is_empty() {
            self.client.send(Event::Text { text, tokens: self.unsent, stats });
        }
        self.client.send(Event::Done(Outcome {
            finish: end.finish,
            stop: end.stop,
            stats,
            seed: self.sampler.seed(),
            shifted: self.shifted,
        }));
    }

    /// Says that there is no answer.
    pub fn fail(mut self, error: Error) {
        self.client.send(Event::Failed(error));
    }
}

/// Why an answer ends.
#[derive(Debug)]
pub struct End {
    pub finish: Finish,
    pub stop: Option<String>,
}

impl End {
    pub fn of(finish: Finish) -> Self {
        Self { finish, stop: None }
    }
}
