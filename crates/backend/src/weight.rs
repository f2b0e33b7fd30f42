//! Model parameters as operations take them.

use std::ops::{Deref, Range};
use std::sync::Arc;

use bytes::Bytes;
use quant::TensorType;
use thiserror::Error;

/// Why bytes are not the weight they claim to be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WeightError {
    /// The type has no decoder.
    #[error("tensor {name}: type {ty} can't be used as a weight")]
    Type {
        /// Tensor name.
        name: String,
        /// Its type.
        ty: TensorType,
    },
    /// A row is not a whole number of blocks.
    #[error("tensor {name}: rows of {cols} values are not a multiple of {ty}'s block of {block}")]
    Row {
        /// Tensor name.
        name: String,
        /// Its type.
        ty: TensorType,
        /// Values per row.
        cols: usize,
        /// Values per block.
        block: usize,
    },
    /// The data is shorter or longer than the shape asks for.
    #[error("tensor {name}: {expected} bytes expected for its shape, {found} found")]
    Size {
        /// Tensor name.
        name: String,
        /// Bytes that the shape asks for.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
}

/// A stack of `count` matrices `[rows][cols]` in a tensor type, usually mapped from the model file.
/// Row `r` of matrix `m` is `cols / block_len` consecutive blocks. `count` is 1 but for experts.
#[derive(Debug, Clone)]
pub struct Weight {
    name: Arc<str>,
    ty: TensorType,
    cols: usize,
    rows: usize,
    count: usize,
    row_bytes: usize,
    /// Bytes from one matrix to the next.
    stride: usize,
    data: Bytes,
}

impl Weight {
    /// Checks that the bytes hold such a stack of matrices in a type with a decoder.
    pub fn new(
        name: &str,
        ty: TensorType,
        [cols, rows, count]: [usize; 3],
        data: Bytes,
    ) -> Result<Self, WeightError> {
        let name: Arc<str> = name.into();
        if ty.info().decode.is_none() {
            return Err(WeightError::Type { name: name.to_string(), ty });
        }
        let Some(row_bytes) = ty.row_bytes(cols) else {
            let block = ty.block_len();
            return Err(WeightError::Row { name: name.to_string(), ty, cols, block });
        };
        let expected = rows.saturating_mul(count).saturating_mul(row_bytes);
        if expected != data.len() {
            let found = data.len();
            return Err(WeightError::Size { name: name.to_string(), expected, found });
        }
        Ok(Self { name, ty, cols, rows, count, row_bytes, stride: rows * row_bytes, data })
    }

    /// Tensor name in the model file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Tensor type.
    pub fn ty(&self) -> TensorType {
        self.ty
    }

    /// Values per row: the length of the input in a product.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Rows per matrix: the length of the output in a product.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of matrices.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Bytes of one row.
    pub fn row_bytes(&self) -> usize {
        self.row_bytes
    }

    /// The bytes of matrix `index`.
    pub fn matrix(&self, index: usize) -> &[u8] {
        &self.data[index * self.stride..][..self.rows * self.row_bytes]
    }

    /// Matrix `index` alone, sharing its bytes.
    ///
    /// # Panics
    /// Where there are fewer.
    pub fn alone(&self, index: usize) -> Self {
        let begin = index * self.stride;
        let data = self.data.slice(begin..begin + self.rows * self.row_bytes);
        Self { count: 1, data, ..self.clone() }
    }

    /// The stack as one matrix of all its rows.
    ///
    /// # Panics
    /// Where it has only some rows of each matrix.
    pub fn flattened(&self) -> Self {
        assert_eq!(self.stride, self.rows * self.row_bytes, "rows of {}", self.name);
        Self { rows: self.rows * self.count, count: 1, ..self.clone() }
    }

    /// Only these rows of each matrix, sharing their bytes.
    ///
    /// # Panics
    /// Where the range is not within the rows.
    pub fn slice_rows(&self, rows: Range<usize>) -> Self {
        assert!(rows.start <= rows.end && rows.end <= self.rows, "rows {rows:?} of {}", self.name);
        let skipped = self.data.len().min(rows.start * self.row_bytes);
        Self { rows: rows.len(), data: self.data.slice(skipped..), ..self.clone() }
    }

    /// Decodes row `row` of matrix `index` into `out`, `cols` values.
    pub fn decode_row(&self, index: usize, row: usize, out: &mut [f32]) {
        let bytes = &self.matrix(index)[row * self.row_bytes..(row + 1) * self.row_bytes];
        let decode = self.ty.info().decode.expect("checked by Weight::new");
        decode(bytes, out);
    }
}

/// A small parameter (norm weight, bias, scale), decoded to `f32` when it is loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct Vector(Arc<[f32]>);

impl Vector {
    /// Takes the values.
    pub fn new(values: impl Into<Arc<[f32]>>) -> Self {
        Self(values.into())
    }
}

impl From<Vec<f32>> for Vector {
    fn from(values: Vec<f32>) -> Self {
        Self::new(values)
    }
}

impl Deref for Vector {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.0
    }
}

/// `y = scale · (W x) + bias`, with `W` the weight, `x` of `cols` and `y` of `rows` values.
#[derive(Debug, Clone)]
pub struct Linear {
    /// The matrix.
    pub weight: Weight,
    /// Added last; `rows` values.
    pub bias: Option<Vector>,
    /// Factor of the product; 1 but for files with `.scale` tensors.
    pub scale: f32,
}

impl Linear {
    /// Without bias and scale.
    pub fn plain(weight: Weight) -> Self {
        Self { weight, bias: None, scale: 1.0 }
    }
}
