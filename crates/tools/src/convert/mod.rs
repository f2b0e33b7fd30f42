//! From a folder as Hugging Face has models to a model file: configuration, tokenizer and weights of
//! the [`families`] below become metadata and tensors as llama.cpp's converter names and lays them out.
//!
//! [`read`] tells what the model file would have; weights are read later, some rows at a time.

mod card;
mod checkpoint;
mod config;
mod error;
mod families;
mod folder;
mod general;
mod model_name;
mod pairs;
mod rope;
mod safetensors;
mod tensors;
mod vocab;

use std::num::NonZero;
use std::path::{Path, PathBuf};

use quant::TensorType;
use serde_json::Value;

use crate::file_type;
use crate::quantize::{self, ENCODINGS, Planned};
use crate::weights::{Tensor, Weights};
use checkpoint::Checkpoint;
use config::Config;
pub use error::Error;
use families::{FAMILIES, Family};
use folder::Folder;
use pairs::Pairs;
use tensors::Tensors;

/// What matrices become; vectors and small tables stay in 32-bit floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// That of the weights: [`Precision::BF16`] or else [`Precision::F16`].
    #[default]
    Auto,
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// The upper half of 32-bit floats.
    BF16,
    /// 8-bit integers with a scale for 32 of them; [`Precision::F16`] where rows are no multiple of that.
    Q8_0,
}

impl Precision {
    /// That of a name as in `--outtype`.
    pub fn named(name: &str) -> Option<Self> {
        let known = [Self::Auto, Self::F32, Self::F16, Self::BF16, Self::Q8_0];
        known.into_iter().find(|precision| precision.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::BF16 => "bf16",
            Self::Q8_0 => "q8_0",
        }
    }

    /// The type for tensors such as these.
    fn tensor_type(self, tensors: &[Tensor]) -> TensorType {
        match self {
            Self::F32 => TensorType::F32,
            Self::F16 => TensorType::F16,
            Self::BF16 => TensorType::BF16,
            Self::Q8_0 => TensorType::Q8_0,
            Self::Auto => {
                let halves = [TensorType::BF16, TensorType::F16];
                let mut types = tensors.iter().map(|tensor| tensor.ty);
                types.find(|ty| halves.contains(ty)).unwrap_or(TensorType::F16)
            }
        }
    }
}

/// How a model is converted.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// What matrices become.
    pub precision: Precision,
    /// Name of the pre-tokenizer, for tokenizers whose way of cutting words isn't known.
    pub pre_tokenizer: Option<String>,
    /// Name of the model, rather than that of the folder or its description.
    pub name: Option<String>,
    /// Threads that encode; `None` is one for each fast core.
    pub threads: Option<NonZero<usize>>,
}

/// Architectures that can be converted, as `config.json` names them.
pub fn architectures() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().flat_map(|family| family.architectures).copied()
}

/// Converts the model in `folder` to the model file `out`, which appears when it is complete. `progress`
/// is told the bytes of weights that are written and that will be. The result is what became of each
/// tensor.
///
/// # Errors
/// Files that are missing or damaged, models of another architecture, output that fails.
pub fn convert(
    folder: &Path,
    out: &Path,
    options: &Options,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<Planned>, Error> {
    let weights = read(folder, options)?;
    let ty = options.precision.tensor_type(&weights.tensors);
    let architecture = weights.metadata.str("general.architecture")?.to_owned();
    let plan = |tensor: Tensor| {
        let is_matrix = tensors::is_matrix(&architecture, &tensor.name, &tensor.shape);
        let to = match is_matrix && tensor.shape[0].is_multiple_of(ty.block_len()) {
            true => ty,
            false if is_matrix => TensorType::F16,
            false => TensorType::F32,
        };
        Planned::plain(tensor, to)
    };
    let planned: Vec<Planned> = weights.tensors.into_iter().map(plan).collect();
    let metadata = &weights.metadata;
    let put = |_: usize, writer: &mut gguf::Writer<'_>| {
        metadata.iter().try_for_each(|(key, value)| writer.put(key, value))
    };
    let paths = [PathBuf::from(out)];
    quantize::write(&weights.files, &planned, &paths, put, options.threads, progress)
        .map_err(|error| Error::Encode(Box::new(error)))?;
    Ok(planned)
}

/// What a model file of the model in `folder` would have, its weights as they are.
pub(crate) fn read(folder: &Path, options: &Options) -> Result<Weights, Error> {
    // Its own name matters, which "." is not.
    let path = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let folder = Folder { path };
    let (family, config) = family(&folder)?;
    let config = Config::new(&folder, &config);

    let checkpoint = Checkpoint::open(&folder, family.rename)?;
    let heads = config.count("num_attention_heads")?;
    let kv_heads = config.opt_count("num_key_value_heads")?.unwrap_or(heads);
    let mut tensors = Tensors::new(&checkpoint, family.name, [heads, kv_heads.max(1)]);
    (family.tensors)(&config, &mut tensors)?;
    let tensors = tensors.finish()?;
    let embedding = tensors.iter().find(|tensor| tensor.name == "token_embd.weight");
    let rows = embedding.map_or(0, |tensor| tensor.values() / tensor.shape[0]);
    if config.count("vocab_size")? as usize > rows {
        return Err(config.wrong("vocab_size", &format!("at most {rows}, the embedding's rows")));
    }

    let mut pairs = Pairs::new(family.name)?;
    general::put(&folder, options.name.as_deref(), &tensors, &mut pairs)?;
    (family.sizes)(&config, &folder, &mut pairs)?;
    let ty = options.precision.tensor_type(&tensors);
    pairs.put("general.file_type", file_type::of_tensors(ty).unwrap_or_default())?;
    pairs.put("general.quantization_version", ENCODINGS)?;
    let pre = options.pre_tokenizer.as_deref();
    (family.vocabulary)(&config, &folder, pre)?.put(&mut pairs)?;
    Ok(Weights { metadata: pairs.finish()?, files: checkpoint.files, shards: 1, tensors })
}

/// The family of a model and its configuration, with all that goes without saying.
fn family(folder: &Folder) -> Result<(&'static Family, Value), Error> {
    let mut config = folder.json("config.json")?;
    let found = config["architectures"][0].as_str().unwrap_or_default();
    let family = FAMILIES.iter().find(|family| family.architectures.contains(&found));
    let Some(family) = family else {
        let known: Vec<&str> = architectures().collect();
        return Err(Error::Architecture {
            path: folder.path.join("config.json"),
            found: found.to_owned(),
            known: known.join(", "),
        });
    };
    if let Some(method) = config["quantization_config"]["quant_method"].as_str() {
        let what = format!("weights quantised by {method}");
        return Err(folder.wrong("config.json", what, "weights of 16 or 32 bits"));
    }
    // Models of text and images have that of text within.
    let text = config["text_config"].take();
    let mut defaults = (family.defaults)();
    for values in [&mut config, &mut { text }] {
        for (key, value) in values.as_object_mut().into_iter().flatten() {
            if !value.is_null() {
                defaults[key.as_str()] = value.take();
            }
        }
    }
    Ok((family, defaults))
}
