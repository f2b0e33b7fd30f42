//! Writing GGUF version 3.

use std::collections::HashSet;
use std::io::{self, Write};

use quant::TensorType;

use crate::header::{ALIGNMENT_KEY, DEFAULT_ALIGNMENT, check_alignment};
use crate::{Error, Value, ValueType};

/// Writes a tensor's bytes.
type Provide<'a> = Box<dyn FnOnce(&mut dyn Write) -> io::Result<()> + 'a>;

/// Collects metadata and tensors, then streams them as a file. Tensor data is asked for only when
/// its turn comes. The key `general.alignment` sets the alignment of the data, 32 without it.
#[derive(Default)]
pub struct Writer<'a> {
    alignment: Option<usize>,
    keys: HashSet<String>,
    /// Encoded key-value pairs.
    pairs: Vec<u8>,
    names: HashSet<String>,
    tensors: Vec<Pending<'a>>,
}

struct Pending<'a> {
    name: String,
    ty: TensorType,
    shape: Vec<usize>,
    size: u64,
    provide: Provide<'a>,
}

impl<'a> Writer<'a> {
    /// An empty file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a key-value pair.
    ///
    /// # Errors
    /// A duplicate or empty key, or an unusable `general.alignment`.
    pub fn put<'v>(&mut self, key: &str, value: impl Into<Value<'v>>) -> Result<(), Error> {
        let value = value.into();
        if key == ALIGNMENT_KEY {
            self.alignment = Some(check_alignment(value)?);
        }
        self.put_key(key, value.ty())?;
        encode(value, &mut self.pairs);
        Ok(())
    }

    /// Adds an array of values of one type.
    ///
    /// # Errors
    /// A duplicate or empty key, or a value of another type.
    pub fn put_array<'v, V: Into<Value<'v>>>(
        &mut self,
        key: &str,
        item: ValueType,
        values: impl IntoIterator<Item = V>,
    ) -> Result<(), Error> {
        let mut items = Vec::new();
        let mut len = 0u64;
        for value in values {
            let value = value.into();
            if value.ty() != item {
                let found = value.ty();
                return Err(Error::MixedArray { key: key.to_owned(), expected: item, found });
            }
            encode(value, &mut items);
            len += 1;
        }
        self.put_key(key, ValueType::Array)?;
        self.pairs.extend((item as u32).to_le_bytes());
        self.pairs.extend(len.to_le_bytes());
        self.pairs.extend(items);
        Ok(())
    }

    /// Adds a tensor; `data` writes its bytes, as many as type and shape (contiguous dimension
    /// first) ask for.
    ///
    /// # Errors
    /// A duplicate name, or a shape that no file can have.
    pub fn tensor(
        &mut self,
        name: &str,
        ty: TensorType,
        shape: &[usize],
        data: impl FnOnce(&mut dyn Write) -> io::Result<()> + 'a,
    ) -> Result<(), Error> {
        let size = tensor_size(name, ty, shape)?;
        if !self.names.insert(name.to_owned()) {
            return Err(Error::DuplicateTensor { tensor: name.to_owned() });
        }
        let (name, shape, provide) = (name.to_owned(), shape.to_vec(), Box::new(data));
        self.tensors.push(Pending { name, ty, shape, size, provide });
        Ok(())
    }

    /// Writes the file.
    ///
    /// # Errors
    /// Failing output, or a tensor whose data has not the size of its shape.
    pub fn finish(self, out: &mut impl Write) -> Result<(), Error> {
        let alignment = self.alignment.unwrap_or(DEFAULT_ALIGNMENT) as u64;
        let mut header = Vec::from(*b"GGUF");
        header.extend(3u32.to_le_bytes());
        header.extend((self.tensors.len() as u64).to_le_bytes());
        header.extend((self.keys.len() as u64).to_le_bytes());
        header.extend(self.pairs);
        let mut offset = 0u64;
        for tensor in &self.tensors {
            tensor.describe(offset, &mut header);
            offset = (offset + tensor.size).next_multiple_of(alignment);
        }
        out.write_all(&header)?;
        pad(out, header.len() as u64, alignment)?;
        for Pending { name, size, provide, .. } in self.tensors {
            let mut counted = Counted { out: &mut *out, written: 0 };
            provide(&mut counted)?;
            let written = counted.written;
            if written != size {
                return Err(Error::DataSize { tensor: name, expected: size, written });
            }
            pad(out, size, alignment)?;
        }
        Ok(out.flush()?)
    }

    fn put_key(&mut self, key: &str, ty: ValueType) -> Result<(), Error> {
        if key.is_empty() {
            return Err(Error::Key { index: self.keys.len() as u64, problem: "is empty" });
        }
        if !self.keys.insert(key.to_owned()) {
            return Err(Error::DuplicateKey { key: key.to_owned() });
        }
        encode_bytes(key.as_bytes(), &mut self.pairs);
        self.pairs.extend((ty as u32).to_le_bytes());
        Ok(())
    }
}

impl Pending<'_> {
    fn describe(&self, offset: u64, header: &mut Vec<u8>) {
        encode_bytes(self.name.as_bytes(), header);
        header.extend((self.shape.len() as u32).to_le_bytes());
        for &len in &self.shape {
            header.extend((len as u64).to_le_bytes());
        }
        header.extend((self.ty as u32).to_le_bytes());
        header.extend(offset.to_le_bytes());
    }
}

/// Bytes of a tensor, if a file can have it.
fn tensor_size(name: &str, ty: TensorType, shape: &[usize]) -> Result<u64, Error> {
    let tensor = || name.to_owned();
    if shape.is_empty() || shape.len() > 4 {
        return Err(Error::Dimensions { tensor: tensor(), dims: shape.len() as u32 });
    }
    if let Some(dim) = shape.iter().position(|&len| len == 0) {
        return Err(Error::ZeroDimension { tensor: tensor(), dim });
    }
    let (cols, block) = (shape[0], ty.block_len());
    let Some(row) = ty.row_bytes(cols) else {
        return Err(Error::Row { tensor: tensor(), ty, cols, block });
    };
    let size = shape[1..].iter().try_fold(row, |size, &len| size.checked_mul(len));
    let shape = || shape.iter().map(|&len| len as u64).collect();
    size.map(|size| size as u64).ok_or_else(|| Error::TooLarge { tensor: tensor(), shape: shape() })
}

fn pad(out: &mut impl Write, len: u64, alignment: u64) -> io::Result<()> {
    let zeros = [0; DEFAULT_ALIGNMENT];
    let mut left = len.next_multiple_of(alignment) - len;
    while left > 0 {
        let now = left.min(zeros.len() as u64);
        out.write_all(&zeros[..now as usize])?;
        left -= now;
    }
    Ok(())
}

fn encode(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::U8(value) => out.push(value),
        Value::I8(value) => out.extend(value.to_le_bytes()),
        Value::U16(value) => out.extend(value.to_le_bytes()),
        Value::I16(value) => out.extend(value.to_le_bytes()),
        Value::U32(value) => out.extend(value.to_le_bytes()),
        Value::I32(value) => out.extend(value.to_le_bytes()),
        Value::F32(value) => out.extend(value.to_le_bytes()),
        Value::Bool(value) => out.push(value.into()),
        Value::U64(value) => out.extend(value.to_le_bytes()),
        Value::I64(value) => out.extend(value.to_le_bytes()),
        Value::F64(value) => out.extend(value.to_le_bytes()),
        Value::String(value) => encode_bytes(value.as_bytes(), out),
        Value::Bytes(value) => encode_bytes(value, out),
        Value::Array(array) => {
            out.extend((array.item_type() as u32).to_le_bytes());
            out.extend((array.len() as u64).to_le_bytes());
            array.iter().for_each(|item| encode(item, out));
        }
    }
}

fn encode_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend((bytes.len() as u64).to_le_bytes());
    out.extend(bytes);
}

/// Counts what passes.
struct Counted<'a, W> {
    out: &'a mut W,
    written: u64,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = self.out.write(bytes)?;
        self.written += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
