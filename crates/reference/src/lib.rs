//! Every backend operation in plain scalar Rust: the judge that other backends are tested against.
//!
//! Sums are taken in `f64` and rounded once; weights are decoded to `f32` row by row and activations
//! are never quantised. Nothing here is fast.
#![forbid(unsafe_code)]

mod attention;
mod cache;
mod elementwise;
mod linear;
mod recurrent;

use attention::Store;
use backend::{
    Activation, AttentionParams, Backend, BackendError, BlockPool, CacheAttention, CacheId,
    CacheSpec, Experts, Glu, HostArena, KvId, KvSpec, Linear, LinearAttention, Mark, RopeLayout,
    Routing, Selection, SelectiveScan, ShortConv, Span, StateId, StateSpec, Stored, Tensor, Vector,
    Weight,
};
use cache::Cache;
use recurrent::States;

/// The scalar backend.
#[derive(Debug, Default)]
pub struct Reference {
    arena: HostArena,
    stores: Vec<Store>,
    caches: Vec<Cache>,
    states: Vec<States>,
}

impl Reference {
    /// A backend with an empty arena and no stores.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces each element of `t`, given its row, column and value.
    fn map(&mut self, t: Tensor, f: impl Fn(usize, usize, f32) -> f32) {
        for row in 0..t.rows() {
            for (col, value) in self.arena.row_mut(t, row).iter_mut().enumerate() {
                *value = f(row, col, *value);
            }
        }
    }

    /// Each group of `group` columns changed by `norm`, which takes the group's first column.
    fn norm(&mut self, x: Tensor, group: usize, norm: impl Fn(usize, &mut [f32])) -> Tensor {
        assert!(x.cols().is_multiple_of(group), "{x:?} in groups of {group}");
        let mut values = self.values(x);
        for (i, values) in values.chunks_exact_mut(group).enumerate() {
            norm(i * group % x.cols(), values);
        }
        self.upload(&values, x.cols())
    }

    /// The elements of `t`, row after row.
    fn values(&self, t: Tensor) -> Vec<f32> {
        (0..t.rows()).flat_map(|row| self.arena.row(t, row)).copied().collect()
    }
}

impl Reference {
    /// The numbers of something stored.
    fn stored(&self, stored: Stored) -> [&[f32]; 2] {
        match stored {
            Stored::Page(kv, page) => self.stores[kv.0].page(page as usize),
            Stored::Rows(cache, page) => [self.caches[cache.0].page(page as usize), &[]],
            Stored::State(state, slot) => [self.states[state.0].state(slot), &[]],
        }
    }
}

/// The parameters of `group` columns from `at` on, which repeat along a row.
fn repeated(vector: Option<&Vector>, at: usize, group: usize) -> Option<&[f32]> {
    vector.map(|vector| &vector[at % vector.len()..][..group])
}

impl Backend for Reference {
    fn describe(&self) -> String {
        "reference (scalar)".into()
    }

    fn reserve(&mut self, values: usize) {
        self.arena.reserve(values);
    }

    fn alloc(&mut self, rows: usize, cols: usize) -> Tensor {
        self.arena.alloc(rows, cols)
    }

    fn mark(&self) -> Mark {
        self.arena.mark()
    }

    fn release(&mut self, mark: Mark) {
        self.arena.release(mark);
    }

    fn upload(&mut self, data: &[f32], cols: usize) -> Tensor {
        assert!(data.len().is_multiple_of(cols), "{} values in rows of {cols}", data.len());
        let out = self.arena.alloc(data.len() / cols, cols);
        self.arena.split(out).1.copy_from_slice(data);
        out
    }

    fn download(&mut self, t: Tensor, out: &mut [f32]) {
        out.copy_from_slice(&self.values(t));
    }

    fn kv_create(&mut self, spec: KvSpec) -> Result<KvId, BackendError> {
        self.stores.push(Store::new(spec)?);
        Ok(KvId(self.stores.len() - 1))
    }

    fn kv_copy_page(&mut self, kv: KvId, from: u32, to: u32) {
        self.stores[kv.0].copy_page(from as usize, to as usize);
    }

    fn cache_create(&mut self, spec: CacheSpec) -> Result<CacheId, BackendError> {
        self.caches.push(Cache::new(spec)?);
        Ok(CacheId(self.caches.len() - 1))
    }

    fn cache_copy_page(&mut self, cache: CacheId, from: u32, to: u32) {
        self.caches[cache.0].copy_page(from as usize, to as usize);
    }

    fn state_create(&mut self, spec: StateSpec) -> Result<StateId, BackendError> {
        self.states.push(States::new(spec)?);
        Ok(StateId(self.states.len() - 1))
    }

    fn state_copy(&mut self, state: StateId, from: u32, to: u32) {
        self.states[state.0].copy(from, to);
    }

    fn layout(&self) -> &'static str {
        "reference 1"
    }

    fn stored_bytes(&self, stored: Stored) -> usize {
        let n: usize = self.stored(stored).iter().map(|values| values.len()).sum();
        n * size_of::<f32>()
    }

    fn export(&self, stored: Stored, out: &mut Vec<u8>) {
        for values in self.stored(stored) {
            out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        }
    }

    fn import(&mut self, stored: Stored, bytes: &[u8]) {
        assert_eq!(bytes.len(), self.stored_bytes(stored), "bytes of {stored:?}");
        let parts = match stored {
            Stored::Page(kv, page) => self.stores[kv.0].page_mut(page as usize),
            Stored::Rows(cache, page) => [self.caches[cache.0].page_mut(page as usize), &mut []],
            Stored::State(state, slot) => [self.states[state.0].state_mut(slot), &mut []],
        };
        let values = bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        parts.into_iter().flatten().zip(values).for_each(|(to, value)| *to = value);
    }

    fn embed(&mut self, table: &Weight, ids: &[u32]) -> Tensor {
        let out = self.arena.alloc(ids.len(), table.cols());
        for (row, &id) in ids.iter().enumerate() {
            table.decode_row(0, id as usize, self.arena.row_mut(out, row));
        }
        out
    }

    fn gather(&mut self, x: Tensor, rows: &[usize]) -> Tensor {
        let out = self.arena.alloc(rows.len(), x.cols());
        for (to, &from) in rows.iter().enumerate() {
            let values = self.arena.row(x, from).to_vec();
            self.arena.row_mut(out, to).copy_from_slice(&values);
        }
        out
    }

    fn assign(&mut self, to: Tensor, from: Tensor) {
        assert_eq!((to.rows(), to.cols()), (from.rows(), from.cols()));
        let values = self.values(from);
        self.map(to, |row, col, _| values[row * from.cols() + col]);
    }

    fn softmax(&mut self, x: Tensor) {
        for row in 0..x.rows() {
            elementwise::softmax(self.arena.row_mut(x, row));
        }
    }

    fn add_assign(&mut self, acc: Tensor, x: Tensor) {
        assert_eq!((acc.rows(), acc.cols()), (x.rows(), x.cols()));
        let values = self.values(x);
        self.map(acc, |row, col, a| a + values[row * x.cols() + col]);
    }

    fn add_scaled(&mut self, acc: Tensor, x: Tensor, factor: f32) {
        assert_eq!((acc.rows(), acc.cols()), (x.rows(), x.cols()));
        let values = self.values(x);
        self.map(acc, |row, col, a| a + factor * values[row * x.cols() + col]);
    }

    fn mul_assign(&mut self, acc: Tensor, x: Tensor) {
        assert_eq!(acc.cols(), x.cols());
        assert!(x.rows() == acc.rows() || x.rows() == 1, "{x:?} for {acc:?}");
        let values = self.values(x);
        self.map(acc, |row, col, a| a * values[row % x.rows() * x.cols() + col]);
    }

    fn offset(&mut self, x: Tensor, value: f32) {
        self.map(x, |_, _, v| v + value);
    }

    fn scale(&mut self, x: Tensor, factor: f32) {
        self.map(x, |_, _, v| v * factor);
    }

    fn mul_vector(&mut self, x: Tensor, weight: &Vector) -> Tensor {
        assert_eq!(x.cols(), weight.len());
        let values = self.values(x);
        let rows = values.chunks_exact(x.cols());
        let out: Vec<f32> =
            rows.flat_map(|row| std::iter::zip(row, &weight[..]).map(|(v, w)| v * w)).collect();
        self.upload(&out, x.cols())
    }

    fn scale_rows(&mut self, x: Tensor, factors: &[f32]) {
        assert_eq!(x.rows(), factors.len());
        self.map(x, |row, _, v| v * factors[row]);
    }

    fn softcap(&mut self, x: Tensor, cap: f32) {
        self.map(x, |_, _, v| elementwise::softcap(v, cap));
    }

    fn activate(&mut self, x: Tensor, activation: Activation) {
        self.map(x, |_, _, v| elementwise::activate(v, activation));
    }

    fn concat(&mut self, parts: &[Tensor]) -> Tensor {
        let rows = parts[0].rows();
        let mut out = Vec::new();
        for row in 0..rows {
            for &part in parts {
                assert_eq!(part.rows(), rows);
                out.extend_from_slice(self.arena.row(part, row));
            }
        }
        self.upload(&out, parts.iter().map(|part| part.cols()).sum())
    }

    fn deinterleave(&mut self, x: Tensor, widths: &[usize]) -> Tensor {
        let group: usize = widths.iter().sum();
        assert!(x.cols().is_multiple_of(group), "{x:?} in groups of {group}");
        let mut out = Vec::new();
        for row in 0..x.rows() {
            let mut start = 0;
            for &width in widths {
                for group in self.arena.row(x, row).chunks_exact(group) {
                    out.extend_from_slice(&group[start..start + width]);
                }
                start += width;
            }
        }
        self.upload(&out, x.cols())
    }

    fn mix_streams(&mut self, x: Tensor, coefs: Tensor, width: usize) -> Tensor {
        let m = x.cols() / width;
        assert!(x.rows() == coefs.rows() && x.cols() == m * width);
        assert!(coefs.cols().is_multiple_of(m), "{coefs:?} for {m} streams");
        let mut out = Vec::new();
        for row in 0..x.rows() {
            let (x, coefs) = (self.arena.row(x, row), self.arena.row(coefs, row));
            for coefs in coefs.chunks_exact(m) {
                out.extend((0..width).map(|col| {
                    let streams = x[col..].iter().step_by(width);
                    let products =
                        std::iter::zip(coefs, streams).map(|(&c, &v)| f64::from(c) * f64::from(v));
                    products.sum::<f64>() as f32
                }));
            }
        }
        self.upload(&out, coefs.cols() / m * width)
    }

    fn match_length(&mut self, x: Tensor, target: Tensor) {
        assert!(x.rows() == target.rows() && x.cols().is_multiple_of(target.cols()));
        for row in 0..x.rows() {
            let target_length = elementwise::length(self.arena.row(target, row));
            for group in self.arena.row_mut(x, row).chunks_exact_mut(target.cols()) {
                elementwise::set_length(group, target_length);
            }
        }
    }

    fn gaussian_top(&mut self, x: Tensor, cutoff: f32) {
        for row in 0..x.rows() {
            elementwise::gaussian_top(self.arena.row_mut(x, row), cutoff);
        }
    }

    fn rms_norm(
        &mut self,
        x: Tensor,
        group: usize,
        weight: Option<&Vector>,
        bias: Option<&Vector>,
        eps: f32,
    ) -> Tensor {
        self.norm(x, group, |at, values| {
            let parameter = |vector| repeated(vector, at, group);
            elementwise::rms_norm(values, parameter(weight), parameter(bias), eps);
        })
    }

    fn layer_norm(
        &mut self,
        x: Tensor,
        group: usize,
        weight: Option<&Vector>,
        bias: Option<&Vector>,
        eps: f32,
    ) -> Tensor {
        self.norm(x, group, |at, values| {
            let parameter = |vector| repeated(vector, at, group);
            elementwise::layer_norm(values, parameter(weight), parameter(bias), eps);
        })
    }

    fn sinkhorn(&mut self, x: Tensor, n: usize, rounds: usize, eps: f32) {
        assert_eq!(x.cols(), n * n, "{n}x{n} matrices");
        for row in 0..x.rows() {
            elementwise::sinkhorn(self.arena.row_mut(x, row), n, rounds, eps);
        }
    }

    fn clamp(&mut self, x: Tensor, limit: f32) {
        self.map(x, |_, _, v| v.clamp(-limit, limit));
    }

    fn rope(&mut self, x: Tensor, head_dim: usize, table: Tensor, layout: RopeLayout) {
        assert!(x.cols().is_multiple_of(head_dim) && table.cols() <= head_dim);
        assert_eq!(x.rows(), table.rows());
        for row in 0..x.rows() {
            let table = self.arena.row(table, row).to_vec();
            for head in self.arena.row_mut(x, row).chunks_exact_mut(head_dim) {
                elementwise::rope(head, &table, layout);
            }
        }
    }

    fn linear(&mut self, x: Tensor, layers: &[&Linear]) -> Tensor {
        let x_values = self.values(x);
        let products: Vec<_> =
            layers.iter().map(|layer| linear::linear(layer, &x_values)).collect();
        let mut out = Vec::new();
        for row in 0..x.rows() {
            for (layer, products) in std::iter::zip(layers, &products) {
                let rows = layer.weight.rows();
                out.extend_from_slice(&products[row * rows..][..rows]);
            }
        }
        self.upload(&out, layers.iter().map(|layer| layer.weight.rows()).sum())
    }

    fn linear_heads(&mut self, x: Tensor, weight: &Weight) -> Tensor {
        assert_eq!(x.cols(), weight.count() * weight.cols());
        let mut out = Vec::new();
        for row in 0..x.rows() {
            let heads = self.arena.row(x, row).chunks_exact(weight.cols()).enumerate();
            out.extend(heads.flat_map(|(h, x)| linear::product(weight, h, x)).map(|v| v as f32));
        }
        self.upload(&out, weight.count() * weight.rows())
    }

    fn glu(&mut self, gate: Tensor, up: Tensor, glu: Glu) -> Tensor {
        assert_eq!((gate.rows(), gate.cols()), (up.rows(), up.cols()));
        let gates = self.values(gate);
        let ups = self.values(up);
        let out: Vec<f32> =
            std::iter::zip(gates, ups).map(|(gate, up)| elementwise::glu(gate, up, glu)).collect();
        self.upload(&out, gate.cols())
    }

    fn moe(&mut self, x: Tensor, logits: Tensor, routing: &Routing, experts: &Experts) -> Tensor {
        assert_eq!(x.rows(), logits.rows());
        let choose = |row| {
            let mut chosen = Vec::new();
            routing.choose(self.arena.row(logits, row), &mut chosen);
            chosen
        };
        let chosen: Vec<_> = (0..x.rows()).map(choose).collect();
        let out = linear::moe(&self.values(x), &chosen, routing.weigh_input, experts);
        self.upload(&out, experts.down.weight.rows())
    }

    fn moe_chosen(&mut self, x: Tensor, chosen: &[(usize, f32)], experts: &Experts) -> Tensor {
        assert!(chosen.len().is_multiple_of(x.rows()), "{} experts for {x:?}", chosen.len());
        let n_used = chosen.len().checked_div(x.rows()).unwrap_or(0);
        let chosen: Vec<_> = chosen.chunks(n_used.max(1)).map(<[_]>::to_vec).collect();
        let out = linear::moe(&self.values(x), &chosen, false, experts);
        self.upload(&out, experts.down.weight.rows())
    }

    fn kv_write(&mut self, kv: KvId, k: Tensor, v: Tensor, batch: &[Span<'_>]) {
        let store = &mut self.stores[kv.0];
        for span in batch {
            for (row, pos) in std::iter::zip(span.rows.clone(), span.pos..) {
                store.write(span.pages, pos, self.arena.row(k, row), self.arena.row(v, row));
            }
        }
    }

    fn attention(
        &mut self,
        q: Tensor,
        kv: KvId,
        batch: &[Span<'_>],
        params: &AttentionParams,
    ) -> Tensor {
        let store = &self.stores[kv.0];
        let out = self.arena.alloc(q.rows(), params.n_head * store.spec().head_dim_v);
        for span in batch {
            for (row, pos) in std::iter::zip(span.rows.clone(), span.pos..) {
                let attended = store.attend(self.arena.row(q, row), span, pos, params);
                self.arena.row_mut(out, row).copy_from_slice(&attended);
            }
        }
        out
    }

    fn cache_write(&mut self, cache: CacheId, x: Tensor, batch: &[Span<'_>]) {
        let rows = (0..x.rows()).map(|row| self.arena.row(x, row));
        self.caches[cache.0].write(rows, batch);
    }

    fn pool_blocks(&mut self, pool: &BlockPool<'_>, state: StateId, batch: &[Span<'_>]) -> Tensor {
        let out = cache::pool_blocks(&self.arena, pool, &mut self.states[state.0], batch);
        self.upload(&out, pool.width())
    }

    fn select(&mut self, selection: &Selection, keys: CacheId, batch: &[Span<'_>]) -> Tensor {
        let cache = &self.caches[keys.0];
        let capacity = selection.capacity(cache.stride(), batch);
        let out = self.arena.alloc(selection.q.rows(), selection.n_sets() * capacity);
        for span in batch {
            for row in span.rows.clone() {
                let chosen = cache.select(&self.arena, selection, span, row, capacity);
                self.arena.row_mut(out, row).copy_from_slice(&chosen);
            }
        }
        out
    }

    fn attention_to_cache(&mut self, attention: &CacheAttention<'_>, batch: &[Span<'_>]) -> Tensor {
        let cols = attention.n_head * attention.head_dim_v;
        let out = self.arena.alloc(attention.q.rows(), cols);
        for span in batch {
            for row in span.rows.clone() {
                let attended = cache::attend(&self.arena, &self.caches, attention, span, row);
                self.arena.row_mut(out, row).copy_from_slice(&attended);
            }
        }
        out
    }

    fn token_shift(&mut self, x: Tensor, state: StateId, batch: &[Span<'_>]) -> Tensor {
        let states = &mut self.states[state.0];
        let out = recurrent::token_shift(&self.arena, x, states, batch);
        self.upload(&out, x.cols())
    }

    fn short_conv(
        &mut self,
        x: Tensor,
        conv: &ShortConv,
        state: StateId,
        batch: &[Span<'_>],
    ) -> Tensor {
        let states = &mut self.states[state.0];
        let out = recurrent::short_conv(&self.arena, x, conv, states, batch);
        self.upload(&out, x.cols())
    }

    fn selective_scan(
        &mut self,
        scan: &SelectiveScan<'_>,
        state: StateId,
        batch: &[Span<'_>],
    ) -> Tensor {
        let states = &mut self.states[state.0];
        let out = recurrent::selective_scan(&self.arena, scan, states, batch);
        self.upload(&out, scan.x.cols())
    }

    fn linear_attention(
        &mut self,
        attention: &LinearAttention<'_>,
        state: StateId,
        batch: &[Span<'_>],
    ) -> Tensor {
        let states = &mut self.states[state.0];
        let out = recurrent::linear_attention(&self.arena, attention, states, batch);
        self.upload(&out, attention.v.cols())
    }
}

#[cfg(test)]
mod tests;
