//! Tokens with a meaning: which they are, and which end a generation.

use crate::parts::Parts;
use crate::vocab::{Attr, Vocab};

/// Ids of the tokens with a meaning of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpecialIds {
    /// Begins a text.
    pub bos: Option<u32>,
    /// Ends a text.
    pub eos: Option<u32>,
    /// Ends a turn of a conversation.
    pub eot: Option<u32>,
    /// Ends a message of a turn that goes on.
    pub eom: Option<u32>,
    /// Stands for text that has no token.
    pub unk: Option<u32>,
    /// Separates two texts.
    pub sep: Option<u32>,
    /// Fills up batches.
    pub pad: Option<u32>,
    /// Stands for a token to be guessed.
    pub mask: Option<u32>,
    /// Fill in the middle: before the prefix.
    pub fim_pre: Option<u32>,
    /// Fill in the middle: before the suffix.
    pub fim_suf: Option<u32>,
    /// Fill in the middle: before the middle.
    pub fim_mid: Option<u32>,
    /// Fill in the middle: padding.
    pub fim_pad: Option<u32>,
    /// Fill in the middle: before the name of a repository.
    pub fim_rep: Option<u32>,
    /// Fill in the middle: between files.
    pub fim_sep: Option<u32>,
}

/// Texts by which a token is recognised when the file does not give its id; the first wins.
const EOT: &[&str] = &[
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "<｜end▁of▁sentence｜>",
    "<end_of_utterance>",
];
const EOM: &[&str] = &["<|eom_id|>"];
const FIM_PRE: &[&str] = &[
    "<|fim_prefix|>",
    "<fim-prefix>",
    "<fim_prefix>",
    "<｜fim▁begin｜>",
    "<PRE>",
    "▁<PRE>",
    "<|code_prefix|>",
    "<|prefix|>",
];
const FIM_SUF: &[&str] = &[
    "<|fim_suffix|>",
    "<fim-suffix>",
    "<fim_suffix>",
    "<｜fim▁hole｜>",
    "<SUF>",
    "▁<SUF>",
    "<|code_suffix|>",
    "<|suffix|>",
];
const FIM_MID: &[&str] = &[
    "<|fim_middle|>",
    "<fim-middle>",
    "<fim_middle>",
    "<｜fim▁end｜>",
    "<MID>",
    "▁<MID>",
    "<|code_middle|>",
    "<|middle|>",
];
const FIM_PAD: &[&str] = &["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"];
const FIM_REP: &[&str] = &["<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"];
const FIM_SEP: &[&str] = &["<|file_sep|>"];

/// Texts of tokens that end a generation wherever they occur in a vocabulary.
const END: &[&str] = &[
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
    "[e~[",
];

impl SpecialIds {
    /// The ids `parts` gives over the `defaults` of its family, and those
    /// recognised by their text; the latter become control tokens.
    pub(crate) fn find(parts: &Parts, defaults: SpecialIds, vocab: &mut Vocab) -> Self {
        let mut ids = defaults;
        let in_range = |id: u32| (id as usize) < vocab.len();
        for id in
            [&mut ids.bos, &mut ids.eos, &mut ids.unk, &mut ids.sep, &mut ids.pad, &mut ids.mask]
        {
            *id = id.filter(|id| in_range(*id));
        }
        for &(key, id) in &parts.ids {
            if let Some(field) = ids.field(key).filter(|_| in_range(id)) {
                *field = Some(id);
            }
        }
        for (key, texts) in [
            ("eot", EOT),
            ("eom", EOM),
            ("fim_pre", FIM_PRE),
            ("fim_suf", FIM_SUF),
            ("fim_mid", FIM_MID),
            ("fim_pad", FIM_PAD),
            ("fim_rep", FIM_REP),
            ("fim_sep", FIM_SEP),
        ] {
            let Some(field) = ids.field(key) else { continue };
            if field.is_none() {
                *field = texts.iter().find_map(|text| vocab.find(text.as_bytes()));
                field.iter().for_each(|id| make_control(vocab, *id));
            }
        }
        ids
    }

    /// The field of a key `tokenizer.ggml.*_token_id`.
    fn field(&mut self, key: &str) -> Option<&mut Option<u32>> {
        Some(match key {
            "bos" => &mut self.bos,
            "eos" => &mut self.eos,
            "eot" => &mut self.eot,
            "eom" => &mut self.eom,
            "unknown" => &mut self.unk,
            "seperator" => &mut self.sep,
            "padding" => &mut self.pad,
            "mask" => &mut self.mask,
            "fim_pre" | "prefix" => &mut self.fim_pre,
            "fim_suf" | "suffix" => &mut self.fim_suf,
            "fim_mid" | "middle" => &mut self.fim_mid,
            "fim_pad" => &mut self.fim_pad,
            "fim_rep" => &mut self.fim_rep,
            "fim_sep" => &mut self.fim_sep,
            _ => return None,
        })
    }
}

/// The tokens that end a generation, ascending.
pub(crate) fn end_tokens(ids: &SpecialIds, vocab: &mut Vocab) -> Vec<u32> {
    let mut ends: Vec<u32> =
        [ids.fim_pad, ids.fim_rep, ids.fim_sep].into_iter().flatten().collect();
    for text in END {
        if let Some(id) = vocab.find(text.as_bytes()) {
            make_control(vocab, id);
            ends.push(id);
        }
    }
    // gpt-oss writes its channels with these: they are to be seen.
    for text in ["<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"] {
        if let Some(id) = vocab.find(text.as_bytes()) {
            vocab.set_attr(id, Attr::USER_DEFINED);
        }
    }
    ends.extend([ids.eos, ids.eot, ids.eom].into_iter().flatten());
    ends.sort_unstable();
    ends.dedup();

    let has = |ends: &[u32], text: &str| ends.iter().any(|id| vocab.text(*id) == text.as_bytes());
    // Where calls and returns end a turn, `<|end|>` only ends a message of it.
    let calls = has(&ends, "<|call|>") || has(&ends, "<|calls|>");
    let end_is_message = calls && (has(&ends, "<|return|>") || has(&ends, "<|flush|>"));
    let s_is_normal = has(&ends, "<|tool_response>") || has(&ends, "<|plamo:eos|>");
    if end_is_message {
        remove(&mut ends, vocab, "<|end|>", Attr::USER_DEFINED);
    }
    if s_is_normal {
        remove(&mut ends, vocab, "</s>", Attr::NORMAL);
    }
    ends
}

fn remove(ends: &mut Vec<u32>, vocab: &mut Vocab, text: &str, attr: Attr) {
    let found = ends.iter().position(|id| vocab.text(*id) == text.as_bytes());
    if let Some(at) = found {
        vocab.set_attr(ends.remove(at), attr);
    }
}

fn make_control(vocab: &mut Vocab, id: u32) {
    vocab.set_attr(id, vocab.attr(id).with(Attr::CONTROL));
}

/// Sets which tokens take white space out of the text around them. Files don't
/// say: it goes by the name of the model.
pub(crate) fn set_strip(parts: &Parts, vocab: &mut Vocab) {
    let lstrip = ["jina-v2-de", "jina-v2-es", "jina-v2-code", "mmbert"];
    let lstrip_arch = ["nomic-bert-moe", "jina-bert-v3"];
    let name = parts.name.to_ascii_lowercase();
    let add = |vocab: &mut Vocab, text: &str, attr: Attr| {
        if let Some(id) = vocab.find(text.as_bytes()) {
            vocab.set_attr(id, vocab.attr(id).with(attr));
        }
    };
    if lstrip.iter().any(|n| parts.pre.contains(n))
        || lstrip_arch.iter().any(|n| parts.architecture.contains(n))
    {
        add(vocab, "<mask>", Attr::LSTRIP);
    } else if name.contains("phi-3") || name.contains("phi3") {
        let special = Attr::CONTROL.with(Attr::USER_DEFINED).with(Attr::UNKNOWN);
        let ids: Vec<u32> =
            vocab.attrs().filter(|(_, a)| a.any(special)).map(|(id, _)| id).collect();
        for id in ids {
            vocab.set_attr(id, vocab.attr(id).with(Attr::RSTRIP));
        }
        add(vocab, "</s>", Attr::RSTRIP);
        for text in ["<unk>", "<s>", "<|endoftext|>"] {
            if let Some(id) = vocab.find(text.as_bytes()) {
                vocab.set_attr(id, vocab.attr(id).without(Attr::RSTRIP));
            }
        }
    } else if name.contains("modern-bert") {
        add(vocab, "[MASK]", Attr::LSTRIP);
    }
}
