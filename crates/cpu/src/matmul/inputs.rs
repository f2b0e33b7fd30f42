//! The input of products, quantised in the forms that kernels take it.

use super::activation::{Block, CodesMut, Quantized, interleave, order_by_fours};
use super::kernels::{CodeKernels, TILE_COLS};
use super::linear::Rows;
use super::method::{Chosen, Method};
use super::product::{Job, Part};
use crate::pool::{Pool, SharedMut};

/// Values of activations that are worth a region to quantise.
const QUANTIZE_VALUES: usize = 8 << 10;

/// Quantised forms of one input.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    b32: Forms,
    b256: Forms,
    /// As the rows of `b256`, with codes by fours.
    by_fours: Quantized,
    /// By thread: rows that are yet to be interleaved.
    rows: Vec<Quantized>,
}

#[derive(Debug, Default)]
pub(super) struct Forms {
    /// Row after row.
    pub rows: Quantized,
    /// The rows of each tile interleaved.
    pub tiles: Quantized,
}

impl Inputs {
    /// The forms of one quantisation.
    pub(super) fn forms(&self, block: Block) -> &Forms {
        match block {
            Block::B32 => &self.b32,
            Block::B256 => &self.b256,
        }
    }

    /// The rows that direct kernels take.
    pub(super) fn direct(&self, kernels: &CodeKernels) -> &Quantized {
        if kernels.by_fours { &self.by_fours } else { &self.forms(kernels.activations).rows }
    }

    /// Quantises the input in the forms that the jobs take it.
    pub(super) fn quantize(&mut self, pool: &Pool, method: &Method, x: Rows<'_>, jobs: &[Job<'_>]) {
        for block in [Block::B32, Block::B256] {
            self.quantize_block(pool, method, x, block, jobs);
        }
        let by_fours = |job: &Job<'_>| match method.get(job.matrix.ty) {
            Some(kernels @ Chosen::Codes { direct, .. }) => {
                direct.by_fours && !method.takes_panels(kernels, job.n)
            }
            _ => false,
        };
        if jobs.iter().any(by_fours) {
            quantize_rows(pool, method, x, Block::B256, true, &mut self.by_fours);
        }
    }

    fn quantize_block(
        &mut self,
        pool: &Pool,
        method: &Method,
        x: Rows<'_>,
        block: Block,
        jobs: &[Job<'_>],
    ) {
        let mut needs_rows = false;
        let mut ranges = Vec::new();
        for job in jobs {
            if let Some(kernels @ Chosen::Codes { direct, panels }) = method.get(job.matrix.ty)
                && panels.activations == block
            {
                match method.takes_panels(kernels, job.n) {
                    true if panels.interleaved => ranges.push((job.x_row, job.n)),
                    true => needs_rows = true,
                    false => needs_rows |= !direct.by_fours,
                }
            }
        }
        let Inputs { b32, b256, rows, .. } = self;
        let Forms { rows: by_row, tiles } = match block {
            Block::B32 => b32,
            Block::B256 => b256,
        };
        if needs_rows {
            quantize_rows(pool, method, x, block, false, by_row);
        }
        if !ranges.is_empty() {
            ranges.sort_unstable();
            ranges.dedup();
            quantize_tiles(pool, method, x, block, &ranges, tiles, rows);
        }
    }
}

fn quantize_rows(
    pool: &Pool,
    method: &Method,
    x: Rows<'_>,
    block: Block,
    by_fours: bool,
    out: &mut Quantized,
) {
    let cols = x.cols;
    let out = SharedCodes::new(out.resize(x.rows, cols), cols);
    let rows_per_chunk = (QUANTIZE_VALUES / 2 / cols.max(1)).max(1);
    let one_chunk = x.rows * cols < QUANTIZE_VALUES;
    let rows_per_chunk = if one_chunk { x.rows.max(1) } else { rows_per_chunk };
    pool.for_each(x.rows.div_ceil(rows_per_chunk), |_, chunk| {
        let first = chunk * rows_per_chunk;
        for row in first..x.rows.min(first + rows_per_chunk) {
            // SAFETY: each row is written by one chunk.
            let CodesMut { codes, pairs, sums } = unsafe { out.rows(row, 1) };
            let row_codes = CodesMut { codes: &mut *codes, pairs, sums };
            // SAFETY: the kernel is of an instruction set that the processor has.
            unsafe { (method.quantize)(x.row(row), block, row_codes) };
            if by_fours {
                order_by_fours(codes);
            }
        }
    });
}

/// Quantises the tiles of ranges of rows: `(first row, number of rows)`.
fn quantize_tiles(
    pool: &Pool,
    method: &Method,
    x: Rows<'_>,
    block: Block,
    ranges: &[(usize, usize)],
    out: &mut Quantized,
    rows: &mut Vec<Quantized>,
) {
    let cols = x.cols;
    let disjoint = ranges.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0);
    assert!(disjoint, "ranges of rows of one input overlap");
    let tiles: Vec<Part> = ranges
        .iter()
        .flat_map(|&(first, n)| {
            (0..n.div_ceil(TILE_COLS)).map(move |i| {
                let tile = Part::nth(i, n, TILE_COLS);
                Part { start: first + tile.start, ..tile }
            })
        })
        .collect();
    if rows.len() < pool.threads() {
        rows.resize_with(pool.threads(), Quantized::default);
    }
    let out = SharedCodes::new(out.resize(x.rows, cols), cols);
    pool.for_each_with(rows, tiles.len(), |rows, i| {
        let Part { start, len } = tiles[i];
        let row_codes = SharedCodes::new(rows.resize(len, cols), cols);
        for row in 0..len {
            // SAFETY: only one row is borrowed at a time, and the kernel is of an instruction set
            // that the processor has.
            unsafe { (method.quantize)(x.row(start + row), block, row_codes.rows(row, 1)) };
        }
        // SAFETY: tiles don't overlap, and each is written by one chunk.
        interleave(block, rows.rows(0, len), len, unsafe { out.rows(start, len) });
    });
}

/// Quantised rows that several threads write.
struct SharedCodes<'a> {
    cols: usize,
    codes: SharedMut<'a, i8>,
    pairs: SharedMut<'a, [f32; 2]>,
    sums: SharedMut<'a, i16>,
}

impl<'a> SharedCodes<'a> {
    fn new(parts: CodesMut<'a>, cols: usize) -> Self {
        Self {
            cols,
            codes: SharedMut::new(parts.codes),
            pairs: SharedMut::new(parts.pairs),
            sums: SharedMut::new(parts.sums),
        }
    }

    /// `n` rows from `first`.
    ///
    /// # Safety
    /// No two that live at the same time overlap.
    unsafe fn rows(&self, first: usize, n: usize) -> CodesMut<'a> {
        let cols = self.cols;
        // SAFETY: as asked.
        unsafe {
            CodesMut {
                codes: self.codes.slice(first * cols, n * cols),
                pairs: self.pairs.slice(first * cols / 32, n * cols / 32),
                sums: self.sums.slice(first * cols / 16, n * cols / 16),
            }
        }
    }
}
