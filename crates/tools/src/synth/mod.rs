//! Model files of real shapes with random weights.
//!
//! Weights of a matrix with `n` columns have the deviation `1/√n`, so that activations keep their
//! size; factors of norms are 1. The vocabulary has the true size, but only bytes have meaning.

mod blocks;
mod recipe;
mod shape;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::Write;
use std::path::Path;

use gguf::{ValueType, Writer};
use quant::TensorType;

use crate::Error;
use crate::output::{self, Watched};
use blocks::{Blocks, Random};
use shape::{Role, Tensor};

pub use recipe::Recipe;
pub use shape::{SHAPES, Shape};

/// Writes a model file. It appears under its name when it is complete. `progress` is told the bytes
/// of weights that are written and that will be.
///
/// # Errors
/// Output that fails, or a type of weights that can't be written.
pub fn write_file(
    path: &Path,
    shape: &Shape,
    recipe: Recipe,
    seed: u64,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), Error> {
    output::write_file(path, |out| write(out, shape, recipe, seed, progress))
}

/// Writes a model file to `out`; see [`write_file`].
///
/// # Errors
/// Output that fails, or a type of weights that can't be written.
pub fn write(
    out: &mut impl Write,
    shape: &Shape,
    recipe: Recipe,
    seed: u64,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), Error> {
    let mut random = Random::new(seed);
    let tensors: Vec<(Tensor, TensorType)> = shape
        .tensors()
        .into_iter()
        .map(|tensor| {
            let ty = recipe.tensor_type(tensor.role, tensor.shape[0], shape.n_layer);
            (tensor, ty)
        })
        .collect();
    let mut stocks = HashMap::new();
    for (tensor, ty) in tensors.iter().filter(|(tensor, _)| tensor.role != Role::Norm) {
        let cols = tensor.shape[0];
        if let Entry::Vacant(stock) = stocks.entry((*ty, cols)) {
            let deviation = 1.0 / (cols as f32).sqrt();
            let blocks = Blocks::new(*ty, deviation, &mut random).ok_or(Error::NoEncoder(*ty))?;
            stock.insert(blocks);
        }
    }

    let mut writer = Writer::new();
    put_metadata(&mut writer, shape, recipe)?;
    put_vocabulary(&mut writer, shape)?;
    let mut total = 0;
    for (tensor, ty) in &tensors {
        let values = tensor.shape.iter().product();
        let len = ty.row_bytes(values).unwrap_or_default();
        total += len as u64;
        let (stock, seed) = (stocks.get(&(*ty, tensor.shape[0])), random.bits());
        let stock = stock.filter(|_| tensor.role != Role::Norm);
        writer.tensor(&tensor.name, *ty, &tensor.shape, move |out| match stock {
            Some(blocks) => blocks.write(len, &mut Random::new(seed), out),
            None => out.write_all(&1f32.to_le_bytes().repeat(values)),
        })?;
    }
    Ok(writer.finish(&mut Watched::new(out, total, progress))?)
}

/// Hyper-parameters under the keys of the shape's architecture.
fn put_metadata(writer: &mut Writer<'_>, shape: &Shape, recipe: Recipe) -> Result<(), Error> {
    let arch = shape.architecture;
    let name = format!("{} with random weights", shape.title);
    writer.put("general.architecture", arch)?;
    writer.put("general.type", "model")?;
    writer.put("general.name", name.as_str())?;
    writer.put("general.quantization_version", 2u32)?;
    if let Some(number) = recipe.file_type() {
        writer.put("general.file_type", number)?;
    }
    let mut sizes = vec![
        ("vocab_size", shape.n_vocab),
        ("context_length", shape.n_ctx),
        ("embedding_length", shape.n_embd),
        ("block_count", shape.n_layer),
        ("feed_forward_length", shape.n_ff),
        ("attention.head_count", shape.n_head),
        ("attention.head_count_kv", shape.n_head_kv),
        ("attention.key_length", shape.head_dim),
        ("attention.value_length", shape.head_dim),
        ("rope.dimension_count", shape.head_dim),
    ];
    if let Some((n, used)) = shape.experts {
        sizes.push(("expert_count", n));
        sizes.push(("expert_used_count", used));
        sizes.push(("expert_feed_forward_length", shape.n_ff));
    }
    sizes.extend(shape.window.map(|window| ("attention.sliding_window", window)));
    for (key, size) in sizes {
        writer.put(&format!("{arch}.{key}"), size as u32)?;
    }
    writer.put(&format!("{arch}.rope.freq_base"), shape.rope_base)?;
    writer.put(&format!("{arch}.attention.layer_norm_rms_epsilon"), shape.norm_eps)?;
    Ok(())
}

/// Types of tokens.
const NORMAL: i32 = 1;
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const BYTE: i32 = 6;

/// A SentencePiece vocabulary of 256 bytes and tokens without meaning.
fn put_vocabulary(writer: &mut Writer<'_>, shape: &Shape) -> Result<(), Error> {
    let token = |id: usize| match id {
        0 => ("<unk>".to_owned(), UNKNOWN),
        1 => ("<s>".to_owned(), CONTROL),
        2 => ("</s>".to_owned(), CONTROL),
        3..259 => (format!("<0x{:02X}>", id - 3), BYTE),
        _ => (format!("token{id}"), NORMAL),
    };
    let (texts, types): (Vec<String>, Vec<i32>) = (0..shape.n_vocab).map(token).unzip();
    let texts = texts.iter().map(String::as_str);
    writer.put("tokenizer.ggml.model", "llama")?;
    writer.put_array("tokenizer.ggml.tokens", ValueType::String, texts)?;
    writer.put_array("tokenizer.ggml.scores", ValueType::F32, vec![0f32; shape.n_vocab])?;
    writer.put_array("tokenizer.ggml.token_type", ValueType::I32, types)?;
    writer.put("tokenizer.ggml.unknown_token_id", 0u32)?;
    writer.put("tokenizer.ggml.bos_token_id", 1u32)?;
    writer.put("tokenizer.ggml.eos_token_id", 2u32)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use bytes::Bytes;
    use gguf::Gguf;
    use model::{Context, Outputs};

    use super::*;

    fn file(shape: &Shape, recipe: &str, seed: u64) -> Vec<u8> {
        let (mut out, mut last) = (Vec::new(), (0, 1));
        let recipe = Recipe::named(recipe).unwrap();
        write(&mut out, shape, recipe, seed, &mut |done, total| last = (done, total)).unwrap();
        assert_eq!(last.0, last.1, "progress ends at the end");
        out
    }

    fn logits(file: Vec<u8>) -> Vec<f32> {
        let gguf = Gguf::parse(Bytes::from(file)).unwrap();
        let model = model::load(&gguf).unwrap();
        let cpu = cpu::Cpu::new(cpu::CpuOptions { threads: Some(2), ..<_>::default() });
        let mut context =
            Context::new(model, Box::new(cpu), 64, backend::KvTypes::default()).unwrap();
        context.decode(&[1, 70, 299, 0, 5], Outputs::Last).unwrap().to_vec()
    }

    #[test]
    fn files_of_every_type_give_finite_logits_of_ordinary_size() {
        for name in Recipe::names() {
            let logits = logits(file(&Shape::tiny("llama-1b"), name, 1));
            assert_eq!(logits.len(), 300, "{name}");
            let square = logits.iter().map(|v| v * v).sum::<f32>() / logits.len() as f32;
            assert!((0.2..5.0).contains(&square), "{name}: {square}");
        }
    }

    #[test]
    fn files_of_every_shape_are_valid_and_run() {
        for shape in SHAPES {
            let shape = Shape::tiny(shape.name);
            let file = file(&shape, "Q4_K_M", 1);
            let gguf = Gguf::parse(Bytes::from(file.clone())).unwrap();
            assert_eq!(gguf.tensors().len(), shape.tensors().len());
            assert_eq!(gguf.tensor("blk.1.attn_v.weight").unwrap().ty, TensorType::Q6_K);
            assert!(logits(file).iter().all(|v| v.is_finite()), "{}", shape.name);
        }
    }

    #[test]
    fn equal_seeds_make_equal_files() {
        let shape = Shape::tiny("llama-1b");
        let first = file(&shape, "q8_0", 1);
        assert!(first == file(&shape, "q8_0", 1));
        assert!(first != file(&shape, "q8_0", 2));
    }

    #[test]
    fn a_failed_write_leaves_nothing_behind() {
        let dir = std::env::temp_dir().join(format!("synth-{}", std::process::id()));
        fs::create_dir_all(dir.join("taken")).unwrap();
        let shape = Shape::tiny("llama-1b");
        let path = dir.join("model.gguf");
        write_file(&path, &shape, Recipe::default(), 1, &mut |_, _| {}).unwrap();
        assert!(Gguf::open(&path).is_ok());
        let taken = dir.join("taken");
        let error = write_file(&taken, &shape, Recipe::default(), 1, &mut |_, _| {}).unwrap_err();
        assert!(error.to_string().contains("taken"), "{error}");
        assert!(!dir.join("taken.part").exists());
        fs::remove_dir_all(dir).unwrap();
    }
}
