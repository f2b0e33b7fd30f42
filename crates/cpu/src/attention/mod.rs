//! The store of keys and values, and attention over it.
//!
//! The rows of a span are cut into blocks of some dozen queries: consecutive rows and all query
//! heads of one key/value head, so that each tile of keys and values is used for all of them. The
//! keys that a block sees are taken in parts with fixed bounds, and the parts' results are merged in
//! order; where blocks are few, threads share the parts of a block. So a query's result depends
//! neither on the number of threads nor on the other queries of the batch.

mod block;
mod format;
mod plan;
pub mod product;
mod scores;
pub mod softmax;
mod store;
mod write;

use std::sync::atomic::Ordering;

use backend::{AttentionParams, BackendError, KvId, KvSpec, Span};

use crate::ops::Rows;
use crate::pool::{Pool, SharedMut};
use crate::simd::{Kernel, Level, Simd};
use block::{Block, Queries, Scratch, parts};
use plan::{Item, Plan};
use softmax::{Merge, Partial, finish};
use store::Store;
pub use store::kv_bytes;

/// Positions whose keys have a softmax of their own.
const PART_KEYS: usize = 128;

/// Bytes that attention works in at most, beside a little for each thread.
pub const MOST_WORK_BYTES: usize = plan::MOST_PARTIALS * size_of::<f32>();

/// All layers' stores and the space that attention works in.
#[derive(Default)]
pub struct Attention {
    stores: Vec<Store>,
    scratch: Vec<Scratch>,
    plan: Plan,
    partials: Vec<f32>,
}

impl Attention {
    /// For as many threads.
    pub fn new(threads: usize) -> Self {
        let scratch = (0..threads).map(|_| Scratch::default()).collect();
        Self { scratch, ..Self::default() }
    }

    /// Adds a zeroed store.
    pub fn create(&mut self, spec: KvSpec) -> Result<KvId, BackendError> {
        self.stores.push(Store::new(spec)?);
        Ok(KvId(self.stores.len() - 1))
    }

    /// A store.
    pub fn store(&self, kv: KvId) -> &Store {
        &self.stores[kv.0]
    }

    /// A store, to be changed.
    pub fn store_mut(&mut self, kv: KvId) -> &mut Store {
        &mut self.stores[kv.0]
    }

    /// Number of values per row of the result of `n_head` heads.
    pub fn out_cols(&self, kv: KvId, n_head: usize) -> usize {
        n_head * self.stores[kv.0].shape.head_dim_v
    }

    /// Stores keys and values of the batch.
    pub fn write(
        &mut self,
        pool: &Pool,
        level: Level,
        kv: KvId,
        k: Rows<'_>,
        v: Rows<'_>,
        batch: &[Span<'_>],
    ) {
        write::write(pool, level, &mut self.stores[kv.0], k, v, batch);
    }

    /// Attends, see [`AttentionParams`]. `out` is dense.
    pub fn attend(
        &mut self,
        pool: &Pool,
        level: Level,
        kv: KvId,
        q: Rows<'_>,
        batch: &[Span<'_>],
        params: &AttentionParams,
        out: &mut [f32],
    ) {
        let store = &self.stores[kv.0];
        let shape = store.shape;
        assert!(params.n_head.is_multiple_of(shape.n_head_kv), "{} query heads", params.n_head);
        assert_eq!(q.cols, params.n_head * shape.head_dim, "columns of queries");
        // Blocks write their rows of the result from several threads.
        assert!(batch.is_sorted_by(|a, b| a.rows.end <= b.rows.start), "rows of {batch:?}");
        self.plan.make(shape, batch, params, pool.threads());
        let plan = &self.plan;
        self.scratch.iter_mut().for_each(|scratch| scratch.reserve(plan.most_queries, shape));
        if self.partials.len() < plan.n_parts * plan.part_len {
            self.partials.resize(plan.n_parts * plan.part_len, 0.0);
        }
        let (partials, out) = (SharedMut::new(&mut self.partials), SharedMut::new(out));
        let work = Work { level, store, plan, q, batch, params, partials, out };
        let run = |scratch: &mut Scratch, item: usize| work.run(scratch, &plan.items[item]);
        if plan.parallel {
            pool.for_each_with(&mut self.scratch, plan.items.len(), run);
        } else {
            (0..plan.items.len()).for_each(|item| run(&mut self.scratch[0], item));
        }
    }
}

/// What all pieces of work share.
struct Work<'a> {
    level: Level,
    store: &'a Store,
    plan: &'a Plan,
    q: Rows<'a>,
    batch: &'a [Span<'a>],
    params: &'a AttentionParams,
    /// Of the parts of all blocks that are cut.
    partials: SharedMut<'a, f32>,
    out: SharedMut<'a, f32>,
}

impl Work<'_> {
    /// Does one piece. Whoever does the last of a block's parts merges them.
    fn run(&self, scratch: &mut Scratch, item: &Item) {
        let block = &self.plan.blocks[item.block];
        let v_cols = self.store.shape.v_cols;
        let count = self.queries(block).count();
        let len = Partial::len(count, v_cols);
        let Some(first_part) = item.first_part else {
            let mut own = std::mem::take(&mut scratch.partial);
            let partial = Partial::new(&mut own[..len], count);
            self.attend(scratch, item, item.keys.clone(), partial);
            self.finish(block, &Partial::new(&mut own[..len], count));
            scratch.partial = own;
            return;
        };
        let mut n_done = 0;
        for (part, keys) in (first_part..).zip(parts(item.keys.clone())) {
            // SAFETY: each part has a number of its own, and is one item's.
            let partial = unsafe { self.partials.slice(part * self.plan.part_len, len) };
            self.attend(scratch, item, keys, Partial::new(partial, count));
            n_done += 1;
        }
        if block.done.fetch_add(n_done, Ordering::AcqRel) + n_done < block.parts.len() {
            return;
        }
        // SAFETY: all parts of the block are done, and nobody else will find so.
        let all = block.parts.clone().map(|part| unsafe {
            Partial::new(self.partials.slice(part * self.plan.part_len, len), count)
        });
        let merged = all.reduce(|mut into, part| {
            let keep = &mut scratch.keep;
            self.level.run(Merge { into: into.reborrow(), part, keep });
            into
        });
        if let Some(merged) = merged {
            self.finish(block, &merged);
        }
    }

    fn queries(&self, block: &plan::Block) -> Queries<'_> {
        let span = &self.batch[block.span];
        Queries {
            q: Rows { data: &self.q.data[span.rows.start * self.q.stride..], ..self.q },
            rows: block.rows.clone(),
            pos: span.pos,
            len: span.len(),
            pages: span.pages,
            kv_head: block.kv_head,
            group: self.params.n_head / self.store.shape.n_head_kv,
        }
    }

    fn attend(
        &self,
        scratch: &mut Scratch,
        item: &Item,
        keys: std::ops::Range<usize>,
        out: Partial<'_>,
    ) {
        let queries = self.queries(&self.plan.blocks[item.block]);
        let (store, params, ahead_to) = (self.store, self.params, item.keys.end);
        self.level.run(Block { store, queries, keys, ahead_to, params, scratch, out });
    }

    fn finish(&self, block: &plan::Block, partial: &Partial<'_>) {
        let first_row = self.batch[block.span].rows.start + block.rows.start;
        self.level.run(Finish { work: self, kv_head: block.kv_head, first_row, partial });
    }
}

/// Writes a block's result.
struct Finish<'a> {
    work: &'a Work<'a>,
    kv_head: usize,
    first_row: usize,
    partial: &'a Partial<'a>,
}

impl Kernel for Finish<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { work, kv_head, first_row, partial } = self;
        let head_dim_v = work.store.shape.head_dim_v;
        let AttentionParams { n_head, ref sinks, .. } = *work.params;
        let group = n_head / work.store.shape.n_head_kv;
        for i in 0..partial.max.len() {
            let head = kv_head * group + i % group;
            let at = ((first_row + i / group) * n_head + head) * head_dim_v;
            // SAFETY: spans' rows don't overlap (checked by `attend`), and within a span each row
            // and head belongs to one block, which is finished once.
            let out = unsafe { work.out.slice(at, head_dim_v) };
            finish(s, partial, i, sinks.as_ref().map(|sinks| sinks[head]), out);
        }
    }
}
