//! The store of keys and values, and attention over it.
//!
//! The rows of a span are cut into blocks of some dozen queries: consecutive rows and all query
//! heads of one key/value head, so that each tile of keys and values is used for all of them. Few
//! rows over many keys are cut along the keys too, at fixed positions, and merged in order. The cuts
//! depend on shapes only: any number of threads gives the same numbers.

mod block;
mod product;
mod store;

use std::ops::Range;

use backend::{AttentionParams, BackendError, KvId, KvSpec, PAGE, Span};

use crate::ops::Rows;
use crate::pool::{Pool, SharedMut};
use crate::simd::{Kernel, Level, Simd};
use block::{Block, Partial, Queries, Scratch};
use store::{Element, Shape, Store, Tiles};

/// Queries of a block, about: enough that converting a tile costs little.
const BLOCK_QUERIES: usize = 48;
/// Keys per part of a block that is cut along its keys.
const PART_KEYS: usize = 128;
/// Blocks of up to so many rows are cut along their keys.
const PART_ROWS: usize = 4;
/// Products below which other threads are not worth waking.
const INLINE_PRODUCTS: usize = 200_000;
/// Rows from which other threads help to store keys and values.
const PARALLEL_WRITE_ROWS: usize = 16;
/// Chunks per head when they do.
const WRITE_PARTS: usize = 8;

/// Some rows of a span for one key/value head, and its parts along the keys.
#[derive(Debug, Clone)]
struct Plan {
    span: usize,
    kv_head: usize,
    rows: Range<usize>,
    /// Numbers of its parts among those of all blocks; empty if it isn't cut.
    parts: Range<usize>,
}

/// One parallel piece of work: a block, or the part of it with these keys.
#[derive(Debug, Clone)]
struct Item {
    plan: usize,
    keys: Range<usize>,
    part: Option<usize>,
}

/// All layers' stores and the space that attention works in.
#[derive(Default)]
pub struct Attention {
    stores: Vec<Store>,
    scratch: Vec<Scratch>,
    plans: Vec<Plan>,
    items: Vec<Item>,
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

    /// Copies a page.
    pub fn copy_page(&mut self, kv: KvId, from: u32, to: u32) {
        self.stores[kv.0].copy_page(from as usize, to as usize);
    }

    /// Number of values per row of the result of `n_head` heads.
    pub fn out_cols(&self, kv: KvId, n_head: usize) -> usize {
        n_head * self.stores[kv.0].shape().head_dim_v
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
        let shape = self.stores[kv.0].shape();
        assert_eq!(k.cols, shape.n_head_kv * shape.head_dim, "columns of keys");
        assert_eq!(v.cols, shape.n_head_kv * shape.head_dim_v, "columns of values");
        match &mut self.stores[kv.0] {
            Store::F32(tiles) => write(pool, level, tiles, k, v, batch),
            Store::F16(tiles) => write(pool, level, tiles, k, v, batch),
        }
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
        let shape = self.stores[kv.0].shape();
        assert!(params.n_head.is_multiple_of(shape.n_head_kv), "{} query heads", params.n_head);
        assert_eq!(q.cols, params.n_head * shape.head_dim, "columns of queries");
        // Blocks write their rows of the result from several threads.
        assert!(batch.is_sorted_by(|a, b| a.rows.end <= b.rows.start), "rows of {batch:?}");
        let products = self.plan(shape, batch, params);
        let inputs = Inputs { shape, q, batch, params };
        let threads = if products < INLINE_PRODUCTS { None } else { Some(pool) };
        match &self.stores[kv.0] {
            Store::F32(tiles) => {
                let state = (&self.plans[..], &self.items[..], &mut self.partials[..]);
                run(threads, level, tiles, &inputs, state, &mut self.scratch, out);
            }
            Store::F16(tiles) => {
                let state = (&self.plans[..], &self.items[..], &mut self.partials[..]);
                run(threads, level, tiles, &inputs, state, &mut self.scratch, out);
            }
        }
    }

    /// Cuts the work; returns its number of products.
    fn plan(&mut self, shape: Shape, batch: &[Span<'_>], params: &AttentionParams) -> usize {
        self.plans.clear();
        self.items.clear();
        let group = params.n_head / shape.n_head_kv;
        let block_rows = (BLOCK_QUERIES / group).max(1);
        let (mut n_parts, mut products, mut most) = (0, 0, 0);
        for (span, of) in batch.iter().enumerate() {
            let n_rows = of.rows.len();
            // Last rows first: they may see the most, and long pieces should not come last.
            for block in (0..n_rows.div_ceil(block_rows)).rev() {
                let rows = block * block_rows..n_rows.min((block + 1) * block_rows);
                let visible = |row| params.mask.visible(of.pos + row, of.len());
                let keys = visible(rows.start).start..visible(rows.end - 1).end;
                let first_part = keys.start / PART_KEYS;
                let end_part = keys.end.div_ceil(PART_KEYS);
                let cut = rows.len() <= PART_ROWS && end_part - first_part > 1;
                for kv_head in 0..shape.n_head_kv {
                    let plan = self.plans.len();
                    let mut parts = n_parts..n_parts;
                    if cut {
                        for part in first_part..end_part {
                            let start = keys.start.max(part * PART_KEYS);
                            let keys = start..keys.end.min((part + 1) * PART_KEYS);
                            self.items.push(Item { plan, keys, part: Some(n_parts) });
                            n_parts += 1;
                        }
                        parts.end = n_parts;
                    } else {
                        self.items.push(Item { plan, keys: keys.clone(), part: None });
                    }
                    products += rows.len() * group * keys.len() * (shape.head_dim + shape.v_cols);
                    self.plans.push(Plan { span, kv_head, rows: rows.clone(), parts });
                }
                most = most.max(rows.len() * group);
            }
        }
        self.scratch.iter_mut().for_each(|scratch| scratch.reserve(most, shape));
        let partials = n_parts * Partial::len(PART_ROWS * group, shape.v_cols);
        if self.partials.len() < partials {
            self.partials.resize(partials, 0.0);
        }
        products
    }
}

/// What all pieces of work read.
struct Inputs<'a> {
    shape: Shape,
    q: Rows<'a>,
    batch: &'a [Span<'a>],
    params: &'a AttentionParams,
}

impl Inputs<'_> {
    fn group(&self) -> usize {
        self.params.n_head / self.shape.n_head_kv
    }

    fn queries(&self, plan: &Plan) -> Queries<'_> {
        let span = &self.batch[plan.span];
        Queries {
            q: Rows { data: &self.q.data[span.rows.start * self.q.stride..], ..self.q },
            rows: plan.rows.clone(),
            pos: span.pos,
            len: span.len(),
            pages: span.pages,
            kv_head: plan.kv_head,
            group: self.group(),
        }
    }
}

/// Runs all items, then merges the parts of blocks that are cut. Without a pool it stays on the
/// calling thread.
fn run<T: Element>(
    pool: Option<&Pool>,
    level: Level,
    tiles: &Tiles<T>,
    inputs: &Inputs<'_>,
    (plans, items, partials): (&[Plan], &[Item], &mut [f32]),
    scratch: &mut [Scratch],
    out: &mut [f32],
) {
    let Inputs { shape, params, .. } = inputs;
    let part_len = Partial::len(PART_ROWS * inputs.group(), shape.v_cols);
    let out = SharedMut::new(out);
    let shared_partials = SharedMut::new(&mut *partials);
    let work = |scratch: &mut Scratch, item: usize| {
        let Item { plan, keys, part } = &items[item];
        let plan = &plans[*plan];
        let queries = inputs.queries(plan);
        let count = queries.count();
        let len = Partial::len(count, shape.v_cols);
        let mut own = std::mem::take(&mut scratch.partial);
        let buffer = match part {
            // SAFETY: each part has a number of its own.
            Some(part) => unsafe { shared_partials.slice(part * part_len, len) },
            None => &mut own[..len],
        };
        let keys = keys.clone();
        let block =
            Block { tiles, queries, keys, params, scratch, out: Partial::new(buffer, count) };
        level.run(block);
        if part.is_none() {
            level.run(Merge { inputs, plan, parts: &mut own[..len], part_len: len, out });
        }
        scratch.partial = own;
    };
    match pool {
        Some(pool) => pool.for_each_with(scratch, items.len(), work),
        None => (0..items.len()).for_each(|item| work(&mut scratch[0], item)),
    }
    for plan in plans.iter().filter(|plan| !plan.parts.is_empty()) {
        let parts = &mut partials[plan.parts.start * part_len..plan.parts.end * part_len];
        level.run(Merge { inputs, plan, parts, part_len, out });
    }
}

/// Merges a block's parts, in order, and divides: the result of its queries.
struct Merge<'a, 'o> {
    inputs: &'a Inputs<'a>,
    plan: &'a Plan,
    /// Partials, each at the start of `part_len` numbers. They are overwritten.
    parts: &'a mut [f32],
    part_len: usize,
    out: SharedMut<'o, f32>,
}

impl Kernel for Merge<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { inputs, plan, parts, part_len, out } = self;
        let Shape { head_dim_v, v_cols, .. } = inputs.shape;
        let group = inputs.group();
        let count = plan.rows.len() * group;
        let first_row = inputs.batch[plan.span].rows.start + plan.rows.start;
        for i in 0..count {
            let head = plan.kv_head * group + i % group;
            let sink = inputs.params.sinks.as_ref().map(|sinks| sinks[head]);
            let greatest = parts.chunks_exact(part_len).map(|part| part[i]);
            let max = greatest.chain(sink).fold(f32::NEG_INFINITY, f32::max);
            let mut total = sink.map_or(0.0, |sink| (sink - max).exp());
            for part in parts.chunks_exact_mut(part_len) {
                let Partial { max: part_max, total: part_total, .. } = Partial::new(part, count);
                // From here on the part's factor.
                part_max[i] = (part_max[i] - max).exp();
                total += part_total[i] * part_max[i];
            }
            let at = ((first_row + i / group) * inputs.params.n_head + head) * head_dim_v;
            // SAFETY: spans' rows don't overlap (checked by `attend`), and within a span each row
            // and head belongs to one block, which is merged once.
            let out = unsafe { out.slice(at, head_dim_v) };
            for (col, out) in (0..v_cols).step_by(S::LANES).zip(out.chunks_mut(S::LANES)) {
                let mut sum = s.splat(0.0);
                for part in parts.chunks_exact(part_len) {
                    let values = &part[2 * count + i * v_cols + col..];
                    sum = s.mul_add(s.load(values), s.splat(part[i]), sum);
                }
                let sum = s.div(sum, s.splat(total));
                if out.len() == S::LANES { s.store(sum, out) } else { s.store_partial(sum, out) }
            }
        }
    }
}

/// Stores keys and values, one head of some pages per chunk.
fn write<T: Element>(
    pool: &Pool,
    level: Level,
    tiles: &mut Tiles<T>,
    k: Rows<'_>,
    v: Rows<'_>,
    batch: &[Span<'_>],
) {
    let shape = tiles.shape;
    let (k_tiles, v_tiles) = (SharedMut::new(&mut tiles.k), SharedMut::new(&mut tiles.v));
    let few = batch.iter().map(|span| span.rows.len()).sum::<usize>() < PARALLEL_WRITE_ROWS;
    let n_parts = if few { 1 } else { WRITE_PARTS };
    let task = |chunk| {
        let (head, part) = (chunk / n_parts, (chunk % n_parts, n_parts));
        level.run(WriteHead { shape, head, part, k, v, batch, k_tiles, v_tiles });
    };
    if few {
        (0..shape.n_head_kv).for_each(task);
    } else {
        pool.for_each(shape.n_head_kv * n_parts, |_, chunk| task(chunk));
    }
}

/// Stores one head's keys and values of the batch in those pages whose number, modulo the second of
/// `part`, is the first.
struct WriteHead<'a, 't, T> {
    shape: Shape,
    head: usize,
    part: (usize, usize),
    k: Rows<'a>,
    v: Rows<'a>,
    batch: &'a [Span<'a>],
    k_tiles: SharedMut<'t, T>,
    v_tiles: SharedMut<'t, T>,
}

impl<T: Element> Kernel for WriteHead<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Shape { n_head_kv, head_dim, head_dim_v, .. } = self.shape;
        let (part, n_parts) = self.part;
        for span in self.batch {
            for (row, pos) in std::iter::zip(span.rows.clone(), span.pos..) {
                let page = span.pages[pos / PAGE] as usize;
                if page % n_parts != part {
                    continue;
                }
                let tile = page * n_head_kv + self.head;
                let (k_len, v_len) = (self.shape.k_tile(), self.shape.v_tile());
                // SAFETY: tiles of this head and page, which no other thread touches; the slices of
                // the last position are gone.
                let k_tile = unsafe { self.k_tiles.slice(tile * k_len, k_len) };
                // SAFETY: as above.
                let v_tile = unsafe { self.v_tiles.slice(tile * v_len, v_len) };
                let k = &self.k.row(row)[self.head * head_dim..][..head_dim];
                let v = &self.v.row(row)[self.head * head_dim_v..][..head_dim_v];
                store::write(s, (k, k_tile), (v, v_tile), pos % PAGE);
            }
        }
    }
}
