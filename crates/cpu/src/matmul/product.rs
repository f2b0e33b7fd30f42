//! The loop nest: cuts products into chunks and runs them on the pool.

use std::ops::Range;

use quant::TensorType;

use super::activation::{Codes, Quantized};
use super::inputs::Inputs;
use super::kernels::{
    CodeKernels, DIRECT_COLS, DIRECT_ROWS, FloatKernels, Floats, TILE_COLS, TILE_ROWS,
};
use super::linear::Rows;
use super::method::{Chosen, Method};
use super::panel::Panel;
use crate::pool::{Pool, SharedMut};

/// Bytes of weights in a chunk of a direct product, at most and at least.
const DIRECT_BYTES: (usize, usize) = (256 << 10, 2 << 10);
/// Fewest columns that a panel is unpacked for again, to keep more threads busy.
const BLOCK_COLS: usize = 64;
/// Chunks per thread that make up for threads of different speed.
const CHUNKS_PER_THREAD: usize = 4;

/// Buffers of products, kept from one to the next.
#[derive(Debug, Default)]
pub struct Scratch {
    inputs: Inputs,
    panels: Vec<Panel>,
    starts: Vec<usize>,
    pub(super) experts: super::moe::Buffers,
}

/// `[rows][cols]` weights of a type.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    pub ty: TensorType,
    pub rows: usize,
    pub cols: usize,
    pub bytes: &'a [u8],
}

/// One product: `out[out_row + i][out_col + r] = scale · (W x[x_row + i])[r] + bias[r]` for
/// `i < n`.
#[derive(Clone, Copy)]
pub(super) struct Job<'a> {
    pub matrix: Matrix<'a>,
    pub x_row: usize,
    pub n: usize,
    pub out_row: usize,
    pub out_col: usize,
    pub scale: f32,
    pub bias: Option<&'a [f32]>,
}

/// Runs products of one input as a single region. Their results must not overlap.
///
/// # Panics
/// Where shapes don't fit, results would lie outside `out`, or a type has no kernels.
pub(super) fn run(
    pool: &Pool,
    method: &Method,
    scratch: &mut Scratch,
    x: Rows<'_>,
    jobs: &[Job<'_>],
    out: &mut [f32],
    out_stride: usize,
) {
    let kernels_of = |job: &Job<'_>| {
        method.get(job.matrix.ty).unwrap_or_else(|| panic!("no products of {}", job.matrix.ty))
    };
    for job in jobs {
        let Matrix { ty, rows, cols, bytes } = job.matrix;
        assert_eq!(cols, x.cols, "columns of the weight");
        assert_eq!(Some(bytes.len()), ty.row_bytes(cols).map(|b| b * rows), "bytes of the weight");
        assert!(job.x_row + job.n <= x.rows && job.out_col + rows <= out_stride);
        assert!(job.bias.is_none_or(|bias| bias.len() == rows), "length of the bias");
    }
    scratch.inputs.quantize(pool, method, x, jobs);

    let threads = pool.threads();
    let split = Split::new(threads, method, jobs, kernels_of);
    scratch.starts.clear();
    let mut n_chunks = 0;
    for job in jobs {
        scratch.starts.push(n_chunks);
        n_chunks += split.chunks(job, kernels_of(job));
    }
    if scratch.panels.len() < threads {
        scratch.panels.resize_with(threads, Panel::default);
    }
    let (starts, inputs) = (&scratch.starts, &scratch.inputs);
    let out = SharedMut::new(out);
    pool.for_each_with(&mut scratch.panels, n_chunks, |panel, chunk| {
        let at = starts.partition_point(|&start| start <= chunk) - 1;
        let job = &jobs[at];
        let place = Place { job, out, out_stride };
        let (rows, tiles) = split.part(job, kernels_of(job), chunk - starts[at]);
        let panels = method.takes_panels(kernels_of(job), job.n);
        panel.ahead = job.matrix.bytes.len() / job.matrix.rows * rows.len * threads;
        let work = Work { rows, tiles, panels, place };
        match kernels_of(job) {
            Chosen::Codes { direct, panels } => {
                let forms = inputs.forms(panels.activations);
                let tiles = if panels.interleaved { &forms.tiles } else { &forms.rows };
                let rows = inputs.direct(direct);
                work.run(panel, CodeProduct { direct, panels, rows, tiles });
            }
            Chosen::Floats { direct, panels } => {
                work.run(panel, FloatProduct { direct, panels, input: x });
            }
        }
    });
}

/// How jobs are cut into chunks: ranges of rows, and for panels also of columns.
struct Split<'a> {
    method: &'a Method,
    direct_bytes: usize,
    col_blocks: usize,
}

impl<'a> Split<'a> {
    fn new(
        threads: usize,
        method: &'a Method,
        jobs: &[Job<'_>],
        kernels: impl Fn(&Job<'_>) -> Chosen,
    ) -> Self {
        let wanted = if threads == 1 { 1 } else { threads * CHUNKS_PER_THREAD };
        let bytes: usize = jobs.iter().map(|job| job.matrix.bytes.len()).sum();
        let panels: usize =
            jobs.iter().map(|job| job.matrix.rows.div_ceil(kernels(job).panel_rows())).sum();
        let (most, least) = DIRECT_BYTES;
        Self {
            method,
            direct_bytes: (bytes / wanted).clamp(least, most),
            col_blocks: wanted.div_ceil(panels.max(1)),
        }
    }

    fn chunks(&self, job: &Job<'_>, kernels: Chosen) -> usize {
        if job.n == 0 {
            return 0;
        }
        let row_chunks = job.matrix.rows.div_ceil(self.rows(job, kernels));
        row_chunks * self.n_tiles(job, kernels).div_ceil(self.tiles(job, kernels))
    }

    /// The rows of the weight and the tiles of columns of a chunk.
    fn part(&self, job: &Job<'_>, kernels: Chosen, chunk: usize) -> (Part, Range<usize>) {
        let (rows, tiles) = (self.rows(job, kernels), self.tiles(job, kernels));
        let row_chunks = job.matrix.rows.div_ceil(rows);
        let (row, tile) = (chunk % row_chunks * rows, chunk / row_chunks * tiles);
        let part = Part { start: row, len: rows.min(job.matrix.rows - row) };
        (part, tile..self.n_tiles(job, kernels).min(tile + tiles))
    }

    fn rows(&self, job: &Job<'_>, kernels: Chosen) -> usize {
        if self.method.takes_panels(kernels, job.n) {
            return kernels.panel_rows();
        }
        let row_bytes = job.matrix.bytes.len() / job.matrix.rows.max(1);
        // Whole groups of rows that kernels take together.
        (self.direct_bytes / row_bytes.max(1) / 4 * 4).clamp(4, DIRECT_ROWS)
    }

    /// Tiles of columns per chunk.
    fn tiles(&self, job: &Job<'_>, kernels: Chosen) -> usize {
        let tiles = self.n_tiles(job, kernels);
        if !self.method.takes_panels(kernels, job.n) {
            return tiles;
        }
        tiles.div_ceil(self.col_blocks).max(BLOCK_COLS.div_ceil(TILE_COLS))
    }

    /// All tiles of columns.
    fn n_tiles(&self, job: &Job<'_>, kernels: Chosen) -> usize {
        job.n.div_ceil(tile_cols(self.method.takes_panels(kernels, job.n)))
    }
}

/// Most columns of a tile.
fn tile_cols(panels: bool) -> usize {
    if panels { TILE_COLS } else { DIRECT_COLS }
}

/// A range.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub start: usize,
    pub len: usize,
}

impl Part {
    /// The `i`-th tile of `n` columns. Tiles are of nearly equal size, since small ones run slower.
    pub(super) fn nth(i: usize, n: usize, most: usize) -> Self {
        let count = n.div_ceil(most);
        let (start, end) = (i * n / count, (i + 1) * n / count);
        Self { start, len: end - start }
    }
}

/// Where results of a job go.
struct Place<'a> {
    job: &'a Job<'a>,
    out: SharedMut<'a, f32>,
    out_stride: usize,
}

impl Place<'_> {
    /// Stores the values of rows from `first` of column `col`.
    fn store(&self, col: usize, first: usize, values: &[f32]) {
        let job = self.job;
        let start = (job.out_row + col) * self.out_stride + job.out_col + first;
        // SAFETY: jobs don't overlap, and each (row, column) is in one chunk.
        let out = unsafe { self.out.slice(start, values.len()) };
        // Also by a scale of 1: copying would call the C library's memcpy, and not all are fast.
        out.iter_mut().zip(values).for_each(|(out, value)| *out = value * job.scale);
        if let Some(bias) = job.bias {
            out.iter_mut().zip(&bias[first..]).for_each(|(out, bias)| *out += bias);
        }
    }
}

/// A chunk: some rows times some tiles of columns of a job.
struct Work<'a> {
    rows: Part,
    tiles: Range<usize>,
    /// Whether it goes by panels.
    panels: bool,
    place: Place<'a>,
}

/// The kernels of a type with its input; columns are rows of the input.
trait Product {
    fn unpack(&self, rows: &[u8], n_rows: usize, cols: usize, panel: &mut Panel);
    fn tile(&self, panel: &Panel, first: usize, n: usize, out: &mut super::kernels::Tile);
    fn direct(
        &self,
        rows: &[u8],
        n_rows: usize,
        first: usize,
        n: usize,
        out: &mut super::kernels::Strip,
    );
}

impl Work<'_> {
    fn run(&self, panel: &mut Panel, product: impl Product) {
        let Work { rows, tiles, panels, place } = self;
        let Job { matrix, n, x_row, .. } = place.job;
        let row_bytes = matrix.bytes.len() / matrix.rows;
        let bytes = &matrix.bytes[rows.start * row_bytes..][..rows.len * row_bytes];
        let tiles = tiles.clone().map(|i| Part::nth(i, *n, tile_cols(*panels)));
        if *panels {
            product.unpack(bytes, rows.len, matrix.cols, panel);
            let mut out = [[0.0; TILE_ROWS]; TILE_COLS];
            for Part { start, len } in tiles {
                product.tile(panel, x_row + start, len, &mut out);
                for (i, out) in out[..len].iter().enumerate() {
                    place.store(start + i, rows.start, &out[..rows.len]);
                }
            }
        } else {
            let mut out = [[0.0; DIRECT_ROWS]; DIRECT_COLS];
            for Part { start, len } in tiles {
                product.direct(bytes, rows.len, x_row + start, len, &mut out);
                for (i, out) in out[..len].iter().enumerate() {
                    place.store(start + i, rows.start, &out[..rows.len]);
                }
            }
        }
    }
}

struct CodeProduct<'a> {
    direct: &'static CodeKernels,
    panels: &'static CodeKernels,
    /// The input for direct kernels.
    rows: &'a Quantized,
    /// The input for tile kernels.
    tiles: &'a Quantized,
}

// Kernels come from tables of instruction sets that the processor has; `run` has checked the
// weight's bytes against its shape, and the input has its columns.
impl Product for CodeProduct<'_> {
    fn unpack(&self, rows: &[u8], n_rows: usize, cols: usize, panel: &mut Panel) {
        // SAFETY: see above.
        unsafe { (self.panels.unpack)(rows, n_rows, cols, panel) }
    }

    fn tile(&self, panel: &Panel, first: usize, n: usize, out: &mut super::kernels::Tile) {
        let x: Codes<'_> = self.tiles.rows(first, n);
        // SAFETY: see above.
        unsafe { (self.panels.tile[n - 1])(panel, x, out) }
    }

    fn direct(
        &self,
        rows: &[u8],
        n_rows: usize,
        first: usize,
        n: usize,
        out: &mut super::kernels::Strip,
    ) {
        let x = self.rows.rows(first, n);
        // SAFETY: see above.
        unsafe { (self.direct.direct[n - 1])(rows, n_rows, x, out) }
    }
}

struct FloatProduct<'a> {
    direct: &'static FloatKernels,
    panels: &'static FloatKernels,
    input: Rows<'a>,
}

impl Product for FloatProduct<'_> {
    fn unpack(&self, rows: &[u8], n_rows: usize, cols: usize, panel: &mut Panel) {
        // SAFETY: see above.
        unsafe { (self.panels.unpack)(rows, n_rows, cols, panel) }
    }

    fn tile(&self, panel: &Panel, first: usize, n: usize, out: &mut super::kernels::Tile) {
        let x: Floats<'_> = self.input.floats(first, n);
        // SAFETY: see above.
        unsafe { (self.panels.tile[n - 1])(panel, x, out) }
    }

    fn direct(
        &self,
        rows: &[u8],
        n_rows: usize,
        first: usize,
        n: usize,
        out: &mut super::kernels::Strip,
    ) {
        let x = self.input.floats(first, n);
        // SAFETY: see above.
        unsafe { (self.direct.direct[n - 1])(rows, n_rows, x, out) }
    }
}
