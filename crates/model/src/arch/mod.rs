//! The architectures: one file each, one row each in [`ARCHITECTURES`].

mod prelude;

mod gemma3;
mod gemma3n;
mod llama;
mod llama4;
mod qwen;

use std::sync::Arc;

use gguf::Gguf;

use crate::Model;
use crate::error::Error;
use crate::source::Source;

type Load = fn(&Source<'_>) -> Result<Arc<dyn Model>, Error>;

/// `general.architecture` and its loader, in alphabetical order.
const ARCHITECTURES: &[(&str, Load)] = &[
    ("gemma3", gemma3::load),
    ("gemma3n", gemma3n::load),
    ("llama", llama::load),
    ("llama-embed", llama::load_embedding),
    ("llama4", llama4::load),
    ("qwen2", qwen::load_2),
    ("qwen2moe", qwen::load_2_moe),
    ("qwen3", qwen::load_3),
    ("qwen3moe", qwen::load_3_moe),
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
        assert_eq!(nearest("rwkv6"), None);
        assert_eq!(edit_distance("kitten", "sitting"), 3);
    }
}
