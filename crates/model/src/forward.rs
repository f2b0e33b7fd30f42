//! What a forward pass works with: the batch, the backend, the memory.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use backend::{
    AttentionParams, Backend, Linear, LinearAttention, SelectiveScan, ShortConv, Span, Tensor,
    Weight,
};

use crate::blocks::rope::{Rope, RopeTable};
use crate::memory::Memory;

/// One batch on its way through a model. Dereferences to the backend, so that architectures call
/// operations directly.
pub struct Forward<'a> {
    backend: &'a mut (dyn Backend + 'a),
    memory: &'a Memory,
    tokens: &'a [u32],
    spans: &'a [Span<'a>],
    outputs: &'a [usize],
    encoded: &'a [Span<'a>],
    ropes: Vec<(Arc<Rope>, RopeTable)>,
    /// A tensor that one layer leaves for later ones.
    pub shared: Option<Tensor>,
}

impl<'a> Forward<'a> {
    /// A batch of `tokens`, one row each, that belong to the sequences in `spans` (which cover all
    /// rows in order); the model's output is wanted for the rows `outputs`, in ascending order.
    pub fn new(
        backend: &'a mut (dyn Backend + 'a),
        memory: &'a Memory,
        tokens: &'a [u32],
        spans: &'a [Span<'a>],
        outputs: &'a [usize],
    ) -> Self {
        debug_assert_eq!(spans.iter().map(|span| span.rows.len()).sum::<usize>(), tokens.len());
        let (encoded, ropes) = (&[][..], Vec::new());
        Self { backend, memory, tokens, spans, outputs, encoded, ropes, shared: None }
    }

    /// The same for a model with an encoder: for each row a span whose last position is that of the
    /// text that the encoder has read.
    pub fn with_encoded(self, encoded: &'a [Span<'a>]) -> Self {
        Self { encoded, ..self }
    }

    /// The batch's tokens.
    pub fn tokens(&self) -> &'a [u32] {
        self.tokens
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
        let kv = self.memory.layer(il);
        self.backend.kv_write(kv, k, v, self.spans);
        self.backend.attention(q, kv, self.spans, params)
    }

    /// Attends to what layer `il` has stored; `q` has all rows of the batch or only those whose
    /// output is wanted.
    pub fn attend_shared(&mut self, il: usize, q: Tensor, params: &AttentionParams) -> Tensor {
        let kv = self.memory.layer(il);
        if q.rows() == self.tokens.len() {
            return self.backend.attention(q, kv, self.spans, params);
        }
        self.backend.attention(q, kv, &self.output_spans(), params)
    }

    /// Stores the batch's keys and values in layer `il`, for others to attend to.
    pub fn store(&mut self, il: usize, k: Tensor, v: Tensor) {
        self.backend.kv_write(self.memory.layer(il), k, v, self.spans);
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
    fn output_spans(&self) -> Vec<Span<'a>> {
        let rows = self.spans.iter().flat_map(|span| span.rows.clone().map(move |row| (span, row)));
        let mut wanted = self.outputs.iter().copied().enumerate().peekable();
        rows.filter_map(|(span, row)| {
            let (to, _) = wanted.next_if(|&(_, wanted)| wanted == row)?;
            let pos = span.pos + row - span.rows.start;
            Some(Span { rows: to..to + 1, pos, ..span.clone() })
        })
        .collect()
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
