//! Cached rows: pooling, choice, and attention to them.

use std::ops::Range;

use backend::{
    BackendError, BlockPool, CacheAttention, CacheSpec, HostArena, Scoring, Selection, Source,
    Span, TopK, Visible,
};

use crate::attention::{round, weighted_mean};
use crate::linear::dot;
use crate::recurrent::States;

/// Rows, rounded to the cache's format.
#[derive(Debug)]
pub struct Cache {
    spec: CacheSpec,
    rows: Vec<f32>,
}

impl Cache {
    /// A zeroed cache.
    pub fn new(spec: CacheSpec) -> Result<Self, BackendError> {
        let bytes = spec.bytes()?;
        // Values take at least half a byte each, so that their number doesn't overflow.
        if bytes > usize::MAX / 2 {
            return Err(BackendError::OutOfMemory { bytes });
        }
        let len = spec.n_pages * spec.page_rows() * spec.width;
        let mut rows = Vec::new();
        rows.try_reserve_exact(len).map_err(|_| BackendError::OutOfMemory { bytes })?;
        rows.resize(len, 0.0);
        Ok(Self { spec, rows })
    }

    /// Copies a whole page.
    pub fn copy_page(&mut self, from: usize, to: usize) {
        let len = self.spec.page_rows() * self.spec.width;
        self.rows.copy_within(from * len..(from + 1) * len, to * len);
    }

    /// The rows of a page.
    pub fn page(&self, page: usize) -> &[f32] {
        let len = self.spec.page_rows() * self.spec.width;
        &self.rows[page * len..][..len]
    }

    /// The rows of a page, to be changed.
    pub fn page_mut(&mut self, page: usize) -> &mut [f32] {
        let len = self.spec.page_rows() * self.spec.width;
        &mut self.rows[page * len..][..len]
    }

    /// Stores a row for each block that the batch completes.
    pub fn write<'a>(&mut self, mut x: impl Iterator<Item = &'a [f32]>, batch: &[Span<'_>]) {
        for span in batch {
            for row in span.completes(self.spec.stride) {
                let at = self.spec.place(span.pages, row) * self.spec.width;
                let values = x.next().expect("a row for each block");
                round(self.spec.ty, values, &mut self.rows[at..at + self.spec.width]);
            }
        }
        assert!(x.next().is_none(), "more rows than blocks");
    }

    /// Positions per row.
    pub fn stride(&self) -> usize {
        self.spec.stride
    }

    fn row(&self, span: &Span<'_>, row: usize) -> &[f32] {
        let at = self.spec.place(span.pages, row) * self.spec.width;
        &self.rows[at..at + self.spec.width]
    }

    /// The choice of one row of the batch, given its queries.
    pub fn select(
        &self,
        arena: &HostArena,
        selection: &Selection,
        span: &Span<'_>,
        row: usize,
        capacity: usize,
    ) -> Vec<f32> {
        let pos = span.pos + row - span.rows.start;
        let q: Vec<&[f32]> = arena.row(selection.q, row).chunks_exact(self.spec.width).collect();
        assert_eq!(q.len(), selection.n_head, "heads of {selection:?}");
        let keys = || (0..(pos + 1) / self.spec.stride).map(|row| self.row(span, row));
        let sets: Vec<Vec<f32>> = match selection.scoring {
            Scoring::Rectified(weights) => {
                let score = |k| {
                    let heads = q.iter().zip(arena.row(weights, row));
                    let terms = heads.map(|(q, &w)| dot(q, k).max(0.0) * f64::from(w));
                    terms.sum::<f64>() as f32
                };
                vec![keys().map(score).collect()]
            }
            Scoring::Blocks { .. } => {
                q.iter().map(|q| keys().map(|k| dot(q, k) as f32).collect()).collect()
            }
        };
        let mut out = vec![0.0; sets.len() * capacity];
        for (set, scores) in sets.iter().enumerate() {
            let out = &mut out[set * capacity..][..capacity];
            selection.choose(&mut TopK::default(), scores, pos, self.spec.stride, out);
        }
        out
    }
}

/// All heads of one row of the batch, see [`CacheAttention`].
pub fn attend(
    arena: &HostArena,
    caches: &[Cache],
    attention: &CacheAttention<'_>,
    span: &Span<'_>,
    row: usize,
) -> Vec<f32> {
    let &CacheAttention { q, n_head, n_head_kv, head_dim_v, scale, sinks, sources } = attention;
    let (head_dim, pos) = (attention.head_dim(), span.pos + row - span.rows.start);
    let mut out = Vec::with_capacity(n_head * head_dim_v);
    for (head, q) in arena.row(q, row).chunks_exact(head_dim).enumerate() {
        let kv_head = head / (n_head / n_head_kv);
        let (mut scores, mut values) = (Vec::new(), Vec::new());
        for source in sources {
            let (keys, of_values) = (&caches[source.keys.0], &caches[source.values.0]);
            for seen in visible(arena, source, keys.stride(), pos, row, [kv_head, n_head_kv]) {
                let k = &keys.row(span, seen)[kv_head * head_dim..][..head_dim];
                scores.push(f64::from(scale) * dot(q, k));
                values.push(&of_values.row(span, seen)[kv_head * head_dim_v..][..head_dim_v]);
            }
        }
        let sink = sinks.map(|sinks| f64::from(sinks[head]));
        out.extend(weighted_mean(&scores, sink, &values, head_dim_v));
    }
    out
}

/// Rows of a source that a row of the batch sees.
fn visible(
    arena: &HostArena,
    source: &Source,
    stride: usize,
    pos: usize,
    row: usize,
    [kv_head, n_head_kv]: [usize; 2],
) -> Vec<usize> {
    let complete = (pos + 1) / stride;
    match source.rows {
        Visible::Last(n) => (complete.saturating_sub(n)..complete).collect(),
        Visible::Chosen { names, n_sets } => {
            assert!(n_sets == 1 || n_sets == n_head_kv, "{n_sets} choices");
            let capacity = names.cols() / n_sets;
            let names = &arena.row(names, row)[kv_head % n_sets * capacity..][..capacity];
            names.iter().filter(|&&name| name >= 0.0).map(|&name| name as usize).collect()
        }
    }
}

/// See [`BlockPool`]; `Backend::pool_blocks`' rows, one after the other.
pub fn pool_blocks(
    arena: &HostArena,
    pool: &BlockPool<'_>,
    states: &mut States,
    batch: &[Span<'_>],
) -> Vec<f32> {
    let (n, cols) = (pool.state_rows(), pool.values.cols());
    let mut out = Vec::new();
    for span in batch {
        let state = states.begin(span, n * pool.state_cols());
        for (row, pos) in std::iter::zip(span.rows.clone(), span.pos..) {
            let values = arena.row(pool.values, row).iter();
            let scores = pool.scores.map(|scores| arena.row(scores, row)).unwrap_or_default();
            let place = &mut state[pos % n * pool.state_cols()..][..pool.state_cols()];
            place.iter_mut().zip(values.chain(scores)).for_each(|(to, &value)| *to = value);
            if (pos + 1).is_multiple_of(pool.block) {
                let width = pool.width();
                out.extend((0..width).map(|col| pooled(pool, state, pos, col, cols)));
            }
        }
    }
    out
}

/// Column `col` of the row for the block that `pos` completes.
fn pooled(pool: &BlockPool<'_>, state: &[f32], pos: usize, col: usize, cols: usize) -> f32 {
    let before = (pos + 1).saturating_sub(pool.state_rows())..pos + 1 - pool.block;
    let own_col = if pool.overlap { pool.width() + col } else { col };
    let all: [(Range<usize>, usize); 2] = [(before, col), (pos + 1 - pool.block..pos + 1, own_col)];
    let (mut scores, mut values) = (Vec::new(), Vec::new());
    for (members, col) in all {
        for member in members {
            let row = &state[member % pool.state_rows() * pool.state_cols()..];
            let place = pool.places.map_or(0.0, |places| places[member % pool.block * cols + col]);
            let score = if pool.scores.is_some() { row[cols + col] } else { 0.0 };
            scores.push(f64::from(score + place));
            values.push(&row[col..col + 1]);
        }
    }
    weighted_mean(&scores, None, &values, 1)[0]
}
