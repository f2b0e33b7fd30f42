use std::borrow::Cow;

use gguf::Metadata;

use crate::bpe::Bpe;
use crate::detokenize::clean_spaces;
use crate::dna::{self, Dna};
use crate::piece::{Form, piece};
use crate::plamo2::Plamo2;
use crate::pre::Spelling;
use crate::rwkv::Rwkv;
use crate::special::{SpecialIds, end_tokens, set_strip};
use crate::special_text::{Fragment, SpecialText};
use crate::spm::Spm;
use crate::unicode::lowercase;
use crate::unigram::Unigram;
use crate::vocab::{Attr, Vocab};
use crate::wordpiece::WordPiece;
use crate::{Decoder, Error, Parts};

/// A model's tokenizer.
pub struct Tokenizer {
    vocab: Vocab,
    family: Family,
    special: SpecialIds,
    special_text: SpecialText,
    /// Tokens that end a generation, ascending.
    ends: Vec<u32>,
    /// Tokens never to be generated.
    suppressed: Vec<u32>,
    flags: Flags,
}

enum Family {
    Bpe(Box<Bpe>),
    /// BPE with DNA between tags.
    Dna(Box<Bpe>, Option<Dna>),
    /// BPE of words, whose white space is lost, in lower case or not.
    Words(Box<Bpe>, bool),
    Spm(Box<Spm>),
    WordPiece(Box<WordPiece>),
    Unigram(Box<Unigram>),
    Rwkv(Box<Rwkv>),
    Plamo2(Box<Plamo2>),
}

/// The families by `tokenizer.ggml.model`.
pub(crate) const MODELS: [&str; 9] =
    ["gpt2", "gemma4", "hybriddna", "whitespace", "llama", "bert", "t5", "rwkv", "plamo2"];

/// What is added to text, and taken out again.
#[derive(Clone, Copy, Default)]
struct Flags {
    add_bos: bool,
    add_eos: bool,
    add_sep: bool,
    add_space_prefix: bool,
    clean_spaces: bool,
}

/// What holds for a family unless the file says otherwise.
struct Defaults {
    ids: SpecialIds,
    flags: Flags,
}

impl Family {
    fn new(parts: &Parts, vocab: &Vocab) -> Result<Self, Error> {
        let bpe = |pre: &str| Bpe::new(parts, pre, vocab).map(Box::new);
        Ok(match parts.model {
            "gpt2" => Family::Bpe(bpe(parts.pre)?),
            "gemma4" => Family::Bpe(bpe("gemma4")?),
            "hybriddna" => Family::Dna(bpe(parts.pre)?, Dna::new(vocab)),
            "whitespace" => {
                let bpe = bpe(parts.pre)?;
                let lowercase = parts.lowercase.unwrap_or(bpe.pre().lowercase);
                Family::Words(bpe, lowercase)
            }
            "llama" => Family::Spm(Box::new(Spm::new(parts, vocab)?)),
            "bert" => Family::WordPiece(Box::new(WordPiece::new(parts, vocab))),
            "t5" => Family::Unigram(Box::new(Unigram::new(parts, vocab)?)),
            "rwkv" => Family::Rwkv(Box::new(Rwkv::new(vocab))),
            "plamo2" => Family::Plamo2(Box::new(Plamo2::new(parts, vocab)?)),
            other => return Err(Error::UnknownModel(other.to_owned())),
        })
    }

    fn defaults(&self, model: &str) -> Defaults {
        let none = Flags::default();
        let ids = |bos, eos, unk| SpecialIds { bos, eos, unk, ..SpecialIds::default() };
        match self {
            Family::Bpe(bpe) | Family::Dna(bpe, _) | Family::Words(bpe, _) => {
                let pre = bpe.pre();
                let eos = (model != "gemma4").then_some(11);
                Defaults {
                    ids: ids(eos.filter(|_| !pre.no_default_bos), eos, None),
                    flags: Flags {
                        add_bos: pre.add_bos,
                        add_sep: pre.add_sep,
                        clean_spaces: pre.clean_spaces,
                        ..none
                    },
                }
            }
            Family::Spm(_) => Defaults {
                ids: ids(Some(1), Some(2), Some(0)),
                flags: Flags { add_bos: true, add_space_prefix: true, ..none },
            },
            Family::WordPiece(_) => Defaults {
                ids: SpecialIds {
                    sep: Some(102),
                    pad: Some(0),
                    mask: Some(103),
                    ..ids(Some(101), None, Some(100))
                },
                flags: Flags { add_bos: true, add_sep: true, clean_spaces: true, ..none },
            },
            Family::Unigram(_) => Defaults {
                ids: SpecialIds { pad: Some(0), ..ids(None, Some(1), Some(2)) },
                flags: Flags { add_eos: true, ..none },
            },
            Family::Rwkv(_) => Defaults { ids: SpecialIds::default(), flags: none },
            Family::Plamo2(_) => Defaults {
                ids: SpecialIds { pad: Some(3), ..ids(Some(1), Some(2), Some(0)) },
                flags: none,
            },
        }
    }

    /// How texts of tokens are spelt.
    fn form(&self) -> Form {
        match self {
            Family::Bpe(bpe) | Family::Dna(bpe, _) | Family::Words(bpe, _) => {
                match bpe.pre().spelling {
                    // llama.cpp reads plain text as characters for bytes, too.
                    Spelling::ByteChars | Spelling::Plain => Form::ByteChars,
                    Spelling::Spaces | Spelling::SpacesAndLines => Form::Spaces,
                }
            }
            Family::Spm(_) | Family::WordPiece(_) | Family::Unigram(_) => Form::Spaces,
            Family::Rwkv(_) => Form::Escapes,
            Family::Plamo2(_) => Form::Plain,
        }
    }

    /// Whether the BOS token is added whatever the file says.
    fn forces_bos(&self) -> bool {
        match self {
            Family::Bpe(bpe) | Family::Dna(bpe, _) | Family::Words(bpe, _) => bpe.pre().force_bos,
            _ => false,
        }
    }
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
        let family = Family::new(parts, &vocab)?;
        if matches!(family, Family::Dna(..)) {
            vocab.hide_suffix(dna::UNKNOWN, dna::MARKER);
        }
        let Defaults { ids, flags } = family.defaults(parts.model);
        let special = SpecialIds::find(parts, ids, &mut vocab);
        let ends = end_tokens(&special, &mut vocab);
        set_strip(parts, &mut vocab);
        let suppressed = parts.suppress.iter().filter_map(|id| u32::try_from(*id).ok());
        Ok(Self {
            special_text: SpecialText::new(&vocab),
            suppressed: suppressed.filter(|id| (*id as usize) < vocab.len()).collect(),
            flags: Flags {
                add_bos: parts.add_bos.unwrap_or(flags.add_bos) || family.forces_bos(),
                add_eos: parts.add_eos.unwrap_or(flags.add_eos),
                add_sep: parts.add_sep.unwrap_or(flags.add_sep),
                add_space_prefix: parts.add_space_prefix.unwrap_or(flags.add_space_prefix),
                clean_spaces: flags.clean_spaces,
            },
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
        let (first, last) = self.ends_of_text();
        if add_special {
            ids.extend(first);
        }
        let mut after_special = true;
        for fragment in self.special_text.split(&self.vocab, text, parse_special) {
            match fragment {
                Fragment::Token(id) => {
                    ids.push(id);
                    after_special = true;
                }
                Fragment::Text(range) => {
                    let prefix = self.flags.add_space_prefix && after_special;
                    self.encode_plain(&text[range], prefix, &mut ids);
                    after_special = false;
                }
            }
        }
        if add_special {
            ids.extend(last);
        }
        ids
    }

    /// The tokens that encoding adds before and after text.
    fn ends_of_text(&self) -> (Option<u32>, Option<u32>) {
        match self.family {
            // These don't ask the flags.
            Family::WordPiece(_) => (self.special.bos, self.special.sep),
            Family::Rwkv(_) => (None, None),
            _ => (
                self.special.bos.filter(|_| self.flags.add_bos),
                self.special.eos.filter(|_| self.flags.add_eos),
            ),
        }
    }

    fn encode_plain(&self, text: &str, prefix: bool, ids: &mut Vec<u32>) {
        let vocab = &self.vocab;
        let unknown = self.special.unk;
        match &self.family {
            Family::Bpe(bpe) => bpe.encode(vocab, &bpe.normalize(text), ids),
            Family::Dna(bpe, dna) => {
                let text = bpe.normalize(text);
                match dna {
                    None => bpe.encode(vocab, &text, ids),
                    Some(dna) => {
                        dna.encode(vocab, &text, ids, |text, ids| bpe.encode(vocab, text, ids));
                    }
                }
            }
            Family::Words(bpe, lower) => {
                for word in bpe.normalize(text).split_whitespace() {
                    let word = match lower {
                        true => Cow::Owned(word.chars().map(lowercase).collect()),
                        false => Cow::Borrowed(word),
                    };
                    bpe.encode(vocab, &word, ids);
                }
            }
            Family::Spm(spm) => spm.encode(vocab, text, prefix, unknown, ids),
            Family::WordPiece(wordpiece) => wordpiece.encode(text, unknown, ids),
            Family::Unigram(unigram) => unigram.encode(vocab, text, unknown, ids),
            Family::Rwkv(rwkv) => rwkv.encode(text, unknown, ids),
            Family::Plamo2(plamo2) => plamo2.encode(text, ids),
        }
    }

    /// The bytes a token stands for, which need not be whole characters; `None`
    /// for ids that are out of range.
    pub fn token_bytes(&self, id: u32) -> Option<Cow<'_, [u8]>> {
        ((id as usize) < self.n_vocab()).then(|| piece(&self.vocab, self.family.form(), id))
    }

    /// The text of `ids` as it was before encoding, as far as that can be
    /// told: without the space that the first token begins with if encoding
    /// added one, and with spaces cleaned up if the model wants that.
    ///
    /// `remove_special` leaves out the tokens that encoding added at the ends;
    /// control tokens give text only if `render_special`.
    pub fn detokenize(&self, ids: &[u32], remove_special: bool, render_special: bool) -> String {
        let mut ids = ids;
        let mut strip = self.flags.add_space_prefix;
        if remove_special && self.flags.add_bos && ids.first().copied() == self.special.bos {
            ids = ids.get(1..).unwrap_or_default();
            strip = false;
        }
        if remove_special && self.flags.add_eos && ids.last().copied() == self.special.eos {
            ids = &ids[..ids.len().saturating_sub(1)];
        }
        let mut text = Vec::new();
        for (i, id) in ids.iter().enumerate() {
            let visible = render_special || !self.is_hidden(*id);
            let piece = self.token_bytes(*id).filter(|_| visible).unwrap_or_default();
            text.extend_from_slice(match piece.strip_prefix(b" ") {
                Some(rest) if strip && i == 0 => rest,
                _ => &piece,
            });
        }
        if self.flags.clean_spaces {
            text = clean_spaces(text);
        }
        String::from_utf8(text).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into())
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
    pub fn decoder(&self, render_special: bool) -> Decoder<&Self> {
        Decoder::new(self, render_special)
    }

    /// Number of tokens.
    pub fn n_vocab(&self) -> usize {
        self.vocab.len()
    }

    /// The text of a token as the vocabulary spells it; `None` for ids that are
    /// out of range and texts that are not UTF-8.
    pub fn token_text(&self, id: u32) -> Option<&str> {
        let text = std::str::from_utf8(self.vocab.shown(id)).ok();
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
        self.flags.add_bos
    }

    /// Whether encoding adds the token that ends a text.
    pub fn add_eos(&self) -> bool {
        self.flags.add_eos
    }

    /// Whether texts are to be separated by the token for that.
    pub fn add_sep(&self) -> bool {
        self.flags.add_sep
    }

    /// The tokens that are never to be generated, as the file has them.
    pub fn suppressed_tokens(&self) -> &[u32] {
        &self.suppressed
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
