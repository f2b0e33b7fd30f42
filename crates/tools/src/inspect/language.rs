//! The tokenizer and the chat template.

use chat::{Chat, Message, Template};
use gguf::Gguf;
use serde::Serialize;
use tokenizer::{SpecialIds, Tokenizer};

/// The key of the chat template.
pub(super) const TEMPLATE: &str = "tokenizer.chat_template";

/// A tokenizer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenizerFacts {
    /// `tokenizer.ggml.model`: the family.
    pub model: String,
    /// `tokenizer.ggml.pre`: the pre-tokenizer.
    pub pre: Option<String>,
    /// Number of tokens.
    pub tokens: usize,
    /// Whether texts begin with the token for that.
    pub add_bos: bool,
    /// Whether texts end with the token for that.
    pub add_eos: bool,
    /// Tokens with a meaning of their own.
    pub special: Vec<SpecialToken>,
    /// Tokens that end an answer.
    pub ends: Vec<SpecialToken>,
}

/// A token with a meaning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SpecialToken {
    /// Its meaning, such as `bos`.
    pub role: &'static str,
    /// Its id.
    pub id: u32,
    /// Its text; `None` for an id beyond the vocabulary.
    pub text: Option<String>,
}

/// A chat template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TemplateFacts {
    /// Characters of its source.
    pub chars: usize,
    /// The template that `--chat-template` knows by this name writes conversations as it does.
    pub name: Option<&'static str>,
    /// What the model's way to write calls of functions is called.
    pub format: &'static str,
    /// Whether answers have thoughts.
    pub reasoning: bool,
    /// Whether thinking can be switched off.
    pub thinking_switch: bool,
    /// Whether conversations may begin with a message of the role `system`.
    pub system_role: bool,
    /// Whether tools are described to the model.
    pub tools: bool,
    /// Names of further templates in the file.
    pub others: Vec<String>,
}

/// What the file's tokenizer is.
pub(super) fn tokenizer(gguf: &Gguf, tokenizer: &Tokenizer) -> TokenizerFacts {
    let text = |key| gguf.metadata().opt_str(key).ok().flatten().map(str::to_owned);
    let token = |role, id| {
        let text = tokenizer.token_text(id).map(str::to_owned);
        SpecialToken { role, id, text }
    };
    let ends = tokenizer.eog_tokens().iter().map(|&id| token("end", id));
    let special = roles(tokenizer.special()).into_iter();
    TokenizerFacts {
        model: text("tokenizer.ggml.model").unwrap_or_default(),
        pre: text("tokenizer.ggml.pre"),
        tokens: tokenizer.n_vocab(),
        add_bos: tokenizer.add_bos(),
        add_eos: tokenizer.add_eos(),
        special: special.filter_map(|(role, id)| Some(token(role, id?))).collect(),
        ends: ends.collect(),
    }
}

/// The roles of special tokens.
pub(super) fn roles(ids: &SpecialIds) -> [(&'static str, Option<u32>); 14] {
    [
        ("bos", ids.bos),
        ("eos", ids.eos),
        ("eot", ids.eot),
        ("eom", ids.eom),
        ("unk", ids.unk),
        ("sep", ids.sep),
        ("pad", ids.pad),
        ("mask", ids.mask),
        ("fim_pre", ids.fim_pre),
        ("fim_suf", ids.fim_suf),
        ("fim_mid", ids.fim_mid),
        ("fim_pad", ids.fim_pad),
        ("fim_rep", ids.fim_rep),
        ("fim_sep", ids.fim_sep),
    ]
}

/// The file's template, if it has one, or why that can't be used.
pub(super) fn template(
    gguf: &Gguf,
    tokenizer: Option<&Tokenizer>,
) -> Option<Result<TemplateFacts, chat::Error>> {
    let source = gguf.metadata().opt_str(TEMPLATE).ok().flatten()?;
    let text = |id: Option<u32>| tokenizer.and_then(|t| t.token_text(id?)).unwrap_or_default();
    let (bos, eos) = tokenizer.map_or((None, None), |t| (t.bos(), t.eos()));
    let others = gguf.metadata().iter().filter_map(|(key, _)| key.strip_prefix(TEMPLATE));
    let others = others.filter_map(|rest| rest.strip_prefix('.')).map(str::to_owned).collect();
    Some(Template::new(source, text(bos), text(eos)).map(|template| {
        let name = name(&template, text(bos), text(eos));
        let chat = Chat::from_template(template);
        let capabilities = chat.capabilities();
        TemplateFacts {
            chars: source.chars().count(),
            name,
            format: chat.format_name(),
            reasoning: chat.has_reasoning(),
            thinking_switch: capabilities.thinking_switch,
            system_role: capabilities.system_role,
            tools: capabilities.tools,
            others,
        }
    }))
}

/// The built-in template that writes a conversation in the same way, if there is one.
fn name(template: &Template, bos: &str, eos: &str) -> Option<&'static str> {
    let roles = ["system", "user", "assistant", "user"];
    let texts = ["Be brief.", "One?", "Two.", "Three?"];
    let conversation: Vec<Message> =
        roles.into_iter().zip(texts).map(|(role, text)| Message::new(role, text)).collect();
    // Some take no system message.
    [&conversation[..], &conversation[1..]].into_iter().find_map(|messages| {
        let expected = template.render(messages, true).ok()?;
        // Texts begin with BOS anyway.
        let bare = |text: &str| text.strip_prefix(bos).unwrap_or(text).to_owned();
        chat::names().find(|name| {
            let known = chat::named(name).and_then(|t| Template::new(&t, bos, eos).ok());
            let text = known.and_then(|known| known.render(messages, true).ok());
            text.is_some_and(|text| bare(&text) == bare(&expected))
        })
    })
}
