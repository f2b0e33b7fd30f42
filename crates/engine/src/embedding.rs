//! Texts to vectors, between the steps of answers.

use std::collections::VecDeque;

use model::{Context, Outputs, Part, Pooling, Reduction};

use crate::{Client, Event};

/// The requests for vectors, which take turns.
#[derive(Default)]
pub struct Embeddings {
    queue: VecDeque<Job>,
}

/// A request on its way.
struct Job {
    rest: VecDeque<Vec<u32>>,
    pooling: Pooling,
    client: Box<dyn Client>,
    done: Vec<Vec<Vec<f32>>>,
    /// Of a text that takes several steps: its sequence, and what is left of the embeddings so far.
    part: Option<(usize, Reduction)>,
}

/// What a step has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// So many tokens were evaluated.
    Evaluated(usize),
    /// There is nothing to do, or no room for it.
    Nothing,
    /// A request has failed.
    Failed,
}

impl Embeddings {
    /// Requests that are not answered.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Takes a request whose texts have been checked.
    pub fn push(&mut self, texts: Vec<Vec<u32>>, pooling: Pooling, client: Box<dyn Client>) {
        let (rest, done) = (texts.into(), Vec::new());
        self.queue.push_back(Job { rest, pooling, client, done, part: None });
    }

    /// Evaluates up to `budget` tokens of the next request, whole texts or part of a long one, with
    /// the sequences that are `free`. A text whose tokens see later ones is evaluated as a whole in
    /// any case. `patient` requests wait for room that others may give back.
    pub fn step(
        &mut self,
        context: &mut Context,
        free: &mut Vec<usize>,
        budget: usize,
        patient: bool,
    ) -> Step {
        self.drop_abandoned(context, free);
        let Some(mut job) = self.queue.pop_front() else { return Step::Nothing };
        if free.is_empty() && job.part.is_none() {
            self.queue.push_front(job);
            return Step::Nothing;
        }
        match job.step(context, free, budget) {
            Ok(n_tokens) if job.rest.is_empty() => {
                job.client.send(Event::Vectors(job.done));
                Step::Evaluated(n_tokens)
            }
            Ok(n_tokens) => {
                self.queue.push_back(job);
                Step::Evaluated(n_tokens)
            }
            Err(model::Error::MemoryFull { .. }) if patient => {
                self.queue.push_front(job);
                Step::Nothing
            }
            Err(error) => {
                job.release(context, free);
                job.client.send(Event::Failed(error.into()));
                Step::Failed
            }
        }
    }

    /// Gives back what half-read texts take, which are read again later; returns whether there were
    /// any.
    pub fn release(&mut self, context: &mut Context, free: &mut Vec<usize>) -> bool {
        let released = self.queue.iter_mut().filter(|job| job.part.is_some());
        released.map(|job| job.release(context, free)).count() > 0
    }

    fn drop_abandoned(&mut self, context: &mut Context, free: &mut Vec<usize>) {
        self.queue.retain_mut(|job| {
            let is_gone = job.client.is_gone();
            if is_gone {
                job.release(context, free);
            }
            !is_gone
        });
    }
}

impl Job {
    /// Evaluates the next texts, or part of one, and returns how many tokens that were.
    fn step(
        &mut self,
        context: &mut Context,
        free: &mut Vec<usize>,
        budget: usize,
    ) -> Result<usize, model::Error> {
        match self.rest.front() {
            Some(text) if self.part.is_some() || (text.len() > budget && context.is_causal()) => {
                self.go_on(context, free, budget)
            }
            _ => self.embed_whole(context, free, budget),
        }
    }

    /// Evaluates the next part of a text.
    fn go_on(
        &mut self,
        context: &mut Context,
        free: &mut Vec<usize>,
        budget: usize,
    ) -> Result<usize, model::Error> {
        let Some(text) = self.rest.front() else { return Ok(0) };
        let (sequence, mut reduction) = match self.part.take() {
            Some(part) => part,
            None => {
                let Some(sequence) = free.pop() else { return Ok(0) };
                (sequence, context.reduction(self.pooling)?)
            }
        };
        let done = context.len_of(sequence);
        let tokens = &text[done..text.len().min(done + budget.max(1))];
        let (n_tokens, is_last) = (tokens.len(), done + tokens.len() == text.len());
        let rows = context.embed_batch(&[Part { sequence, tokens, outputs: Outputs::All }]);
        let rows = rows.map(|rows| reduction.push(rows));
        self.part = Some((sequence, reduction));
        rows?;
        if is_last && let Some((_, reduction)) = self.part.take() {
            give_back(sequence, context, free);
            let values = context.finish_pooling(reduction.finish(), self.pooling)?;
            self.finish(values);
        }
        Ok(n_tokens)
    }

    /// Evaluates as many texts as fit, at least one.
    fn embed_whole(
        &mut self,
        context: &mut Context,
        free: &[usize],
        budget: usize,
    ) -> Result<usize, model::Error> {
        let mut n_tokens = 0;
        let fitting = self.rest.iter().zip(free).take_while(|(text, _)| {
            n_tokens += text.len();
            n_tokens <= budget
        });
        let n_texts = fitting.count().max(1);
        let texts = || self.rest.iter().zip(free).take(n_texts);
        let parts = texts().map(|(tokens, &sequence)| Part {
            sequence,
            tokens: tokens.as_slice(),
            outputs: Outputs::All,
        });
        let parts: Vec<Part<'_>> = parts.collect();
        let evaluated = context.embed_batch(&parts).map(|rows| rows.to_vec());
        for part in &parts {
            let _ = context.truncate_sequence(part.sequence, 0);
        }
        let rows = evaluated?;
        let n_tokens = texts().map(|(text, _)| text.len()).sum::<usize>();
        let width = rows.len() / n_tokens.max(1);
        let mut rest = rows.as_slice();
        for _ in 0..n_texts {
            let Some(text) = self.rest.front() else { break };
            let (rows, after) = rest.split_at(text.len() * width);
            rest = after;
            let mut reduction = context.reduction(self.pooling)?;
            reduction.push(rows);
            let values = context.finish_pooling(reduction.finish(), self.pooling)?;
            self.finish(values);
        }
        Ok(n_tokens)
    }

    /// The next text has become these values: those of each token, or of the text.
    fn finish(&mut self, values: Vec<f32>) {
        let n_tokens = self.rest.pop_front().map_or(0, |text| text.len());
        let n_rows = if self.pooling == Pooling::None { n_tokens } else { 1 };
        let width = (values.len() / n_rows.max(1)).max(1);
        self.done.push(values.chunks(width).map(<[f32]>::to_vec).collect());
    }

    fn release(&mut self, context: &mut Context, free: &mut Vec<usize>) {
        if let Some((sequence, _)) = self.part.take() {
            give_back(sequence, context, free);
        }
    }
}

fn give_back(sequence: usize, context: &mut Context, free: &mut Vec<usize>) {
    let _ = context.truncate_sequence(sequence, 0);
    free.push(sequence);
}
