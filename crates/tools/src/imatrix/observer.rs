//! A backend that notes what weights are multiplied with.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use backend::{
    Activation, AttentionParams, Backend, BackendError, BlockPool, CacheAttention, CacheId,
    CacheSpec, Experts, Glu, KvId, KvSpec, Linear, LinearAttention, Mark, RopeLayout, Routing,
    Selection, SelectiveScan, ShortConv, Span, StateId, StateSpec, Stored, Tensor, Vector, Weight,
};
use backend::{ExpertGate, ExpertLinear};

use crate::imatrix_file::Entry;

/// What the columns of weights were multiplied with, by the weights' names.
#[derive(Clone, Default)]
pub struct Observations(Arc<Mutex<BTreeMap<String, Sums>>>);

/// Of one weight.
#[derive(Debug, Clone, Default)]
struct Sums {
    /// Of squares and of values, for each column of each matrix.
    squares: Vec<f64>,
    values: Vec<f64>,
    /// Rows that each matrix, or all together, were multiplied with.
    counts: Vec<u64>,
}

impl Observations {
    /// As files of importances have them.
    pub fn entries(&self) -> BTreeMap<String, Entry> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let floats = |sums: &[f64]| sums.iter().map(|&sum| sum as f32).collect();
        let entry = |sums: &Sums| Entry {
            squares: floats(&sums.squares),
            sums: Some(floats(&sums.values)),
            counts: sums.counts.clone(),
        };
        all.iter().map(|(name, sums)| (name.clone(), entry(sums))).collect()
    }

    /// Adds rows of `cols` values that matrix `index` of `n` was multiplied with. Only experts are
    /// counted each for itself.
    fn add(&self, name: &str, [index, n]: [usize; 2], n_counts: usize, rows: &[f32], cols: usize) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sums = all.entry(name.to_owned()).or_insert_with(|| Sums {
            squares: vec![0.0; n * cols],
            values: vec![0.0; n * cols],
            counts: vec![0; n_counts],
        });
        if sums.squares.len() != n * cols || sums.counts.len() != n_counts {
            // Another use of the weight, by other columns.
            return;
        }
        for row in rows.chunks_exact(cols.max(1)) {
            let squares = sums.squares[index * cols..].iter_mut().zip(row);
            squares.for_each(|(sum, &v)| *sum += f64::from(v) * f64::from(v));
            let values = sums.values[index * cols..].iter_mut().zip(row);
            values.for_each(|(sum, &v)| *sum += f64::from(v));
        }
        let n_rows = (rows.len() / cols.max(1)) as u64;
        match n_counts {
            // Matrices side by side see the same rows.
            1 if index > 0 => {}
            1 => sums.counts[0] += n_rows,
            _ => sums.counts[index] += n_rows,
        }
    }
}

/// Has another backend compute, and notes what it multiplies.
pub struct Observer<B> {
    inner: B,
    seen: Observations,
}

impl<B: Backend> Observer<B> {
    /// Adds to `seen`.
    pub fn new(inner: B, seen: Observations) -> Self {
        Self { inner, seen }
    }

    fn rows(&mut self, x: Tensor) -> Vec<f32> {
        let mut rows = vec![0.0; x.rows() * x.cols()];
        self.inner.download(x, &mut rows);
        rows
    }

    /// The product of an expert, by itself.
    fn of_expert(&mut self, experts: &ExpertLinear, e: usize, x: Tensor) -> Tensor {
        let linear = Linear {
            weight: experts.weight.alone(e),
            bias: experts.bias_of(e).map(Vector::new),
            scale: experts.scale_of(e),
        };
        self.inner.linear(x, &[&linear])
    }

    fn note_expert(&mut self, weight: &Weight, e: usize, x: Tensor) {
        let rows = self.rows(x);
        let n = weight.count();
        self.seen.add(weight.name(), [e, n], n, &rows, weight.cols());
    }

    /// What experts make of the rows of `x`, for each of which `chosen` has the experts and their
    /// weights: expert by expert, so that all products can be seen.
    fn by_experts(
        &mut self,
        x: Tensor,
        chosen: &[Vec<(usize, f32)>],
        weigh_input: bool,
        experts: &Experts,
    ) -> Tensor {
        let n_out = experts.down.weight.rows();
        let mut sums = vec![0.0; x.rows() * n_out];
        for e in 0..experts.up.weight.count() {
            let of_row = |(row, chosen): (usize, &Vec<(usize, f32)>)| {
                chosen.iter().find(|&&(one, _)| one == e).map(|&(_, weight)| (row, weight))
            };
            let (rows, weights): (Vec<usize>, Vec<f32>) =
                chosen.iter().enumerate().filter_map(of_row).unzip();
            if rows.is_empty() {
                continue;
            }
            let mark = self.inner.mark();
            let all = self.inner.concat(&[x]);
            let x = self.inner.gather(all, &rows);
            if weigh_input {
                self.inner.scale_rows(x, &weights);
            }
            self.note_expert(&experts.up.weight, e, x);
            let up = self.of_expert(&experts.up, e, x);
            let middle = match &experts.gate {
                ExpertGate::Gated(gate, glu) => {
                    // Both may be parts of one tensor.
                    if gate.weight.name() != experts.up.weight.name() {
                        self.note_expert(&gate.weight, e, x);
                    }
                    let gate = self.of_expert(gate, e, x);
                    self.inner.glu(gate, up, *glu)
                }
                ExpertGate::Plain(activation) => {
                    self.inner.activate(up, *activation);
                    up
                }
            };
            self.note_expert(&experts.down.weight, e, middle);
            let out = self.of_expert(&experts.down, e, middle);
            let out = self.rows(out);
            self.inner.release(mark);
            for ((&row, weight), out) in rows.iter().zip(&weights).zip(out.chunks_exact(n_out)) {
                let weight = if weigh_input { 1.0 } else { *weight };
                let sums = sums[row * n_out..].iter_mut().zip(out);
                sums.for_each(|(sum, value)| *sum += weight * value);
            }
        }
        self.inner.upload(&sums, n_out)
    }
}

impl<B: Backend> Backend for Observer<B> {
    fn linear(&mut self, x: Tensor, layers: &[&Linear]) -> Tensor {
        let rows = self.rows(x);
        let mut names: Vec<&str> = layers.iter().map(|layer| layer.weight.name()).collect();
        // Parts of one tensor have its name.
        names.dedup();
        for name in names {
            self.seen.add(name, [0, 1], 1, &rows, x.cols());
        }
        self.inner.linear(x, layers)
    }

    fn linear_heads(&mut self, x: Tensor, weight: &Weight) -> Tensor {
        let (rows, n, cols) = (self.rows(x), weight.count(), weight.cols());
        for head in 0..n {
            let of_head = |row: &[f32]| row[head * cols..(head + 1) * cols].to_vec();
            let rows: Vec<f32> = rows.chunks_exact(n * cols).flat_map(of_head).collect();
            self.seen.add(weight.name(), [head, n], 1, &rows, cols);
        }
        self.inner.linear_heads(x, weight)
    }

    fn moe(&mut self, x: Tensor, logits: Tensor, routing: &Routing, experts: &Experts) -> Tensor {
        let n_expert = logits.cols();
        let logits = self.rows(logits);
        let choose = |logits: &[f32]| {
            let mut chosen = Vec::new();
            routing.choose(logits, &mut chosen);
            chosen
        };
        let chosen: Vec<Vec<(usize, f32)>> = logits.chunks_exact(n_expert).map(choose).collect();
        self.by_experts(x, &chosen, routing.weigh_input, experts)
    }

    fn moe_chosen(&mut self, x: Tensor, chosen: &[(usize, f32)], experts: &Experts) -> Tensor {
        let n_used = chosen.len() / x.rows().max(1);
        let chosen: Vec<Vec<(usize, f32)>> =
            chosen.chunks(n_used.max(1)).map(<[(usize, f32)]>::to_vec).collect();
        self.by_experts(x, &chosen, false, experts)
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn reserve(&mut self, values: usize) {
        self.inner.reserve(values)
    }

    fn alloc(&mut self, rows: usize, cols: usize) -> Tensor {
        self.inner.alloc(rows, cols)
    }

    fn mark(&self) -> Mark {
        self.inner.mark()
    }

    fn release(&mut self, mark: Mark) {
        self.inner.release(mark)
    }

    fn upload(&mut self, data: &[f32], cols: usize) -> Tensor {
        self.inner.upload(data, cols)
    }

    fn download(&mut self, t: Tensor, out: &mut [f32]) {
        self.inner.download(t, out)
    }

    fn kv_create(&mut self, spec: KvSpec) -> Result<KvId, BackendError> {
        self.inner.kv_create(spec)
    }

    fn kv_copy_page(&mut self, kv: KvId, from: u32, to: u32) {
        self.inner.kv_copy_page(kv, from, to)
    }

    fn cache_create(&mut self, spec: CacheSpec) -> Result<CacheId, BackendError> {
        self.inner.cache_create(spec)
    }

    fn cache_copy_page(&mut self, cache: CacheId, from: u32, to: u32) {
        self.inner.cache_copy_page(cache, from, to)
    }

    fn state_create(&mut self, spec: StateSpec) -> Result<StateId, BackendError> {
        self.inner.state_create(spec)
    }

    fn state_copy(&mut self, state: StateId, from: u32, to: u32) {
        self.inner.state_copy(state, from, to)
    }

    fn layout(&self) -> &'static str {
        self.inner.layout()
    }

    fn stored_bytes(&self, stored: Stored) -> usize {
        self.inner.stored_bytes(stored)
    }

    fn export(&self, stored: Stored, out: &mut Vec<u8>) {
        self.inner.export(stored, out)
    }

    fn import(&mut self, stored: Stored, bytes: &[u8]) {
        self.inner.import(stored, bytes)
    }

    fn embed(&mut self, table: &Weight, ids: &[u32]) -> Tensor {
        self.inner.embed(table, ids)
    }

    fn gather(&mut self, x: Tensor, rows: &[usize]) -> Tensor {
        self.inner.gather(x, rows)
    }

    fn assign(&mut self, to: Tensor, from: Tensor) {
        self.inner.assign(to, from)
    }

    fn softmax(&mut self, x: Tensor) {
        self.inner.softmax(x)
    }

    fn add_assign(&mut self, acc: Tensor, x: Tensor) {
        self.inner.add_assign(acc, x)
    }

    fn add_scaled(&mut self, acc: Tensor, x: Tensor, factor: f32) {
        self.inner.add_scaled(acc, x, factor)
    }

    fn mul_assign(&mut self, acc: Tensor, x: Tensor) {
        self.inner.mul_assign(acc, x)
    }

    fn offset(&mut self, x: Tensor, value: f32) {
        self.inner.offset(x, value)
    }

    fn scale(&mut self, x: Tensor, factor: f32) {
        self.inner.scale(x, factor)
    }

    fn mul_vector(&mut self, x: Tensor, weight: &Vector) -> Tensor {
        self.inner.mul_vector(x, weight)
    }

    fn scale_rows(&mut self, x: Tensor, factors: &[f32]) {
        self.inner.scale_rows(x, factors)
    }

    fn softcap(&mut self, x: Tensor, cap: f32) {
        self.inner.softcap(x, cap)
    }

    fn activate(&mut self, x: Tensor, activation: Activation) {
        self.inner.activate(x, activation)
    }

    fn concat(&mut self, parts: &[Tensor]) -> Tensor {
        self.inner.concat(parts)
    }

    fn deinterleave(&mut self, x: Tensor, widths: &[usize]) -> Tensor {
        self.inner.deinterleave(x, widths)
    }

    fn mix_streams(&mut self, x: Tensor, coefs: Tensor, width: usize) -> Tensor {
        self.inner.mix_streams(x, coefs, width)
    }

    fn match_length(&mut self, x: Tensor, target: Tensor) {
        self.inner.match_length(x, target)
    }

    fn gaussian_top(&mut self, x: Tensor, cutoff: f32) {
        self.inner.gaussian_top(x, cutoff)
    }

    fn rms_norm(
        &mut self,
        x: Tensor,
        group: usize,
        weight: Option<&Vector>,
        bias: Option<&Vector>,
        eps: f32,
    ) -> Tensor {
        self.inner.rms_norm(x, group, weight, bias, eps)
    }

    fn layer_norm(
        &mut self,
        x: Tensor,
        group: usize,
        weight: Option<&Vector>,
        bias: Option<&Vector>,
        eps: f32,
    ) -> Tensor {
        self.inner.layer_norm(x, group, weight, bias, eps)
    }

    fn sinkhorn(&mut self, x: Tensor, n: usize, rounds: usize, eps: f32) {
        self.inner.sinkhorn(x, n, rounds, eps)
    }

    fn clamp(&mut self, x: Tensor, limit: f32) {
        self.inner.clamp(x, limit)
    }

    fn rope(&mut self, x: Tensor, head_dim: usize, table: Tensor, layout: RopeLayout) {
        self.inner.rope(x, head_dim, table, layout)
    }

    fn glu(&mut self, gate: Tensor, up: Tensor, glu: Glu) -> Tensor {
        self.inner.glu(gate, up, glu)
    }

    fn kv_write(&mut self, kv: KvId, k: Tensor, v: Tensor, batch: &[Span<'_>]) {
        self.inner.kv_write(kv, k, v, batch)
    }

    fn attention(
        &mut self,
        q: Tensor,
        kv: KvId,
        batch: &[Span<'_>],
        params: &AttentionParams,
    ) -> Tensor {
        self.inner.attention(q, kv, batch, params)
    }

    fn cache_write(&mut self, cache: CacheId, x: Tensor, batch: &[Span<'_>]) {
        self.inner.cache_write(cache, x, batch)
    }

    fn pool_blocks(&mut self, pool: &BlockPool<'_>, state: StateId, batch: &[Span<'_>]) -> Tensor {
        self.inner.pool_blocks(pool, state, batch)
    }

    fn select(&mut self, selection: &Selection, keys: CacheId, batch: &[Span<'_>]) -> Tensor {
        self.inner.select(selection, keys, batch)
    }

    fn attention_to_cache(&mut self, attention: &CacheAttention<'_>, batch: &[Span<'_>]) -> Tensor {
        self.inner.attention_to_cache(attention, batch)
    }

    fn token_shift(&mut self, x: Tensor, state: StateId, batch: &[Span<'_>]) -> Tensor {
        self.inner.token_shift(x, state, batch)
    }

    fn short_conv(
        &mut self,
        x: Tensor,
        conv: &ShortConv,
        state: StateId,
        batch: &[Span<'_>],
    ) -> Tensor {
        self.inner.short_conv(x, conv, state, batch)
    }

    fn selective_scan(
        &mut self,
        scan: &SelectiveScan<'_>,
        state: StateId,
        batch: &[Span<'_>],
    ) -> Tensor {
        self.inner.selective_scan(scan, state, batch)
    }

    fn linear_attention(
        &mut self,
        attention: &LinearAttention<'_>,
        state: StateId,
        batch: &[Span<'_>],
    ) -> Tensor {
        self.inner.linear_attention(attention, state, batch)
    }
}

#[cfg(test)]
mod tests {
    use cpu::{Cpu, CpuOptions};
    use fixtures::{Fixture, nmse};
    use model::{Context, Outputs};

    use super::*;

    fn cpu() -> Cpu {
        Cpu::new(CpuOptions { threads: Some(1), ..<_>::default() })
    }

    /// What the model yields for its fixture's tokens on this backend.
    fn outputs(fixture: &Fixture, backend: Box<dyn Backend>) -> Vec<f32> {
        let model = model::load(&fixture.model()).expect("the fixture loads");
        let types = backend::KvType::F32;
        let mut context = Context::new(model, backend, 256, types).expect("memory");
        context.decode(&fixture.tokens(), Outputs::All).expect("outputs").to_vec()
    }

    #[test]
    fn models_yield_the_same_when_they_are_observed() {
        for name in ["llama-gqa", "qwen3moe", "deepseek2", "gpt-oss", "llama4", "gemma3", "mamba"] {
            let fixture = Fixture::named(name);
            let seen = Observations::default();
            let observed = outputs(&fixture, Box::new(Observer::new(cpu(), seen.clone())));
            let error = nmse(&outputs(&fixture, Box::new(cpu())), &observed);
            assert!(error < 1e-9, "{name}: {error:.2e}");

            // Every matrix of the blocks has been seen, with all of the text's tokens.
            let (file, entries, n) = (fixture.model(), seen.entries(), fixture.tokens().len());
            let is_linear = |ty: &str| ty.ends_with(".weight") && !ty.contains("norm");
            let tensors = file.tensors().iter().filter(|tensor| {
                tensor.name.starts_with("blk.") && tensor.shape.len() > 1 && is_linear(&tensor.name)
            });
            for tensor in tensors.filter(|tensor| !tensor.name.contains("conv1d")) {
                let entry = entries.get(&tensor.name);
                let entry = entry.unwrap_or_else(|| panic!("{name}: {} is unseen", tensor.name));
                let cols = tensor.shape[0];
                assert_eq!(entry.squares.len() % cols, 0, "{name}: {}", tensor.name);
                let total: u64 = entry.counts.iter().sum();
                match tensor.name.contains("_exps") {
                    true => assert_eq!(total % n as u64, 0, "{name}: {}", tensor.name),
                    false => assert_eq!(total, n as u64, "{name}: {}", tensor.name),
                }
                assert!(entry.squares.iter().all(|sum| sum.is_finite() && *sum >= 0.0));
                assert!(entry.squares.iter().any(|&sum| sum > 0.0), "{name}: {}", tensor.name);
            }
        }
    }

    #[test]
    fn sums_are_those_of_the_rows() {
        let mut backend = Observer::new(cpu(), Observations::default());
        let data: Vec<u8> = (0..64).flat_map(|i| (i as f32).to_le_bytes()).collect();
        let weight = Weight::new("w", quant::TensorType::F32, [32, 2, 1], data.into());
        let linear = Linear::plain(weight.expect("a weight"));
        let rows: Vec<f32> = (0..96).map(|i| i as f32 - 40.0).collect();
        let x = backend.upload(&rows, 32);
        backend.linear(x, &[&linear, &linear]);
        let entry = &backend.seen.entries()["w"];
        assert_eq!(entry.counts, [3]);
        let column = |j: usize| [rows[j], rows[32 + j], rows[64 + j]];
        for j in 0..32 {
            assert_eq!(entry.squares[j], column(j).iter().map(|v| v * v).sum::<f32>());
            assert_eq!(entry.sums.as_ref().map(|sums| sums[j]), Some(column(j).iter().sum()));
        }
    }
}
