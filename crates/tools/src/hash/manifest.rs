//! Hashes that were computed before.

use std::collections::HashMap;

use super::{Algorithm, Hash};

/// Hashes by what they are of: lines of `ALGORITHM HASH FILE[:TENSOR]`; others are passed over.
#[derive(Debug, Clone, Default)]
pub struct Manifest {
    hashes: HashMap<(Algorithm, String), String>,
}

/// What a manifest says of a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the same.
    Ok,
    /// It is another one.
    Mismatch,
    /// There is none of that.
    NotFound,
}

impl Verdict {
    /// As llama.cpp says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "Ok",
            Self::Mismatch => "Mismatch",
            Self::NotFound => "Not Found",
        }
    }
}

impl Manifest {
    /// Reads a manifest's text.
    pub fn parse(text: &str) -> Self {
        let mut hashes = HashMap::new();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let (Some(algorithm), Some(hash)) = (words.next(), words.next()) else { continue };
            // Names of files may have spaces.
            let rest = line.split_once(hash).map_or("", |(_, rest)| rest.trim());
            if let (Some(algorithm), false) = (Algorithm::from_name(algorithm), rest.is_empty()) {
                hashes.entry((algorithm, rest.to_owned())).or_insert_with(|| hash.to_owned());
            }
        }
        Self { hashes }
    }

    /// The algorithms that it has hashes of, in their order.
    pub fn algorithms(&self) -> Vec<Algorithm> {
        let has = |algorithm: &Algorithm| self.hashes.keys().any(|(own, _)| own == algorithm);
        Algorithm::ALL.into_iter().filter(has).collect()
    }

    /// The one that tells most: the strongest.
    pub fn strongest(&self) -> Option<Algorithm> {
        use Algorithm::{Sha1, Sha256, Uuid, Xxh64};
        let has = self.algorithms();
        [Sha256, Sha1, Xxh64, Uuid].into_iter().find(|algorithm| has.contains(algorithm))
    }

    /// Compares a hash of the file that is called `file` in the manifest.
    pub fn check(&self, hash: &Hash, file: &str) -> Verdict {
        match self.hashes.get(&(hash.algorithm, hash.subject(file))) {
            None => Verdict::NotFound,
            Some(text) if *text == hash.text => Verdict::Ok,
            Some(_) => Verdict::Mismatch,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_by_algorithm_and_name() {
        let text =
            "# remark\nxxh64     00ff  a b.gguf:t\nsha256    11  a b.gguf\nmd5  2  x\nsha1\n";
        let manifest = Manifest::parse(text);
        assert_eq!(manifest.algorithms(), [Algorithm::Xxh64, Algorithm::Sha256]);
        assert_eq!(manifest.strongest(), Some(Algorithm::Sha256));
        let hash = |algorithm, text: &str, tensor: Option<&str>| Hash {
            algorithm,
            text: text.into(),
            tensor: tensor.map(str::to_owned),
        };
        let check = |hash: Hash| manifest.check(&hash, "a b.gguf");
        assert_eq!(check(hash(Algorithm::Xxh64, "00ff", Some("t"))), Verdict::Ok);
        assert_eq!(check(hash(Algorithm::Xxh64, "00fe", Some("t"))), Verdict::Mismatch);
        assert_eq!(check(hash(Algorithm::Xxh64, "00ff", None)), Verdict::NotFound);
        assert_eq!(check(hash(Algorithm::Sha256, "11", None)), Verdict::Ok);
        assert_eq!(Manifest::parse("nothing").strongest(), None);
    }
}
