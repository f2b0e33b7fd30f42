//! Where the weights of a model lie, in a model file or in files of another format, and reading some
//! rows of them. They are read rather than mapped, so that a large file takes no memory and a failing
//! disk gives an error.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use gguf::{Gguf, Metadata, TensorInfo};
use quant::TensorType;

/// A model to be written in another form.
#[derive(Debug)]
pub(crate) struct Weights {
    pub(crate) metadata: Metadata,
    /// Files that have the data.
    pub(crate) files: Vec<PathBuf>,
    /// How many files it is split into, of a model in the form that it is written in.
    pub(crate) shards: usize,
    pub(crate) tensors: Vec<Tensor>,
}

/// A tensor of it.
#[derive(Debug, Clone)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    /// Values per dimension, the contiguous one first.
    pub(crate) shape: Vec<usize>,
    /// What reading gives.
    pub(crate) ty: TensorType,
    /// Which of the shards has it.
    pub(crate) shard: usize,
    pub(crate) data: Data,
}

/// Where values come from.
#[derive(Debug, Clone)]
pub(crate) enum Data {
    Stored(Stored),
    /// They follow from the configuration.
    Computed(Vec<f32>),
}

/// Values in files, and what becomes of them on the way.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    /// Their type there: that of the tensor, or floats where that is [`TensorType::F32`].
    pub(crate) ty: TensorType,
    /// One after the other.
    pub(crate) pieces: Vec<Piece>,
    pub(crate) order: Option<Interleave>,
    /// Is added to each; zero for types that are not floats.
    pub(crate) add: f32,
}

/// Values that lie together in a file.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    /// Which of the files.
    pub(crate) file: usize,
    /// Where they begin, in bytes.
    pub(crate) offset: u64,
    /// How many.
    pub(crate) values: usize,
}

/// Rows of each head in another order: first, middle, second, the one after the middle and so on.
/// Rotary embeddings that pair neighbours thus see the pairs of those that pair halves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Interleave {
    /// Rows per head, an even number.
    pub(crate) head: usize,
    /// Values per row.
    pub(crate) row: usize,
}

impl Weights {
    /// Those of a model file, or of all its shards.
    pub(crate) fn of_file(path: &Path) -> Result<Self, gguf::Error> {
        let gguf = Gguf::open(path)?;
        Ok(Self {
            metadata: gguf.metadata().clone(),
            files: gguf.paths().map(Path::to_owned).collect(),
            shards: gguf.paths().len(),
            tensors: gguf.tensors().iter().map(Tensor::of_file).collect(),
        })
    }
}

impl Tensor {
    fn of_file(info: &TensorInfo) -> Self {
        let offset = info.file_range().start as u64;
        let piece = Piece { file: info.shard(), offset, values: info.values() };
        let stored = Stored { ty: info.ty, pieces: vec![piece], order: None, add: 0.0 };
        Self {
            name: info.name.clone(),
            shape: info.shape.clone(),
            ty: info.ty,
            shard: info.shard(),
            data: Data::Stored(stored),
        }
    }

    /// Its place in the files: which, and where in that.
    pub(crate) fn place(&self) -> (usize, u64) {
        let offset = match &self.data {
            Data::Stored(stored) => stored.pieces.first().map_or(0, |piece| piece.offset),
            Data::Computed(_) => 0,
        };
        (self.shard, offset)
    }

    /// Number of values.
    pub(crate) fn values(&self) -> usize {
        self.shape.iter().product()
    }

    /// Bytes that reading all of it gives.
    pub(crate) fn bytes(&self) -> u64 {
        self.ty.row_bytes(self.values()).unwrap_or(0) as u64
    }
}

/// Why values can't be read.
#[derive(Debug)]
pub(crate) struct ReadError {
    pub(crate) path: PathBuf,
    pub(crate) error: io::Error,
}

/// Reads parts of tensors.
pub(crate) struct Reader<'a> {
    files: &'a [PathBuf],
    /// The last file and its number.
    open: Option<(usize, File)>,
    stored: Vec<u8>,
    result: Vec<u8>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(files: &'a [PathBuf]) -> Self {
        Self { files, open: None, stored: Vec::new(), result: Vec::new() }
    }

    /// The bytes of these values, whole blocks of the tensor's type and, where it has them, whole rows.
    pub(crate) fn read(
        &mut self,
        tensor: &Tensor,
        values: Range<usize>,
    ) -> Result<&[u8], ReadError> {
        match &tensor.data {
            Data::Computed(all) => {
                self.result.clear();
                self.result.extend(all[values].iter().flat_map(|value| value.to_le_bytes()));
                Ok(&self.result)
            }
            Data::Stored(stored) => {
                match stored.order {
                    None => self.read_stored(stored, values)?,
                    Some(order) => self.read_interleaved(stored, order, values)?,
                }
                if stored.ty == tensor.ty && stored.add == 0.0 {
                    return Ok(&self.stored);
                }
                self.widen(stored);
                Ok(&self.result)
            }
        }
    }

    /// Leaves values of all heads that any of `values` is of in their new order, then those alone.
    fn read_interleaved(
        &mut self,
        stored: &Stored,
        order: Interleave,
        values: Range<usize>,
    ) -> Result<(), ReadError> {
        let Interleave { head, row } = order;
        let per_head = head * row;
        let start = values.start / per_head * per_head;
        self.read_stored(stored, start..values.end.next_multiple_of(per_head))?;
        let bytes = bytes(stored.ty, row);
        self.result.clear();
        for no in values.start / row..values.end / row {
            let within = no % head;
            let old = no - within + within / 2 + within % 2 * (head / 2);
            let at = (old - start / row) * bytes;
            self.result.extend_from_slice(&self.stored[at..at + bytes]);
        }
        std::mem::swap(&mut self.stored, &mut self.result);
        Ok(())
    }

    /// Reads values as they are.
    fn read_stored(&mut self, stored: &Stored, values: Range<usize>) -> Result<(), ReadError> {
        self.stored.clear();
        let mut first = 0;
        for piece in &stored.pieces {
            let start = values.start.max(first) - first;
            let end = values.end.min(first + piece.values).saturating_sub(first);
            if start < end {
                let offset = piece.offset + bytes(stored.ty, start) as u64;
                let length = bytes(stored.ty, end - start);
                self.append(piece.file, offset, length)
                    .map_err(|error| ReadError { path: self.files[piece.file].clone(), error })?;
            }
            first += piece.values;
        }
        Ok(())
    }

    fn append(&mut self, no: usize, offset: u64, length: usize) -> io::Result<()> {
        let file = match self.open.take() {
            Some((open, file)) if open == no => file,
            _ => File::open(&self.files[no])?,
        };
        let (_, file) = self.open.insert((no, file));
        file.seek(SeekFrom::Start(offset))?;
        let before = self.stored.len();
        self.stored.resize(before + length, 0);
        file.read_exact(&mut self.stored[before..])
    }

    /// Makes 32-bit floats of what was read.
    fn widen(&mut self, stored: &Stored) {
        let mut floats = vec![0.0f32; self.stored.len() / stored.ty.block_bytes()];
        if let Some(decode) = stored.ty.info().decode {
            decode(&self.stored, &mut floats);
        }
        self.result.clear();
        self.result.extend(floats.iter().flat_map(|value| (value + stored.add).to_le_bytes()));
    }
}

/// Bytes of values that are whole blocks.
fn bytes(ty: TensorType, values: usize) -> usize {
    values / ty.block_len() * ty.block_bytes()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn pieces_are_joined_reordered_and_widened() {
        let folder = std::env::temp_dir().join(format!("tools-weights-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let files = vec![folder.join("a"), folder.join("b")];
        let floats = |range: Range<i16>| -> Vec<u8> {
            range.flat_map(|v| quant::f32_to_f16(f32::from(v)).to_le_bytes()).collect()
        };
        fs::write(&files[0], floats(-1..4)).expect("a file");
        fs::write(&files[1], floats(4..8)).expect("a file");
        let piece = |file, offset, values| Piece { file, offset, values };
        let mut tensor = Tensor {
            name: "x".into(),
            shape: vec![1, 8],
            ty: TensorType::F32,
            shard: 0,
            data: Data::Stored(Stored {
                ty: TensorType::F16,
                pieces: vec![piece(0, 2, 4), piece(1, 0, 4)],
                order: Some(Interleave { head: 4, row: 1 }),
                add: 1.0,
            }),
        };
        let mut reader = Reader::new(&files);
        let mut read = |tensor: &Tensor, range| -> Vec<f32> {
            let bytes = reader.read(tensor, range).expect("values");
            bytes.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
        };
        assert_eq!(read(&tensor, 0..8), [1.0, 3.0, 2.0, 4.0, 5.0, 7.0, 6.0, 8.0]);
        assert_eq!(read(&tensor, 3..6), [4.0, 5.0, 7.0]);
        tensor.data = Data::Computed(vec![0.5, 0.25]);
        assert_eq!(read(&tensor, 1..2), [0.25]);
        fs::remove_dir_all(&folder).expect("it is ours");
    }
}
