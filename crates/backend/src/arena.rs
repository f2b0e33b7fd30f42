//! The arena that backends with host memory share.

use crate::aligned::AlignedVec;
use crate::tensor::{Mark, Tensor};

/// Rows start at multiples of this many elements, one cache line.
const ALIGN: usize = 16;

/// How an arena grows and shrinks, without its memory.
#[derive(Debug, Default)]
pub struct ArenaSize {
    top: usize,
    most: usize,
}

impl ArenaSize {
    /// A fresh dense `[rows][cols]` tensor above all others.
    pub fn alloc(&mut self, rows: usize, cols: usize) -> Tensor {
        let offset = self.top.next_multiple_of(ALIGN);
        self.top = offset + rows * cols;
        self.most = self.most.max(self.top);
        Tensor::dense(offset, rows, cols)
    }

    /// The current height.
    pub fn mark(&self) -> Mark {
        Mark(self.top)
    }

    /// Forgets every tensor allocated since the mark.
    pub fn release(&mut self, mark: Mark) {
        self.top = self.top.min(mark.0);
    }

    /// The greatest height so far.
    pub fn most(&self) -> usize {
        self.most
    }
}

/// A bump allocator of activations in host memory.
///
/// It grows to the highest demand ever seen and then stays: a steady state allocates nothing.
/// New tensors always lie above the live ones, so an operation can borrow its inputs and its
/// output at the same time ([`HostArena::split`]).
#[derive(Debug, Default)]
pub struct HostArena {
    data: AlignedVec<f32>,
    size: ArenaSize,
}

impl HostArena {
    /// Makes room for `values` values, so that up to there nothing is allocated.
    pub fn reserve(&mut self, values: usize) {
        self.data.reserve(values, 0.0);
    }

    /// A fresh dense `[rows][cols]` tensor above all others; its contents are unspecified.
    pub fn alloc(&mut self, rows: usize, cols: usize) -> Tensor {
        let tensor = self.size.alloc(rows, cols);
        self.data.grow(self.size.top, 0.0);
        tensor
    }

    /// How it has grown.
    pub fn size(&self) -> &ArenaSize {
        &self.size
    }

    /// The current height.
    pub fn mark(&self) -> Mark {
        self.size.mark()
    }

    /// Forgets every tensor allocated since the mark.
    pub fn release(&mut self, mark: Mark) {
        self.size.release(mark);
    }

    /// All elements.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// All elements, mutably.
    pub fn data_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }

    /// Row `row` of `t`.
    pub fn row(&self, t: Tensor, row: usize) -> &[f32] {
        let t = t.row_range(row..row + 1);
        &self.data[t.offset()..t.end()]
    }

    /// Row `row` of `t`, mutably.
    pub fn row_mut(&mut self, t: Tensor, row: usize) -> &mut [f32] {
        let t = t.row_range(row..row + 1);
        &mut self.data[t.offset()..t.end()]
    }

    /// Everything below the freshly allocated dense tensor `out`, and `out` itself.
    pub fn split(&mut self, out: Tensor) -> (&[f32], &mut [f32]) {
        assert!(out.is_dense());
        let (below, above) = self.data.split_at_mut(out.offset());
        (below, &mut above[..out.rows() * out.cols()])
    }
}
