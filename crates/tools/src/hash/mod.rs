//! Hashes of a model's weights, as llama.cpp's `llama-gguf-hash` computes them: of each tensor, and
//! of all one after another. Metadata has no part in them.

mod digest;
mod manifest;

use std::fmt;

use gguf::Gguf;

use digest::Digest;

pub use manifest::{Manifest, Verdict};

/// How bytes become a short number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// 64 bits, fast; protects from accidents only.
    Xxh64,
    /// 160 bits.
    Sha1,
    /// 256 bits; protects from forgery.
    Sha256,
    /// SHA-1 as a version 5 UUID in llama.cpp's name space; of whole models only.
    Uuid,
}

impl Algorithm {
    /// All of them, in the order in which they are printed.
    pub const ALL: [Self; 4] = [Self::Xxh64, Self::Sha1, Self::Sha256, Self::Uuid];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Xxh64 => "xxh64",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Uuid => "uuid",
        }
    }

    /// The one that is called so.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }
}

/// A hash of a tensor, or of the whole model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hash {
    /// How it was computed.
    pub algorithm: Algorithm,
    /// It, as text.
    pub text: String,
    /// The tensor; `None` for the model.
    pub tensor: Option<String>,
}

impl Hash {
    /// What it is of, in manifests: `FILE:TENSOR` or `FILE`.
    pub fn subject(&self, file: &str) -> String {
        match &self.tensor {
            Some(tensor) => format!("{file}:{tensor}"),
            None => file.to_owned(),
        }
    }

    /// Its line in the manifest of a file.
    pub fn line(&self, file: &str) -> String {
        format!("{self}  {}", self.subject(file))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<8}  {}", self.algorithm.name(), self.text)
    }
}

/// What happens while a model is hashed.
#[derive(Debug)]
pub enum Event {
    /// So many bytes of so many are done.
    Progress(u64, u64),
    /// A hash is known.
    Done(Hash),
}

/// Computes hashes with each of `algorithms`: of each tensor where `per_tensor`, then of the model.
pub fn hash(
    model: &Gguf,
    algorithms: &[Algorithm],
    per_tensor: bool,
    notice: &mut dyn FnMut(Event),
) {
    let total = model.tensors().iter().map(|tensor| tensor.size() as u64).sum();
    let mut done = 0;
    let mut whole: Vec<Digest> = algorithms.iter().map(|&a| Digest::new(a)).collect();
    for tensor in model.tensors() {
        let data = model.data(tensor);
        let mut parts: Vec<Digest> = algorithms
            .iter()
            .filter(|&&algorithm| per_tensor && algorithm != Algorithm::Uuid)
            .map(|&algorithm| Digest::new(algorithm))
            .collect();
        std::thread::scope(|scope| {
            for digest in whole.iter_mut().chain(&mut parts) {
                scope.spawn(|| digest.update(&data));
            }
        });
        done += data.len() as u64;
        for part in parts {
            notice(Event::Done(part.finish(Some(&tensor.name))));
        }
        notice(Event::Progress(done, total));
    }
    for digest in whole {
        notice(Event::Done(digest.finish(None)));
    }
}
