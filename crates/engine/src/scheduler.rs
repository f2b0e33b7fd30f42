//! Many requests in one batch.
//!
//! Each step evaluates the next token of every answer and a share of the prompts together, as in
//! Orca (Yu et al. 2022) and Sarathi-Serve (Agrawal et al. 2024, <https://arxiv.org/abs/2403.02310>):
//! requests come and go between steps, and long prompts are cut so that answers go on.

use std::cell::OnceCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backend::{Backend, PAGE};
use grammar::Constraint;
use model::{Capacity, Context, Outputs, Part, Pooling};
use sample::Sampler;

use crate::disk_cache::DiskCache;
use crate::embedding::{self, Embeddings};
use crate::job::{End, Job};
use crate::metrics::{BatchCounts, Metrics, SlotStatus, Totals};
use crate::record::Key;
use crate::{Client, Engine, Error, Event, Finish, Plan, Request, Texts};

/// How long a step may take while answers wait for their next token.
const STEP: Duration = Duration::from_millis(200);

/// Fewest prompt tokens of a step: products of less are not much faster.
const LEAST: usize = 32;

/// How long a step may read from disk while others run.
const READ: Duration = Duration::from_millis(50);

/// Runs requests step by step.
pub struct Scheduler {
    engine: Arc<Engine>,
    context: Context,
    waiting: VecDeque<Job>,
    embeddings: Embeddings,
    running: Vec<Running>,
    free: Vec<usize>,
    /// What sequences held when they were given back.
    left: Vec<Vec<u32>>,
    /// Prompt tokens of a step while answers wait.
    pace: usize,
    /// Number of the next request.
    next: u64,
    totals: Totals,
    /// Names the model with its settings.
    root: OnceCell<Key>,
    disk_cache: Option<DiskCache>,
}

/// A job that has a sequence.
struct Running {
    job: Job,
    sequence: usize,
}

/// What there is to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Requests that run.
    pub running: usize,
    /// Requests that wait.
    pub waiting: usize,
    /// Requests for vectors.
    pub embedding: usize,
    /// Positions in memory that running requests use.
    pub positions: usize,
}

impl Scheduler {
    /// Makes memory for requests to `engine`. The calling thread is to call [`Scheduler::step`]: it
    /// is one of those that compute.
    pub fn new(engine: Arc<Engine>) -> Result<Self, Error> {
        let options = &engine.options;
        let Plan { n_sequences, n_batch, batch_values, .. } = engine.plan;
        let capacity = Capacity { n_batch: n_batch.max(LEAST), ..engine.plan.capacity() };
        let (model, mut backend) = (engine.model.clone(), Box::new(engine.backend()?));
        backend.reserve(batch_values);
        let mut context = Context::with_capacity(model, backend, capacity, options.kv_types)?;
        if let Some(causal) = options.causal {
            context.set_causal(causal)?;
        }
        let mut scheduler = Self {
            context,
            waiting: VecDeque::new(),
            embeddings: Embeddings::default(),
            running: Vec::new(),
            free: (0..n_sequences).rev().collect(),
            left: vec![Vec::new(); n_sequences],
            pace: options.n_batch.max(LEAST),
            next: 0,
            totals: Totals::default(),
            root: OnceCell::new(),
            disk_cache: None,
            engine,
        };
        if let Some(options) = &scheduler.engine.options.disk_cache {
            scheduler.disk_cache = Some(DiskCache::open(options, scheduler.root())?);
        }
        Ok(scheduler)
    }

    /// Names the model with its settings, and no text yet.
    pub(crate) fn root(&self) -> Key {
        *self.root.get_or_init(|| Key::root(&self.engine.gguf, &self.context.layout()))
    }

    /// Takes a request; events go to `client`.
    pub fn submit(&mut self, request: Request, mut client: Box<dyn Client>) {
        match self.check(&request) {
            Ok((sampler, constraint)) => {
                let (number, tokenizer) = (self.next, &self.engine.tokenizer);
                let job = Job::new(number, request, client, sampler, constraint, tokenizer);
                self.waiting.push_back(job);
            }
            Err(error) => {
                self.totals.failed += 1;
                client.send(Event::Failed(error));
            }
        }
        self.next += 1;
    }

    /// Takes texts to embed; an event with all that came of them goes to `client`.
    pub fn embed(&mut self, texts: Texts, mut client: Box<dyn Client>) {
        let pooling = texts.pooling.unwrap_or(self.engine.pooling());
        match self.check_texts(&texts, pooling) {
            Ok(()) => self.embeddings.push(texts.texts, pooling, client),
            Err(error) => {
                self.totals.failed += 1;
                client.send(Event::Failed(error));
            }
        }
    }

    fn check_texts(&self, texts: &Texts, pooling: Pooling) -> Result<(), Error> {
        self.context.reduction(pooling)?;
        for text in &texts.texts {
            if text.is_empty() {
                return Err(model::Error::EmptyText.into());
            }
            self.check_tokens(text)?;
        }
        Ok(())
    }

    /// Whether a text fits, and its tokens are known.
    fn check_tokens(&self, text: &[u32]) -> Result<(), Error> {
        let (tokens, n_ctx, n_vocab) = (text.len(), self.context.n_ctx(), self.engine.info.n_vocab);
        if tokens > n_ctx {
            return Err(Error::PromptTooLong { tokens, n_ctx });
        }
        match text.iter().find(|&&id| id as usize >= n_vocab) {
            Some(&id) => Err(model::Error::Token { id, n_vocab }.into()),
            None => Ok(()),
        }
    }

    /// Whether there can be an answer; how its tokens are chosen, and what it is held to.
    fn check(&self, request: &Request) -> Result<(Sampler, Option<Constraint>), Error> {
        self.engine.check_generates()?;
        if request.prompt.is_empty() {
            return Err(Error::EmptyPrompt);
        }
        self.check_tokens(&request.prompt)?;
        let sampler = self.engine.sampler(&request.sampling)?;
        let constraint = request.grammar.as_ref().map(|grammar| self.engine.constraint(grammar));
        Ok((sampler, constraint.transpose()?))
    }

    fn fail(&mut self, job: Job, error: Error) {
        self.totals.failed += 1;
        job.fail(error);
    }

    /// The backend's description of itself.
    pub fn describe_backend(&self) -> String {
        self.context.describe_backend()
    }

    /// What there is to do.
    pub fn load(&self) -> Load {
        let positions = self.running.iter().map(|run| self.context.len_of(run.sequence)).sum();
        let (running, waiting) = (self.running.len(), self.waiting.len());
        Load { running, waiting, embedding: self.embeddings.len(), positions }
    }

    /// What was done so far, and what is there now.
    pub fn metrics(&self) -> Metrics {
        let positions = self.context.capacity();
        Metrics {
            totals: self.totals,
            load: self.load(),
            positions,
            positions_in_use: positions - self.context.room(),
            positions_kept: self.context.room() - self.context.unused(),
            disk_cache: self.disk_cache.as_ref().map(DiskCache::totals),
            slots: (0..self.left.len()).map(|sequence| self.slot(sequence)).collect(),
        }
    }

    fn slot(&self, sequence: usize) -> SlotStatus {
        let running = self.running.iter().find(|run| run.sequence == sequence);
        let tokens = running.map_or(self.left[sequence].len(), |_| self.context.len_of(sequence));
        let request = running.map(|run| run.job.status());
        SlotStatus { id: sequence, n_ctx: self.context.n_ctx(), tokens, request }
    }

    /// Evaluates a batch of answers and one of texts to embed; returns whether there was anything to
    /// do.
    pub fn step(&mut self) -> bool {
        let answered = self.answer_some();
        self.embed_some() || answered
    }

    /// Evaluates a batch of texts to embed; returns whether there are any.
    fn embed_some(&mut self) -> bool {
        let start = Instant::now();
        let is_cut = self.engine.is_causal() && !self.running.is_empty();
        let budget = if is_cut { self.pace } else { self.engine.plan.n_batch };
        let (context, free) = (&mut self.context, &mut self.free);
        match self.embeddings.step(context, free, budget, !self.running.is_empty()) {
            embedding::Step::Evaluated(prompt_tokens) => {
                let counts = BatchCounts { prompt_tokens, requests: 1, answer_tokens: 0 };
                self.totals.count(counts, start.elapsed());
                true
            }
            embedding::Step::Failed => {
                self.totals.failed += 1;
                true
            }
            embedding::Step::Nothing => false,
        }
    }

    fn answer_some(&mut self) -> bool {
        let waiting = self.waiting.len();
        self.waiting.retain(|job| !job.is_abandoned());
        self.totals.cancelled += (waiting - self.waiting.len()) as u64;
        self.stop_where(|run| run.job.is_abandoned());
        self.admit();
        self.write_some();
        if self.running.is_empty() {
            return false;
        }
        let start = Instant::now();
        let plan = self.plan();
        let counts = self.counts(&plan);
        match self.evaluate(&plan) {
            Ok(()) => {
                let time = start.elapsed();
                self.totals.count(counts, time);
                self.set_pace(&plan, time);
            }
            Err(Error::Model(model::Error::MemoryFull { .. }))
                if self.embeddings.release(&mut self.context, &mut self.free) => {}
            Err(Error::Model(model::Error::MemoryFull { .. })) if self.running.len() > 1 => {
                self.preempt();
            }
            Err(error) => {
                // The batch is one: whose fault it is can't be told.
                let error = Arc::new(error);
                for run in std::mem::take(&mut self.running) {
                    self.release(run.sequence);
                    self.fail(run.job, Error::Batch(error.clone()));
                }
            }
        }
        true
    }

    /// Hands over what the disk cache is to write, as far as there is room; returns whether there is
    /// more.
    pub fn write_some(&mut self) -> bool {
        self.disk_cache.as_mut().is_some_and(|cache| cache.write_some(&self.context))
    }

    /// Reads what the disk cache has of a waiting job's prompt and memory lacks; returns whether it
    /// is done.
    fn read_some(&mut self, index: usize) -> bool {
        let (Some(cache), Some(job)) = (&mut self.disk_cache, self.waiting.get(index)) else {
            return true;
        };
        if !job.request.use_cache {
            return true;
        }
        let patience = (!self.running.is_empty()).then_some(READ);
        let text = &job.tokens[..job.tokens.len() - 1];
        cache.read_some(&mut self.context, text, self.totals.prompt_speed(), patience)
    }

    /// Has waiting jobs run, as far as there is room.
    fn admit(&mut self) {
        while !self.free.is_empty()
            && let Some(index) = self.next_waiting()
            && self.read_some(index)
            && let Some(mut job) = self.waiting.remove(index)
            && let Some(sequence) = self.free.pop()
        {
            // The last token is evaluated in any case, for its logits.
            let known = if job.request.use_cache { job.tokens.len() - 1 } else { 0 };
            let cached = self.context.begin(sequence, &job.tokens[..known]);
            self.totals.cached_tokens += job.begin(cached) as u64;
            self.left[sequence].clear();
            self.running.push(Running { job, sequence });
        }
    }

    /// The job to run next: the first of the client that has the fewest running. It waits for
    /// memory, and for those whose prompt begins the same.
    fn next_waiting(&self) -> Option<usize> {
        let running_of = |client| {
            let same = |run: &&Running| run.job.request.client == client;
            self.running.iter().filter(same).count()
        };
        let ready = self.waiting.iter().enumerate().filter(|(_, job)| !self.is_prepared_for(job));
        let (index, job) = ready.min_by_key(|(_, job)| running_of(job.request.client))?;
        let needed = |run: &Running| {
            (run.job.tokens.len() + PAGE).saturating_sub(self.context.len_of(run.sequence))
        };
        let promised: usize = self.running.iter().map(needed).sum();
        let fits = job.tokens.len() + PAGE + promised <= self.context.room();
        (fits || self.running.is_empty()).then_some(index)
    }

    /// Whether a running prompt will soon leave more in memory to begin with than there is.
    fn is_prepared_for(&self, job: &Job) -> bool {
        let usable = &job.tokens[..job.tokens.len() - 1];
        let in_common = |run: &Running| {
            let pairs = run.job.tokens.iter().zip(usable);
            pairs.take_while(|(a, b)| a == b).count() / PAGE * PAGE
        };
        let coming = |run: &&Running| {
            run.job.in_prompt() && self.context.len_of(run.sequence) < in_common(run)
        };
        let most = self.running.iter().filter(coming).map(in_common).max().unwrap_or(0);
        job.request.use_cache && most > 0 && most > self.context.known(usable)
    }

    /// How many tokens of each running job to evaluate: those that answer have one to do, the others
    /// share the rest of the batch.
    fn plan(&self) -> Vec<usize> {
        let missing = |run: &Running| run.job.tokens.len() - self.context.len_of(run.sequence);
        let mut plan: Vec<usize> = self.running.iter().map(missing).collect();
        let n_batch = self.engine.options.n_batch.max(1);
        let n_answers = plan.iter().filter(|&&n| n == 1).count();
        let mut budget = if n_answers > 0 { self.pace } else { n_batch };
        let mut prompts: Vec<usize> = (0..plan.len()).filter(|&i| plan[i] > 1).collect();
        prompts.sort_by_key(|&i| plan[i]);
        for (done, &i) in prompts.iter().enumerate() {
            let share = budget.div_ceil(prompts.len() - done);
            plan[i] = self.context.batch_len_of(self.running[i].sequence, plan[i].min(share));
            budget -= plan[i].min(budget);
        }
        plan
    }

    fn counts(&self, plan: &[usize]) -> BatchCounts {
        let mut counts = BatchCounts::default();
        for (run, &n) in self.running.iter().zip(plan) {
            counts.requests += usize::from(n > 0);
            match run.job.in_prompt() {
                true => counts.prompt_tokens += n,
                false => counts.answer_tokens += n,
            }
        }
        counts
    }

    /// Evaluates the next tokens of each running job, and chooses those that follow.
    fn evaluate(&mut self, plan: &[usize]) -> Result<(), Error> {
        let mut parts = Vec::with_capacity(plan.len());
        let mut ends = Vec::with_capacity(plan.len());
        for (run, &n) in self.running.iter().zip(plan) {
            let begin = self.context.len_of(run.sequence);
            let (tokens, end) = (&run.job.tokens[begin..begin + n], begin + n);
            let is_last = end == run.job.tokens.len();
            let outputs = if is_last { Outputs::Last } else { Outputs::None };
            ends.push((end, is_last));
            if n > 0 {
                parts.push(Part { sequence: run.sequence, tokens, outputs });
            }
        }
        let width = self.engine.model.shape().output_width();
        let mut logits = self.context.decode_batch(&parts)?.chunks_exact_mut(width);
        let mut results = Vec::with_capacity(plan.len());
        for (run, (end, is_last)) in self.running.iter_mut().zip(ends) {
            run.job.progress(end);
            if is_last && let Some(logits) = logits.next() {
                let n_before = run.job.n_generated();
                results.push((run.sequence, run.job.next(logits, &self.engine.tokenizer)));
                self.totals.generated_tokens += (run.job.n_generated() - n_before) as u64;
            }
        }
        for (sequence, result) in results {
            self.go_on(sequence, result);
        }
        Ok(())
    }

    /// What follows from a job's new token.
    fn go_on(&mut self, sequence: usize, result: Result<Option<End>, Error>) {
        let mut running = self.running.iter();
        let Some(index) = running.position(|run| run.sequence == sequence) else { return };
        let job = &mut self.running[index].job;
        let result = match (result, job.request.shift) {
            (Ok(None), _) if job.tokens.len() <= self.context.n_ctx() => return,
            (Ok(None), Some(keep)) => {
                job.shift(keep);
                self.context.begin(sequence, &job.tokens[..job.tokens.len() - 1]);
                return;
            }
            (Ok(end), _) => Ok(end.unwrap_or(End::of(Finish::ContextFull))),
            (Err(error), _) => Err(error),
        };
        let job = self.running.remove(index).job;
        self.release(sequence);
        match result {
            Ok(end) => {
                self.totals.finished += 1;
                job.finish(end);
            }
            Err(error) => self.fail(job, error),
        }
    }

    /// Ends what nobody waits for.
    fn stop_where(&mut self, is_over: impl Fn(&Running) -> bool) {
        let over: Vec<Running> = self.running.extract_if(.., |run| is_over(run)).collect();
        self.totals.cancelled += over.len() as u64;
        over.iter().for_each(|run| self.release(run.sequence));
    }

    /// Has the job that began last wait again, to continue when there is room.
    fn preempt(&mut self) {
        if let Some(Running { job, sequence }) = self.running.pop() {
            self.release(sequence);
            self.waiting.push_front(job);
        }
    }

    /// Gives a sequence back; what it has seen stays known.
    fn release(&mut self, sequence: usize) {
        self.left[sequence] = self.context.tokens_of(sequence).to_vec();
        if let Some(cache) = &mut self.disk_cache {
            cache.note(&self.left[sequence]);
        }
        self.context.begin(sequence, &[]);
        self.free.push(sequence);
    }

    /// Learns how many prompt tokens fit a step.
    fn set_pace(&mut self, plan: &[usize], time: Duration) {
        let n_prompt: usize = plan.iter().filter(|&&n| n > 1).sum();
        if n_prompt >= self.pace && time > STEP {
            self.pace = (self.pace * 3 / 4).max(LEAST);
        } else if n_prompt >= self.pace && time < STEP / 2 {
            self.pace = (self.pace * 5 / 4 + 1).min(self.engine.options.n_batch.max(LEAST));
        }
    }

    /// The memory of all sequences.
    pub(crate) fn context(&mut self) -> &mut Context {
        &mut self.context
    }

    /// The tokens that a slot has in memory or has left there, and whether it works.
    ///
    /// # Errors
    /// No such slot.
    pub(crate) fn slot_text(&mut self, id: usize) -> Result<(Vec<u32>, bool), Error> {
        let n_slots = self.left.len();
        let left = self.left.get(id).ok_or(Error::NoSlot { id, n_slots })?;
        if self.running.iter().any(|run| run.sequence == id) {
            self.context.keep(id);
            return Ok((self.context.tokens_of(id).to_vec(), true));
        }
        Ok((left.clone(), false))
    }

    /// Says that an idle slot has left these tokens.
    pub(crate) fn set_slot_text(&mut self, id: usize, tokens: Vec<u32>) {
        self.left[id] = tokens;
    }
}
