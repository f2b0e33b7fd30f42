use std::borrow::Cow;

use gguf::Metadata;

use crate::bpe::Bpe;
use crate::piece::{Spelling, piece};
use crate::special::{SpecialIds, end_tokens, set_strip};
use crate::special_text::{Fragment, SpecialText};
use crate::spm::Spm;
use crate::vocab::{Attr, Vocab};
use crate::{Decoder, Error, Parts};

/// A model's tokenizer.
pub struct Tokenizer {
    vocab: Vocab,
    family: Family,
    special: SpecialIds,
    special_text: SpecialText,
    /// Tokens that end a generation, ascending.
    ends: Vec<u32>,
    add_bos: bool,
    add_eos: bool,
    add_space_prefix: bool,
}

enum Family {
    Bpe(Box<Bpe>),
    Spm(Box<Spm>),
}

impl Tokenizer {
    /// The tokenizer a model file describes.
    ///
    /// # Errors
    /// When the file describes none, or one of an unknown kind; see [`Error`].
    pub fn from_metadata(metadata: &Metadata) -> Result<Self, Error> {
        Self::new(&Parts::from_metadata(metadata)?)
    }

    /// The tokenizer made of `parts`.
    ///
    /// # Errors
    /// When a part is missing, too short or of an unknown kind; see [`Error`].
    pub fn new(parts: &Parts) -> Result<Self, Error> {
        let mut vocab = Vocab::new(parts)?;
        let none = SpecialIds::default();
        let (family, add_bos, defaults) = match parts.model {
            "gpt2" => {
                let bpe = Bpe::new(parts, &vocab)?;
                let add_bos = bpe.add_bos();
                (
                    Family::Bpe(Box::new(bpe)),
                    add_bos,
                    SpecialIds { bos: Some(11), eos: Some(11), ..none },
                )
            }
            "llama" => {
                let ids = SpecialIds { bos: Some(1), eos: Some(2), unk: Some(0), ..none };
                (Family::Spm(Box::new(Spm::new(parts, &vocab)?)), true, ids)
            }
            other => return Err(Error::UnknownModel(other.to_owned())),
        };
        let special = SpecialIds::find(parts, defaults, &mut vocab);
        let ends = end_tokens(&special, &mut vocab);
        set_strip(parts, &mut vocab);
        Ok(Self {
            special_text: SpecialText::new(&vocab),
            add_bos: parts.add_bos.unwrap_or(add_bos),
            add_eos: parts.add_eos.unwrap_or(false),
            add_space_prefix: parts.add_space_prefix.unwrap_or(true),
            vocab,
            family,
            special,
            ends,
        })
    }

    /// The tokens of `text`.
    ///
    /// `add_special` adds the tokens for begin and end of text if the model
    /// wants them; `parse_special` reads texts of control tokens as these.
    pub fn encode(&self, text: &str, add_special: bool, parse_special: bool) -> Vec<u32> {
        let mut ids = Vec::with_capacity(text.len() / 4 + 2);
        if add_special && self.add_bos {
            ids.extend(self.special.bos);
        }
        let mut after_special = true;
        for fragment in self.special_text.split(&self.vocab, text, parse_special) {
            match fragment {
                Fragment::Token(id) => {
                    ids.push(id);
                    after_special = true;
                }
                Fragment::Text(range) => {
                    let prefix = self.add_space_prefix && after_special;
                    self.encode_plain(&text[range], prefix, &mut ids);
                    after_special = false;
                }
            }
        }
        if add_special && self.add_eos {
            ids.extend(self.special.eos);
        }
        ids
    }

    fn encode_plain(&self, text: &str, prefix: bool, ids: &mut Vec<u32>) {
        match &self.family {
            Family::Bpe(bpe) => bpe.encode(&self.vocab, text, ids),
            Family::Spm(spm) => spm.encode(&self.vocab, text, prefix, self.special.unk, ids),
        }
    }

    /// The bytes a token stands for, which need not be whole characters; `None`
    /// for ids that are out of range.
    pub fn token_bytes(&self, id: u32) -> Option<Cow<'_, [u8]>> {
        let spelling = match self.family {
            Family::Bpe(_) => Spelling::ByteChars,
            Family::Spm(_) => Spelling::Spaces,
        };
        ((id as usize) < self.n_vocab()).then(|| piece(&self.vocab, spelling, id))
    }

    /// The text of `ids`, with U+FFFD for what is not UTF-8; control tokens
    /// give text only if `render_special`.
    pub fn decode(&self, ids: &[u32], render_special: bool) -> String {
        let mut decoder = self.decoder(render_special);
        let mut text = String::new();
        for id in ids {
            text.push_str(decoder.push(*id));
        }
        text + &decoder.finish()
    }

    /// Decodes token by token.
    pub fn decoder(&self, render_special: bool) -> Decoder<'_> {
        Decoder::new(self, render_special)
    }

    /// Number of tokens.
    pub fn n_vocab(&self) -> usize {
        self.vocab.len()
    }

    /// The text of a token as the vocabulary spells it; `None` for ids that are
    /// out of range and texts that are not UTF-8.
    pub fn token_text(&self, id: u32) -> Option<&str> {
        let text = std::str::from_utf8(self.vocab.text(id)).ok();
        text.filter(|_| (id as usize) < self.n_vocab())
    }

    /// The token whose text the vocabulary spells `text`.
    pub fn find(&self, text: &str) -> Option<u32> {
        self.vocab.find(text.as_bytes())
    }

    /// All tokens with a meaning of their own.
    pub fn special(&self) -> &SpecialIds {
        &self.special
    }

    /// The token that begins a text.
    pub fn bos(&self) -> Option<u32> {
        self.special.bos
    }

    /// The token that ends a text.
    pub fn eos(&self) -> Option<u32> {
        self.special.eos
    }

    /// Whether encoding adds the token that begins a text.
    pub fn add_bos(&self) -> bool {
        self.add_bos
    }

    /// Whether encoding adds the token that ends a text.
    pub fn add_eos(&self) -> bool {
        self.add_eos
    }

    /// Whether a generation ends with this token.
    pub fn is_eog(&self, id: u32) -> bool {
        self.ends.binary_search(&id).is_ok()
    }

    /// The tokens that end a generation, ascending.
    pub fn eog_tokens(&self) -> &[u32] {
        &self.ends
    }

    /// Whether this is a control token.
    pub fn is_control(&self, id: u32) -> bool {
        self.vocab.attr(id).any(Attr::CONTROL)
    }

    /// Whether the token is left out of text unless special tokens are rendered.
    pub(crate) fn is_hidden(&self, id: u32) -> bool {
        self.vocab.attr(id).any(Attr::CONTROL.with(Attr::UNKNOWN))
    }
}
