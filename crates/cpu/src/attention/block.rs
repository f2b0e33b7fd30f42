//! Attention of some queries over some keys of one head, tile by tile, with a running softmax.

use std::ops::Range;

use backend::{AttentionParams, Mask, PAGE};

use super::PART_KEYS;
use super::format::{BLOCK, Order};
use super::product::{Ahead, Bf16, CodedRows, F16, F32, Matrix, Operand, Product};
use super::scores::{CodedQueries, Scores, to_floats};
use super::softmax::{Distance, Merge, Partial, raise, score, weigh};
use super::store::{PAD, Shape, Store, Tile};
use crate::ops::Rows;
use crate::simd::{Kernel, Simd};

/// Queries of consecutive rows for the query heads that share a key/value head. Query
/// `row * group + g` belongs to the head `kv_head * group + g`.
#[derive(Clone)]
pub struct Queries<'a> {
    /// All rows of the span, `[rows][n_head * head_dim]`.
    pub q: Rows<'a>,
    /// These of its rows.
    pub rows: Range<usize>,
    /// Position of the span's first row.
    pub pos: usize,
    /// Positions in the sequence.
    pub len: usize,
    pub pages: &'a [u32],
    pub kv_head: usize,
    /// Query heads per key/value head.
    pub group: usize,
}

impl Queries<'_> {
    /// Number of queries.
    pub fn count(&self) -> usize {
        self.rows.len() * self.group
    }

    /// Positions that the row of query `i` sees.
    #[inline(always)]
    fn visible(&self, mask: Mask, i: usize) -> Range<usize> {
        mask.visible(self.position(i), self.len)
    }

    /// Position of query `i`.
    #[inline(always)]
    fn position(&self, i: usize) -> usize {
        self.pos + self.rows.start + i / self.group
    }

    /// Head of query `i`.
    #[inline(always)]
    fn head(&self, i: usize) -> usize {
        self.kv_head * self.group + i % self.group
    }
}

/// Buffers of one thread.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Scaled queries, `[queries][head_dim]`.
    q: Vec<f32>,
    /// The same in 8 bits, for quantised keys.
    coded_q: CodedQueries,
    /// Scores, then weights, `[queries][PAGE]`.
    scores: Vec<f32>,
    /// Totals, `[queries][PAD]`, of which a vector is used.
    totals: Vec<f32>,
    /// The greatest scores up to a tile.
    max: Vec<f32>,
    /// What the tile leaves of the sums before it.
    pub keep: Vec<f32>,
    tile: TileScratch,
    /// A part's result.
    part: Vec<f32>,
    /// For blocks that are not split.
    pub partial: Vec<f32>,
}

/// Buffers for a tile that is not used as it is stored.
#[derive(Debug, Default)]
struct TileScratch {
    /// The numbers.
    floats: Vec<f32>,
    /// Expanded codes.
    codes: Vec<u8>,
    scales: Vec<f32>,
    mins: Vec<f32>,
}

impl Scratch {
    /// Makes room for `count` queries.
    pub fn reserve(&mut self, count: usize, shape: Shape) {
        let most_cols = shape.head_dim.max(shape.v_cols);
        grow(&mut self.q, count * shape.head_dim);
        self.coded_q.reserve(count, shape.head_dim);
        grow(&mut self.scores, count * PAGE);
        grow(&mut self.totals, count * PAD);
        grow(&mut self.max, count);
        grow(&mut self.keep, count);
        grow(&mut self.tile.floats, most_cols * PAGE);
        grow(&mut self.tile.codes, most_cols * PAGE);
        grow(&mut self.tile.scales, shape.v_cols.div_ceil(BLOCK) * PAGE);
        grow(&mut self.tile.mins, shape.v_cols.div_ceil(BLOCK) * PAGE);
        grow(&mut self.part, Partial::len(count, shape.v_cols));
        grow(&mut self.partial, Partial::len(count, shape.v_cols));
    }
}

fn grow<T: Copy + Default>(buffer: &mut Vec<T>, len: usize) {
    if buffer.len() < len {
        buffer.resize(len, T::default());
    }
}

/// The parts of `keys`: up to each multiple of [`PART_KEYS`] positions. Each has a softmax of its own,
/// and these are merged in order, so that results don't depend on who computes which.
pub fn parts(keys: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let numbers = keys.start / PART_KEYS..keys.end.div_ceil(PART_KEYS);
    numbers.map(move |part| keys.start.max(part * PART_KEYS)..keys.end.min((part + 1) * PART_KEYS))
}

/// Attention of `queries` over positions `keys`, which each of them may see only partly.
pub struct Block<'a> {
    pub store: &'a Store,
    pub queries: Queries<'a>,
    pub keys: Range<usize>,
    /// Positions before this will be read soon.
    pub ahead_to: usize,
    pub params: &'a AttentionParams,
    pub scratch: &'a mut Scratch,
    pub out: Partial<'a>,
}

impl Kernel for Block<'_> {
    type Output = ();
    const MULTIPLIES_CODES: bool = true;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { store, queries, keys, ahead_to, params, scratch, mut out } = self;
        let (shape, count) = (store.shape, queries.count());
        gather(s, &queries, shape.head_dim, params.scale, &mut scratch.q);
        if store.k.is_coded() {
            scratch.coded_q.fill(&scratch.q[..count * shape.head_dim], shape.head_dim);
        }
        let queries = &queries;
        let mut buffer = std::mem::take(&mut scratch.part);
        for (i, keys) in parts(keys).enumerate() {
            if i == 0 {
                let out = out.reborrow();
                s.outline(Part { store, queries, keys, ahead_to, params, scratch, out });
                continue;
            }
            let mut part = Partial::new(&mut buffer[..Partial::len(count, shape.v_cols)], count);
            let out_part = part.reborrow();
            s.outline(Part { store, queries, keys, ahead_to, params, scratch, out: out_part });
            Merge { into: out.reborrow(), part, keep: &mut scratch.keep }.run(s);
        }
        scratch.part = buffer;
    }
}

/// The same for one part, with queries already in `scratch`.
struct Part<'a> {
    store: &'a Store,
    queries: &'a Queries<'a>,
    keys: Range<usize>,
    /// Positions before this will be read soon.
    ahead_to: usize,
    params: &'a AttentionParams,
    scratch: &'a mut Scratch,
    out: Partial<'a>,
}

impl Kernel for Part<'_> {
    type Output = ();
    const MULTIPLIES_CODES: bool = true;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { store, queries, keys, ahead_to, params, scratch, out } = self;
        let mut out = out;
        let (shape, count) = (store.shape, queries.count());
        out.clear();
        scratch.totals[..count * PAD].fill(0.0);
        let mut start = keys.start;
        while start < keys.end {
            let first = start - start % PAGE;
            let end = keys.end.min(first + PAGE);
            let tile = store.tile(queries.pages, start, queries.kv_head);
            let next = match end {
                end if end < ahead_to => {
                    let tile = store.tile(queries.pages, end, queries.kv_head);
                    [store.k.bytes(tile), store.v.bytes(tile)]
                }
                _ => [&[][..]; 2],
            };
            // Small tiles fit the first cache twice. Measured.
            let ahead = match store.k.is_coded() {
                true => next,
                false => [store.v.bytes(tile), next[0]],
            };
            let cols = (end - first).next_multiple_of(PAD);

            scores(s, store.k.tile(tile), shape.head_dim, cols, count, ahead[0], scratch);
            for i in 0..count {
                let visible = queries.visible(params.mask, i);
                let visible =
                    visible.start.clamp(first, end) - first..visible.end.clamp(first, end) - first;
                let scores = &mut scratch.scores[i * PAGE..][..cols];
                let (slopes, bias) = (params.slopes.as_ref(), params.distance_bias.as_ref());
                let distance = (slopes.is_some() || bias.is_some()).then(|| Distance {
                    slope: slopes.map_or(0.0, |slopes| slopes[queries.head(i)]),
                    bias,
                    head: queries.head(i),
                    query: queries.position(i),
                    first_key: first,
                });
                scratch.max[i] = score(s, scores, visible, params.softcap, distance, out.max[i]);
            }
            raise(s, out.max, &scratch.max, &mut scratch.keep);
            for i in 0..count {
                let scores = &mut scratch.scores[i * PAGE..][..cols];
                let total = &mut scratch.totals[i * PAD..][..PAD];
                weigh(s, scores, out.max[i], total, scratch.keep[i]);
            }
            let rows = start - first..end - first;
            let values = &mut *out.values;
            weighted_sums(
                s,
                store.v.tile(tile),
                shape.v_cols,
                rows,
                count,
                ahead[1],
                scratch,
                values,
            );
            start = end;
        }
        for (total, sums) in out.total.iter_mut().zip(scratch.totals.chunks_exact(PAD)) {
            *total = s.reduce_add(s.load(sums));
        }
    }
}

/// Scores of all queries for the first `cols` keys of a tile.
#[inline(always)]
fn scores<S: Simd>(
    s: S,
    tile: Tile<'_>,
    head_dim: usize,
    cols: usize,
    count: usize,
    ahead: &[u8],
    scratch: &mut Scratch,
) {
    let Scratch { q, coded_q, scores, tile: buffers, .. } = scratch;
    if let Tile::Coded(keys) = tile {
        let codes = keys.expand(Order::Keys, &mut buffers.codes);
        let ahead = Ahead::new(ahead, head_dim / 4);
        return s.outline(Scores { q: coded_q, count, keys, codes, cols, scores, ahead });
    }
    let product = Tiled {
        size: [count, cols, head_dim],
        a: Matrix { data: q, stride: head_dim },
        first_row: 0,
        stride: PAGE,
        c: scores,
        c_stride: PAGE,
        keep: None,
        ahead: Ahead::new(ahead, head_dim),
        converted: &mut buffers.floats,
    };
    product.run_floats(s, tile);
}

/// `values[i] = keep[i] · values[i] + Σ_j scores[i][j] v[j]` over rows `rows` of a tile.
#[inline(always)]
fn weighted_sums<S: Simd>(
    s: S,
    tile: Tile<'_>,
    v_cols: usize,
    rows: Range<usize>,
    count: usize,
    ahead: &[u8],
    scratch: &mut Scratch,
    values: &mut [f32],
) {
    let Scratch { scores, keep, tile: buffers, .. } = scratch;
    let TileScratch { floats, codes, scales, mins } = buffers;
    let product = Tiled {
        size: [count, v_cols, rows.len()],
        a: Matrix { data: &scores[rows.start..], stride: PAGE },
        first_row: rows.start,
        stride: v_cols,
        c: values,
        c_stride: v_cols,
        keep: Some(keep),
        ahead: Ahead::new(ahead, rows.len()),
        converted: floats,
    };
    let Tile::Coded(coded) = tile else { return product.run_floats(s, tile) };
    to_floats(s, coded.scales, scales);
    to_floats(s, coded.mins, mins);
    let codes = coded.expand(Order::Values, codes);
    let mins = &mins[..coded.mins.len()];
    product.run(s, CodedRows { codes, stride: v_cols, scales, mins });
}

/// A product with rows of a tile, which are converted first where several passes would read them.
struct Tiled<'a> {
    size: [usize; 3],
    a: Matrix<'a, F32>,
    first_row: usize,
    /// Numbers per row of the tile.
    stride: usize,
    c: &'a mut [f32],
    c_stride: usize,
    keep: Option<&'a [f32]>,
    ahead: Ahead,
    converted: &'a mut [f32],
}

impl Tiled<'_> {
    #[inline(always)]
    fn run_floats<S: Simd>(self, s: S, tile: Tile<'_>) {
        let stride = self.stride;
        match tile {
            Tile::F32(data) => self.multiply(s, Matrix::<F32> { data, stride }),
            Tile::F16(data) => self.run(s, Matrix::<F16> { data, stride }),
            Tile::Bf16(data) => self.run(s, Matrix::<Bf16> { data, stride }),
            Tile::Coded(_) => unreachable!("tiles of floats only"),
        }
    }

    #[inline(always)]
    fn run<S: Simd, B: Operand>(mut self, s: S, b: B) {
        let [m, n, k] = self.size;
        if m <= S::TILE_ROWS {
            return self.multiply(s, b);
        }
        let converted = std::mem::take(&mut self.converted);
        s.outline(Convert {
            b,
            rows: self.first_row..self.first_row + k,
            n,
            stride: self.stride,
            ahead: self.ahead,
            out: converted,
        });
        self.ahead = Ahead::NONE;
        let stride = self.stride;
        self.multiply(s, Matrix::<F32> { data: converted, stride });
    }

    #[inline(always)]
    fn multiply<S: Simd, B: Operand>(self, s: S, b: B) {
        let Self { size, a, first_row, c, c_stride, keep, ahead, .. } = self;
        s.outline(Product { size, a, b, first_row, c, c_stride, keep, ahead });
    }
}

/// Converts the first `n` numbers of rows.
struct Convert<'a, B> {
    b: B,
    rows: Range<usize>,
    n: usize,
    stride: usize,
    ahead: Ahead,
    out: &'a mut [f32],
}

impl<B: Operand> Kernel for Convert<'_, B> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (i, row) in self.rows.enumerate() {
            self.ahead.fetch(s, i);
            for col in (0..self.n).step_by(S::LANES) {
                let [v] = self.b.load::<S, 1>(s, row, col);
                s.store(v, &mut self.out[row * self.stride + col..]);
            }
        }
    }
}

/// Copies the queries, scaled.
#[inline(always)]
fn gather<S: Simd>(s: S, queries: &Queries<'_>, head_dim: usize, scale: f32, out: &mut [f32]) {
    let width = queries.group * head_dim;
    for (row, out) in queries.rows.clone().zip(out.chunks_exact_mut(width)) {
        let q = &queries.q.row(row)[queries.kv_head * width..][..width];
        for (q, out) in q.chunks(S::LANES).zip(out.chunks_mut(S::LANES)) {
            let scale = s.splat(scale);
            if q.len() == S::LANES {
                s.store(s.mul(s.load(q), scale), out);
            } else {
                s.store_partial(s.mul(s.load_partial(q), scale), out);
            }
        }
    }
}
