//! The operation `linear`.

use backend::{Linear, Weight};

use super::kernels::Floats;
use super::method::Method;
use super::product::{Job, Matrix, Scratch, run};
use crate::pool::Pool;

/// A matrix of activations, one row per token.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// Values from the first of the first row to the last of the last row, at least.
    pub data: &'a [f32],
    /// Number of rows.
    pub rows: usize,
    /// Values per row.
    pub cols: usize,
    /// Distance from row to row.
    pub stride: usize,
}

impl<'a> Rows<'a> {
    /// Row `row`.
    pub(super) fn row(self, row: usize) -> &'a [f32] {
        &self.data[row * self.stride..][..self.cols]
    }

    /// `n` rows from `first`, as kernels take them.
    pub(super) fn floats(self, first: usize, n: usize) -> Floats<'a> {
        let len = (n - 1) * self.stride + self.cols;
        let data = &self.data[first * self.stride..][..len];
        Floats { data, cols: self.cols, stride: self.stride }
    }
}

/// Several products of one input, side by side: `out = [layers[0](x) | layers[1](x) | …]`, with
/// `out` dense, `x.rows` rows of the layers' rows in sum. The input is quantised once, and all
/// products are one parallel region.
///
/// # Panics
/// Where shapes don't fit or a layer's type isn't [supported](super::supports).
pub fn linear(
    pool: &Pool,
    method: &Method,
    scratch: &mut Scratch,
    x: Rows<'_>,
    layers: &[&Linear],
    out: &mut [f32],
) {
    let mut out_col = 0;
    let jobs: Vec<Job<'_>> = layers
        .iter()
        .map(|layer| {
            let job = Job {
                matrix: Matrix::of(&layer.weight, 0),
                x_row: 0,
                n: x.rows,
                out_row: 0,
                out_col,
                scale: layer.scale,
                bias: layer.bias.as_deref(),
            };
            out_col += layer.weight.rows();
            job
        })
        .collect();
    assert_eq!(out.len(), x.rows * out_col, "length of the result");
    run(pool, method, scratch, x, &jobs, out, out_col);
}

/// A product for each head, see `Backend::linear_heads`: one parallel region for all heads.
///
/// # Panics
/// Where shapes don't fit or the weight's type isn't [supported](super::supports).
pub fn linear_heads(
    pool: &Pool,
    method: &Method,
    scratch: &mut Scratch,
    x: Rows<'_>,
    weight: &Weight,
    out: &mut [f32],
) {
    let (n_head, n_in, n_out) = (weight.count(), weight.cols(), weight.rows());
    assert_eq!((x.cols, out.len()), (n_head * n_in, x.rows * n_head * n_out), "shapes of heads");
    if x.rows == 0 {
        return;
    }
    let jobs: Vec<Job<'_>> = (0..n_head)
        .map(|head| Job {
            matrix: Matrix::of(weight, head),
            x_row: head * x.rows,
            n: x.rows,
            out_row: head * x.rows,
            out_col: 0,
            scale: 1.0,
            bias: None,
        })
        .collect();
    let by_head = |data| Rows { data, rows: x.rows * n_head, cols: n_in, stride: n_in };
    if x.rows == 1 {
        return run(pool, method, scratch, by_head(x.row(0)), &jobs, out, n_out);
    }
    // Heads are rows' parts in `x` and `out`, but need rows of their own.
    let rows = 0..x.rows;
    let of_head =
        |head: usize| rows.clone().flat_map(move |row| &x.row(row)[head * n_in..][..n_in]);
    let inputs: Vec<f32> = (0..n_head).flat_map(of_head).copied().collect();
    let mut outputs = vec![0.0; out.len()];
    run(pool, method, scratch, by_head(&inputs), &jobs, &mut outputs, n_out);
    for (i, values) in outputs.chunks_exact(n_out).enumerate() {
        let (head, row) = (i / x.rows, i % x.rows);
        out[(row * n_head + head) * n_out..][..n_out].copy_from_slice(values);
    }
}

impl<'a> Matrix<'a> {
    /// Matrix `index` of a weight.
    pub(super) fn of(weight: &'a Weight, index: usize) -> Self {
        Self {
            ty: weight.ty(),
            rows: weight.rows(),
            cols: weight.cols(),
            bytes: weight.matrix(index),
        }
    }
}
