//! The loop nest: cuts products into chunks and runs them on the pool.

use quant::TensorType;

use super::activation::{Block, Codes, Quantized};
use super::kernels::{
    CodeKernels, DIRECT_COLS, DIRECT_ROWS, FloatKernels, Floats, Kernels, TILE_COLS, TILE_ROWS,
    TypeKernels,
};
use super::linear::Rows;
use super::panel::Panel;
use crate::isa::Isa;
use crate::pool::{Pool, SharedMut};

/// Bytes of weights in a chunk of a direct product, at most and at least.
const DIRECT_BYTES: (usize, usize) = (64 << 10, 2 << 10);
/// Fewest columns that a panel is unpacked for again, to keep more threads busy.
const BLOCK_COLS: usize = 64;
/// Chunks per thread that make up for threads of different speed.
const CHUNKS_PER_THREAD: usize = 4;
/// Values of activations that are worth a region to quantise.
const QUANTIZE_VALUES: usize = 8 << 10;

/// Buffers of products, kept from one to the next.
#[derive(Debug, Default)]
pub struct Scratch {
    inputs: Inputs,
    panels: Vec<Panel>,
    starts: Vec<usize>,
    pub(super) experts: super::moe::Buffers,
}

/// Quantised forms of one input.
#[derive(Debug, Default)]
struct Inputs {
    b32: Quantized,
    b256: Quantized,
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
    isa: Isa,
    scratch: &mut Scratch,
    x: Rows<'_>,
    jobs: &[Job<'_>],
    out: &mut [f32],
    out_stride: usize,
) {
    let kernels = Kernels::of(isa);
    let kernels_of = |job: &Job<'_>| {
        kernels.get(job.matrix.ty).unwrap_or_else(|| panic!("no products of {}", job.matrix.ty))
    };
    for job in jobs {
        let Matrix { ty, rows, cols, bytes } = job.matrix;
        assert_eq!(cols, x.cols, "columns of the weight");
        assert_eq!(Some(bytes.len()), ty.row_bytes(cols).map(|b| b * rows), "bytes of the weight");
        assert!(job.x_row + job.n <= x.rows && job.out_col + rows <= out_stride);
        assert!(job.bias.is_none_or(|bias| bias.len() == rows), "length of the bias");
    }
    let needs = |block| {
        jobs.iter()
            .any(|job| matches!(kernels_of(job), TypeKernels::Codes(k) if k.activations == block))
    };
    if needs(Block::B32) {
        quantize(pool, kernels, x, Block::B32, &mut scratch.inputs.b32);
    }
    if needs(Block::B256) {
        quantize(pool, kernels, x, Block::B256, &mut scratch.inputs.b256);
    }

    let split = Split::new(pool.threads(), jobs, kernels_of);
    scratch.starts.clear();
    let mut n_chunks = 0;
    for job in jobs {
        scratch.starts.push(n_chunks);
        n_chunks += split.chunks(job, kernels_of(job));
    }
    if scratch.panels.len() < pool.threads() {
        scratch.panels.resize_with(pool.threads(), Panel::default);
    }
    let (starts, inputs) = (&scratch.starts, &scratch.inputs);
    let out = SharedMut::new(out);
    pool.for_each_with(&mut scratch.panels, n_chunks, |panel, chunk| {
        let at = starts.partition_point(|&start| start <= chunk) - 1;
        let job = &jobs[at];
        let place = Place { job, out, out_stride };
        let (rows, cols) = split.part(job, kernels_of(job), chunk - starts[at]);
        let work = Work { rows, cols, place };
        match kernels_of(job) {
            TypeKernels::Codes(kernels) => {
                let input = match kernels.activations {
                    Block::B32 => &inputs.b32,
                    Block::B256 => &inputs.b256,
                };
                work.run(panel, CodeProduct { kernels, input });
            }
            TypeKernels::Floats(kernels) => work.run(panel, FloatProduct { kernels, input: x }),
        }
    });
}

fn quantize(
    pool: &Pool,
    kernels: &'static Kernels,
    x: Rows<'_>,
    block: Block,
    out: &mut Quantized,
) {
    let cols = x.cols;
    let parts = out.resize(x.rows, cols);
    let codes = SharedMut::new(parts.codes);
    let pairs = SharedMut::new(parts.pairs);
    let sums = SharedMut::new(parts.sums);
    let rows_per_chunk = (QUANTIZE_VALUES / 2 / cols.max(1)).max(1);
    let one_chunk = x.rows * cols < QUANTIZE_VALUES;
    let rows_per_chunk = if one_chunk { x.rows.max(1) } else { rows_per_chunk };
    pool.for_each(x.rows.div_ceil(rows_per_chunk), |_, chunk| {
        let first = chunk * rows_per_chunk;
        for row in first..x.rows.min(first + rows_per_chunk) {
            // SAFETY: each row is written by one chunk.
            let out = unsafe {
                super::activation::CodesMut {
                    codes: codes.slice(row * cols, cols),
                    pairs: pairs.slice(row * cols / 32, cols / 32),
                    sums: sums.slice(row * cols / 16, cols / 16),
                }
            };
            // SAFETY: the table is of an instruction set that the processor has.
            unsafe { (kernels.quantize)(x.row(row), block, out) };
        }
    });
}

/// How jobs are cut into chunks: ranges of rows, and for panels also of columns.
struct Split {
    direct_bytes: usize,
    col_blocks: usize,
}

impl Split {
    fn new(threads: usize, jobs: &[Job<'_>], kernels: impl Fn(&Job<'_>) -> TypeKernels) -> Self {
        let wanted = if threads == 1 { 1 } else { threads * CHUNKS_PER_THREAD };
        let bytes: usize = jobs.iter().map(|job| job.matrix.bytes.len()).sum();
        let panels: usize =
            jobs.iter().map(|job| job.matrix.rows.div_ceil(kernels(job).panel_rows())).sum();
        let (most, least) = DIRECT_BYTES;
        Self {
            direct_bytes: (bytes / wanted).clamp(least, most),
            col_blocks: wanted.div_ceil(panels.max(1)),
        }
    }

    fn chunks(&self, job: &Job<'_>, kernels: TypeKernels) -> usize {
        if job.n == 0 {
            return 0;
        }
        let row_chunks = job.matrix.rows.div_ceil(self.rows(job, kernels));
        row_chunks * job.n.div_ceil(self.cols(job, kernels))
    }

    fn part(&self, job: &Job<'_>, kernels: TypeKernels, chunk: usize) -> (Part, Part) {
        let (rows, cols) = (self.rows(job, kernels), self.cols(job, kernels));
        let row_chunks = job.matrix.rows.div_ceil(rows);
        let part = |chunk: usize, size: usize, len: usize| Part {
            start: chunk * size,
            len: size.min(len - chunk * size),
        };
        (part(chunk % row_chunks, rows, job.matrix.rows), part(chunk / row_chunks, cols, job.n))
    }

    fn rows(&self, job: &Job<'_>, kernels: TypeKernels) -> usize {
        if job.n >= kernels.panel_cols() {
            return kernels.panel_rows();
        }
        let row_bytes = job.matrix.bytes.len() / job.matrix.rows.max(1);
        // Whole groups of rows that kernels take together.
        (self.direct_bytes / row_bytes.max(1) / 4 * 4).clamp(4, DIRECT_ROWS)
    }

    fn cols(&self, job: &Job<'_>, kernels: TypeKernels) -> usize {
        if job.n < kernels.panel_cols() {
            return job.n;
        }
        let block = job.n.div_ceil(self.col_blocks).next_multiple_of(TILE_COLS);
        block.max(BLOCK_COLS.next_multiple_of(TILE_COLS))
    }
}

impl TypeKernels {
    fn panel_rows(self) -> usize {
        match self {
            TypeKernels::Codes(kernels) => kernels.panel_rows,
            TypeKernels::Floats(kernels) => kernels.panel_rows,
        }
    }

    fn panel_cols(self) -> usize {
        match self {
            TypeKernels::Codes(kernels) => kernels.panel_cols,
            TypeKernels::Floats(kernels) => kernels.panel_cols,
        }
    }
}

#[derive(Clone, Copy)]
struct Part {
    start: usize,
    len: usize,
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
        if job.scale == 1.0 {
            out.copy_from_slice(values);
        } else {
            out.iter_mut().zip(values).for_each(|(out, value)| *out = value * job.scale);
        }
        if let Some(bias) = job.bias {
            out.iter_mut().zip(&bias[first..]).for_each(|(out, bias)| *out += bias);
        }
    }
}

/// A chunk: some rows times some columns of a job.
struct Work<'a> {
    rows: Part,
    cols: Part,
    place: Place<'a>,
}

/// The kernels of a type with its input; columns are rows of the input.
trait Product {
    fn kernels(&self) -> TypeKernels;
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
        let Work { rows, cols, place } = self;
        let Job { matrix, n, x_row, .. } = place.job;
        let row_bytes = matrix.bytes.len() / matrix.rows;
        let bytes = &matrix.bytes[rows.start * row_bytes..][..rows.len * row_bytes];
        // Tiles of nearly equal size, since small ones run slower.
        let tiles = |most: usize| {
            let n = cols.len.div_ceil(most);
            (0..n).map(move |i| {
                let (from, to) = (i * cols.len / n, (i + 1) * cols.len / n);
                (cols.start + from, to - from)
            })
        };
        if *n >= product.kernels().panel_cols() {
            product.unpack(bytes, rows.len, matrix.cols, panel);
            let mut out = [[0.0; TILE_ROWS]; TILE_COLS];
            for (col, n) in tiles(TILE_COLS) {
                product.tile(panel, x_row + col, n, &mut out);
                for (i, out) in out[..n].iter().enumerate() {
                    place.store(col + i, rows.start, &out[..rows.len]);
                }
            }
        } else {
            // No prefetching by hand: rows follow each other as one stream, which processors follow
            // by themselves; hints cost half of the bandwidth on Zen 4.
            let mut out = [[0.0; DIRECT_ROWS]; DIRECT_COLS];
            for (col, n) in tiles(DIRECT_COLS) {
                product.direct(bytes, rows.len, x_row + col, n, &mut out);
                for (i, out) in out[..n].iter().enumerate() {
                    place.store(col + i, rows.start, &out[..rows.len]);
                }
            }
        }
    }
}

struct CodeProduct<'a> {
    kernels: &'static CodeKernels,
    input: &'a Quantized,
}

// Kernels come from the table of an instruction set that the processor has; `run` has checked the
// weight's bytes against its shape, and the input has its columns.
impl Product for CodeProduct<'_> {
    fn kernels(&self) -> TypeKernels {
        TypeKernels::Codes(self.kernels)
    }

    fn unpack(&self, rows: &[u8], n_rows: usize, cols: usize, panel: &mut Panel) {
        // SAFETY: see above.
        unsafe { (self.kernels.unpack)(rows, n_rows, cols, panel) }
    }

    fn tile(&self, panel: &Panel, first: usize, n: usize, out: &mut super::kernels::Tile) {
        let x: Codes<'_> = self.input.rows(first, n);
        // SAFETY: see above.
        unsafe { (self.kernels.tile[n - 1])(panel, x, out) }
    }

    fn direct(
        &self,
        rows: &[u8],
        n_rows: usize,
        first: usize,
        n: usize,
        out: &mut super::kernels::Strip,
    ) {
        let x = self.input.rows(first, n);
        // SAFETY: see above.
        unsafe { (self.kernels.direct[n - 1])(rows, n_rows, x, out) }
    }
}

struct FloatProduct<'a> {
    kernels: &'static FloatKernels,
    input: Rows<'a>,
}

impl Product for FloatProduct<'_> {
    fn kernels(&self) -> TypeKernels {
        TypeKernels::Floats(self.kernels)
    }

    fn unpack(&self, rows: &[u8], n_rows: usize, cols: usize, panel: &mut Panel) {
        // SAFETY: see above.
        unsafe { (self.kernels.unpack)(rows, n_rows, cols, panel) }
    }

    fn tile(&self, panel: &Panel, first: usize, n: usize, out: &mut super::kernels::Tile) {
        let x: Floats<'_> = self.input.floats(first, n);
        // SAFETY: see above.
        unsafe { (self.kernels.tile[n - 1])(panel, x, out) }
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
        unsafe { (self.kernels.direct[n - 1])(rows, n_rows, x, out) }
    }
}
