//! Weights by name, with their shapes checked.

use backend::{ExpertLinear, Linear, TensorType, Vector, Weight, WeightError};
use gguf::{Gguf, TensorInfo};

use crate::error::Error;

/// Tensors of the file under a name prefix such as `blk.3.`.
#[derive(Clone)]
pub struct Weights<'a> {
    gguf: &'a Gguf,
    prefix: String,
}

impl<'a> Weights<'a> {
    /// All tensors of the file.
    pub fn new(gguf: &'a Gguf) -> Self {
        Self { gguf, prefix: String::new() }
    }

    /// The tensors of layer `il`.
    pub fn layer(&self, il: usize) -> Self {
        self.named(format!("blk.{il}."))
    }

    /// The tensors whose names begin so.
    pub fn named(&self, prefix: String) -> Self {
        Self { gguf: self.gguf, prefix }
    }

    /// Whether the file has a tensor.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Whether the file has a tensor of that shape.
    pub fn has_shape(&self, name: &str, shape: &[usize]) -> bool {
        self.find(name).is_some_and(|info| info.shape == shape)
    }

    /// Values per row of a required tensor.
    pub fn cols(&self, name: &str) -> Result<usize, Error> {
        let info = self.find(name).ok_or_else(|| self.missing(name))?;
        Ok(info.shape.first().copied().unwrap_or(1))
    }

    /// A name with the prefix.
    pub fn full_name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// A required matrix of `shape` `[cols, rows]`.
    pub fn matrix(&self, name: &str, shape: [usize; 2]) -> Result<Weight, Error> {
        self.opt_matrix(name, shape)?.ok_or_else(|| self.missing(name))
    }

    /// An optional matrix of `shape` `[cols, rows]`.
    pub fn opt_matrix(
        &self,
        name: &str,
        [cols, rows]: [usize; 2],
    ) -> Result<Option<Weight>, Error> {
        self.load(name, [cols, rows, 1])
    }

    /// A required stack of `count` matrices, `shape` `[cols, rows, count]`.
    pub fn stack(&self, name: &str, shape: [usize; 3]) -> Result<Weight, Error> {
        self.opt_stack(name, shape)?.ok_or_else(|| self.missing(name))
    }

    /// An optional stack of matrices, `shape` `[cols, rows, count]`.
    pub fn opt_stack(&self, name: &str, shape: [usize; 3]) -> Result<Option<Weight>, Error> {
        self.load(name, shape)
    }

    /// A required stack of `count` matrices, `shape` `[cols, rows, count]`, which the file may have as
    /// one matrix of all their rows.
    pub fn joined_stack(&self, name: &str, shape: [usize; 3]) -> Result<Weight, Error> {
        let info = self.find(name).ok_or_else(|| self.missing(name))?;
        let [cols, rows, count] = shape;
        if !self.has_shape(name, &[cols, rows * count]) {
            check_shape(info, &shape)?;
        }
        Ok(Weight::new(&info.name, info.ty, shape, self.gguf.data(info))?)
    }

    /// The weights of a convolution, `shape` `[kernel, channels in, channels out]`, as a matrix that
    /// takes `[channels in][kernel]`.
    pub fn kernel(&self, name: &str, shape: [usize; 3]) -> Result<Weight, Error> {
        let info = self.find(name).ok_or_else(|| self.missing(name))?;
        check_shape(info, &shape)?;
        let [kernel, n_in, n_out] = shape;
        let shape = [kernel * n_in, n_out, 1];
        Ok(Weight::new(&info.name, info.ty, shape, self.gguf.data(info))?)
    }

    /// A required table of 32-bit integers of `shape` `[cols, rows]`.
    pub fn integers(&self, name: &str, shape: [usize; 2]) -> Result<Vec<i32>, Error> {
        let info = self.find(name).ok_or_else(|| self.missing(name))?;
        check_shape(info, &shape)?;
        if info.ty != TensorType::I32 {
            let (name, ty) = (info.name.clone(), info.ty);
            return Err(WeightError::Type { name, ty }.into());
        }
        let data = self.gguf.data(info);
        Ok(data.as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect())
    }

    /// An optional list of indices below `n`, stored as 64-bit integers.
    pub fn opt_indices(&self, name: &str, n: usize) -> Result<Option<Vec<usize>>, Error> {
        let Some(info) = self.find(name) else { return Ok(None) };
        if info.ty != TensorType::I64 {
            let (name, ty) = (info.name.clone(), info.ty);
            return Err(WeightError::Type { name, ty }.into());
        }
        let data = self.gguf.data(info);
        let index = |bytes: &[u8; 8]| {
            let value = i64::from_le_bytes(*bytes);
            let fits = usize::try_from(value).ok().filter(|&index| index < n);
            fits.ok_or_else(|| {
                let (key, value) = (info.name.clone(), value.to_string());
                Error::Value { key, value, expected: format!("below {n}") }
            })
        };
        data.as_chunks().0.iter().map(index).collect::<Result<_, _>>().map(Some)
    }

    /// A stack of `count` matrices that the file has one by one; they are copied.
    pub fn gathered(
        &self,
        name: impl Fn(usize) -> String,
        [cols, rows, count]: [usize; 3],
    ) -> Result<Weight, Error> {
        let matrix = |i| self.matrix(&name(i), [cols, rows]);
        let parts = (0..count).map(matrix).collect::<Result<Vec<_>, _>>()?;
        let Some(first) = parts.first() else { return Err(self.missing(&name(0))) };
        if let Some(other) = parts.iter().find(|part| part.ty() != first.ty()) {
            return Err(Error::Value {
                key: other.name().into(),
                value: other.ty().to_string(),
                expected: format!("{} as {}", first.ty(), first.name()),
            });
        }
        let data: Vec<u8> = parts.iter().flat_map(|part| part.matrix(0)).copied().collect();
        Ok(Weight::new(first.name(), first.ty(), [cols, rows, count], data.into())?)
    }

    /// A required matrix with any number of rows, such as a token embedding.
    pub fn table(&self, name: &str, cols: usize) -> Result<Weight, Error> {
        let info = self.find(name).ok_or_else(|| self.missing(name))?;
        let rows = info.shape.get(1).copied().unwrap_or(1);
        self.matrix(name, [cols, rows])
    }

    /// A required vector of `len` values, decoded.
    pub fn vector(&self, name: &str, len: usize) -> Result<Vector, Error> {
        self.opt_vector(name, len)?.ok_or_else(|| self.missing(name))
    }

    /// An optional vector of `len` values, decoded.
    pub fn opt_vector(&self, name: &str, len: usize) -> Result<Option<Vector>, Error> {
        self.opt_groups(name, [len, 1])
    }

    /// A required product `NAME.weight` of `shape` `[cols, rows]`, with its optional `NAME.bias`
    /// and `NAME.scale`.
    pub fn linear(&self, name: &str, shape: [usize; 2]) -> Result<Linear, Error> {
        self.opt_linear(name, shape)?.ok_or_else(|| self.missing(&format!("{name}.weight")))
    }

    /// Like [`Weights::linear`], but the whole product may be missing.
    pub fn opt_linear(&self, name: &str, shape: [usize; 2]) -> Result<Option<Linear>, Error> {
        let Some(weight) = self.opt_matrix(&format!("{name}.weight"), shape)? else {
            return Ok(None);
        };
        let bias = self.opt_vector(&format!("{name}.bias"), shape[1])?;
        let scale = self.opt_vector(&format!("{name}.scale"), 1)?.map_or(1.0, |scale| scale[0]);
        Ok(Some(Linear { weight, bias, scale }))
    }

    /// A required product with any number of rows, `NAME.weight` with its optional `NAME.scale` and
    /// `NAME.bias`.
    pub fn linear_of_any_rows(&self, name: &str, cols: usize) -> Result<Linear, Error> {
        let rows = self.table(&format!("{name}.weight"), cols)?.rows();
        self.linear(name, [cols, rows])
    }

    /// A required vector of `n` groups of `len` values, decoded.
    pub fn groups(&self, name: &str, shape: [usize; 2]) -> Result<Vector, Error> {
        self.opt_groups(name, shape)?.ok_or_else(|| self.missing(name))
    }

    /// An optional vector of `n` groups of `len` values, decoded.
    pub fn opt_groups(&self, name: &str, [len, n]: [usize; 2]) -> Result<Option<Vector>, Error> {
        let Some(weight) = self.load(name, [len, n, 1])? else { return Ok(None) };
        let mut values = vec![0.0; len * n];
        for (row, values) in values.chunks_exact_mut(len.max(1)).enumerate() {
            weight.decode_row(0, row, values);
        }
        Ok(Some(Vector::new(values)))
    }

    /// A required tensor of any shape, decoded.
    pub fn values(&self, name: &str, shape: &[usize]) -> Result<Vector, Error> {
        let info = self.find(name).ok_or_else(|| self.missing(name))?;
        check_shape(info, shape)?;
        let (cols, rows) = (shape[0], shape[1..].iter().product());
        let weight = Weight::new(&info.name, info.ty, [cols, rows, 1], self.gguf.data(info))?;
        let mut values = vec![0.0; cols * rows];
        for (row, values) in values.chunks_exact_mut(cols.max(1)).enumerate() {
            weight.decode_row(0, row, values);
        }
        Ok(Vector::new(values))
    }

    /// A required product per expert, `NAME.weight` of `shape` `[cols, rows, count]`, with its
    /// optional `NAME.scale` and `NAME.bias`.
    pub fn expert_linear(&self, name: &str, shape: [usize; 3]) -> Result<ExpertLinear, Error> {
        let missing = || self.missing(&format!("{name}.weight"));
        self.opt_expert_linear(name, shape)?.ok_or_else(missing)
    }

    /// Like [`Weights::expert_linear`], but the whole product may be missing.
    pub fn opt_expert_linear(
        &self,
        name: &str,
        shape: [usize; 3],
    ) -> Result<Option<ExpertLinear>, Error> {
        let Some(weight) = self.opt_stack(&format!("{name}.weight"), shape)? else {
            return Ok(None);
        };
        let [_, rows, count] = shape;
        Ok(Some(ExpertLinear {
            weight,
            scale: self.opt_vector(&format!("{name}.scale"), count)?,
            bias: self.opt_groups(&format!("{name}.bias"), [rows, count])?,
        }))
    }

    fn find(&self, name: &str) -> Option<&'a TensorInfo> {
        self.gguf.tensor(&format!("{}{name}", self.prefix))
    }

    fn load(&self, name: &str, shape: [usize; 3]) -> Result<Option<Weight>, Error> {
        let Some(info) = self.find(name) else { return Ok(None) };
        check_shape(info, &shape)?;
        Ok(Some(Weight::new(&info.name, info.ty, shape, self.gguf.data(info))?))
    }

    fn missing(&self, name: &str) -> Error {
        Error::MissingTensor { name: self.full_name(name) }
    }
}

/// Checks that a tensor has this shape; dimensions of 1 at its end don't matter.
fn check_shape(info: &TensorInfo, shape: &[usize]) -> Result<(), Error> {
    let rank = info.shape.len().max(shape.len());
    let padded =
        |dims: &[usize]| (0..rank).map(|i| dims.get(i).copied().unwrap_or(1)).collect::<Vec<_>>();
    if padded(&info.shape) == padded(shape) {
        return Ok(());
    }
    let (name, found) = (info.name.clone(), info.shape.clone());
    Err(Error::TensorShape { name, found, expected: shape.to_vec() })
}
