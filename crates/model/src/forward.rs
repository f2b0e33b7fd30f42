//! What a forward pass works with: the batch, the backend, the memory.

use std::ops::{Deref, DerefMut, Range};
use std::sync::Arc;

use backend::{
    AttentionParams, Backend, BlockPool, CacheAttention, Linear, LinearAttention, Mask, Selection,
    SelectiveScan, ShortConv, Source, Span, Tensor, Visible, Weight,
};

use crate::blocks::rope::{Rope, RopeTable};
use crate::memory::{Memory, Sequence};

/// The rows of a batch by sequence.
#[derive(Debug, Clone, Default)]
pub struct Spans<'a> {
    /// With the pages of all positions.
    pub all: Vec<Span<'a>>,
    /// With the pages of layers on sliding windows.
    pub recent: Vec<Span<'a>>,
}

impl<'a> Spans<'a> {
    /// Adds rows whose first is at position `pos` of a sequence.
    pub fn push(&mut self, rows: Range<usize>, pos: usize, sequence: &'a Sequence) {
        let (pages, slot) = (sequence.pages(), sequence.slot());
        self.all.push(Span { rows: rows.clone(), pos, pages, slot });
        self.recent.push(Span { rows, pos, pages: sequence.recent_pages(), slot });
    }
}

/// One batch on its way through a model. Dereferences to the backend, so that architectures call
/// operations directly.
pub struct Forward<'a> {
    backend: &'a mut (dyn Backend + 'a),
    memory: &'a Memory,
    tokens: &'a [u32],
    spans: &'a [Span<'a>],
    /// The same with pages of layers on sliding windows.
    recent: &'a [Span<'a>],
    outputs: &'a [usize],
    encoded: &'a [Span<'a>],
    ropes: Vec<(Arc<Rope>, RopeTable)>,
    features: Option<Tensor>,
    causal: Option<bool>,
    without_logits: bool,
    /// A tensor that one layer leaves for later ones.
    pub shared: Option<Tensor>,
    /// What a draft model makes of each row for the token after it.
    pub next_features: Option<Tensor>,
}

impl<'a> Forward<'a> {
    /// A batch of `tokens`, one row each, that belong to the sequences in `spans` (which cover all
    /// rows in order); the model's output is wanted for the rows `outputs`, in ascending order.
    pub fn new(
        backend: &'a mut (dyn Backend + 'a),
        memory: &'a Memory,
        tokens: &'a [u32],
        spans: &'a Spans<'a>,
        outputs: &'a [usize],
    ) -> Self {
        let Spans { all: spans, recent } = spans;
        debug_assert_eq!(spans.iter().map(|span| span.rows.len()).sum::<usize>(), tokens.len());
        Self {
            backend,
            memory,
            tokens,
            spans,
            recent,
            outputs,
            encoded: &[],
            ropes: Vec::new(),
            features: None,
            causal: None,
            without_logits: false,
            shared: None,
            next_features: None,
        }
    }

    /// The same for a model with an encoder: for each row a span whose last position is that of the
    /// text that the encoder has read.
    pub fn with_encoded(self, encoded: &'a [Span<'a>]) -> Self {
        Self { encoded, ..self }
    }

    /// The same with features of each row.
    pub fn with_features(self, features: Option<Tensor>) -> Self {
        Self { features, ..self }
    }

    /// The same with positions that see only earlier ones, or all, whatever layers say.
    pub fn with_causal(self, causal: Option<bool>) -> Self {
        Self { causal, ..self }
    }

    /// The same for the embeddings that logits would be made from.
    pub fn without_logits(self, without_logits: bool) -> Self {
        Self { without_logits, ..self }
    }

    /// Whether embeddings are wanted instead of logits.
    pub fn wants_embeddings(&self) -> bool {
        self.without_logits
    }

    /// What a layer sees, of which that may be changed.
    fn seen(&self, params: &AttentionParams) -> AttentionParams {
        let mask = match (self.causal, params.mask) {
            (Some(false), Mask::Causal) => Mask::Full,
            (Some(true), Mask::Full) => Mask::Causal,
            (_, mask) => mask,
        };
        AttentionParams { mask, ..params.clone() }
    }

    /// Whether rows have features.
    pub fn has_features(&self) -> bool {
        self.features.is_some()
    }

    /// The rows' features, `[rows][width]`; zeros where there are none.
    pub fn features(&mut self, width: usize) -> Tensor {
        match self.features {
            Some(features) => features,
            None => self.backend.upload(&vec![0.0; self.tokens.len() * width], width),
        }
    }

    /// The batch's tokens.
    pub fn tokens(&self) -> &'a [u32] {
        self.tokens
    }

    /// The tokens of the batch's rows, or where there are fewer rows of those whose output is wanted.
    pub fn tokens_of(&self, n_rows: usize) -> Vec<u32> {
        match n_rows == self.tokens.len() {
            true => self.tokens.to_vec(),
            false => self.outputs.iter().map(|&row| self.tokens[row]).collect(),
        }
    }

    /// Embeddings of the batch's tokens, `[rows][n_embd]`.
    pub fn embed_tokens(&mut self, table: &Weight) -> Tensor {
        self.backend.embed(table, self.tokens)
    }

    /// Rows of a table by the batch's positions; those beyond its end take the last row.
    pub fn embed_positions(&mut self, table: &Weight) -> Tensor {
        let last = table.rows().saturating_sub(1);
        let positions: Vec<u32> = self.positions().map(|pos| pos.min(last) as u32).collect();
        self.backend.embed(table, &positions)
    }

    /// Positions of the batch's rows in their sequences.
    pub fn positions(&self) -> impl Iterator<Item = usize> {
        self.spans.iter().flat_map(|span| span.pos..span.len())
    }

    /// The rotations of the batch's positions.
    pub fn rope_table(&mut self, rope: &Rope) -> RopeTable {
        rope.table(self.backend, self.spans, self.memory.n_ctx())
    }

    /// The rotations of the positions after the batch's.
    pub fn next_rope_table(&mut self, rope: &Rope) -> RopeTable {
        let positions = self.spans.iter().flat_map(|span| span.pos..span.len());
        rope.table_at(self.backend, positions.map(|pos| (pos + 1) as f64), self.memory.n_ctx())
    }

    /// Makes the rotations of the batch's positions, for all layers with this rope.
    pub fn prepare_rope(&mut self, rope: &Arc<Rope>) {
        if !self.ropes.iter().any(|(known, _)| Arc::ptr_eq(known, rope)) {
            let table = self.rope_table(rope);
            self.ropes.push((rope.clone(), table));
        }
    }

    /// The rotations that were prepared.
    ///
    /// # Panics
    /// Where they were not.
    pub fn prepared_rope(&self, rope: &Arc<Rope>) -> RopeTable {
        let known = self.ropes.iter().find(|(known, _)| Arc::ptr_eq(known, rope));
        known.expect("layers prepare their ropes").1
    }

    /// Rotates the heads of `x`, in place.
    pub fn rotate(&mut self, x: Tensor, rope: &RopeTable) {
        self.backend.rope(x, rope.head_dim, rope.angles, rope.layout);
    }

    /// One product.
    pub fn linear1(&mut self, x: Tensor, linear: &Linear) -> Tensor {
        self.backend.linear(x, &[linear])
    }

    /// Stores the batch's keys and values in layer `il` and attends to all that is stored.
    pub fn attend(
        &mut self,
        il: usize,
        [q, k, v]: [Tensor; 3],
        params: &AttentionParams,
    ) -> Tensor {
        let (kv, spans) = (self.memory.layer(il), self.spans_of(il));
        self.backend.kv_write(kv, k, v, spans);
        self.backend.attention(q, kv, spans, &self.seen(params))
    }

    /// The batch with the pages of layer `il`.
    fn spans_of(&self, il: usize) -> &'a [Span<'a>] {
        if self.memory.slides(il) { self.recent } else { self.spans }
    }

    /// Attends to what layer `il` has stored; `q` has all rows of the batch or only those whose
    /// output is wanted.
    pub fn attend_shared(&mut self, il: usize, q: Tensor, params: &AttentionParams) -> Tensor {
        let (kv, spans) = (self.memory.layer(il), self.spans_of(il));
        let params = &self.seen(params);
        if q.rows() == self.tokens.len() {
            return self.backend.attention(q, kv, spans, params);
        }
        self.backend.attention(q, kv, &self.wanted_of(spans), params)
    }

    /// Attends to what one of the last layers has stored.
    ///
    /// # Panics
    /// Where there are not so many.
    pub fn attend_from_last(&mut self, n: usize, q: Tensor, params: &AttentionParams) -> Tensor {
        self.attend_shared(self.memory.n_layers() - 1 - n, q, params)
    }

    /// Stores the batch's keys and values in layer `il`, for others to attend to.
    pub fn store(&mut self, il: usize, k: Tensor, v: Tensor) {
        self.backend.kv_write(self.memory.layer(il), k, v, self.spans_of(il));
    }

    /// Attends to all that the encoder has stored in its layer `il`.
    ///
    /// # Panics
    /// For models without an encoder.
    pub fn attend_encoded(&mut self, il: usize, q: Tensor, params: &AttentionParams) -> Tensor {
        let memory = self.memory.encoder().expect("a model with an encoder");
        self.backend.attention(q, memory.layer(il), self.encoded, params)
    }

    /// What changed from each row to the one before it, with state `index` of layer `il`.
    pub fn token_shift(&mut self, x: Tensor, [il, index]: [usize; 2]) -> Tensor {
        self.backend.token_shift(x, self.memory.state(il, index), self.spans)
    }

    /// A short convolution with state `index` of layer `il`.
    pub fn short_conv(&mut self, x: Tensor, conv: &ShortConv, [il, index]: [usize; 2]) -> Tensor {
        self.backend.short_conv(x, conv, self.memory.state(il, index), self.spans)
    }

    /// A scan with state `index` of layer `il`.
    pub fn selective_scan(&mut self, scan: &SelectiveScan<'_>, [il, index]: [usize; 2]) -> Tensor {
        self.backend.selective_scan(scan, self.memory.state(il, index), self.spans)
    }

    /// Attention to the matrices in state `index` of layer `il`.
    pub fn linear_attention(
        &mut self,
        inputs: &LinearAttention<'_>,
        [il, index]: [usize; 2],
    ) -> Tensor {
        self.backend.linear_attention(inputs, self.memory.state(il, index), self.spans)
    }

    /// A span for each row whose output is wanted.
    fn wanted_of(&self, spans: &'a [Span<'a>]) -> Vec<Span<'a>> {
        let rows = spans.iter().flat_map(|span| span.rows.clone().map(move |row| (span, row)));
        let mut wanted = self.outputs.iter().copied().enumerate().peekable();
        rows.filter_map(|(span, row)| {
            let (to, _) = wanted.next_if(|&(_, wanted)| wanted == row)?;
            let pos = span.pos + row - span.rows.start;
            Some(Span { rows: to..to + 1, pos, ..span.clone() })
        })
        .collect()
    }

    /// Stores a row of `x` for each block that the batch completes in cache `index` of layer `il`.
    pub fn cache_write(&mut self, x: Tensor, [il, index]: [usize; 2]) {
        self.backend.cache_write(self.memory.cache(il, index), x, self.spans);
    }

    /// Pools the blocks that the batch completes, with state `index` of layer `il`.
    pub fn pool_blocks(&mut self, pool: &BlockPool<'_>, [il, index]: [usize; 2]) -> Tensor {
        self.backend.pool_blocks(pool, self.memory.state(il, index), self.spans)
    }

    /// The rotations of the first positions of the blocks that the batch completes.
    pub fn block_rope_table(&mut self, rope: &Rope, stride: usize) -> RopeTable {
        let blocks = self.spans.iter().flat_map(|span| span.completes(stride));
        let positions = blocks.map(|block| (block * stride) as f64);
        rope.table_at(self.backend, positions, self.memory.n_ctx())
    }

    /// The rotations that turn the batch's positions back.
    pub fn reverse_rope_table(&mut self, rope: &Rope) -> RopeTable {
        let positions = self.spans.iter().flat_map(|span| span.pos..span.len());
        rope.table_at(self.backend, positions.map(|pos| -(pos as f64)), self.memory.n_ctx())
    }

    /// Names cached rows of cache `index` of layer `il` for the rows of the batch from position
    /// `first` on; `None` where there are none.
    pub fn select(
        &mut self,
        selection: &Selection,
        [il, index]: [usize; 2],
        first: usize,
    ) -> Option<Tensor> {
        let [_, spans] = self.split_spans(first);
        let keys = self.memory.cache(il, index);
        (!spans.is_empty()).then(|| self.backend.select(selection, keys, &spans))
    }

    /// Caches of layer `il` to attend to, those of keys and of values.
    pub fn source(&self, il: usize, [keys, values]: [usize; 2], rows: Visible) -> Source {
        let [keys, values] = [keys, values].map(|index| self.memory.cache(il, index));
        Source { keys, values, rows }
    }

    /// Attends to cached rows.
    pub fn attend_to_cache(&mut self, attention: &CacheAttention<'_>) -> Tensor {
        self.backend.attention_to_cache(attention, self.spans)
    }

    /// Attends to cached rows, from position `first` on only to those `chosen` of the first source.
    pub fn attend_to_chosen(
        &mut self,
        attention: &CacheAttention<'_>,
        first: usize,
        chosen: Visible,
    ) -> Tensor {
        let [before, after] = self.split_spans(first);
        let mut sources = attention.sources.to_vec();
        sources.iter_mut().take(1).for_each(|source| source.rows = chosen);
        let sparse = CacheAttention { sources: &sources, ..*attention };
        let of_chosen = self.backend.attention_to_cache(&sparse, &after);
        if before.is_empty() {
            return of_chosen;
        }
        let out = self.backend.attention_to_cache(attention, &before);
        for rows in after.into_iter().map(|span| span.rows) {
            self.backend.assign(out.row_range(rows.clone()), of_chosen.row_range(rows));
        }
        out
    }

    /// The parts of spans before position `first` and from there on.
    fn split_spans(&self, first: usize) -> [Vec<Span<'a>>; 2] {
        let cut =
            |span: &Span<'a>| span.rows.start + first.saturating_sub(span.pos).min(span.rows.len());
        let before =
            self.spans.iter().map(|span| Span { rows: span.rows.start..cut(span), ..span.clone() });
        let after = self.spans.iter().map(|span| {
            let rows = cut(span)..span.rows.end;
            Span { pos: span.pos + rows.start - span.rows.start, rows, ..span.clone() }
        });
        let some =
            |spans: Vec<Span<'a>>| spans.into_iter().filter(|span| !span.rows.is_empty()).collect();
        [some(before.collect()), some(after.collect())]
    }

    /// Only the rows whose output is wanted.
    pub fn keep_outputs(&mut self, x: Tensor) -> Tensor {
        if self.outputs.len() == self.tokens.len() {
            return x;
        }
        self.backend.gather(x, self.outputs)
    }
}

impl<'a> Deref for Forward<'a> {
    type Target = dyn Backend + 'a;
    fn deref(&self) -> &Self::Target {
        self.backend
    }
}

impl DerefMut for Forward<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.backend
    }
}
