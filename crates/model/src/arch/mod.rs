//! The architectures: one file each, one row each in [`ARCHITECTURES`].

mod prelude;

mod falcon_h1;
mod gemma3;
mod gemma3n;
mod granite_hybrid;
mod jamba;
mod lfm2;
mod llama;
mod llama4;
mod mamba;
mod minimax_01;
mod nemotron_h;
mod plamo2;
mod qrwkv;
mod qwen;
mod qwen_next;
mod rwkv;

use std::sync::Arc;

use gguf::Gguf;

use crate::Model;
use crate::error::Error;
use crate::source::Source;

type Load = fn(&Source<'_>) -> Result<Arc<dyn Model>, Error>;

/// `general.architecture` and its loader, in alphabetical order.
const ARCHITECTURES: &[(&str, Load)] = &[
    ("arwkv7", qrwkv::load_7),
    ("falcon-h1", falcon_h1::load),
    ("gemma3", gemma3::load),
    ("gemma3n", gemma3n::load),
    ("granitehybrid", granite_hybrid::load),
    ("jamba", jamba::load),
    ("lfm2", lfm2::load),
    ("lfm2moe", lfm2::load),
    ("llama", llama::load),
    ("llama-embed", llama::load_embedding),
    ("llama4", llama4::load),
    ("mamba", mamba::load_1),
    ("mamba2", mamba::load_2),
    ("minimax-01", minimax_01::load),
    ("nemotron_h", nemotron_h::load),
    ("nemotron_h_moe", nemotron_h::load),
    ("plamo2", plamo2::load),
    ("qwen2", qwen::load_2),
    ("qwen2moe", qwen::load_2_moe),
    ("qwen3", qwen::load_3),
    ("qwen35", qwen_next::load_3_5),
    ("qwen35moe", qwen_next::load_3_5_moe),
    ("qwen3moe", qwen::load_3_moe),
    ("qwen3next", qwen_next::load_3_next),
    ("rwkv6", rwkv::load_6),
    ("rwkv6qwen2", qrwkv::load_6),
    ("rwkv7", rwkv::load_7),
];

/// Names of all supported architectures.
pub fn supported() -> impl Iterator<Item = &'static str> {
    ARCHITECTURES.iter().map(|&(name, _)| name)
}

/// Loads the model in `gguf`; its weights stay in the mapped file.
pub fn load(gguf: &Gguf) -> Result<Arc<dyn Model>, Error> {
    let name = gguf.metadata().str("general.architecture")?;
    let Some((_, load)) = ARCHITECTURES.iter().find(|(known, _)| *known == name) else {
        return Err(Error::UnknownArchitecture { name: name.to_owned(), nearest: nearest(name) });
    };
    load(&Source::new(gguf)?)
}

/// The known name with the smallest edit distance, if that is under half of the name's length.
fn nearest(name: &str) -> Option<&'static str> {
    let (distance, known) =
        supported().map(|known| (edit_distance(name, known), known)).min_by_key(|&(d, _)| d)?;
    (distance * 2 < name.chars().count()).then_some(known)
}

/// Levenshtein distance of two short names.
fn edit_distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=a.len()).collect();
    for (i, cb) in b.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &ca) in a.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[a.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_name_is_close_or_none() {
        assert_eq!(nearest("gemma4"), Some("gemma3"));
        assert_eq!(nearest("lama"), Some("llama"));
        assert_eq!(nearest("starcoder"), None);
        assert_eq!(edit_distance("kitten", "sitting"), 3);
    }
}
