//! A backend that computes nothing and counts what a batch would take.

use backend::{
    Activation, AttentionParams, Backend, BackendError, BlockPool, CacheAttention, CacheId,
    CacheSpec, Experts, Glu, KvId, KvSpec, Linear, LinearAttention, Mark, RopeLayout, Routing,
    Selection, SelectiveScan, ShortConv, Span, StateId, StateSpec, Stored, Tensor, Vector, Weight,
};

/// Bytes of an activation that is quantised in both ways for products: 8-bit codes, scales and sums,
/// row by row and interleaved, in buffers that grow by doubling.
const QUANTISED: u64 = 2 * 2 * 2;
/// Bytes of a value.
const FLOAT: u64 = size_of::<f32>() as u64;

/// Sizes of all that was asked for. The memory that is counted is not taken.
#[derive(Debug, Default)]
pub struct Ruler {
    arena: backend::ArenaSize,
    stores: Vec<KvSpec>,
    caches: Vec<CacheSpec>,
    states: Vec<StateSpec>,
    /// Bytes that the CPU backend works in beside the arena: the most of any operation.
    work: u64,
}

impl Ruler {
    /// Bytes of all stores of keys, values and rows.
    pub fn page_bytes(&self) -> Result<u64, BackendError> {
        let stores = self.stores.iter().map(|&spec| cpu::kv_bytes(spec));
        let caches = self.caches.iter().map(CacheSpec::bytes);
        sum(stores.chain(caches))
    }

    /// Bytes of all states.
    pub fn state_bytes(&self) -> Result<u64, BackendError> {
        sum(self.states.iter().map(StateSpec::bytes))
    }

    /// Values that tensors took at most.
    pub fn most_values(&self) -> usize {
        self.arena.most()
    }

    /// Bytes of buffers beside the tensors, at most.
    pub fn work_bytes(&self) -> u64 {
        self.work
    }

    fn works_in(&mut self, bytes: u64) {
        self.work = self.work.max(bytes);
    }

    fn like(&mut self, x: Tensor) -> Tensor {
        self.alloc(x.rows(), x.cols())
    }
}

fn sum(sizes: impl Iterator<Item = Result<usize, BackendError>>) -> Result<u64, BackendError> {
    let mut sum = 0_u64;
    for size in sizes {
        let too_much = BackendError::OutOfMemory { bytes: usize::MAX };
        sum = sum.checked_add(size? as u64).ok_or(too_much)?;
    }
    Ok(sum)
}

fn values(x: Tensor) -> u64 {
    x.rows() as u64 * x.cols() as u64
}

impl Backend for Ruler {
    fn describe(&self) -> String {
        "ruler".into()
    }

    fn reserve(&mut self, _values: usize) {}

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
        self.alloc(data.len() / cols, cols)
    }

    fn download(&mut self, _t: Tensor, out: &mut [f32]) {
        out.fill(0.0);
    }

    fn kv_create(&mut self, spec: KvSpec) -> Result<KvId, BackendError> {
        spec.bytes()?;
        self.stores.push(spec);
        Ok(KvId(self.stores.len() - 1))
    }

    fn kv_copy_page(&mut self, _kv: KvId, _from: u32, _to: u32) {}

    fn cache_create(&mut self, spec: CacheSpec) -> Result<CacheId, BackendError> {
        spec.bytes()?;
        self.caches.push(spec);
        Ok(CacheId(self.caches.len() - 1))
    }

    fn cache_copy_page(&mut self, _cache: CacheId, _from: u32, _to: u32) {}

    fn state_create(&mut self, spec: StateSpec) -> Result<StateId, BackendError> {
        spec.bytes()?;
        self.states.push(spec);
        Ok(StateId(self.states.len() - 1))
    }

    fn state_copy(&mut self, _state: StateId, _from: u32, _to: u32) {}

    fn layout(&self) -> &'static str {
        "nothing"
    }

    fn stored_bytes(&self, _stored: Stored) -> usize {
        0
    }

    fn export(&self, _stored: Stored, _out: &mut Vec<u8>) {}

    fn import(&mut self, _stored: Stored, _bytes: &[u8]) {}

    fn embed(&mut self, table: &Weight, ids: &[u32]) -> Tensor {
        self.alloc(ids.len(), table.cols())
    }

    fn gather(&mut self, x: Tensor, rows: &[usize]) -> Tensor {
        self.alloc(rows.len(), x.cols())
    }

    fn assign(&mut self, _to: Tensor, _from: Tensor) {}

    fn softmax(&mut self, _x: Tensor) {}

    fn add_assign(&mut self, _acc: Tensor, _x: Tensor) {}

    fn add_scaled(&mut self, _acc: Tensor, _x: Tensor, _factor: f32) {}

    fn mul_assign(&mut self, _acc: Tensor, _x: Tensor) {}

    fn offset(&mut self, _x: Tensor, _value: f32) {}

    fn scale(&mut self, _x: Tensor, _factor: f32) {}

    fn mul_vector(&mut self, x: Tensor, _weight: &Vector) -> Tensor {
        self.like(x)
    }

    fn scale_rows(&mut self, _x: Tensor, _factors: &[f32]) {}

    fn softcap(&mut self, _x: Tensor, _cap: f32) {}

    fn activate(&mut self, _x: Tensor, _activation: Activation) {}

    fn concat(&mut self, parts: &[Tensor]) -> Tensor {
        self.alloc(parts[0].rows(), parts.iter().map(|part| part.cols()).sum())
    }

    fn deinterleave(&mut self, x: Tensor, _widths: &[usize]) -> Tensor {
        self.like(x)
    }

    fn mix_streams(&mut self, x: Tensor, coefs: Tensor, width: usize) -> Tensor {
        let m = x.cols() / width;
        self.alloc(x.rows(), coefs.cols() / m * width)
    }

    fn match_length(&mut self, _x: Tensor, _target: Tensor) {}

    fn gaussian_top(&mut self, _x: Tensor, _cutoff: f32) {}

    fn rms_norm(
        &mut self,
        x: Tensor,
        _group: usize,
        _weight: Option<&Vector>,
        _bias: Option<&Vector>,
        _eps: f32,
    ) -> Tensor {
        self.like(x)
    }

    fn layer_norm(
        &mut self,
        x: Tensor,
        _group: usize,
        _weight: Option<&Vector>,
        _bias: Option<&Vector>,
        _eps: f32,
    ) -> Tensor {
        self.like(x)
    }

    fn sinkhorn(&mut self, _x: Tensor, _n: usize, _rounds: usize, _eps: f32) {}

    fn clamp(&mut self, _x: Tensor, _limit: f32) {}

    fn rope(&mut self, _x: Tensor, _head_dim: usize, _table: Tensor, _layout: RopeLayout) {}

    fn linear(&mut self, x: Tensor, layers: &[&Linear]) -> Tensor {
        self.works_in(QUANTISED * values(x));
        self.alloc(x.rows(), layers.iter().map(|layer| layer.weight.rows()).sum())
    }

    fn linear_heads(&mut self, x: Tensor, weight: &Weight) -> Tensor {
        let out = self.alloc(x.rows(), weight.count() * weight.rows());
        // Both are copied to have heads together.
        self.works_in((QUANTISED + FLOAT) * values(x) + FLOAT * values(out));
        out
    }

    fn glu(&mut self, gate: Tensor, _up: Tensor, _glu: Glu) -> Tensor {
        self.like(gate)
    }

    fn moe(&mut self, x: Tensor, _logits: Tensor, routing: &Routing, experts: &Experts) -> Tensor {
        self.experts(x, x.rows() * routing.n_used, experts)
    }

    fn moe_chosen(&mut self, x: Tensor, chosen: &[(usize, f32)], experts: &Experts) -> Tensor {
        self.experts(x, chosen.len(), experts)
    }

    fn kv_write(&mut self, _kv: KvId, _k: Tensor, _v: Tensor, _batch: &[Span<'_>]) {}

    fn attention(
        &mut self,
        q: Tensor,
        kv: KvId,
        _batch: &[Span<'_>],
        params: &AttentionParams,
    ) -> Tensor {
        self.works_in(cpu::MOST_WORK_BYTES as u64);
        self.alloc(q.rows(), params.n_head * self.stores[kv.0].head_dim_v)
    }

    fn cache_write(&mut self, _cache: CacheId, _x: Tensor, _batch: &[Span<'_>]) {}

    fn pool_blocks(&mut self, pool: &BlockPool<'_>, _state: StateId, batch: &[Span<'_>]) -> Tensor {
        let n_rows = batch.iter().map(|span| span.completes(pool.block).len()).sum();
        self.alloc(n_rows, pool.width())
    }

    fn select(&mut self, selection: &Selection, keys: CacheId, batch: &[Span<'_>]) -> Tensor {
        let stride = self.caches[keys.0].stride;
        let capacity = selection.capacity(stride, batch);
        self.works_in(cpu::MOST_WORK_BYTES as u64);
        self.alloc(selection.q.rows(), selection.n_sets() * capacity)
    }

    fn attention_to_cache(&mut self, attention: &CacheAttention<'_>, _: &[Span<'_>]) -> Tensor {
        self.works_in(cpu::MOST_WORK_BYTES as u64);
        self.alloc(attention.q.rows(), attention.n_head * attention.head_dim_v)
    }

    fn token_shift(&mut self, x: Tensor, _state: StateId, _batch: &[Span<'_>]) -> Tensor {
        self.like(x)
    }

    fn short_conv(
        &mut self,
        x: Tensor,
        _conv: &ShortConv,
        _state: StateId,
        _batch: &[Span<'_>],
    ) -> Tensor {
        self.like(x)
    }

    fn selective_scan(
        &mut self,
        scan: &SelectiveScan<'_>,
        _state: StateId,
        _batch: &[Span<'_>],
    ) -> Tensor {
        self.like(scan.x)
    }

    fn linear_attention(
        &mut self,
        attention: &LinearAttention<'_>,
        _state: StateId,
        _batch: &[Span<'_>],
    ) -> Tensor {
        self.like(attention.v)
    }
}

impl Ruler {
    fn experts(&mut self, x: Tensor, n_slots: usize, experts: &Experts) -> Tensor {
        let (n_embd, n_ff) = (x.cols().max(experts.down.weight.rows()), experts.up.weight.rows());
        // Inputs, gates and what they gate, outputs; and the larger of the inputs quantised.
        let floats = FLOAT * (2 * n_embd + 2 * n_ff) as u64;
        self.works_in(n_slots as u64 * (floats + QUANTISED * n_embd.max(n_ff) as u64));
        self.alloc(x.rows(), experts.down.weight.rows())
    }
}
