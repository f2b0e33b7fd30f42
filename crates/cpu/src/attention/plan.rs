//! How attention is cut into pieces for the threads.

use std::ops::Range;
use std::sync::atomic::AtomicUsize;

use backend::{AttentionParams, Span};

use super::block::parts;
use super::softmax::Partial;
use super::store::Shape;

/// Queries of a block, about: enough that converting a tile costs little.
const BLOCK_QUERIES: usize = 48;
/// Pieces for each thread, about, where blocks are cut along their keys.
const PIECES: usize = 8;
/// Most numbers that the parts of all blocks may have.
pub const MOST_PARTIALS: usize = 4 << 20;
/// Products below which other threads are not worth waking.
const INLINE_PRODUCTS: usize = 200_000;

/// Some rows of a span for one key/value head.
#[derive(Debug)]
pub struct Block {
    pub span: usize,
    pub kv_head: usize,
    pub rows: Range<usize>,
    /// What any of the rows sees.
    pub keys: Range<usize>,
    /// Numbers of its parts among those of all blocks; empty if it isn't cut.
    pub parts: Range<usize>,
    /// Parts that are done.
    pub done: AtomicUsize,
}

/// One parallel piece of work: a block, or the part of it with these keys.
#[derive(Debug)]
pub struct Item {
    pub block: usize,
    pub keys: Range<usize>,
    /// Number of the first of its parts, where the block is cut.
    pub first_part: Option<usize>,
}

/// All pieces of an attention.
#[derive(Debug, Default)]
pub struct Plan {
    pub blocks: Vec<Block>,
    pub items: Vec<Item>,
    /// Queries of the largest block.
    pub most_queries: usize,
    /// Numbers for each part.
    pub part_len: usize,
    /// Parts of all blocks that are cut.
    pub n_parts: usize,
    /// Whether there is work for more than one thread.
    pub parallel: bool,
}

impl Plan {
    /// Cuts the rows of each span, and where that gives too few pieces for `threads` threads also
    /// their keys.
    pub fn make(
        &mut self,
        shape: Shape,
        batch: &[Span<'_>],
        params: &AttentionParams,
        threads: usize,
    ) {
        let group = params.n_head / shape.n_head_kv;
        self.cut_rows(shape, batch, params, (BLOCK_QUERIES / group).max(1));
        let queries = |block: &Block| block.rows.len() * group;
        self.most_queries = self.blocks.iter().map(queries).max().unwrap_or(0);
        self.part_len = Partial::len(self.most_queries, shape.v_cols);
        let width = shape.head_dim + shape.v_cols;
        let products = self
            .blocks
            .iter()
            .map(|block| queries(block) * block.keys.len() * width)
            .sum::<usize>();
        self.parallel = threads > 1 && products >= INLINE_PRODUCTS;
        self.cut_keys(threads);
    }

    fn cut_rows(
        &mut self,
        shape: Shape,
        batch: &[Span<'_>],
        params: &AttentionParams,
        block_rows: usize,
    ) {
        self.blocks.clear();
        for (span, of) in batch.iter().enumerate() {
            let n_rows = of.rows.len();
            // Last rows first: they may see the most, and long pieces should not come last.
            for block in (0..n_rows.div_ceil(block_rows)).rev() {
                let rows = block * block_rows..n_rows.min((block + 1) * block_rows);
                let visible = |row| params.mask.visible(of.pos + row, of.len());
                let keys = visible(rows.start).start..visible(rows.end - 1).end;
                for kv_head in 0..shape.n_head_kv {
                    let (rows, keys) = (rows.clone(), keys.clone());
                    let done = AtomicUsize::new(0);
                    self.blocks.push(Block { span, kv_head, rows, keys, parts: 0..0, done });
                }
            }
        }
    }

    fn cut_keys(&mut self, threads: usize) {
        let n_parts: usize =
            self.blocks.iter().map(|block| parts(block.keys.clone()).count()).sum();
        let pieces = PIECES * threads;
        let cut =
            self.parallel && self.blocks.len() < pieces && n_parts * self.part_len <= MOST_PARTIALS;
        let parts_per_item = n_parts.div_ceil(pieces).max(1);
        self.n_parts = 0;
        self.items.clear();
        for (index, block) in self.blocks.iter_mut().enumerate() {
            let count = parts(block.keys.clone()).count();
            if !cut || count <= 1 {
                let keys = block.keys.clone();
                self.items.push(Item { block: index, keys, first_part: None });
                continue;
            }
            let first = self.n_parts;
            for start in (0..count).step_by(parts_per_item) {
                let mut own = parts(block.keys.clone()).skip(start).take(parts_per_item);
                let Some(head) = own.next() else { break };
                let end = own.last().map_or(head.end, |last| last.end);
                let first_part = Some(first + start);
                self.items.push(Item { block: index, keys: head.start..end, first_part });
            }
            self.n_parts += count;
            block.parts = first..self.n_parts;
        }
    }
}
