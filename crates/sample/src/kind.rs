/// A sampler that can be put into the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SamplerKind {
    /// Repetition, frequency and presence penalties.
    Penalties,
    /// The penalty on prolonged repetitions.
    Dry,
    /// Logits within a number of standard deviations of the highest.
    TopNSigma,
    /// The k likeliest tokens.
    TopK,
    /// The tokens of the most typical information.
    TypicalP,
    /// The likeliest tokens that reach a probability.
    TopP,
    /// The tokens of at least a share of the highest probability.
    MinP,
    /// All likely tokens but the least of them taken away.
    Xtc,
    /// Temperature, fixed or moved by entropy.
    Temperature,
    /// What is to be filled in between two texts.
    Infill,
    /// Choices about a probability; always the last.
    AdaptiveP,
}

use SamplerKind::*;

/// Kind, name, letter and other names.
const TABLE: [(SamplerKind, &str, char, &[&str]); 11] = [
    (Penalties, "penalties", 'e', &[]),
    (Dry, "dry", 'd', &[]),
    (TopNSigma, "top_n_sigma", 's', &["top-n-sigma", "topnsigma"]),
    (TopK, "top_k", 'k', &["top-k", "topk"]),
    (TypicalP, "typ_p", 'y', &["typ-p", "typp", "typ"]),
    (TopP, "top_p", 'p', &["top-p", "topp", "nucleus"]),
    (MinP, "min_p", 'm', &["min-p", "minp"]),
    (Xtc, "xtc", 'x', &[]),
    (Temperature, "temperature", 't', &["temp"]),
    (Infill, "infill", 'i', &[]),
    (AdaptiveP, "adaptive_p", 'a', &["adaptive-p", "adaptivep"]),
];

impl SamplerKind {
    /// The chain unless another is asked for.
    pub const DEFAULT: [Self; 9] =
        [Penalties, Dry, TopNSigma, TopK, TypicalP, TopP, MinP, Xtc, Temperature];

    /// All kinds.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.0)
    }

    /// The sampler of a name as in `--samplers`, in any case; llama.cpp's other spellings too.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let row = TABLE.iter().find(|row| row.1 == name || row.3.contains(&name.as_str()));
        row.map(|row| row.0)
    }

    /// The sampler of a letter as in `--sampler-seq`.
    pub fn from_letter(letter: char) -> Option<Self> {
        TABLE.iter().find(|row| row.2 == letter).map(|row| row.0)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        TABLE[self as usize].1
    }

    /// Its letter.
    pub fn letter(self) -> char {
        TABLE[self as usize].2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_letters_lead_back_to_their_kind() {
        for kind in SamplerKind::all() {
            assert_eq!(SamplerKind::from_name(kind.name()), Some(kind));
            assert_eq!(SamplerKind::from_letter(kind.letter()), Some(kind));
            // llama.cpp takes every name with dashes and without anything between its words, too.
            assert_eq!(SamplerKind::from_name(&kind.name().replace('_', "-")), Some(kind));
            assert_eq!(SamplerKind::from_name(&kind.name().replace('_', "")), Some(kind));
        }
        assert_eq!(SamplerKind::from_name("Nucleus"), Some(TopP));
        assert_eq!(SamplerKind::from_name("tfs_z"), None);
        assert_eq!(SamplerKind::from_letter('f'), None);
    }

    #[test]
    fn the_default_chain_is_that_of_llama_cpp() {
        let letters: String = SamplerKind::DEFAULT.map(SamplerKind::letter).iter().collect();
        assert_eq!(letters, "edskypmxt");
    }
}
