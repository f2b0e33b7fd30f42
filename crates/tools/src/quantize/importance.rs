//! An importance matrix as encoders use it.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Error, Replacement};
use crate::imatrix_file::ImatrixFile;

/// Longest text that llama.cpp takes from a value it replaces.
const MAX_TEXT: usize = 127;

/// Which tensors an importance matrix is used for, by parts of their names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Selection {
    /// All.
    #[default]
    All,
    /// Those that contain one of these.
    Only(Vec<String>),
    /// Those that contain none of these.
    AllBut(Vec<String>),
}

impl Selection {
    fn contains(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(parts) => parts.iter().any(|part| name.contains(part)),
            Self::AllBut(parts) => !parts.iter().any(|part| name.contains(part)),
        }
    }
}

/// How much each column of each weight matters.
#[derive(Debug)]
pub struct Importance {
    /// By name of the weight: a factor for each column, for one expert after the other.
    pub(super) means: HashMap<String, Arc<[f32]>>,
    source: String,
    dataset: Option<String>,
    chunks: u32,
}

impl Importance {
    /// Takes the selected tensors of a file, whose name is written to the output.
    ///
    /// # Errors
    /// Values that are not finite.
    pub fn new(source: &str, file: &ImatrixFile, selection: &Selection) -> Result<Self, Error> {
        let mut means = HashMap::new();
        for (name, entry) in file.entries.iter().filter(|(name, _)| selection.contains(name)) {
            let values = entry.mean_squares();
            if let Some(&value) = values.iter().find(|value| !value.is_finite()) {
                return Err(Error::ImportanceValue { tensor: name.clone(), value });
            }
            means.insert(name.clone(), values.into());
        }
        let dataset = file.datasets.first().cloned();
        Ok(Self { means, source: source.to_owned(), dataset, chunks: file.chunk_count })
    }

    /// What the output says of it.
    pub(super) fn metadata(&self) -> impl Iterator<Item = (&'static str, Replacement)> {
        let text =
            |text: &str| Replacement::Text(text[..text.floor_char_boundary(MAX_TEXT)].to_owned());
        let number = |number: usize| Replacement::Integer(number as u32);
        let chunks = Some(self.chunks).filter(|&chunks| chunks > 0);
        [
            Some(("quantize.imatrix.file", text(&self.source))),
            self.dataset.as_ref().map(|dataset| ("quantize.imatrix.dataset", text(dataset))),
            Some(("quantize.imatrix.entries_count", number(self.means.len()))),
            chunks.map(|chunks| ("quantize.imatrix.chunks_count", Replacement::Integer(chunks))),
        ]
        .into_iter()
        .flatten()
    }
}
