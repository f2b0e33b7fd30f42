//! The backend: shapes are checked, and work is cut and given to the threads.

use backend::{
    Activation, AttentionParams, Backend, BackendError, BlockPool, CacheAttention, CacheId,
    CacheSpec, ExpertGate, Experts, Form, Glu, HostArena, KvId, KvSpec, Linear, LinearAttention,
    Mark, RopeLayout, Routing, Scoring, Selection, SelectiveScan, ShortConv, Span, StateId,
    StateSpec, Stored, Task, Tensor, Vector, Visible, Weight,
};

use crate::attention::Attention;
use crate::cache::{self, Caches};
use crate::isa::Isa;
use crate::kernel::Kernel;
use crate::levels::Levels;
use crate::limits::Limits;
use crate::matmul;
use crate::ops::{
    GatedUnit, GaussianTop, JoinRow, Map, MapOp, MatchLength, MixStreams, Norm, Rope, Rows,
    RowsMut, Softmax, Zip, ZipOp, deinterleave, sinkhorn,
};
use crate::pool::Pool;
use crate::recurrent::{self, States};
use crate::topology::{self, Placement, PlacementError, Topology};

/// Elements of a small operation that are one thread's at a time; fewer stay on the calling one.
const CHUNK: usize = 16 * 1024;

/// Settings of a [`Cpu`].
#[derive(Debug, Clone, Default)]
pub struct CpuOptions {
    /// Number of threads; by default what suits the machine.
    pub threads: Option<usize>,
    /// Instruction set; by default the best of the machine.
    pub isa: Option<Isa>,
    /// Whether a row's results must be the same bits whatever other rows are in the batch. Products
    /// of few rows take longer then. Results never depend on the number of threads.
    pub batch_invariant: bool,
    /// Kernels that are not used: those of lower levels take their place.
    pub disabled: Vec<Kernel>,
}

/// The CPU backend.
pub struct Cpu {
    arena: HostArena,
    attention: Attention,
    caches: Caches,
    states: States,
    matmul: matmul::Scratch,
    isa: Isa,
    method: matmul::Method,
    levels: Levels,
    pool: Pool,
}

impl Cpu {
    /// Starts the threads.
    ///
    /// # Panics
    /// Where the processor lacks the instruction set asked for.
    pub fn new(options: CpuOptions) -> Self {
        let CpuOptions { threads, isa, batch_invariant, disabled } = options;
        let pool = Pool::new(threads.unwrap_or_else(topology::default_threads));
        let isa = isa.unwrap_or_else(Isa::detect);
        Self::with(pool, isa, batch_invariant, |kernel| !disabled.contains(&kernel))
    }

    /// With one kernel, and portable ones for all else, on the calling thread: to judge the kernel by
    /// itself. Products go by its form whatever the number of rows.
    ///
    /// # Panics
    /// Where the processor lacks the instruction set.
    pub fn isolating(kernel: Kernel) -> Self {
        let panels = matches!(kernel.task, Task::Product(_, Form::Panels));
        Self::with(Pool::new(1), kernel.isa, panels, |other| other == kernel)
    }

    fn with(pool: Pool, isa: Isa, batch_invariant: bool, may_use: impl Fn(Kernel) -> bool) -> Self {
        Self {
            arena: HostArena::default(),
            attention: Attention::new(pool.threads()),
            caches: Caches::new(pool.threads()),
            states: States::default(),
            matmul: matmul::Scratch::default(),
            isa,
            method: matmul::Method::choose(isa, batch_invariant, &may_use),
            levels: Levels::choose(isa, &may_use),
            pool,
        }
    }

    /// Starts the threads and binds them to processors as `placement` asks. That includes the
    /// calling thread, which does a share of the work and stays bound.
    ///
    /// # Errors
    /// Processors that may not be used, or a system that does not let threads choose.
    ///
    /// # Panics
    /// As [`Cpu::new`].
    pub fn placed(options: CpuOptions, placement: &Placement) -> Result<Self, PlacementError> {
        let plan = placement.plan(Topology::of_process(), options.threads)?;
        let cpu = Self::new(CpuOptions { threads: Some(plan.threads), ..options });
        if let Some(processors) = plan.processors {
            cpu.pool.bind(&processors)?;
        }
        Ok(cpu)
    }

    /// Measures what the threads can do at most with the instruction set in use.
    pub fn limits(&self) -> Limits {
        Limits::measure(&self.pool, self.isa)
    }

    /// Values that tensors have taken at most.
    pub fn most_values(&self) -> usize {
        self.arena.size().most()
    }

    /// Changes each element of `x` by itself.
    fn map(&mut self, x: Tensor, op: MapOp) {
        let data = &mut self.arena.data_mut()[x.offset()..x.end()];
        for_row_chunks(&self.pool, data, x, |_, x| self.levels.elementwise.run(Map { x, op }));
    }

    /// `acc = op(acc, x)`, where one row of `x` may serve all of `acc`.
    fn zip(&mut self, acc: Tensor, x: Tensor, op: ZipOp) {
        assert_eq!(acc.cols(), x.cols(), "columns of {acc:?} and {x:?}");
        assert!(x.rows() == acc.rows() || x.rows() == 1, "rows of {acc:?} and {x:?}");
        let level = self.levels.elementwise;
        let broadcast = x.rows() == 1;
        let ranges = [acc.offset()..acc.end(), x.offset()..x.end()];
        if let Ok([data, other]) = self.arena.data_mut().get_disjoint_mut(ranges) {
            let x = Rows { data: other, cols: x.cols(), stride: x.stride() };
            for_row_chunks(&self.pool, data, acc, |first_row, acc| {
                level.run(Zip { acc, x, first_row, broadcast, op });
            });
            return;
        }
        // Columns of one tensor: only row by row are they apart.
        for row in 0..acc.rows() {
            let acc = acc.row_range(row..row + 1);
            let x = if broadcast { x } else { x.row_range(row..row + 1) };
            let ranges = [acc.offset()..acc.end(), x.offset()..x.end()];
            let apart = self.arena.data_mut().get_disjoint_mut(ranges);
            let [data, other] = apart.expect("operands must not overlap");
            let x = Rows { data: other, cols: x.cols(), stride: x.stride() };
            let acc = RowsMut { data, cols: acc.cols(), stride: acc.cols() };
            level.run(Zip { acc, x, first_row: 0, broadcast, op });
        }
    }

    /// The experts in `slots`, as many for each row, summed by their weights.
    fn experts(
        &mut self,
        x: Tensor,
        slots: &[(usize, f32)],
        weigh_input: bool,
        experts: &Experts,
    ) -> Tensor {
        let levels = &self.levels;
        let out = self.arena.alloc(x.rows(), experts.down.weight.rows());
        let (below, data) = self.arena.split(out);
        let (x, scratch) = (input_of(below, x), &mut self.matmul);
        let activate =
            |gate: &mut [f32], up: Option<&[f32]>| activate_row(levels, &experts.gate, gate, up);
        let method = &self.method;
        matmul::moe(&self.pool, method, scratch, x, slots, weigh_input, experts, activate, data);
        out
    }

    /// Layer norm where `centred`, else root-mean-square norm.
    fn norm(
        &mut self,
        x: Tensor,
        group: usize,
        centred: bool,
        weight: Option<&Vector>,
        bias: Option<&Vector>,
        eps: f32,
    ) -> Tensor {
        assert!(x.cols().is_multiple_of(group), "{x:?} in groups of {group}");
        let fits = |vector: &&Vector| {
            vector.len().is_multiple_of(group) && x.cols().is_multiple_of(vector.len())
        };
        assert!([weight, bias].iter().flatten().all(fits), "parameters for groups of {group}");
        let (weight, bias) = (weight.map(|v| &v[..]), bias.map(|v| &v[..]));
        self.produce(x.rows(), x.cols(), |levels, data, first_row, out| {
            let x = rows_of(data, x);
            levels.norm.run(Norm { x, first_row, group, centred, weight, bias, eps, out });
        })
    }

    /// A fresh tensor whose rows are computed from what lies below it.
    fn produce(
        &mut self,
        rows: usize,
        cols: usize,
        make: impl Fn(&Levels, &[f32], usize, RowsMut<'_>) + Sync,
    ) -> Tensor {
        let out = self.arena.alloc(rows, cols);
        let (below, data) = self.arena.split(out);
        for_row_chunks(&self.pool, data, out, |first_row, out| {
            make(&self.levels, below, first_row, out);
        });
        out
    }
}

/// Cuts rows into chunks for the threads; `work` takes the number of the first row and the rows.
/// `data` reaches from the tensor's first element to its last.
fn for_row_chunks(
    pool: &Pool,
    data: &mut [f32],
    t: Tensor,
    work: impl Fn(usize, RowsMut<'_>) + Sync,
) {
    if data.is_empty() {
        return;
    }
    let (cols, stride) = (t.cols(), t.stride());
    let rows = (CHUNK / cols).max(1);
    pool.for_each_mut(data, rows * stride, |chunk, data| {
        work(chunk * rows, RowsMut { data, cols, stride });
    });
}

/// The middle of an expert: `gate = glu(gate, up)`, or `gate = act(gate)` without `up`.
fn activate_row(levels: &Levels, kind: &ExpertGate, gate: &mut [f32], up: Option<&[f32]>) {
    match (kind, up) {
        (ExpertGate::Gated(_, glu), Some(up)) => levels.gate.run(JoinRow { gate, up, glu: *glu }),
        (ExpertGate::Plain(activation), None) => {
            let (cols, op) = (gate.len(), MapOp::Activate(*activation));
            levels.elementwise.run(Map { x: RowsMut { data: gate, cols, stride: cols }, op });
        }
        _ => unreachable!("experts have gates exactly if there is something to gate"),
    }
}

/// The rows of `t` in the arena's data.
fn rows_of(data: &[f32], t: Tensor) -> Rows<'_> {
    Rows { data: &data[t.offset()..t.end()], cols: t.cols(), stride: t.stride() }
}

/// The rows of `t` as products take them.
fn input_of(data: &[f32], t: Tensor) -> matmul::Rows<'_> {
    let data = &data[t.offset()..t.end()];
    matmul::Rows { data, rows: t.rows(), cols: t.cols(), stride: t.stride() }
}

impl Backend for Cpu {
    fn describe(&self) -> String {
        let threads = self.pool.threads();
        let plural = if threads == 1 { "" } else { "s" };
        format!("cpu ({}, {threads} thread{plural})", self.isa)
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
        assert_eq!(out.len(), t.rows() * t.cols(), "values of {t:?}");
        for (row, out) in out.chunks_exact_mut(t.cols().max(1)).enumerate() {
            out.copy_from_slice(self.arena.row(t, row));
        }
    }

    fn kv_create(&mut self, spec: KvSpec) -> Result<KvId, BackendError> {
        self.attention.create(spec)
    }

    fn kv_copy_page(&mut self, kv: KvId, from: u32, to: u32) {
        self.attention.store_mut(kv).copy_page(from as usize, to as usize);
    }

    fn cache_create(&mut self, spec: CacheSpec) -> Result<CacheId, BackendError> {
        self.caches.create(spec)
    }

    fn cache_copy_page(&mut self, cache: CacheId, from: u32, to: u32) {
        self.caches.store_mut(cache).copy_page(from as usize, to as usize);
    }

    fn state_create(&mut self, spec: StateSpec) -> Result<StateId, BackendError> {
        self.states.create(spec)
    }

    fn state_copy(&mut self, state: StateId, from: u32, to: u32) {
        self.states.copy(state, from, to);
    }

    fn layout(&self) -> &'static str {
        if cfg!(target_endian = "big") { "cpu 1 big-endian" } else { "cpu 1" }
    }

    fn stored_bytes(&self, stored: Stored) -> usize {
        match stored {
            Stored::Page(kv, _) => self.attention.store(kv).page_bytes(),
            Stored::Rows(cache, _) => self.caches.store(cache).page(0).len(),
            Stored::State(state, _) => self.states.bytes(state, 0).len(),
        }
    }

    fn export(&self, stored: Stored, out: &mut Vec<u8>) {
        match stored {
            Stored::Page(kv, page) => self.attention.store(kv).export(page as usize, out),
            Stored::Rows(cache, page) => {
                out.extend_from_slice(self.caches.store(cache).page(page as usize));
            }
            Stored::State(state, slot) => out.extend_from_slice(self.states.bytes(state, slot)),
        }
    }

    fn import(&mut self, stored: Stored, bytes: &[u8]) {
        match stored {
            Stored::Page(kv, page) => self.attention.store_mut(kv).import(page as usize, bytes),
            Stored::Rows(cache, page) => {
                self.caches.store_mut(cache).page_mut(page as usize).copy_from_slice(bytes);
            }
            Stored::State(state, slot) => {
                self.states.bytes_mut(state, slot).copy_from_slice(bytes);
            }
        }
    }

    fn embed(&mut self, table: &Weight, ids: &[u32]) -> Tensor {
        self.produce(ids.len(), table.cols(), |_, _, first_row, mut out| {
            for (out, &id) in out.iter_mut().zip(&ids[first_row..]) {
                table.decode_row(0, id as usize, out);
            }
        })
    }

    fn gather(&mut self, x: Tensor, rows: &[usize]) -> Tensor {
        self.produce(rows.len(), x.cols(), |_, data, first_row, mut out| {
            let x = rows_of(data, x);
            for (out, &row) in out.iter_mut().zip(&rows[first_row..]) {
                out.copy_from_slice(x.row(row));
            }
        })
    }

    fn assign(&mut self, to: Tensor, from: Tensor) {
        assert_eq!(to.rows(), from.rows(), "rows of {to:?} and {from:?}");
        self.zip(to, from, ZipOp::Assign);
    }

    fn softmax(&mut self, x: Tensor) {
        let data = &mut self.arena.data_mut()[x.offset()..x.end()];
        for_row_chunks(&self.pool, data, x, |_, x| self.levels.softmax.run(Softmax { x }));
    }

    fn add_assign(&mut self, acc: Tensor, x: Tensor) {
        assert_eq!(acc.rows(), x.rows(), "rows of {acc:?} and {x:?}");
        if acc == x {
            return self.scale(acc, 2.0);
        }
        self.zip(acc, x, ZipOp::Add);
    }

    fn add_scaled(&mut self, acc: Tensor, x: Tensor, factor: f32) {
        assert_eq!(acc.rows(), x.rows(), "rows of {acc:?} and {x:?}");
        if acc == x {
            return self.scale(acc, 1.0 + factor);
        }
        self.zip(acc, x, ZipOp::AddScaled(factor));
    }

    fn mul_assign(&mut self, acc: Tensor, x: Tensor) {
        if acc == x {
            return self.map(acc, MapOp::Square);
        }
        self.zip(acc, x, ZipOp::Mul);
    }

    fn offset(&mut self, x: Tensor, value: f32) {
        self.map(x, MapOp::Offset(value));
    }

    fn scale(&mut self, x: Tensor, factor: f32) {
        self.map(x, MapOp::Scale(factor));
    }

    fn mul_vector(&mut self, x: Tensor, weight: &Vector) -> Tensor {
        assert_eq!(x.cols(), weight.len(), "weights for {x:?}");
        let weight = Rows { data: weight, cols: weight.len(), stride: weight.len() };
        self.produce(x.rows(), x.cols(), |levels, data, first_row, mut acc| {
            for (i, out) in acc.iter_mut().enumerate() {
                out.copy_from_slice(rows_of(data, x).row(first_row + i));
            }
            levels.elementwise.run(Zip {
                acc,
                x: weight,
                first_row: 0,
                broadcast: true,
                op: ZipOp::Mul,
            });
        })
    }

    fn scale_rows(&mut self, x: Tensor, factors: &[f32]) {
        assert_eq!(x.rows(), factors.len(), "rows of {x:?}");
        let data = &mut self.arena.data_mut()[x.offset()..x.end()];
        for_row_chunks(&self.pool, data, x, |first_row, mut x| {
            for (row, &factor) in x.iter_mut().zip(&factors[first_row..]) {
                let (cols, stride) = (row.len(), row.len());
                let x = RowsMut { data: row, cols, stride };
                self.levels.elementwise.run(Map { x, op: MapOp::Scale(factor) });
            }
        });
    }

    fn softcap(&mut self, x: Tensor, cap: f32) {
        self.map(x, MapOp::Softcap(cap));
    }

    fn activate(&mut self, x: Tensor, activation: Activation) {
        self.map(x, MapOp::Activate(activation));
    }

    fn concat(&mut self, parts: &[Tensor]) -> Tensor {
        let rows = parts[0].rows();
        assert!(parts.iter().all(|part| part.rows() == rows), "rows of {parts:?}");
        let cols = parts.iter().map(|part| part.cols()).sum();
        self.produce(rows, cols, |_, data, first_row, mut out| {
            for (i, mut out) in out.iter_mut().enumerate() {
                for &part in parts {
                    let (to, rest) = out.split_at_mut(part.cols());
                    to.copy_from_slice(rows_of(data, part).row(first_row + i));
                    out = rest;
                }
            }
        })
    }

    fn deinterleave(&mut self, x: Tensor, widths: &[usize]) -> Tensor {
        let group: usize = widths.iter().sum();
        assert!(x.cols().is_multiple_of(group), "{x:?} in groups of {group}");
        self.produce(x.rows(), x.cols(), |_, data, first_row, mut out| {
            for (i, out) in out.iter_mut().enumerate() {
                deinterleave(rows_of(data, x).row(first_row + i), widths, out);
            }
        })
    }

    fn mix_streams(&mut self, x: Tensor, coefs: Tensor, width: usize) -> Tensor {
        let m = x.cols() / width;
        assert_eq!(x.rows(), coefs.rows(), "rows of {x:?} and {coefs:?}");
        assert_eq!(x.cols(), m * width, "columns of {x:?}");
        assert!(coefs.cols().is_multiple_of(m), "{coefs:?} for {m} streams");
        self.produce(x.rows(), coefs.cols() / m * width, |levels, data, first_row, out| {
            let (x, coefs) = (rows_of(data, x), rows_of(data, coefs));
            levels.streams.run(MixStreams { x, coefs, first_row, width, out });
        })
    }

    fn match_length(&mut self, x: Tensor, target: Tensor) {
        assert_eq!(x.rows(), target.rows(), "rows of {x:?} and {target:?}");
        assert!(x.cols().is_multiple_of(target.cols()), "columns of {x:?} and {target:?}");
        let ranges = [x.offset()..x.end(), target.offset()..target.end()];
        let apart = self.arena.data_mut().get_disjoint_mut(ranges);
        let [data, targets] = apart.expect("targets must not overlap what they scale");
        let target = Rows { data: targets, cols: target.cols(), stride: target.stride() };
        for_row_chunks(&self.pool, data, x, |first_row, x| {
            self.levels.norm.run(MatchLength { x, target, first_row });
        });
    }

    fn gaussian_top(&mut self, x: Tensor, cutoff: f32) {
        let data = &mut self.arena.data_mut()[x.offset()..x.end()];
        for_row_chunks(&self.pool, data, x, |_, x| {
            self.levels.sparsity.run(GaussianTop { x, cutoff })
        });
    }

    fn rms_norm(
        &mut self,
        x: Tensor,
        group: usize,
        weight: Option<&Vector>,
        bias: Option<&Vector>,
        eps: f32,
    ) -> Tensor {
        self.norm(x, group, false, weight, bias, eps)
    }

    fn layer_norm(
        &mut self,
        x: Tensor,
        group: usize,
        weight: Option<&Vector>,
        bias: Option<&Vector>,
        eps: f32,
    ) -> Tensor {
        self.norm(x, group, true, weight, bias, eps)
    }

    fn sinkhorn(&mut self, x: Tensor, n: usize, rounds: usize, eps: f32) {
        assert_eq!(x.cols(), n * n, "{n}x{n} matrices");
        let data = &mut self.arena.data_mut()[x.offset()..x.end()];
        for_row_chunks(&self.pool, data, x, |_, x| sinkhorn(x, n, rounds, eps));
    }

    fn clamp(&mut self, x: Tensor, limit: f32) {
        self.map(x, MapOp::Clamp(limit));
    }

    fn rope(&mut self, x: Tensor, head_dim: usize, table: Tensor, layout: RopeLayout) {
        assert!(x.cols().is_multiple_of(head_dim), "{x:?} in heads of {head_dim}");
        assert!(table.cols() <= head_dim && table.cols().is_multiple_of(2), "angles {table:?}");
        assert_eq!(x.rows(), table.rows(), "rows of {x:?} and {table:?}");
        let ranges = [x.offset()..x.end(), table.offset()..table.end()];
        let apart = self.arena.data_mut().get_disjoint_mut(ranges);
        let [data, angles] = apart.expect("angles must not overlap what they turn");
        let table = Rows { data: angles, cols: table.cols(), stride: table.stride() };
        for_row_chunks(&self.pool, data, x, |first_row, x| {
            self.levels.rope.run(Rope { x, head_dim, table, first_row, layout });
        });
    }

    fn linear(&mut self, x: Tensor, layers: &[&Linear]) -> Tensor {
        let out = self.arena.alloc(x.rows(), layers.iter().map(|l| l.weight.rows()).sum());
        let (below, data) = self.arena.split(out);
        let x = input_of(below, x);
        matmul::linear(&self.pool, &self.method, &mut self.matmul, x, layers, data);
        out
    }

    fn linear_heads(&mut self, x: Tensor, weight: &Weight) -> Tensor {
        assert_eq!(x.cols(), weight.count() * weight.cols(), "columns of {x:?}");
        let out = self.arena.alloc(x.rows(), weight.count() * weight.rows());
        let (below, data) = self.arena.split(out);
        matmul::linear_heads(
            &self.pool,
            &self.method,
            &mut self.matmul,
            input_of(below, x),
            weight,
            data,
        );
        out
    }

    fn glu(&mut self, gate: Tensor, up: Tensor, glu: Glu) -> Tensor {
        let shape = (gate.rows(), gate.cols());
        assert_eq!(shape, (up.rows(), up.cols()), "shapes of gate and up");
        self.produce(shape.0, shape.1, |levels, data, first_row, out| {
            let (gate, up) = (rows_of(data, gate), rows_of(data, up));
            levels.gate.run(GatedUnit { gate, up, first_row, glu, out });
        })
    }

    fn moe(&mut self, x: Tensor, logits: Tensor, routing: &Routing, experts: &Experts) -> Tensor {
        assert_eq!(x.rows(), logits.rows(), "rows of {x:?} and {logits:?}");
        let (mut slots, mut chosen) = (Vec::new(), Vec::new());
        for row in 0..logits.rows() {
            routing.choose(self.arena.row(logits, row), &mut chosen);
            slots.extend_from_slice(&chosen);
        }
        self.experts(x, &slots, routing.weigh_input, experts)
    }

    fn moe_chosen(&mut self, x: Tensor, chosen: &[(usize, f32)], experts: &Experts) -> Tensor {
        self.experts(x, chosen, false, experts)
    }

    fn kv_write(&mut self, kv: KvId, k: Tensor, v: Tensor, batch: &[Span<'_>]) {
        let data = self.arena.data();
        let (k, v) = (rows_of(data, k), rows_of(data, v));
        let level = self.levels.attention(self.attention.store(kv).types);
        self.attention.write(&self.pool, level, kv, k, v, batch);
    }

    fn attention(
        &mut self,
        q: Tensor,
        kv: KvId,
        batch: &[Span<'_>],
        params: &AttentionParams,
    ) -> Tensor {
        let out = self.arena.alloc(q.rows(), self.attention.out_cols(kv, params.n_head));
        let (below, data) = self.arena.split(out);
        let q = rows_of(below, q);
        let level = self.levels.attention(self.attention.store(kv).types);
        self.attention.attend(&self.pool, level, kv, q, batch, params, data);
        out
    }

    fn cache_write(&mut self, cache: CacheId, x: Tensor, batch: &[Span<'_>]) {
        let rows = rows_of(self.arena.data(), x);
        self.caches.write(&self.pool, self.levels.cache, cache, rows, x.rows(), batch);
    }

    fn pool_blocks(&mut self, pool: &BlockPool<'_>, state: StateId, batch: &[Span<'_>]) -> Tensor {
        let n_rows = batch.iter().map(|span| span.completes(pool.block).len()).sum();
        let out = self.arena.alloc(n_rows, pool.width());
        let (below, data) = self.arena.split(out);
        let rows = |t| rows_of(below, t);
        let (values, scores) = (rows(pool.values), pool.scores.map(rows));
        let inputs = cache::PoolInputs { pool, values, scores };
        let states = self.states.values(state, pool.state_rows() * pool.state_cols());
        cache::pool_blocks(&self.pool, self.levels.cache, inputs, states, batch, data);
        out
    }

    fn select(&mut self, selection: &Selection, keys: CacheId, batch: &[Span<'_>]) -> Tensor {
        let capacity = selection.capacity(self.caches.stride(keys), batch);
        let out = self.arena.alloc(selection.q.rows(), selection.n_sets() * capacity);
        let (below, data) = self.arena.split(out);
        let weights = match selection.scoring {
            Scoring::Rectified(weights) => Some(rows_of(below, weights)),
            Scoring::Blocks { .. } => None,
        };
        let q = rows_of(below, selection.q);
        let inputs = cache::SelectionInputs { selection, q, weights };
        self.caches.select(&self.pool, self.levels.cache, inputs, keys, batch, capacity, data);
        out
    }

    fn attention_to_cache(&mut self, attention: &CacheAttention<'_>, batch: &[Span<'_>]) -> Tensor {
        let cols = attention.n_head * attention.head_dim_v;
        let out = self.arena.alloc(attention.q.rows(), cols);
        let (below, data) = self.arena.split(out);
        let names = attention.sources.iter().map(|source| match source.rows {
            Visible::Chosen { names, .. } => Some(rows_of(below, names)),
            Visible::Last(_) => None,
        });
        let (names, q) = (names.collect(), rows_of(below, attention.q));
        let inputs = cache::AttentionInputs { attention, q, names };
        self.caches.attend(&self.pool, self.levels.cache, &inputs, batch, data);
        out
    }

    fn token_shift(&mut self, x: Tensor, state: StateId, batch: &[Span<'_>]) -> Tensor {
        let out = self.arena.alloc(x.rows(), x.cols());
        let (below, data) = self.arena.split(out);
        recurrent::token_shift(below, x, self.states.values(state, x.cols()), batch, data);
        out
    }

    fn short_conv(
        &mut self,
        x: Tensor,
        conv: &ShortConv,
        state: StateId,
        batch: &[Span<'_>],
    ) -> Tensor {
        let out = self.arena.alloc(x.rows(), x.cols());
        let (below, data) = self.arena.split(out);
        let states = self.states.values(state, conv.state_len());
        let inputs = recurrent::Conv { x: rows_of(below, x), conv };
        recurrent::short_conv(&self.pool, self.levels.convolution, inputs, states, batch, data);
        out
    }

    fn selective_scan(
        &mut self,
        scan: &SelectiveScan<'_>,
        state: StateId,
        batch: &[Span<'_>],
    ) -> Tensor {
        let SelectiveScan { x, dt, b, c, a } = *scan;
        let out = self.arena.alloc(x.rows(), x.cols());
        let (below, data) = self.arena.split(out);
        let states = self.states.values(state, a.len());
        let rows = |t: Tensor| rows_of(below, t);
        let scan = recurrent::Scan { x: rows(x), dt: rows(dt), b: rows(b), c: rows(c), a };
        recurrent::selective_scan(&self.pool, self.levels.scan, scan, states, batch, data);
        out
    }

    fn linear_attention(
        &mut self,
        attention: &LinearAttention<'_>,
        state: StateId,
        batch: &[Span<'_>],
    ) -> Tensor {
        attention.check();
        let out = self.arena.alloc(attention.v.rows(), attention.v.cols());
        let (below, data) = self.arena.split(out);
        let states = self.states.values(state, attention.state_len());
        let inputs = recurrent::Inputs::new(attention, |t| rows_of(below, t));
        recurrent::linear_attention(
            &self.pool,
            self.levels.linear_attention,
            inputs,
            states,
            batch,
            data,
        );
        out
    }
}
