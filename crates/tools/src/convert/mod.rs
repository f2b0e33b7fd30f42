//! From a folder as Hugging Face has models to a model file.
//!
//! So far: BERT and sentence-transformers made of it, with a WordPiece vocabulary; see [`bert`].

mod bert;
mod error;
mod safetensors;

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use gguf::Writer;
use quant::TensorType;
use serde_json::Value;

pub use error::Error;
use safetensors::Safetensors;

/// What matrices become; all else stays in 32-bit floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    #[default]
    F16,
}

impl Precision {
    fn tensor_type(self) -> TensorType {
        match self {
            Precision::F32 => TensorType::F32,
            Precision::F16 => TensorType::F16,
        }
    }
}

/// Converts the model in `folder` to the model file `out`, which appears when it is complete.
///
/// # Errors
/// Files that are missing or damaged, models of another architecture, output that fails.
pub fn convert(folder: &Path, out: &Path, precision: Precision) -> Result<(), Error> {
    let source = Folder { path: folder };
    let config = source.json("config.json")?;
    let architecture = config["architectures"][0].as_str().unwrap_or_default();
    if architecture != "BertModel" {
        return Err(source.wrong(
            "config.json",
            format!("architecture '{architecture}'"),
            "BertModel, the one that can be converted",
        ));
    }
    let weights = Safetensors::open(&folder.join("model.safetensors"))?;
    let mut writer = Writer::new();
    bert::compose(&source, &config, &weights, precision, &mut writer)?;
    write_whole(out, writer)
}

fn write_whole(path: &Path, writer: Writer<'_>) -> Result<(), Error> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let failed = |error| Error::Write { path: path.to_owned(), error };
    let mut out = BufWriter::new(File::create(&part).map_err(failed)?);
    let written = match writer.finish(&mut out) {
        Ok(()) => out.flush().map_err(failed),
        Err(gguf::Error::Write(error)) => Err(failed(error)),
        Err(error) => Err(error.into()),
    };
    drop(out);
    let renamed = written.and_then(|()| fs::rename(&part, path).map_err(failed));
    if renamed.is_err() {
        // That the remains can't be removed either matters less than why.
        let _ = fs::remove_file(&part);
    }
    renamed
}

/// The folder of a model.
struct Folder<'a> {
    path: &'a Path,
}

impl Folder<'_> {
    /// A file of it.
    fn json(&self, name: &str) -> Result<Value, Error> {
        let path = self.path.join(name);
        let text = fs::read(&path).map_err(|error| Error::Read { path, error })?;
        serde_json::from_slice(&text).map_err(|error| self.wrong(name, error.to_string(), "JSON"))
    }

    /// The same, null where it doesn't exist.
    fn opt_json(&self, name: &str) -> Result<Value, Error> {
        if self.path.join(name).exists() { self.json(name) } else { Ok(Value::Null) }
    }

    /// A positive number of a file's content.
    fn count(&self, file: &str, content: &Value, key: &str) -> Result<u32, Error> {
        let value = &content[key];
        let count = value.as_u64().and_then(|value| u32::try_from(value).ok());
        let expected = "a positive number";
        count
            .filter(|&count| count > 0)
            .ok_or_else(|| self.wrong(file, format!("{key} is {value}"), expected))
    }

    fn wrong(&self, file: &str, what: String, expected: &str) -> Error {
        Error::Content { path: self.path.join(file), what, expected: expected.into() }
    }
}
