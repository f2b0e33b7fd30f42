//! From the tensors of a checkpoint to those of a model file: names, order of dimensions, and what
//! changes about values.

use std::collections::BTreeSet;

use quant::TensorType;

use super::Error;
use super::checkpoint::Checkpoint;
use super::safetensors::Stored;
use crate::quantize;
use crate::weights::{self, Data, Interleave, Piece, Tensor};

/// A part of a model, without `weight` or `bias`: their name, ours, and what changes.
pub type Name = (&'static str, &'static str, Change);

/// What changes about the values of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// Rows of each query head are interleaved; see [`Interleave`].
    Queries,
    /// The same for keys.
    Keys,
    /// One is added: they store the difference to 1.
    PlusOne,
}

/// Tensors of the model to be.
pub struct Tensors<'a> {
    checkpoint: &'a Checkpoint,
    architecture: &'static str,
    /// Heads of queries and of keys.
    heads: [u32; 2],
    /// Tensors of the checkpoint that have no place yet.
    left: BTreeSet<&'a str>,
    done: Vec<Tensor>,
}

impl<'a> Tensors<'a> {
    /// None yet. `heads` are those of queries and of keys.
    pub fn new(checkpoint: &'a Checkpoint, architecture: &'static str, heads: [u32; 2]) -> Self {
        let left = checkpoint.tensors.keys().map(String::as_str).collect();
        Self { checkpoint, architecture, heads, left, done: Vec::new() }
    }

    /// Whether the checkpoint has a tensor.
    pub fn has(&self, theirs: &str) -> bool {
        self.checkpoint.tensors.contains_key(theirs)
    }

    /// Adds the `weight`, and the `bias` where there is one, of parts whose names begin so.
    pub fn parts(&mut self, theirs: &str, ours: &str, names: &[Name]) -> Result<(), Error> {
        for (their, our, change) in names {
            let (theirs, ours) = (format!("{theirs}{their}"), format!("{ours}{our}"));
            self.put(&format!("{theirs}.weight"), &format!("{ours}.weight"), *change)?;
            let bias = format!("{theirs}.bias");
            if self.has(&bias) {
                self.put(&bias, &format!("{ours}.bias"), *change)?;
            }
        }
        Ok(())
    }

    /// Adds one tensor.
    pub fn put(&mut self, theirs: &str, ours: &str, change: Change) -> Result<(), Error> {
        let (file, stored, ty) = self.take(theirs)?;
        let heads = match change {
            Change::Queries => Some(self.heads[0] as usize),
            Change::Keys => Some(self.heads[1] as usize),
            Change::None | Change::PlusOne => None,
        };
        let order = match heads {
            None => None,
            Some(heads) => {
                let rows = stored.shape[0];
                if !rows.is_multiple_of(2 * heads) {
                    let what = format!("{theirs} has {rows} rows");
                    return Err(
                        self.wrong(what, &format!("an even number for each of {heads} heads"))
                    );
                }
                Some(Interleave { head: rows / heads, row: stored.values() / rows })
            }
        };
        let piece = Piece { file, offset: stored.offset, values: stored.values() };
        let add = if change == Change::PlusOne { 1.0 } else { 0.0 };
        let data = weights::Stored { ty, pieces: vec![piece], order, add };
        self.add(ours, &stored.shape, data);
        Ok(())
    }

    /// Adds the tensors of several experts as one.
    pub fn stack(&mut self, theirs: impl Iterator<Item = String>, ours: &str) -> Result<(), Error> {
        let mut pieces = Vec::new();
        let mut first: Option<(String, &Stored, TensorType)> = None;
        for name in theirs {
            let (file, stored, ty) = self.take(&name)?;
            pieces.push(Piece { file, offset: stored.offset, values: stored.values() });
            let (first, alike, first_ty) = first.get_or_insert_with(|| (name.clone(), stored, ty));
            if (&alike.shape, *first_ty) != (&stored.shape, ty) {
                let what = format!("{name} is {ty} of shape {:?}", stored.shape);
                let expected = format!("{first_ty} of shape {:?}, as {first} is", alike.shape);
                return Err(self.wrong(what, &expected));
            }
        }
        if let Some((_, stored, ty)) = first {
            let shape = [&[pieces.len()], &stored.shape[..]].concat();
            self.add(ours, &shape, weights::Stored { ty, pieces, order: None, add: 0.0 });
        }
        Ok(())
    }

    /// Splits a tensor of shape experts, rows, columns into two of half the rows.
    pub fn halves(&mut self, theirs: &str, ours: [&str; 2]) -> Result<(), Error> {
        let (file, stored, ty) = self.take(theirs)?;
        let &[experts, rows, cols] = &stored.shape[..] else {
            let what = format!("{theirs} has shape {:?}", stored.shape);
            return Err(self.wrong(what, "experts, rows and columns"));
        };
        if !rows.is_multiple_of(2) {
            return Err(self.wrong(format!("{theirs} has {rows} rows"), "an even number"));
        }
        let half = rows / 2 * cols;
        for (no, ours) in ours.into_iter().enumerate() {
            let offset = |expert: usize| {
                stored.offset + ((2 * expert + no) * half * ty.block_bytes()) as u64
            };
            let piece = |expert| Piece { file, offset: offset(expert), values: half };
            let pieces = (0..experts).map(piece).collect();
            let data = weights::Stored { ty, pieces, order: None, add: 0.0 };
            self.add(ours, &[experts, rows / 2, cols], data);
        }
        Ok(())
    }

    /// Adds a vector.
    pub fn computed(&mut self, ours: &str, values: Vec<f32>) {
        self.done.push(Tensor {
            name: ours.to_owned(),
            shape: vec![values.len()],
            ty: TensorType::F32,
            shard: 0,
            data: Data::Computed(values),
        });
    }

    /// All of them, once every tensor of the checkpoint has its place.
    pub fn finish(self) -> Result<Vec<Tensor>, Error> {
        match self.left.first() {
            None => Ok(self.done),
            Some(name) => {
                let what = format!("tensor {name}");
                Err(self.wrong(what, &format!("no such one in a {} model", self.architecture)))
            }
        }
    }

    /// An error about the checkpoint.
    pub fn wrong(&self, what: String, expected: &str) -> Error {
        Error::Content { path: self.checkpoint.list.clone(), what, expected: expected.into() }
    }

    /// A tensor of floats that has values.
    fn take(&mut self, theirs: &str) -> Result<(usize, &'a Stored, TensorType), Error> {
        let Some((file, stored)) = self.checkpoint.tensors.get(theirs) else {
            return Err(self.wrong(format!("no tensor {theirs}"), "it, by config.json"));
        };
        let path = &self.checkpoint.files[*file];
        let wrong = |what: String, expected: &str| Error::Content {
            path: path.clone(),
            what,
            expected: expected.into(),
        };
        let Some(ty) = stored.float() else {
            return Err(wrong(format!("{theirs} is {}", stored.dtype), "F32, F16 or BF16"));
        };
        if stored.shape.is_empty() || stored.values() == 0 {
            let what = format!("{theirs} has shape {:?}", stored.shape);
            return Err(wrong(what, "one of some values"));
        }
        self.left.remove(theirs);
        Ok((*file, stored, ty))
    }

    fn add(&mut self, ours: &str, shape: &[usize], data: weights::Stored) {
        let shape: Vec<usize> = shape.iter().rev().copied().collect();
        let is_matrix = data.add == 0.0 && is_matrix(self.architecture, ours, &shape);
        self.done.push(Tensor {
            name: ours.to_owned(),
            ty: if is_matrix { data.ty } else { TensorType::F32 },
            shape,
            shard: 0,
            data: Data::Stored(data),
        });
    }
}

/// Whether a tensor is of the precision that is asked for; all else stays in 32-bit floats.
pub fn is_matrix(architecture: &str, name: &str, shape: &[usize]) -> bool {
    !name.contains("ffn_gate_inp_shexp") && quantize::is_quantised(architecture, name, shape)
}
