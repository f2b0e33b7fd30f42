//! The small operations, on strided rows.

mod elementwise;
mod gaussian;
mod norm;
mod rope;
mod sinkhorn;
mod softmax;
mod streams;

pub use elementwise::{GatedUnit, JoinRow, Map, MapOp, Zip, ZipOp, softcap};
pub use gaussian::GaussianTop;
pub use norm::{MatchLength, Norm};
pub use rope::Rope;
pub use sinkhorn::sinkhorn;
pub use softmax::Softmax;
pub use streams::{MixStreams, deinterleave};

/// Rows of `cols` values, `stride` apart.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    pub data: &'a [f32],
    pub cols: usize,
    pub stride: usize,
}

impl<'a> Rows<'a> {
    #[inline(always)]
    pub fn row(self, row: usize) -> &'a [f32] {
        &self.data[row * self.stride..][..self.cols]
    }
}

/// Rows of `cols` values, `stride` apart, to be changed.
pub struct RowsMut<'a> {
    pub data: &'a mut [f32],
    pub cols: usize,
    pub stride: usize,
}

impl RowsMut<'_> {
    #[inline(always)]
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
        let cols = self.cols;
        self.data.chunks_mut(self.stride).map(move |row| &mut row[..cols])
    }
}
