//! Running a model over a sequence.

use std::sync::Arc;

use backend::{Backend, KvTypes, Span};

use crate::error::Error;
use crate::forward::Forward;
use crate::memory::{Memory, Sequence};
use crate::{Model, OutputKind};

/// Which rows of a batch to compute outputs for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outputs {
    /// None: the batch is only put into memory.
    None,
    /// The last row.
    Last,
    /// Every row.
    All,
}

/// A model, a backend to run it on, and the memory of one sequence.
pub struct Context {
    model: Arc<dyn Model>,
    backend: Box<dyn Backend>,
    memory: Memory,
    sequence: Sequence,
    output: Vec<f32>,
}

impl Context {
    /// With room for `n_ctx` positions, keys and values stored as `types`.
    pub fn new(
        model: Arc<dyn Model>,
        mut backend: Box<dyn Backend>,
        n_ctx: usize,
        types: impl Into<KvTypes>,
    ) -> Result<Self, Error> {
        let memory = Memory::new(&*model, &mut *backend, n_ctx, types.into())?;
        Ok(Self { model, backend, memory, sequence: Sequence::default(), output: Vec::new() })
    }

    /// Positions in memory.
    pub fn len(&self) -> usize {
        self.sequence.len()
    }

    /// Whether memory is empty.
    pub fn is_empty(&self) -> bool {
        self.sequence.is_empty()
    }

    /// Positions that memory can hold.
    pub fn n_ctx(&self) -> usize {
        self.memory.n_ctx()
    }

    /// The backend's description of itself.
    pub fn describe_backend(&self) -> String {
        self.backend.describe()
    }

    /// Forgets all positions from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.memory.truncate(&mut self.sequence, len);
    }

    /// Evaluates `tokens` at the next positions as one batch and returns the outputs asked for,
    /// row after row of [`crate::Shape::output_width`] values.
    pub fn decode(&mut self, tokens: &[u32], outputs: Outputs) -> Result<&mut [f32], Error> {
        let shape = self.model.shape();
        if let Some(&id) = tokens.iter().find(|&&id| id as usize >= shape.n_vocab) {
            return Err(Error::Token { id, n_vocab: shape.n_vocab });
        }
        let n = tokens.len();
        let pos = self.sequence.len();
        self.memory.extend(&mut self.sequence, n)?;
        let wanted: Vec<usize> = match outputs {
            Outputs::None => vec![],
            Outputs::Last => (n.saturating_sub(1)..n).collect(),
            Outputs::All => (0..n).collect(),
        };
        let span = Span { rows: 0..n, pos, pages: self.sequence.pages() };
        let spans = std::slice::from_ref(&span);
        let mark = self.backend.mark();
        let mut cx = Forward::new(&mut *self.backend, &self.memory, tokens, spans, &wanted);
        let result = self.model.forward(&mut cx);
        self.output.resize(wanted.len() * shape.output_width(), 0.0);
        self.backend.download(result, &mut self.output);
        self.backend.release(mark);
        if !self.output.iter().all(|value| value.is_finite()) {
            return Err(Error::NotFinite);
        }
        Ok(&mut self.output)
    }

    /// Embeds a whole text at once and pools its tokens' embeddings into one vector; memory is
    /// empty before and after. `None` for models that don't embed.
    pub fn embed(&mut self, tokens: &[u32]) -> Result<Option<Vec<f32>>, Error> {
        let OutputKind::Embeddings(pooling) = self.model.shape().output else { return Ok(None) };
        let n_embd = self.model.shape().n_embd;
        self.truncate(0);
        let pooled = pooling.pool(self.decode(tokens, Outputs::All)?, n_embd);
        self.truncate(0);
        Ok(Some(pooled))
    }
}
