//! Storing keys and values.

use backend::{PAGE, Span};

use super::store::{Shape, Store, Writer};
use crate::ops::Rows;
use crate::pool::Pool;
use crate::simd::{Kernel, Level, Simd};

/// Rows from which other threads help.
const PARALLEL_ROWS: usize = 16;
/// Chunks per head when they do.
const PARTS: usize = 8;

/// Stores keys and values of the batch, one head of some pages per chunk.
pub fn write(
    pool: &Pool,
    level: Level,
    store: &mut Store,
    k: Rows<'_>,
    v: Rows<'_>,
    batch: &[Span<'_>],
) {
    let shape = store.shape;
    assert_eq!(k.cols, shape.n_head_kv * shape.head_dim, "columns of keys");
    assert_eq!(v.cols, shape.n_head_kv * shape.head_dim_v, "columns of values");
    let (k_tiles, v_tiles) = (store.k.writer(), store.v.writer());
    let few = batch.iter().map(|span| span.rows.len()).sum::<usize>() < PARALLEL_ROWS;
    let n_parts = if few { 1 } else { PARTS };
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
struct WriteHead<'a> {
    shape: Shape,
    head: usize,
    part: (usize, usize),
    k: Rows<'a>,
    v: Rows<'a>,
    batch: &'a [Span<'a>],
    k_tiles: Writer<'a>,
    v_tiles: Writer<'a>,
}

impl Kernel for WriteHead<'_> {
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
                let k = &self.k.row(row)[self.head * head_dim..][..head_dim];
                let v = &self.v.row(row)[self.head * head_dim_v..][..head_dim_v];
                // SAFETY: tiles of this head and page, which no other thread touches.
                unsafe {
                    self.k_tiles.put(s, tile, pos % PAGE, k);
                    self.v_tiles.put(s, tile, pos % PAGE, v);
                }
            }
        }
    }
}
