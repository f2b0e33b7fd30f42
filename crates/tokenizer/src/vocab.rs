use crate::Error;
use crate::parts::{Parts, TYPES};
use crate::text_table::TextTable;

/// What a token is; several may hold at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attr(u8);

impl Attr {
    pub(crate) const NONE: Attr = Attr(0);
    pub(crate) const UNKNOWN: Attr = Attr(1);
    pub(crate) const UNUSED: Attr = Attr(2);
    pub(crate) const NORMAL: Attr = Attr(4);
    pub(crate) const CONTROL: Attr = Attr(8);
    pub(crate) const USER_DEFINED: Attr = Attr(16);
    pub(crate) const BYTE: Attr = Attr(32);
    /// Takes the white space before it out of the text.
    pub(crate) const LSTRIP: Attr = Attr(64);
    /// Takes the white space after it out of the text.
    pub(crate) const RSTRIP: Attr = Attr(128);

    /// Whether any of `attrs` holds.
    pub(crate) fn any(self, attrs: Attr) -> bool {
        self.0 & attrs.0 != 0
    }

    pub(crate) const fn with(self, attrs: Attr) -> Attr {
        Attr(self.0 | attrs.0)
    }

    pub(crate) const fn without(self, attrs: Attr) -> Attr {
        Attr(self.0 & !attrs.0)
    }

    /// From a value of `tokenizer.ggml.token_type`.
    fn from_type(number: i32) -> Attr {
        match number {
            1 => Attr::NORMAL,
            2 => Attr::UNKNOWN,
            3 => Attr::CONTROL,
            4 => Attr::USER_DEFINED,
            5 => Attr::UNUSED,
            6 => Attr::BYTE,
            _ => Attr::NONE,
        }
    }
}

/// The texts and attributes of all tokens.
pub(crate) struct Vocab {
    /// All texts one after the other.
    text: Vec<u8>,
    /// Where each text ends.
    ends: Vec<u32>,
    attrs: Vec<Attr>,
    table: TextTable,
    longest: usize,
    /// From which id on which end of texts is not shown.
    hidden: Option<(u32, &'static str)>,
}

impl Vocab {
    pub(crate) fn new(parts: &Parts) -> Result<Self, Error> {
        let n = parts.tokens.len();
        let types = &parts.types;
        if !types.is_empty() && types.len() < n {
            return Err(Error::TooShort { key: TYPES, expected: n, found: types.len() });
        }
        // An empty text becomes `[EMPTY_n]`, at most 18 bytes.
        let room = parts.tokens.iter().map(|t| if t.is_empty() { 18 } else { t.len() });
        let room = room.fold(0usize, usize::saturating_add);
        if n >= 1 << 31 || u32::try_from(room).is_err() {
            return Err(Error::TooLarge);
        }
        let attrs = match types.is_empty() {
            true => vec![Attr::NORMAL; n],
            false => types[..n].iter().map(|t| Attr::from_type(*t)).collect(),
        };
        let mut vocab = Self {
            text: Vec::with_capacity(room),
            ends: Vec::with_capacity(n),
            attrs,
            table: TextTable::with_capacity(n),
            longest: 0,
            hidden: None,
        };
        for (id, text) in (0..).zip(&parts.tokens) {
            let new = match text.is_empty() {
                true => vocab.push(id, format!("[EMPTY_{id}]").as_bytes()),
                false => vocab.push(id, text),
            };
            if !new {
                let text = String::from_utf8_lossy(text).into_owned();
                return Err(Error::DuplicateToken { id, text });
            }
        }
        Ok(vocab)
    }

    /// False if another token has this text.
    fn push(&mut self, id: u32, text: &[u8]) -> bool {
        self.text.extend_from_slice(text);
        self.ends.push(self.text.len() as u32);
        self.longest = self.longest.max(text.len());
        let (all, ends) = (&self.text, &self.ends);
        self.table.insert(text, id, |id| slice(all, ends, id))
    }

    /// Number of tokens.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Byte length of the longest text.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// The text of a token as the file has it; empty for ids out of range.
    pub(crate) fn text(&self, id: u32) -> &[u8] {
        slice(&self.text, &self.ends, id)
    }

    /// The text of a token as it is shown; empty for ids out of range.
    pub(crate) fn shown(&self, id: u32) -> &[u8] {
        let text = self.text(id);
        match self.hidden {
            Some((from, suffix)) if id >= from && text.len() > suffix.len() => {
                text.strip_suffix(suffix.as_bytes()).unwrap_or(text)
            }
            _ => text,
        }
    }

    /// Leaves `suffix` out of texts shown of tokens after the one with the text `after`.
    pub(crate) fn hide_suffix(&mut self, after: &str, suffix: &'static str) {
        self.hidden = self.find(after.as_bytes()).map(|id| (id + 1, suffix));
    }

    /// The token with this text.
    #[inline]
    pub(crate) fn find(&self, text: &[u8]) -> Option<u32> {
        self.table.find(text, |id| slice(&self.text, &self.ends, id))
    }

    /// As [`Vocab::find`] with an error rate of 2^-64: for reading merges, where
    /// there are many to find and a made-up collision harms only its own file.
    #[inline]
    pub(crate) fn find_fast(&self, text: &[u8]) -> Option<u32> {
        self.table.find_hash(text)
    }

    /// The token with the text `<0xXX>`, as SentencePiece spells bytes.
    pub(crate) fn find_byte(&self, byte: u8) -> Option<u32> {
        self.find(format!("<0x{byte:02X}>").as_bytes())
    }

    /// The attributes of a token; none for ids out of range.
    pub(crate) fn attr(&self, id: u32) -> Attr {
        self.attrs.get(id as usize).copied().unwrap_or(Attr::NONE)
    }

    pub(crate) fn set_attr(&mut self, id: u32, attr: Attr) {
        if let Some(old) = self.attrs.get_mut(id as usize) {
            *old = attr;
        }
    }

    /// All texts with their ids.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&[u8], u32)> {
        (0..self.len() as u32).map(|id| (self.text(id), id))
    }

    /// All ids with their attributes.
    pub(crate) fn attrs(&self) -> impl Iterator<Item = (u32, Attr)> {
        (0..).zip(self.attrs.iter().copied())
    }
}

#[inline]
fn slice<'a>(text: &'a [u8], ends: &[u32], id: u32) -> &'a [u8] {
    let id = id as usize;
    let Some(&end) = ends.get(id) else { return &[] };
    let start = if id == 0 { 0 } else { ends[id - 1] };
    &text[start as usize..end as usize]
}
