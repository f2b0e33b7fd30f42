//! BERT (Devlin et al. 2019, arXiv:1810.04805) and sentence-transformers made of it.

use serde_json::{Value, json};

use super::{Family, put_counts};
use crate::convert::Error;
use crate::convert::config::Config;
use crate::convert::folder::Folder;
use crate::convert::pairs::Pairs;
use crate::convert::tensors::{Change, Name, Tensors};
use crate::convert::vocab::{Vocabulary, wordpiece};

pub const BERT: Family = Family {
    architectures: &["BertModel", "BertForMaskedLM"],
    name: "bert",
    defaults,
    rename,
    sizes,
    vocabulary,
    tensors: put_tensors,
};

const OUTSIDE: [Name; 4] = [
    ("embeddings.word_embeddings", "token_embd", Change::None),
    ("embeddings.position_embeddings", "position_embd", Change::None),
    ("embeddings.token_type_embeddings", "token_types", Change::None),
    ("embeddings.LayerNorm", "token_embd_norm", Change::None),
];

const LAYER: [Name; 8] = [
    ("attention.self.query", "attn_q", Change::None),
    ("attention.self.key", "attn_k", Change::None),
    ("attention.self.value", "attn_v", Change::None),
    ("attention.output.dense", "attn_output", Change::None),
    ("attention.output.LayerNorm", "attn_output_norm", Change::None),
    ("intermediate.dense", "ffn_up", Change::None),
    ("output.dense", "ffn_down", Change::None),
    ("output.LayerNorm", "layer_output_norm", Change::None),
];

fn defaults() -> Value {
    json!({
        "position_embedding_type": "absolute", "hidden_act": "gelu", "layer_norm_eps": 1e-12,
        "type_vocab_size": 2, "max_position_embeddings": 512,
    })
}

/// Without what guesses masked words and what sums up a text, neither of which embeddings need.
fn rename(name: &str) -> Option<String> {
    // Some files have the whole model under a name of its own.
    let name = name.strip_prefix("bert.").unwrap_or(name);
    let is_head = name.starts_with("cls.") || name.starts_with("pooler.");
    if is_head || name == "embeddings.position_ids" {
        return None;
    }
    let renamed = [(".gamma", ".weight"), (".beta", ".bias")];
    let old = renamed.iter().find_map(|(old, new)| Some(name.strip_suffix(old)?.to_owned() + new));
    Some(old.unwrap_or_else(|| name.to_owned()))
}

fn sizes(config: &Config<'_>, folder: &Folder, pairs: &mut Pairs) -> Result<(), Error> {
    for (key, expected) in [("position_embedding_type", "absolute"), ("hidden_act", "gelu")] {
        if config.text(key) != Some(expected) {
            return Err(config.wrong(key, expected));
        }
    }
    put_counts(config, pairs)?;
    pairs.size("attention.layer_norm_epsilon", config.number("layer_norm_eps")? as f32)?;
    pairs.size("attention.causal", false)?;
    pairs.opt_size("pooling_type", pooling(folder)?)
}

/// The number of the pooling that a sentence-transformer has; `None` for other models.
fn pooling(folder: &Folder) -> Result<Option<u32>, Error> {
    let modules = folder.opt_json("modules.json")?;
    let is_pooling =
        |module: &&Value| module["type"].as_str().is_some_and(|ty| ty.ends_with("Pooling"));
    let module = modules.as_array().into_iter().flatten().find(is_pooling);
    let Some(path) = module.and_then(|module| module["path"].as_str()) else { return Ok(None) };
    if path.contains(['/', '\\']) || path == ".." {
        let what = format!("a module in {path}");
        return Err(folder.wrong("modules.json", what, "the name of a folder"));
    }
    let file = format!("{path}/config.json");
    let config = folder.json(&file)?;
    let modes =
        [("mean", "mean_tokens", 1), ("cls", "cls_token", 2), ("lasttoken", "lasttoken", 3)];
    let is_on = |(name, flag, _): &&(&str, &str, u32)| {
        config[format!("pooling_mode_{flag}")] == true || config["pooling_mode"] == *name
    };
    match modes.iter().find(is_on) {
        Some(&(_, _, number)) => Ok(Some(number)),
        None => {
            let expected = "mean_tokens, cls_token or lasttoken";
            Err(folder.wrong(&file, "another pooling".into(), expected))
        }
    }
}

fn vocabulary(config: &Config<'_>, folder: &Folder, _: Option<&str>) -> Result<Vocabulary, Error> {
    wordpiece::read(config, folder)
}

fn put_tensors(config: &Config<'_>, tensors: &mut Tensors<'_>) -> Result<(), Error> {
    tensors.parts("", "", &OUTSIDE)?;
    for no in 0..config.count("num_hidden_layers")? {
        tensors.parts(&format!("encoder.layer.{no}."), &format!("blk.{no}."), &LAYER)?;
    }
    Ok(())
}
