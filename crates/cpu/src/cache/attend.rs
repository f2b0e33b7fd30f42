//! Attention to cached rows, gathered tile by tile, with a running softmax.
//!
//! The rows that a block of queries sees are taken in parts of fixed size, each with a softmax of
//! its own, and the parts' results are merged in order. So a query's result depends neither on the
//! number of threads nor on the other queries of the batch.

use std::ops::Range;

use backend::{CacheAttention, Span, Visible};

use super::dots::Dots;
use super::store::Store;
use super::{Caches, INLINE_PRODUCTS, PAD, Scratch, TILE, copy_scaled, grow};
use crate::attention::product::{Ahead, F32, Matrix, Product};
use crate::attention::softmax::{Merge, Partial, finish, raise, score, weigh};
use crate::ops::Rows;
use crate::pool::{Pool, SharedMut};
use crate::simd::{Kernel, Level, Simd};

/// Tiles of a part.
const PART_TILES: usize = 2;
/// Queries of a block of several rows, about.
const BLOCK_QUERIES: usize = 48;
/// Blocks for each thread below which also their parts are shared out.
const BLOCKS: usize = 4;

/// An attention, and the tensors that it names.
#[derive(Clone)]
pub struct Inputs<'a> {
    pub attention: &'a CacheAttention<'a>,
    pub q: Rows<'a>,
    /// The names of each source, where they are chosen.
    pub names: Vec<Option<Rows<'a>>>,
}

/// Buffers of the softmax.
#[derive(Default)]
pub struct Softmax {
    max: Vec<f32>,
    keep: Vec<f32>,
    /// `[queries][PAD]`, of which a vector is used.
    totals: Vec<f32>,
    part: Vec<f32>,
    whole: Vec<f32>,
}

/// Some rows of a span for one key/value head.
struct Block {
    span: usize,
    rows: Range<usize>,
    kv_head: usize,
    /// Cached rows that any of them sees.
    n_seen: usize,
}

/// What all pieces of work share.
struct Work<'a> {
    inputs: &'a Inputs<'a>,
    stores: &'a [Store],
    batch: &'a [Span<'a>],
    v_cols: usize,
    out: SharedMut<'a, f32>,
}

impl Caches {
    /// Attends, see [`CacheAttention`]. `out` is dense.
    pub fn attend(
        &mut self,
        pool: &Pool,
        level: Level,
        inputs: &Inputs<'_>,
        batch: &[Span<'_>],
        out: &mut [f32],
    ) {
        let CacheAttention { n_head, n_head_kv, head_dim_v, sources, .. } = *inputs.attention;
        let head_dim = inputs.attention.head_dim();
        let stores = &self.stores;
        assert!(n_head.is_multiple_of(n_head_kv), "{n_head} and {n_head_kv} heads");
        for source in sources {
            let [keys, values] = [source.keys, source.values].map(|id| stores[id.0].spec);
            assert_eq!(keys.stride, values.stride, "positions per row");
            assert_eq!(keys.width, n_head_kv * head_dim, "columns of queries");
            assert!(values.width >= n_head_kv * head_dim_v, "columns of values");
        }
        // Blocks write their rows of the result from several threads.
        assert!(batch.is_sorted_by(|a, b| a.rows.end <= b.rows.start), "rows of {batch:?}");
        let v_cols = head_dim_v.next_multiple_of(PAD);
        let work = Work { inputs, stores, batch, v_cols, out: SharedMut::new(out) };
        let blocks = work.blocks();
        let group = n_head / n_head_kv;
        let products =
            |block: &Block| block.rows.len() * group * block.n_seen * (head_dim + v_cols);
        if blocks.iter().map(products).sum::<usize>() < INLINE_PRODUCTS || pool.threads() == 1 {
            blocks.iter().for_each(|block| work.whole(level, &mut self.scratch[0], block));
        } else if blocks.len() >= BLOCKS * pool.threads() {
            let whole = |scratch: &mut _, item: usize| work.whole(level, scratch, &blocks[item]);
            pool.for_each_with(&mut self.scratch, blocks.len(), whole);
        } else {
            work.shared(pool, level, &mut self.scratch, &mut self.floats, &blocks);
        }
    }
}

impl Work<'_> {
    /// One row each where rows see different cached rows, else several.
    fn blocks(&self) -> Vec<Block> {
        let CacheAttention { n_head, n_head_kv, sources, .. } = *self.inputs.attention;
        let together =
            matches!(sources, [source] if matches!(source.rows, Visible::Last(usize::MAX)));
        let group = n_head / n_head_kv;
        let n_rows = if together { (BLOCK_QUERIES / group).max(1) } else { 1 };
        let mut blocks = Vec::new();
        for (span, of) in self.batch.iter().enumerate() {
            // Last rows first: they may see the most, and long pieces should not come last.
            for first in of.rows.clone().step_by(n_rows).rev() {
                let rows = first..of.rows.end.min(first + n_rows);
                for kv_head in 0..n_head_kv {
                    let sources = 0..sources.len();
                    let seen = |source| self.seen(of, rows.end - 1, kv_head, source).len();
                    let n_seen = sources.map(seen).sum();
                    blocks.push(Block { span, rows: rows.clone(), kv_head, n_seen });
                }
            }
        }
        blocks
    }

    /// Positions in a source's choice, or cached rows, that a row of the batch sees.
    #[inline(always)]
    fn seen(&self, span: &Span<'_>, row: usize, kv_head: usize, source: usize) -> Range<usize> {
        match (self.inputs.attention.sources[source].rows, self.inputs.names[source]) {
            (Visible::Chosen { n_sets, .. }, Some(names)) => {
                let names = chosen(names.row(row), n_sets, kv_head);
                0..names.partition_point(|&name| name >= 0.0)
            }
            (Visible::Last(n), _) => {
                let stride = self.stores[self.inputs.attention.sources[source].keys.0].spec.stride;
                let complete = (span.pos + row - span.rows.start + 1) / stride;
                complete.saturating_sub(n)..complete
            }
            _ => unreachable!("chosen rows come with their names"),
        }
    }

    /// Whether all values are the beginnings of keys.
    #[inline(always)]
    fn is_latent(&self) -> bool {
        let CacheAttention { n_head_kv, head_dim_v, sources, .. } = *self.inputs.attention;
        let same = sources.iter().all(|source| source.keys == source.values);
        same && n_head_kv == 1 && head_dim_v <= self.inputs.attention.head_dim()
    }

    /// Parts of a block.
    fn n_parts(&self, block: &Block) -> usize {
        block.n_seen.div_ceil(PART_TILES * TILE).max(1)
    }

    fn count(&self, block: &Block) -> usize {
        let CacheAttention { n_head, n_head_kv, .. } = *self.inputs.attention;
        block.rows.len() * n_head / n_head_kv
    }

    /// Does all of a block.
    fn whole(&self, level: Level, scratch: &mut Scratch, block: &Block) {
        let count = self.count(block);
        let len = Partial::len(count, self.v_cols);
        grow(&mut scratch.softmax.part, len);
        grow(&mut scratch.softmax.whole, len);
        grow(&mut scratch.softmax.keep, count);
        let mut whole = std::mem::take(&mut scratch.softmax.whole);
        let mut other = std::mem::take(&mut scratch.softmax.part);
        let mut into = Partial::new(&mut whole[..len], count);
        for part in 0..self.n_parts(block) {
            if part == 0 {
                let out = into.reborrow();
                level.run(Part { work: self, block, part, scratch, out });
                continue;
            }
            let mut out = Partial::new(&mut other[..len], count);
            level.run(Part { work: self, block, part, scratch, out: out.reborrow() });
            let keep = &mut scratch.softmax.keep;
            level.run(Merge { into: into.reborrow(), part: out, keep });
        }
        level.run(Finish { work: self, block, partial: &into });
        (scratch.softmax.whole, scratch.softmax.part) = (whole, other);
    }

    /// Shares the parts of few blocks out to the threads.
    fn shared(
        &self,
        pool: &Pool,
        level: Level,
        scratch: &mut [Scratch],
        partials: &mut Vec<f32>,
        blocks: &[Block],
    ) {
        let most = blocks.iter().map(|block| self.count(block)).max().unwrap_or(0);
        let len = Partial::len(most, self.v_cols);
        let parts = |(index, block)| (0..self.n_parts(block)).map(move |part| (index, part));
        let items: Vec<(usize, usize)> = blocks.iter().enumerate().flat_map(parts).collect();
        grow(partials, items.len() * len);
        let partials = SharedMut::new(partials);
        let partial = |item: usize, count| {
            // SAFETY: each part has a place of its own, which is one thread's at a time: that of
            // who computes it, then that of who merges it.
            let buffer = unsafe { partials.slice(item * len, Partial::len(count, self.v_cols)) };
            Partial::new(buffer, count)
        };
        pool.for_each_with(scratch, items.len(), |scratch, item| {
            let (block, part) = items[item];
            let block = &blocks[block];
            let out = partial(item, self.count(block));
            level.run(Part { work: self, block, part, scratch, out });
        });
        pool.for_each_with(scratch, blocks.len(), |scratch, index| {
            let count = self.count(&blocks[index]);
            grow(&mut scratch.softmax.keep, count);
            let first = items.partition_point(|&(block, _)| block < index);
            let mut into = partial(first, count);
            for item in first + 1..first + self.n_parts(&blocks[index]) {
                let keep = &mut scratch.softmax.keep;
                level.run(Merge { into: into.reborrow(), part: partial(item, count), keep });
            }
            level.run(Finish { work: self, block: &blocks[index], partial: &into });
        });
    }
}

/// The choice for a key/value head.
#[inline(always)]
fn chosen(names: &[f32], n_sets: usize, kv_head: usize) -> &[f32] {
    let capacity = names.len() / n_sets;
    &names[kv_head % n_sets * capacity..][..capacity]
}

/// A block's queries over one part of what they see.
struct Part<'a> {
    work: &'a Work<'a>,
    block: &'a Block,
    part: usize,
    scratch: &'a mut Scratch,
    out: Partial<'a>,
}

impl Part<'_> {
    /// Gathers keys and values from `seen`, which count over all sources.
    #[inline(always)]
    fn gather<S: Simd>(&mut self, s: S, seen: Range<usize>) {
        let CacheAttention { head_dim_v, sources, .. } = *self.work.inputs.attention;
        let (head_dim, v_cols) = (self.work.inputs.attention.head_dim(), self.work.v_cols);
        let (padded, latent) = (head_dim.next_multiple_of(PAD), self.work.is_latent());
        let (span, kv_head) = (&self.work.batch[self.block.span], self.block.kv_head);
        let last_row = self.block.rows.end - 1;
        let Scratch { row, keys, values, .. } = &mut *self.scratch;
        let mut before = 0;
        for (index, source) in sources.iter().enumerate() {
            let range = self.work.seen(span, last_row, kv_head, index);
            let own = before..before + range.len();
            before = own.end;
            let [of_keys, of_values] =
                [source.keys, source.values].map(|id| &self.work.stores[id.0]);
            let names = self.work.inputs.names[index].map(|names| names.row(last_row));
            for at in seen.start.max(own.start)..seen.end.min(own.end) {
                let name = range.start + at - own.start;
                let name = match (source.rows, names) {
                    (Visible::Chosen { n_sets, .. }, Some(names)) => {
                        chosen(names, n_sets, kv_head)[name] as usize
                    }
                    _ => name,
                };
                let place = of_keys.spec.place(span.pages, name);
                let cell = at - seen.start;
                let (key, padding) = keys[cell * padded..][..padded].split_at_mut(head_dim);
                of_keys.read(s, place, kv_head * head_dim, row, key);
                padding.fill(0.0);
                if !latent {
                    let value = &mut values[cell * v_cols..][..head_dim_v];
                    of_values.read(s, place, kv_head * head_dim_v, row, value);
                }
            }
        }
    }

    /// How many of the cached rows query `i` sees.
    #[inline(always)]
    fn sees(&self, i: usize) -> usize {
        if self.block.rows.len() == 1 {
            return self.block.n_seen;
        }
        let group = self.work.count(self.block) / self.block.rows.len();
        let span = &self.work.batch[self.block.span];
        self.work.seen(span, self.block.rows.start + i / group, self.block.kv_head, 0).len()
    }
}

impl Kernel for Part<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let CacheAttention { n_head, n_head_kv, scale, sources, .. } = *self.work.inputs.attention;
        let (head_dim, v_cols) = (self.work.inputs.attention.head_dim(), self.work.v_cols);
        let padded = head_dim.next_multiple_of(PAD);
        let (count, width) = (self.work.count(self.block), n_head / n_head_kv * head_dim);
        let widths = sources.iter().flat_map(|source| [source.keys, source.values]);
        let widest = widths.map(|id| self.work.stores[id.0].spec.width).max().unwrap_or(0);
        grow(&mut self.scratch.q, count * padded);
        grow(&mut self.scratch.row, widest);
        grow(&mut self.scratch.keys, TILE * padded);
        grow(&mut self.scratch.values, TILE * v_cols);
        grow(&mut self.scratch.scores, count * TILE);
        grow(&mut self.scratch.softmax.max, count);
        grow(&mut self.scratch.softmax.keep, count);
        grow(&mut self.scratch.softmax.totals, count * PAD);
        let mut queries = self.scratch.q.chunks_exact_mut(padded);
        for row in self.block.rows.clone() {
            let from = &self.work.inputs.q.row(row)[self.block.kv_head * width..][..width];
            let heads = from.chunks_exact(head_dim).zip(queries.by_ref());
            heads.for_each(|(from, q)| copy_scaled(s, from, scale, q));
        }
        self.out.clear();
        self.scratch.softmax.totals[..count * PAD].fill(0.0);
        let start = self.part * PART_TILES * TILE;
        let end = self.block.n_seen.min(start + PART_TILES * TILE);
        for first in (start..end).step_by(TILE) {
            let n = TILE.min(end - first);
            self.gather(s, first..first + n);
            self.tile(s, first, n);
        }
        let totals = self.scratch.softmax.totals.chunks_exact(PAD);
        for (total, sums) in self.out.total.iter_mut().zip(totals) {
            *total = s.reduce_add(s.load(sums));
        }
    }
}

impl Part<'_> {
    /// Adds the gathered tile, the `n` cached rows from `first` on.
    #[inline(always)]
    fn tile<S: Simd>(&mut self, s: S, first: usize, n: usize) {
        let (head_dim, v_cols) = (self.work.inputs.attention.head_dim(), self.work.v_cols);
        let (count, cols) = (self.work.count(self.block), n.next_multiple_of(PAD));
        let padded = head_dim.next_multiple_of(PAD);
        let Scratch { q, keys, scores, .. } = &mut *self.scratch;
        let (a, b) = (&q[..count * padded], &keys[..n * padded]);
        s.outline(Dots { width: padded, a, b, c: scores, c_stride: TILE });
        for i in 0..count {
            let visible = 0..self.sees(i).saturating_sub(first).min(n);
            let scores = &mut self.scratch.scores[i * TILE..][..cols];
            self.scratch.softmax.max[i] = score(s, scores, visible, 0.0, None, self.out.max[i]);
        }
        let latent = self.work.is_latent();
        let Scratch { keys, values, scores, softmax, .. } = &mut *self.scratch;
        raise(s, self.out.max, &softmax.max, &mut softmax.keep);
        for i in 0..count {
            let total = &mut softmax.totals[i * PAD..][..PAD];
            weigh(s, &mut scores[i * TILE..][..cols], self.out.max[i], total, softmax.keep[i]);
        }
        s.outline(Product {
            size: [count, v_cols, n],
            a: Matrix::<F32> { data: scores, stride: TILE },
            b: match latent {
                true => Matrix::<F32> { data: keys, stride: padded },
                false => Matrix::<F32> { data: values, stride: v_cols },
            },
            first_row: 0,
            c: self.out.values,
            c_stride: v_cols,
            keep: Some(&softmax.keep),
            ahead: Ahead::NONE,
        });
    }
}

/// Writes a block's result.
struct Finish<'a> {
    work: &'a Work<'a>,
    block: &'a Block,
    partial: &'a Partial<'a>,
}

impl Kernel for Finish<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { work, block, partial } = self;
        let CacheAttention { n_head, n_head_kv, head_dim_v, sinks, .. } = *work.inputs.attention;
        let group = n_head / n_head_kv;
        for i in 0..work.count(block) {
            let head = block.kv_head * group + i % group;
            let at = ((block.rows.start + i / group) * n_head + head) * head_dim_v;
            // SAFETY: spans' rows don't overlap (checked by `attend`), and within a span each row
            // and head belongs to one block, which is finished once.
            let out = unsafe { work.out.slice(at, head_dim_v) };
            finish(s, partial, i, sinks.map(|sinks| sinks[head]), out);
        }
    }
}
