//! A model: one file, or all shards of a split one.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use quant::TensorType;

use crate::{Error, Header, Location, Metadata, TensorInfo};

/// A model, mapped and validated. Cloning is cheap in data, not in tensor descriptions.
#[derive(Debug, Clone)]
pub struct Gguf {
    version: u32,
    metadata: Metadata,
    tensors: Vec<TensorInfo>,
    by_name: HashMap<String, usize>,
    shards: Vec<Shard>,
}

/// One file.
#[derive(Debug, Clone)]
struct Shard {
    path: PathBuf,
    bytes: Bytes,
}

impl Gguf {
    /// Maps a file; of a split model, all shards, whichever was named.
    ///
    /// # Errors
    /// A file or shard that can't be opened, is not well-formed, or lacks data.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::open_at(&path.into())
    }

    pub(crate) fn open_at(location: &Location) -> Result<Self, Error> {
        let path = location.path();
        let bytes = location.map(path)?;
        let header = Header::parse(&bytes).map_err(|error| error.in_file(path))?;
        let model = match Split::read(header.metadata()) {
            Ok(None) => Self::join(vec![(Shard { path: path.to_owned(), bytes }, header)]),
            Ok(Some(split)) => split.open_all(location).and_then(Self::join),
            Err(error) => Err(error),
        };
        model.map_err(|error| error.in_file(path))
    }

    /// Reads a file in memory.
    ///
    /// # Errors
    /// A file that is not well-formed, lacks data, or is one shard of several.
    pub fn parse(bytes: Bytes) -> Result<Self, Error> {
        let header = Header::parse(&bytes)?;
        if let Some(split) = Split::read(header.metadata())? {
            return Err(Error::SplitInMemory { count: split.count });
        }
        Self::join(vec![(Shard { path: PathBuf::new(), bytes }, header)])
    }

    /// The key-value pairs; of a split model, those of its first shard.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// All tensors in the order of the files.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// The types of all tensors of more than one dimension, each once.
    pub fn matrix_types(&self) -> Vec<TensorType> {
        let mut types = Vec::new();
        for tensor in self.tensors.iter().filter(|tensor| tensor.shape.len() > 1) {
            if !types.contains(&tensor.ty) {
                types.push(tensor.ty);
            }
        }
        types
    }

    /// The tensor of this name.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.by_name.get(name).map(|&index| &self.tensors[index])
    }

    /// The bytes of a tensor of this model, shared with the mapping.
    ///
    /// # Panics
    /// Where the tensor is of another model.
    pub fn data(&self, tensor: &TensorInfo) -> Bytes {
        self.shards[tensor.shard].bytes.slice(tensor.range.clone())
    }

    /// The path of each file; empty for a model that was read in memory.
    pub fn paths(&self) -> impl ExactSizeIterator<Item = &Path> {
        self.shards.iter().map(|shard| shard.path.as_path())
    }

    /// Version of the format, 1 to 3.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Bytes of all files.
    pub fn size(&self) -> u64 {
        self.shard_sizes().sum()
    }

    /// Bytes of each file, in the order of the shards.
    pub fn shard_sizes(&self) -> impl Iterator<Item = u64> {
        self.shards.iter().map(|shard| shard.bytes.len() as u64)
    }

    /// Proves that every tensor's data is present, and indexes the names.
    fn join(files: Vec<(Shard, Header)>) -> Result<Self, Error> {
        let mut shards = Vec::with_capacity(files.len());
        let mut tensors = Vec::new();
        let mut first = None;
        for (shard, (file, header)) in files.into_iter().enumerate() {
            check_data(&file.bytes, &header)?;
            let version = header.version();
            let (metadata, infos) = header.into_parts();
            first.get_or_insert((version, metadata));
            tensors.extend(infos.into_iter().map(|info| TensorInfo { shard, ..info }));
            shards.push(file);
        }
        let (version, metadata) = first.ok_or(Error::Empty)?;
        let mut by_name = HashMap::with_capacity(tensors.len());
        for (index, tensor) in tensors.iter().enumerate() {
            if by_name.insert(tensor.name.clone(), index).is_some() {
                return Err(Error::DuplicateTensor { tensor: tensor.name.clone() });
            }
        }
        Ok(Self { version, metadata, tensors, by_name, shards })
    }
}

fn check_data(bytes: &[u8], header: &Header) -> Result<(), Error> {
    let Some(last) = header.tensors().iter().max_by_key(|tensor| tensor.range.end) else {
        return Ok(());
    };
    match last.range.end.checked_sub(bytes.len()) {
        None | Some(0) => Ok(()),
        Some(missing) => Err(Error::TruncatedData {
            tensor: last.name.clone(),
            missing: missing as u64,
            size: bytes.len() as u64,
        }),
    }
}

/// What a file says of the split model it belongs to.
struct Split {
    /// Counted from 0.
    no: u32,
    count: u32,
    /// Tensors in all shards.
    tensors: Option<usize>,
}

impl Split {
    /// `None` for a model in one file.
    fn read(metadata: &Metadata) -> Result<Option<Self>, Error> {
        let count = metadata.opt_u32("split.count")?.unwrap_or(0);
        if count < 2 {
            return Ok(None);
        }
        let no = metadata.u32("split.no")?;
        if no >= count {
            let (key, value) = ("split.no".to_owned(), no.into());
            return Err(Error::OutOfRange { key, value, expected: "split.count" });
        }
        let tensors = metadata.opt_usize("split.tensors.count")?;
        Ok(Some(Self { no, count, tensors }))
    }

    /// All shards in order, of which the location is one.
    fn open_all(&self, location: &Location) -> Result<Vec<(Shard, Header)>, Error> {
        let mut files = Vec::new();
        for no in 0..self.count {
            let shard = self.path(location.path(), no)?;
            files.push(self.open_one(location, &shard, no).map_err(|error| error.in_file(&shard))?);
        }
        let found = files.iter().map(|(_, header)| header.tensors().len()).sum();
        match self.tensors {
            Some(expected) if expected != found => Err(Error::Shard {
                key: "number of tensors in all shards",
                expected: expected as u64,
                found: found as u64,
            }),
            _ => Ok(files),
        }
    }

    fn open_one(
        &self,
        location: &Location,
        path: &Path,
        no: u32,
    ) -> Result<(Shard, Header), Error> {
        let bytes = location.map(path).map_err(|error| match error {
            Error::Io { path, error } => {
                Error::ShardMissing { path, no: no + 1, count: self.count, error }
            }
            other => other,
        })?;
        let header = Header::parse(&bytes)?;
        let metadata = header.metadata();
        for (key, expected) in [("split.no", no), ("split.count", self.count)] {
            let found = metadata.u32(key)?;
            if found != expected {
                let (expected, found) = (expected.into(), found.into());
                return Err(Error::Shard { key, expected, found });
            }
        }
        Ok((Shard { path: path.to_owned(), bytes }, header))
    }

    /// Path of shard `no`, by the name of this one.
    fn path(&self, path: &Path, no: u32) -> Result<PathBuf, Error> {
        let own = suffix(self.no + 1, self.count);
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(prefix) = name.strip_suffix(&own) else {
            return Err(Error::ShardName { no: self.no + 1, count: self.count });
        };
        Ok(path.with_file_name(format!("{prefix}{}", suffix(no + 1, self.count))))
    }
}

fn suffix(no: u32, count: u32) -> String {
    format!("-{no:05}-of-{count:05}.gguf")
}
