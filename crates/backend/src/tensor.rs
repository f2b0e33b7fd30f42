//! Handles to activations.

use std::ops::Range;

/// A handle to an `f32` matrix `[rows][cols]` in a backend's arena: row-major, `stride` elements
/// from row to row.
///
/// A handle is a plain value; it stays valid until the arena is released below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tensor {
    offset: usize,
    rows: usize,
    cols: usize,
    stride: usize,
}

impl Tensor {
    /// A dense matrix that starts at element `offset` of the arena. For backends.
    pub fn dense(offset: usize, rows: usize, cols: usize) -> Self {
        Self { offset, rows, cols, stride: cols }
    }

    /// Number of rows, one per token unless an operation says otherwise.
    pub fn rows(self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn cols(self) -> usize {
        self.cols
    }

    /// First element in the arena. For backends.
    pub fn offset(self) -> usize {
        self.offset
    }

    /// Elements from one row to the next.
    pub fn stride(self) -> usize {
        self.stride
    }

    /// Whether rows follow each other without a gap.
    pub fn is_dense(self) -> bool {
        self.stride == self.cols || self.rows <= 1
    }

    /// The same rows, only these columns.
    ///
    /// # Panics
    /// Where `range` is not within the columns.
    pub fn columns(self, range: Range<usize>) -> Self {
        assert!(
            range.start <= range.end && range.end <= self.cols,
            "columns {range:?} of {self:?}"
        );
        // Without rows there is no column to point at; the offset stays within the arena.
        let start = if self.rows == 0 { 0 } else { range.start };
        Self { offset: self.offset + start, cols: range.len(), ..self }
    }

    /// These rows, all columns.
    ///
    /// # Panics
    /// Where `range` is not within the rows.
    pub fn row_range(self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.rows, "rows {range:?} of {self:?}");
        let start = if range.is_empty() { 0 } else { range.start };
        Self { offset: self.offset + start * self.stride, rows: range.len(), ..self }
    }

    /// The dense matrix seen with another number of columns.
    ///
    /// # Panics
    /// Where the matrix is strided or the element counts differ.
    pub fn reshape(self, rows: usize, cols: usize) -> Self {
        assert!(
            self.is_dense() && rows * cols == self.rows * self.cols,
            "{rows}x{cols} of {self:?}"
        );
        Self { offset: self.offset, rows, cols, stride: cols }
    }

    /// One past the last element in the arena; equal to the offset when empty.
    pub fn end(self) -> usize {
        if self.rows == 0 {
            return self.offset;
        }
        self.offset + (self.rows - 1) * self.stride + self.cols
    }
}

/// A height of the arena; see `Backend::mark`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(pub(crate) usize);
