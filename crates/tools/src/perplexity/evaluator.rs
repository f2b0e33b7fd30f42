//! A model that evaluates texts side by side.

use std::path::PathBuf;
use std::sync::Arc;

use ::selftest::Fault;
use backend::{Backend, KvTypes};
use cpu::Cpu;
use cpu::topology::Placement;
use gguf::Location;
use model::{Capacity, Context, Model, OutputKind, Outputs, Part};
use tokenizer::Tokenizer;

use super::Error;
use crate::imatrix::{Observations, Observer};
use crate::processor::Processor;

/// Tokens that are evaluated at once: the logits of all must have room.
const STEP: usize = 512;

/// Sequences at once that tasks use.
const MOST_SEQUENCES: usize = 128;

/// How a text is evaluated.
#[derive(Debug, Clone)]
pub struct Options {
    /// Tokens of a chunk.
    pub n_ctx: usize,
    /// Tokens of all chunks that are evaluated side by side.
    pub n_batch: usize,
    /// Chunks to evaluate; `None` for all.
    pub chunks: Option<usize>,
    /// Threads; `None` for as many as suit the machine.
    pub threads: Option<usize>,
    /// Where they run.
    pub placement: Placement,
    /// Formats of keys and values in memory.
    pub kv_types: KvTypes,
}

impl Default for Options {
    /// As `llama-perplexity` has them.
    fn default() -> Self {
        Self {
            n_ctx: 512,
            n_batch: 2048,
            chunks: None,
            threads: None,
            placement: Placement::default(),
            kv_types: KvTypes::default(),
        }
    }
}

/// A model that evaluates texts side by side.
pub struct Evaluator {
    path: PathBuf,
    model: Arc<dyn Model>,
    tokenizer: Tokenizer,
    processor: Processor,
    pub(super) options: Options,
    /// What products are to be noted in.
    observations: Option<Observations>,
}

impl Evaluator {
    /// Maps and checks a model file.
    ///
    /// # Errors
    /// A file that can't be read, has no tokenizer, or is no model that generates text.
    pub fn load(file: &Location, options: Options) -> Result<Self, Error> {
        let path = file.path().to_owned();
        let gguf = file.open().map_err(crate::Error::File)?;
        let model = model::load(&gguf).map_err(|error| Error::model(&path, error))?;
        if model.shape().output != OutputKind::Logits {
            return Err(crate::Error::NotGenerative { path }.into());
        }
        let tokenizer = Tokenizer::from_metadata(gguf.metadata());
        let tokenizer =
            tokenizer.map_err(|error| Error::Tokenizer { path: path.clone(), error })?;
        let processor = Processor::for_model(&gguf, options.kv_types)?;
        Ok(Self { path, model, tokenizer, processor, options, observations: None })
    }

    /// The same, with what weights are multiplied with noted for all tokens.
    pub(crate) fn observed(self, observations: Observations) -> Self {
        Self { observations: Some(observations), ..self }
    }

    /// Kernels that are wrong on this machine, and not used.
    pub fn faults(&self) -> &[Fault] {
        &self.processor.faults
    }

    /// Whether products are noted, for which all tokens count.
    pub(super) fn is_observed(&self) -> bool {
        self.observations.is_some()
    }

    /// The tokens of a text.
    pub fn tokens(&self, text: &str) -> Vec<u32> {
        self.tokenizer.encode(text, true, false)
    }

    /// The tokens of a text in which special tokens may be written.
    pub fn tokens_with_special(&self, text: &str) -> Vec<u32> {
        self.tokenizer.encode(text, true, true)
    }

    /// Logits for each token: those that the tokenizer knows.
    pub fn n_vocab(&self) -> usize {
        self.tokenizer.n_vocab().min(self.model.shape().n_vocab)
    }

    /// A chunk as the model is to see it.
    pub(super) fn opened(&self, chunk: &[u32]) -> Vec<u32> {
        let mut chunk = chunk.to_vec();
        let bos = self.tokenizer.bos().filter(|_| self.tokenizer.add_bos());
        if let (Some(first), Some(bos)) = (chunk.first_mut(), bos) {
            *first = bos;
        }
        chunk
    }

    /// Memory for sequences of `n_ctx` tokens, as many as a batch has.
    pub(super) fn runner(&self, n_ctx: usize) -> Result<Runner<'_>, Error> {
        let n_sequences = (self.options.n_batch / n_ctx.max(1)).max(1);
        let n_positions = n_sequences * n_ctx;
        self.runner_of(Capacity { n_ctx, ..Capacity::of(n_positions, n_sequences) })
    }

    /// Memory for the answers of tasks, which take `n_ctx` tokens together.
    pub(super) fn task_runner(&self) -> Result<Runner<'_>, Error> {
        self.runner_of(Capacity::of(self.options.n_ctx, MOST_SEQUENCES))
    }

    fn runner_of(&self, capacity: Capacity) -> Result<Runner<'_>, Error> {
        // Then a chunk is the same however many are beside it.
        let batch_invariant = true;
        let options = self.processor.options(self.options.threads, batch_invariant);
        let backend = Cpu::placed(options, &self.options.placement).map_err(crate::Error::from)?;
        let backend: Box<dyn Backend> = match &self.observations {
            Some(seen) => Box::new(Observer::new(backend, seen.clone())),
            None => Box::new(backend),
        };
        let types = self.options.kv_types;
        let context = Context::with_capacity(self.model.clone(), backend, capacity, types)
            .map_err(|error| Error::model(&self.path, error))?;
        Ok(Runner { evaluator: self, context, n_sequences: capacity.n_sequences })
    }
}

/// The memory of sequences that are evaluated side by side.
pub(super) struct Runner<'a> {
    evaluator: &'a Evaluator,
    context: Context,
    /// Sequences at once.
    pub n_sequences: usize,
}

/// Part of a sequence, and the logits of its tokens.
pub(super) struct Rows<'a> {
    /// Which of the sequences.
    pub sequence: usize,
    /// Place of the first row's token in the sequence.
    pub position: usize,
    /// Rows of [`Evaluator::n_vocab`] and perhaps more values.
    logits: &'a [f32],
    width: usize,
    n_vocab: usize,
}

impl Rows<'_> {
    pub(super) fn len(&self) -> usize {
        self.logits.len() / self.width
    }

    pub(super) fn row(&self, i: usize) -> &[f32] {
        &self.logits[i * self.width..][..self.n_vocab]
    }
}

impl Runner<'_> {
    /// Forgets all sequences.
    pub(super) fn clear(&mut self) {
        self.context.clear();
    }

    /// Makes sequence `to` a copy of another.
    pub(super) fn fork(&mut self, from: usize, to: usize) {
        self.context.fork(from, to);
    }

    /// Continues sequences with tokens, side by side, and tells the logits of the tokens from place
    /// `from` of each on; `sequences` are no more than there are.
    pub(super) fn run(
        &mut self,
        sequences: &[(usize, &[u32])],
        from: usize,
        notice: &mut dyn FnMut(Rows<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let n_vocab = self.evaluator.n_vocab();
        let width = self.evaluator.model.shape().output_width();
        let mut at = 0;
        loop {
            let left = sequences.iter().filter(|(_, tokens)| tokens.len() > at);
            let n = left.clone().count();
            if n == 0 {
                return Ok(());
            }
            // Where logits begin to be wanted, a new step begins.
            let step = (STEP / n).max(1);
            let end = if at < from { from.min(at + step) } else { at + step };
            // Rows without outputs don't reach the end of the model.
            let is_unseen = at < from && !self.evaluator.is_observed();
            let outputs = if is_unseen { Outputs::None } else { Outputs::All };
            let parts: Vec<Part<'_>> = left
                .map(|&(sequence, tokens)| Part {
                    sequence,
                    tokens: &tokens[at..end.min(tokens.len())],
                    outputs,
                })
                .collect();
            let logits = self.context.decode_batch(&parts);
            let logits = logits.map_err(|error| Error::model(&self.evaluator.path, error))?;
            if at >= from {
                let mut rest = &*logits;
                for part in &parts {
                    let (own, others) = rest.split_at(part.tokens.len() * width);
                    rest = others;
                    let sequence = part.sequence;
                    notice(Rows { sequence, position: at, logits: own, width, n_vocab })?;
                }
            }
            at = end;
        }
    }
}
