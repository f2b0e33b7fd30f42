use std::sync::Arc;

use llguidance::ParserFactory;
use llguidance::earley::SlicedBiasComputer;
use tokenizer::Tokenizer;
use toktrie::{InferenceCapabilities, TokEnv, TokRxInfo, TokTrie, TokenId, TokenizerEnv};

use crate::{Error, TokenSet};

/// A model's tokens, made ready to be held to grammars. Cheap to clone; making one takes a good
/// part of a second for a large vocabulary.
#[derive(Clone)]
pub struct Vocabulary(Arc<Inner>);

struct Inner {
    tokenizer: Arc<Tokenizer>,
    factory: ParserFactory,
    /// Texts of control tokens, the longest first.
    controls: Vec<(String, u32)>,
    ends: TokenSet,
}

impl Vocabulary {
    /// The tokens of `tokenizer`.
    ///
    /// # Errors
    /// [`Error::Vocabulary`] when there are no tokens.
    pub fn new(tokenizer: &Arc<Tokenizer>) -> Result<Self, Error> {
        let tokenizer = tokenizer.clone();
        let n_tokens = tokenizer.n_vocab();
        let failed = |error: String| Error::Vocabulary(error);
        let size = u32::try_from(n_tokens + 1).map_err(|e| failed(e.to_string()))?;
        if n_tokens == 0 {
            return Err(failed("there are no tokens".into()));
        }
        let env: TokEnv = Arc::new(Env::new(tokenizer.clone(), size));
        // Ends are dealt with here, not by the parser; the spare token is the end it needs.
        let ff_tokens = env.tokenize_is_canonical();
        let abilities = InferenceCapabilities { ff_tokens, ..<_>::default() };
        let slices = SlicedBiasComputer::general_slices();
        let mut factory =
            ParserFactory::new(&env, abilities, &slices).map_err(|e| failed(e.to_string()))?;
        factory.quiet();
        factory.limits_mut().verbose_errors = false;
        let controls = (0..size - 1).filter(|id| tokenizer.is_control(*id));
        let text = |id| Some((tokenizer.token_text(id)?.to_owned(), id));
        let mut controls: Vec<(String, u32)> =
            controls.filter_map(text).filter(|(text, _)| !text.is_empty()).collect();
        controls.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.cmp(b)));
        let ends = TokenSet::of(n_tokens + 1, tokenizer.eog_tokens());
        Ok(Self(Arc::new(Inner { tokenizer, factory, controls, ends })))
    }

    /// Whether `other` is a clone of this vocabulary.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The tokenizer that the tokens are of.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.0.tokenizer
    }

    /// Number of tokens.
    pub fn n_tokens(&self) -> usize {
        self.0.tokenizer.n_vocab()
    }

    /// Where in `text` the first control token is spelt, and which.
    pub(crate) fn first_control_token(&self, text: &str) -> Option<(usize, &str, u32)> {
        let found = self.0.controls.iter().filter_map(|(control, id)| {
            Some((text.find(control.as_str())?, control.as_str(), *id))
        });
        // Of those at the same place the longest, which comes first.
        found.min_by_key(|(at, _, _)| *at)
    }

    pub(crate) fn factory(&self) -> &ParserFactory {
        &self.0.factory
    }

    /// The tokens that end a generation.
    pub(crate) fn ends(&self) -> &TokenSet {
        &self.0.ends
    }

    /// Some tokens that spell `bytes`.
    pub(crate) fn spell(&self, bytes: &[u8]) -> Vec<u32> {
        self.0.factory.tok_env().tok_trie().greedy_tokenize(bytes)
    }
}

/// The tokenizer as the parser sees it.
struct Env {
    tokenizer: Arc<Tokenizer>,
    trie: TokTrie,
    faithful: bool,
}

impl Env {
    /// `size` counts a spare token after those of the tokenizer.
    fn new(tokenizer: Arc<Tokenizer>, size: u32) -> Self {
        let mut words: Vec<Vec<u8>> = (0..size - 1).map(|id| word(&tokenizer, id)).collect();
        words.push(Vec::new());
        let trie = TokTrie::from(&TokRxInfo::new(size, size - 1), &words);
        // Without a token for each byte, not every text can be forced.
        let complete =
            (0..0xf5u8).all(|byte| trie.token_id(&[byte]).is_some() || matches!(byte, 0xc0 | 0xc1));
        let text = "{\"a\": 1}\n ä";
        let faithful = complete && spells(&trie, &tokenizer.encode(text, false, false), text);
        Self { tokenizer, trie, faithful }
    }
}

impl TokenizerEnv for Env {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<TokenId> {
        self.trie
            .tokenize_with_greedy_fallback(bytes, |text| self.tokenizer.encode(text, false, false))
    }

    fn tokenize_is_canonical(&self) -> bool {
        self.faithful
    }
}

fn spells(trie: &TokTrie, ids: &[u32], text: &str) -> bool {
    ids.iter().flat_map(|id| trie.token(*id)).eq(text.as_bytes())
}

/// The bytes that the parser sees of a token: those of control tokens come after a byte that text
/// never has, so that text can't be mistaken for them.
fn word(tokenizer: &Tokenizer, id: u32) -> Vec<u8> {
    const MARKER: u8 = TokTrie::SPECIAL_TOKEN_MARKER;
    let bytes = tokenizer.token_bytes(id).unwrap_or_default();
    let marked =
        tokenizer.is_control(id) || tokenizer.is_eog(id) || tokenizer.special().unk == Some(id);
    match marked {
        true if bytes.is_empty() => Vec::new(),
        true => [&[MARKER], &bytes[..]].concat(),
        // A token of this byte would look like the mark of others.
        false if bytes.first() == Some(&MARKER) => Vec::new(),
        false => bytes.into_owned(),
    }
}
