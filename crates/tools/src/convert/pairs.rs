//! The metadata of the model to be.

use bytes::Bytes;
use gguf::{Header, Metadata, Value, ValueType, Writer};

use super::Error;

/// Key-value pairs, in order.
pub struct Pairs {
    writer: Writer<'static>,
    /// What keys of hyper-parameters begin with.
    architecture: &'static str,
}

impl Pairs {
    /// Those that every model has.
    pub fn new(architecture: &'static str) -> Result<Self, Error> {
        let mut pairs = Self { writer: Writer::new(), architecture };
        pairs.put("general.architecture", architecture)?;
        pairs.put("general.type", "model")?;
        Ok(pairs)
    }

    /// Adds a pair.
    pub fn put<'v>(&mut self, key: &str, value: impl Into<Value<'v>>) -> Result<(), Error> {
        Ok(self.writer.put(key, value)?)
    }

    /// Adds an array.
    pub fn put_array<'v, V: Into<Value<'v>>>(
        &mut self,
        key: &str,
        item: ValueType,
        values: impl IntoIterator<Item = V>,
    ) -> Result<(), Error> {
        Ok(self.writer.put_array(key, item, values)?)
    }

    /// Adds a hyper-parameter.
    pub fn size<'v>(&mut self, key: &str, value: impl Into<Value<'v>>) -> Result<(), Error> {
        let key = format!("{}.{key}", self.architecture);
        self.put(&key, value)
    }

    /// The same where there is a value.
    pub fn opt_size<'v, V: Into<Value<'v>>>(
        &mut self,
        key: &str,
        value: Option<V>,
    ) -> Result<(), Error> {
        value.map_or(Ok(()), |value| self.size(key, value))
    }

    /// All of them.
    pub fn finish(self) -> Result<Metadata, Error> {
        let mut file = Vec::new();
        self.writer.finish(&mut file)?;
        Ok(Header::parse(&Bytes::from(file))?.metadata().clone())
    }
}
