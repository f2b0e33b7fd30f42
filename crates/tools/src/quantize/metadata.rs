//! The key-value pairs of the output.

use gguf::{Metadata, Value, Writer};

use super::recipe::Traits;

const ARCHITECTURE: &str = "general.architecture";
pub(super) const FILE_TYPE: &str = "general.file_type";
pub(super) const VERSION: &str = "general.quantization_version";
pub(super) const SPLIT_NO: &str = "split.no";
pub(super) const SPLIT_COUNT: &str = "split.count";
pub(super) const SPLIT_TENSORS: &str = "split.tensors.count";

/// A value that replaces one of the input.
#[derive(Debug, Clone, PartialEq)]
pub enum Replacement {
    /// A whole number, written as `u32`.
    Integer(u32),
    /// A 32-bit float.
    Float(f32),
    /// True or false.
    Bool(bool),
    /// A text.
    Text(String),
}

impl Replacement {
    /// Reads `int:N`, `float:X`, `bool:true`, `bool:false` or `str:TEXT`.
    pub fn parse(text: &str) -> Option<Self> {
        let (ty, value) = text.split_once(':')?;
        Some(match ty {
            "int" => Self::Integer(u32::try_from(value.parse::<i64>().ok()?.unsigned_abs()).ok()?),
            "float" => Self::Float(value.parse().ok()?),
            "bool" => Self::Bool(value.parse().ok()?),
            "str" => Self::Text(value.to_owned()),
            _ => return None,
        })
    }

    fn value(&self) -> Value<'_> {
        match self {
            Self::Integer(value) => (*value).into(),
            Self::Float(value) => (*value).into(),
            Self::Bool(value) => (*value).into(),
            Self::Text(value) => value.as_str().into(),
        }
    }
}

/// The pairs of the input, some of them replaced.
#[derive(Debug)]
pub(super) struct Pairs<'a> {
    input: &'a Metadata,
    replaced: Vec<(String, Replacement)>,
}

impl<'a> Pairs<'a> {
    pub(super) fn new(input: &'a Metadata) -> Self {
        Self { input, replaced: Vec::new() }
    }

    /// The last value set for a key counts, and its place.
    pub(super) fn set(&mut self, key: &str, value: Replacement) {
        self.replaced.retain(|(name, _)| name != key);
        self.replaced.push((key.to_owned(), value));
    }

    /// Writes what was not replaced, in the order of the input, then the rest in the order of setting.
    pub(super) fn write(&self, writer: &mut Writer<'_>) -> Result<(), gguf::Error> {
        let is_kept = |key: &str| {
            ![SPLIT_NO, SPLIT_COUNT, SPLIT_TENSORS].contains(&key)
                && self.replaced.iter().all(|(name, _)| name != key)
        };
        for (key, value) in self.input.iter().filter(|(key, _)| is_kept(key)) {
            writer.put(key, value)?;
        }
        self.replaced.iter().try_for_each(|(key, value)| writer.put(key, value.value()))
    }

    /// What recipes ask of the hyper-parameters.
    pub(super) fn traits(&self) -> Traits {
        let architecture = match self.get(ARCHITECTURE) {
            Some(Value::String(architecture)) => architecture.to_owned(),
            _ => String::new(),
        };
        let size = |key: &str| self.size(&format!("{architecture}.{key}"));
        let n_head = size("attention.head_count").unwrap_or(0);
        Traits {
            n_layer: size("block_count").unwrap_or(0),
            n_expert: size("expert_count").unwrap_or(0),
            n_head,
            n_head_kv: size("attention.head_count_kv").unwrap_or(n_head),
            architecture,
            ..Traits::default()
        }
    }

    /// A number, of an array the first.
    fn size(&self, key: &str) -> Option<usize> {
        let value = match self.get(key)? {
            Value::Array(array) => array.iter().next()?,
            value => value,
        };
        usize::try_from(value.as_integer()?).ok()
    }

    fn get(&self, key: &str) -> Option<Value<'_>> {
        let replaced = self.replaced.iter().find(|(name, _)| name == key);
        replaced.map(|(_, value)| value.value()).or_else(|| self.input.get(key))
    }
}

/// The key of the number of layers.
pub(super) fn block_count(traits: &Traits) -> String {
    format!("{}.block_count", traits.architecture)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacements_are_read_as_llama_cpp_does() {
        assert_eq!(Replacement::parse("int:-4"), Some(Replacement::Integer(4)));
        assert_eq!(Replacement::parse("float:0.5"), Some(Replacement::Float(0.5)));
        assert_eq!(Replacement::parse("bool:true"), Some(Replacement::Bool(true)));
        assert_eq!(Replacement::parse("str:a:b"), Some(Replacement::Text("a:b".into())));
        for odd in ["", "int", "int:x", "bool:1", "u8:1", "int:5000000000"] {
            assert_eq!(Replacement::parse(odd), None, "{odd}");
        }
    }
}
