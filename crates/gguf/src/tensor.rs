//! Tensor descriptions.

use std::ops::Range;

use quant::TensorType;

use crate::Error;
use crate::cursor::{Cursor, Short};

/// Longest tensor name that is accepted; the format says 64 bytes.
const MAX_NAME: usize = 1024;

/// Most dimensions of a tensor.
const MAX_DIMS: u32 = 4;

/// A tensor of a file: what it is called, and where its data lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Name, unique in the model.
    pub name: String,
    /// Tensor type.
    pub ty: TensorType,
    /// Values per dimension, the contiguous one first; 1 to 4 dimensions, none of them zero.
    pub shape: Vec<usize>,
    /// Which file of a split model.
    pub(crate) shard: usize,
    /// Bytes within the tensor data, then, in [`Header`](crate::Header), within the file.
    pub(crate) range: Range<usize>,
}

impl TensorInfo {
    /// Bytes of the data.
    pub fn size(&self) -> usize {
        self.range.len()
    }

    /// Which file of a split model has it, counted from 0; see [`Gguf::paths`](crate::Gguf::paths).
    pub fn shard(&self) -> usize {
        self.shard
    }

    /// Where the data lies in that file.
    pub fn file_range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// Number of values.
    pub fn values(&self) -> usize {
        self.shape.iter().product()
    }

    /// Reads description number `index`; the range is relative to the tensor data.
    pub(crate) fn parse(cursor: &mut Cursor<'_>, index: u64) -> Result<Self, Error> {
        let bad_name = |problem| Error::TensorName { index, problem };
        let name = cursor.string().map_err(|short| short.within(format!("tensor name {index}")))?;
        if name.len() > MAX_NAME {
            return Err(bad_name("has a name of more than 1024 bytes"));
        }
        let name = std::str::from_utf8(name)
            .map_err(|_| bad_name("has a name that is not valid UTF-8"))?
            .to_owned();

        let within = |short: Short| short.within(format!("the description of tensor {name}"));
        let dims = cursor.u32().map_err(within)?;
        if dims > MAX_DIMS {
            return Err(Error::Dimensions { tensor: name, dims });
        }
        let mut shape = Vec::with_capacity(MAX_DIMS as usize);
        for _ in 0..dims {
            shape.push(cursor.size().map_err(within)?);
        }
        // A scalar.
        if dims == 0 {
            shape.push(1);
        }
        let id = cursor.u32().map_err(within)?;
        let offset = cursor.u64().map_err(within)?;
        let ty = TensorType::from_id(id)
            .map_err(|error| Error::TensorType { tensor: name.clone(), error })?;

        if let Some(dim) = shape.iter().position(|&len| len == 0) {
            return Err(Error::ZeroDimension { tensor: name, dim });
        }
        let Some((sizes, values)) = sizes(&shape) else {
            return Err(Error::TooLarge { tensor: name, shape });
        };
        let (cols, block) = (sizes[0], ty.block_len());
        if !cols.is_multiple_of(block) {
            return Err(Error::Row { tensor: name, ty, cols, block });
        }
        let end = |start: usize| start.checked_add(ty.row_bytes(values)?);
        let start = usize::try_from(offset).ok();
        let Some((start, end)) = start.and_then(|start| Some((start, end(start)?))) else {
            return Err(Error::TooLarge { tensor: name, shape });
        };
        Ok(Self { name, ty, shape: sizes, shard: 0, range: start..end })
    }
}

/// The shape and its product in `usize`; `None` where they don't fit.
fn sizes(shape: &[u64]) -> Option<(Vec<usize>, usize)> {
    let sizes =
        shape.iter().map(|&len| usize::try_from(len)).collect::<Result<Vec<_>, _>>().ok()?;
    let values = sizes.iter().try_fold(1usize, |product, &len| product.checked_mul(len))?;
    Some((sizes, values))
}
