//! Running a model over sequences.

mod embedding;

use std::sync::Arc;

use backend::{Backend, KvTypes, PAGE, Span, Tensor};

use crate::error::Error;
use crate::forward::{Forward, Spans};
use crate::memory::{Capacity, Memory, Sequence};
use crate::{Embedding, Model, Shape, TargetLayer};

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

/// What a batch has of one sequence: its next tokens.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// Index of the sequence.
    pub sequence: usize,
    /// They follow what the sequence has in memory.
    pub tokens: &'a [u32],
    /// Outputs wanted.
    pub outputs: Outputs,
}

/// What a draft model made of tokens, see [`Context::draft`].
#[derive(Debug, Clone, PartialEq)]
pub struct Drafted {
    /// For each token, of the one after it, `[tokens][n_vocab]`.
    pub logits: Vec<f32>,
    /// For each token, what goes with the one after it, `[tokens][n_embd]` of the target.
    pub features: Vec<f32>,
}

/// A model, a backend to run it on, and the memory of one or several sequences.
///
/// Methods that name no sequence are about the first one.
pub struct Context {
    model: Arc<dyn Model>,
    backend: Box<dyn Backend>,
    memory: Memory,
    types: KvTypes,
    sequences: Vec<Sequence>,
    /// Whether positions see only earlier ones, where that is not the model's to say.
    causal: Option<bool>,
    output: Vec<f32>,
}

impl Context {
    /// One sequence with room for `n_ctx` positions, keys and values stored as `types`.
    pub fn new(
        model: Arc<dyn Model>,
        backend: Box<dyn Backend>,
        n_ctx: usize,
        types: impl Into<KvTypes>,
    ) -> Result<Self, Error> {
        Self::with_sequences(model, backend, n_ctx, 1, types)
    }

    /// With room for `n_ctx` positions of `n_sequences` sequences together.
    pub fn with_sequences(
        model: Arc<dyn Model>,
        backend: Box<dyn Backend>,
        n_ctx: usize,
        n_sequences: usize,
        types: impl Into<KvTypes>,
    ) -> Result<Self, Error> {
        let n_sequences = n_sequences.max(1);
        Self::with_capacity(model, backend, Capacity::of(n_ctx, n_sequences), types)
    }

    /// With room for what `capacity` says.
    pub fn with_capacity(
        model: Arc<dyn Model>,
        mut backend: Box<dyn Backend>,
        capacity: Capacity,
        types: impl Into<KvTypes>,
    ) -> Result<Self, Error> {
        if !model.target_layers().is_empty() {
            return Err(Error::NeedsTarget);
        }
        let types = types.into();
        let mut memory = Memory::new(&*model, &mut *backend, capacity, types)?;
        let sequences = (0..capacity.n_sequences).filter_map(|_| memory.begin()).collect();
        let output = Vec::new();
        Ok(Self { model, backend, memory, types, sequences, causal: None, output })
    }

    /// Has positions see only earlier ones, or the whole text, whatever the model says; windows that
    /// slide stay.
    ///
    /// # Errors
    /// Models whose attention is of another kind.
    pub fn set_causal(&mut self, causal: bool) -> Result<(), Error> {
        let Shape { caches, states, .. } = self.model.shape();
        let is_plain = caches.iter().all(Vec::is_empty) && states.iter().all(Vec::is_empty);
        if causal != self.model.is_causal() && !(is_plain && self.model.encoder().is_none()) {
            return Err(Error::FixedAttention);
        }
        self.causal = Some(causal);
        Ok(())
    }

    /// Whether positions see only earlier ones.
    pub fn is_causal(&self) -> bool {
        self.causal.unwrap_or(self.model.is_causal())
    }

    /// Positions in memory.
    pub fn len(&self) -> usize {
        self.len_of(0)
    }

    /// Positions that a sequence has in memory.
    pub fn len_of(&self, sequence: usize) -> usize {
        self.sequences[sequence].len()
    }

    /// The tokens that a sequence has in memory.
    pub fn tokens_of(&self, sequence: usize) -> &[u32] {
        self.sequences[sequence].tokens()
    }

    /// Whether memory is empty.
    pub fn is_empty(&self) -> bool {
        self.sequences.iter().all(Sequence::is_empty)
    }

    /// Positions that a sequence can have.
    pub fn n_ctx(&self) -> usize {
        self.memory.n_ctx()
    }

    /// The backend's description of itself.
    pub fn describe_backend(&self) -> String {
        self.backend.describe()
    }

    /// Forgets all positions from `len` on and returns how many are left: fewer than `len` where
    /// the model has states and none were kept for exactly there, or sliding windows and what they
    /// show there is gone. The rest is to be evaluated again.
    #[must_use = "fewer positions may be left"]
    pub fn truncate(&mut self, len: usize) -> usize {
        self.truncate_sequence(0, len)
    }

    /// As [`Context::truncate`], of a sequence.
    #[must_use = "fewer positions may be left"]
    pub fn truncate_sequence(&mut self, sequence: usize, len: usize) -> usize {
        self.memory.truncate(&mut *self.backend, &mut self.sequences[sequence], len)
    }

    /// Forgets everything but what an encoder has read.
    pub fn clear(&mut self) {
        for sequence in &mut self.sequences {
            self.memory.truncate(&mut *self.backend, sequence, 0);
        }
    }

    /// Positions of all pages.
    pub fn capacity(&self) -> usize {
        self.memory.n_pages() * PAGE
    }

    /// Positions of the pages that hold nothing.
    pub fn unused(&self) -> usize {
        self.memory.n_empty_pages() * PAGE
    }

    /// Positions there is room for, in whole pages that are free or only kept of earlier sequences.
    pub fn room(&self) -> usize {
        self.memory.n_free_pages() * PAGE
    }

    /// Has a sequence begin anew, with what is known of the beginning of `tokens`, and returns how
    /// many positions that is. What it has seen before is kept as long as there is room.
    ///
    /// # Panics
    /// Where the sequence doesn't exist.
    pub fn begin(&mut self, sequence: usize, tokens: &[u32]) -> usize {
        let (backend, sequence) = (&mut *self.backend, &mut self.sequences[sequence]);
        self.memory.retire(backend, sequence);
        self.memory.resume(backend, sequence, tokens);
        sequence.len()
    }

    /// How many positions [`Context::begin`] would find.
    pub fn known(&self, tokens: &[u32]) -> usize {
        self.memory.known(tokens)
    }

    /// Has others know all that a sequence has seen, though it goes on.
    ///
    /// # Panics
    /// Where the sequence doesn't exist.
    pub fn keep(&mut self, sequence: usize) {
        self.memory.keep_rest(&mut *self.backend, &self.sequences[sequence]);
    }

    /// Names all that the bytes of pages and states depend on beside weights and tokens.
    pub fn layout(&self) -> String {
        let crate::Shape { kv, caches, states, .. } = self.model.shape();
        let (layout, KvTypes { k, v }) = (self.backend.layout(), self.types);
        let window = match self.memory.n_recent_pages() {
            0 => "all",
            _ => "recent",
        };
        format!("{layout}; {PAGE} positions, {window}; {k} {v}; {kv:?}; {caches:?}; {states:?}")
    }

    /// Bytes of a page of all layers but those on sliding windows.
    pub fn page_bytes(&self) -> usize {
        self.memory.page_bytes(&*self.backend)
    }

    /// Bytes of a page of layers on sliding windows; 0 for models without.
    pub fn recent_bytes(&self) -> usize {
        self.memory.recent_bytes(&*self.backend)
    }

    /// The first page of layers on sliding windows that is needed to go on after `len` positions;
    /// `None` for models without.
    pub fn first_recent_page(&self, len: usize) -> Option<usize> {
        self.memory.first_recent_page(len)
    }

    /// Bytes of all states after a text; 0 for models without.
    pub fn states_bytes(&self) -> usize {
        self.memory.states_bytes(&*self.backend)
    }

    /// How many whole pages of the beginning of `tokens` are kept, where there may be no states to
    /// go on from.
    pub fn n_known_pages(&self, tokens: &[u32]) -> usize {
        self.memory.n_known_pages(tokens)
    }

    /// The bytes of the last page of a text, where it is kept: that of its last token.
    pub fn export_page(&self, tokens: &[u32]) -> Option<Vec<u8>> {
        self.memory.export_page(&*self.backend, tokens)
    }

    /// The same of layers on sliding windows, where it is kept: fewer pages are.
    pub fn export_recent(&self, tokens: &[u32]) -> Option<Vec<u8>> {
        self.memory.export_recent(&*self.backend, tokens)
    }

    /// The bytes of the states after a text, where they are kept.
    pub fn export_states(&self, tokens: &[u32]) -> Option<Vec<u8>> {
        self.memory.export_states(&*self.backend, tokens)
    }

    /// Puts back the last page of a text whose other pages are kept, at the cost of what was not
    /// used for the longest time; returns whether it is kept now. Bytes of another
    /// [`Context::layout`] give wrong answers.
    #[must_use = "there may be no room"]
    pub fn import_page(&mut self, tokens: &[u32], bytes: &[u8]) -> bool {
        self.memory.import_page(&mut *self.backend, tokens, bytes)
    }

    /// Puts back the last page of layers on sliding windows, of a text whose pages are kept; as
    /// [`Context::import_page`].
    #[must_use = "there may be no room"]
    pub fn import_recent(&mut self, tokens: &[u32], bytes: &[u8]) -> bool {
        self.memory.import_recent(&mut *self.backend, tokens, bytes)
    }

    /// Puts back the states after a text whose pages are kept; as [`Context::import_page`].
    #[must_use = "there may be no room"]
    pub fn import_states(&mut self, tokens: &[u32], bytes: &[u8]) -> bool {
        self.memory.import_states(&mut *self.backend, tokens, bytes)
    }

    /// Forgets what is kept of a text alone, at its end; returns how many positions.
    pub fn forget(&mut self, tokens: &[u32]) -> usize {
        self.memory.forget(tokens)
    }

    /// Makes sequence `to` a copy of sequence `from`.
    ///
    /// # Panics
    /// Where one doesn't exist.
    pub fn fork(&mut self, from: usize, to: usize) {
        if from == to {
            return;
        }
        let [from, to] = self.sequences.get_disjoint_mut([from, to]).expect("two sequences");
        self.memory.fork(&mut *self.backend, from, to);
    }

    /// As [`Context::batch_len_of`] the first sequence.
    pub fn batch_len(&self, n: usize) -> usize {
        self.batch_len_of(0, n)
    }

    /// How many of a sequence's next `n` tokens to evaluate at once, so that memory can return to
    /// where texts part and near to their end: all, but for models with states only up to the end
    /// of a page where they reach one.
    pub fn batch_len_of(&self, sequence: usize, n: usize) -> usize {
        if !self.memory.is_recurrent() {
            return n;
        }
        let sequence = &self.sequences[sequence];
        let (begin, end) = (sequence.len(), sequence.len() + n);
        let boundaries = [sequence.known(), end - end % PAGE];
        boundaries
            .into_iter()
            .find(|&end| end > begin)
            .map_or(n, |boundary| (boundary - begin).min(n))
    }

    /// Evaluates `tokens` at the next positions as one batch and returns the outputs asked for,
    /// row after row of [`crate::Shape::output_width`] values.
    pub fn decode(&mut self, tokens: &[u32], outputs: Outputs) -> Result<&mut [f32], Error> {
        check_finite(self.decode_batch(&[Part { sequence: 0, tokens, outputs }])?)
    }

    /// As [`Context::decode`], with features for each token: what a draft model has made of its
    /// target's ([`Context::fuse`]), or the part that a token has in a decision (see `arch::clef`).
    ///
    /// # Errors
    /// As [`Context::decode`], and features of another width than the model's.
    pub fn decode_with(
        &mut self,
        tokens: &[u32],
        features: &[f32],
        outputs: Outputs,
    ) -> Result<&mut [f32], Error> {
        check_width(features.len(), tokens.len(), self.model.feature_width())?;
        let part = Part { sequence: 0, tokens, outputs };
        check_finite(self.evaluate(&[part], features, Yield::Outputs)?)
    }

    /// What a draft model makes of its target's features, row after row; `None` for others.
    ///
    /// # Errors
    /// Features that are not whole rows.
    pub fn fuse(&mut self, features: &[f32]) -> Result<Option<Vec<f32>>, Error> {
        let model = self.model.clone();
        let Some(fusion) = model.fusion() else { return Ok(None) };
        let width = fusion.width();
        check_width(features.len(), features.len() / width, width)?;
        let mark = self.backend.mark();
        let features = self.backend.upload(features, width);
        let spans = Spans::default();
        let mut cx = Forward::new(&mut *self.backend, &self.memory, &[], &spans, &[]);
        let fused = fusion.forward(&mut cx, features);
        let mut out = vec![0.0; fused.rows() * fused.cols()];
        self.backend.download(fused, &mut out);
        self.backend.release(mark);
        Ok(Some(out))
    }

    /// What a draft model without memory of its own makes of tokens that may follow what a sequence
    /// has in memory, each by itself.
    ///
    /// `features` are what the target, or the draft model one token before, made of the token
    /// before: [`crate::Shape::n_embd`] values of the target for each token.
    ///
    /// # Errors
    /// Models that have memory of their own or another target, an empty sequence, unknown tokens,
    /// and features of another width.
    ///
    /// # Panics
    /// Where the sequence doesn't exist.
    pub fn draft(
        &mut self,
        draft: &dyn Model,
        sequence: usize,
        tokens: &[u32],
        features: &[f32],
    ) -> Result<Drafted, Error> {
        let target = self.model.clone();
        let embedding = check_target(draft, &*target)?;
        check_tokens(tokens, target.shape().n_vocab)?;
        check_width(features.len(), tokens.len(), draft.feature_width())?;
        let sequence = &self.sequences[sequence];
        let Some(pos) = sequence.len().checked_sub(1) else { return Err(Error::EmptyText) };
        let rows: Vec<usize> = (0..tokens.len()).collect();
        let mut spans = Spans::default();
        rows.iter().for_each(|&row| spans.push(row..row + 1, pos, sequence));
        let mark = self.backend.mark();
        let features = self.backend.upload(features, draft.feature_width());
        let mut cx = Forward::new(&mut *self.backend, &self.memory, tokens, &spans, &rows);
        let embedded = embedding.forward(&mut cx);
        let features = cx.concat(&[embedded, features]);
        let mut cx = cx.with_features(Some(features));
        let logits = draft.forward(&mut cx);
        let next = cx.next_features;
        let mut values = |tensor: Tensor| {
            let mut values = vec![0.0; tensor.rows() * tensor.cols()];
            self.backend.download(tensor, &mut values);
            values
        };
        let drafted =
            Drafted { logits: values(logits), features: next.map(&mut values).unwrap_or_default() };
        self.backend.release(mark);
        if !drafted.logits.iter().all(|value| value.is_finite()) {
            return Err(Error::NotFinite);
        }
        Ok(drafted)
    }

    /// Evaluates the parts of different sequences as one batch and returns the outputs asked for,
    /// part after part. They may have infinities and NaN: those of one sequence are no reason to
    /// refuse those of others.
    ///
    /// # Panics
    /// Where a sequence has several parts, or doesn't exist.
    pub fn decode_batch(&mut self, parts: &[Part<'_>]) -> Result<&mut [f32], Error> {
        self.evaluate(parts, &[], Yield::Outputs)
    }

    /// Has the model's encoder read a text, which the sequence then answers to from its beginning.
    ///
    /// # Errors
    /// Models without an encoder, an empty text, one that is too long, and unknown tokens.
    ///
    /// # Panics
    /// Where the sequence doesn't exist.
    pub fn encode(&mut self, sequence: usize, tokens: &[u32]) -> Result<(), Error> {
        let Some(model) = self.model.encoder() else { return Err(Error::NoEncoder) };
        if tokens.is_empty() {
            return Err(Error::EmptyText);
        }
        check_tokens(tokens, model.shape().n_vocab)?;
        let (backend, sequence) = (&mut *self.backend, &mut self.sequences[sequence]);
        self.memory.truncate(backend, sequence, 0);
        let (memory, sequence) =
            self.memory.encoder_of(sequence).expect("memory is made for the model");
        memory.truncate(backend, sequence, 0);
        memory.reserve(backend, sequence, tokens.len())?;
        let mut spans = Spans::default();
        spans.push(0..tokens.len(), 0, sequence);
        let mark = backend.mark();
        model.forward(&mut Forward::new(backend, memory, tokens, &spans, &[]));
        backend.release(mark);
        memory.advance(backend, sequence, tokens);
        Ok(())
    }

    /// Evaluates the batch with features of each row, if any.
    fn evaluate(
        &mut self,
        parts: &[Part<'_>],
        features: &[f32],
        yields: Yield,
    ) -> Result<&mut [f32], Error> {
        let tokens: Vec<u32> = parts.iter().flat_map(|part| part.tokens).copied().collect();
        let shape = self.model.shape();
        check_tokens(&tokens, shape.n_vocab)?;
        let is_causal = self.is_causal();
        for (i, part) in parts.iter().enumerate() {
            let before = &parts[..i];
            assert!(before.iter().all(|p| p.sequence != part.sequence), "parts of one sequence");
            let sequence = &mut self.sequences[part.sequence];
            if !sequence.is_empty() && !is_causal {
                return Err(Error::NotCausal { len: sequence.len() });
            }
            if sequence.encoded().is_some_and(Sequence::is_empty) {
                return Err(Error::NothingEncoded);
            }
            self.memory.reserve(&mut *self.backend, sequence, part.tokens.len())?;
        }
        let mut wanted = Vec::new();
        let mut spans = Spans::default();
        let mut encoded = Vec::new();
        let mut row = 0;
        for part in parts {
            let rows = row..row + part.tokens.len();
            row = rows.end;
            match part.outputs {
                Outputs::None => {}
                Outputs::Last => wanted.extend(rows.clone().last()),
                Outputs::All => wanted.extend(rows.clone()),
            }
            let sequence = &self.sequences[part.sequence];
            if let Some(text) = sequence.encoded() {
                let (pos, pages, slot) = (text.len() - 1, text.pages(), text.slot());
                encoded.extend(rows.clone().map(|row| Span {
                    rows: row..row + 1,
                    pos,
                    pages,
                    slot,
                }));
            }
            spans.push(rows, sequence.len(), sequence);
        }
        let mark = self.backend.mark();
        let width = features.len().checked_div(tokens.len()).filter(|&width| width > 0);
        let features = width.map(|width| self.backend.upload(features, width));
        let mut cx = Forward::new(&mut *self.backend, &self.memory, &tokens, &spans, &wanted)
            .with_features(features)
            .with_encoded(&encoded)
            .with_causal(self.causal)
            .without_logits(yields == Yield::Embeddings);
        let result = self.model.forward(&mut cx);
        self.output.resize(result.rows() * result.cols(), 0.0);
        self.backend.download(result, &mut self.output);
        self.backend.release(mark);
        for part in parts {
            let sequence = &mut self.sequences[part.sequence];
            self.memory.advance(&mut *self.backend, sequence, part.tokens);
        }
        Ok(&mut self.output)
    }
}

/// What a batch is evaluated for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Yield {
    /// What the model yields.
    Outputs,
    /// Embeddings, of a model of logits too.
    Embeddings,
}

/// Whether `draft` reads what `target` has; the embedding that they share.
fn check_target<'a>(draft: &dyn Model, target: &'a dyn Model) -> Result<&'a Embedding, Error> {
    let (layers, shape) = (draft.target_layers(), target.shape());
    if layers.is_empty() {
        return Err(Error::OtherTarget("it has memory of its own"));
    }
    let fits = |layer: &TargetLayer| shape.kv.iter().rev().nth(layer.from_last) == Some(&layer.kv);
    if !layers.iter().all(fits) {
        return Err(Error::OtherTarget("its last layers store other keys and values"));
    }
    if draft.feature_width() != shape.n_embd || draft.shape().n_vocab != shape.n_vocab {
        return Err(Error::OtherTarget("it has another width or vocabulary"));
    }
    target.token_embedding().ok_or(Error::OtherTarget("it shares no embedding"))
}

fn check_tokens(tokens: &[u32], n_vocab: usize) -> Result<(), Error> {
    match tokens.iter().find(|&&id| id as usize >= n_vocab) {
        Some(&id) => Err(Error::Token { id, n_vocab }),
        None => Ok(()),
    }
}

fn check_finite(outputs: &mut [f32]) -> Result<&mut [f32], Error> {
    if outputs.iter().all(|value| value.is_finite()) { Ok(outputs) } else { Err(Error::NotFinite) }
}

fn check_width(n: usize, rows: usize, width: usize) -> Result<(), Error> {
    if n == rows * width && width > 0 {
        return Ok(());
    }
    Err(Error::Features { n, rows, width })
}
