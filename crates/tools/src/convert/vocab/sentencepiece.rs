//! `tokenizer.model`: a vocabulary of SentencePiece, in the format of protocol buffers
//! (<https://protobuf.dev/programming-guides/encoding/>).

use super::tokenizer_json::TokenizerJson;
use super::{Kind, Token, Vocabulary};
use crate::convert::Error;
use crate::convert::folder::Folder;

/// Name of the file.
pub const FILE: &str = "tokenizer.model";

/// Field of the model with a piece, and the fields of a piece.
const PIECE: u64 = 1;
const TEXT: u64 = 1;
const SCORE: u64 = 2;
const KIND: u64 = 3;

/// Makes a vocabulary of `size` tokens of it, those of other files included.
pub fn read(
    model: &[u8],
    folder: &Folder,
    size: usize,
    json: Option<&TokenizerJson>,
) -> Result<Vocabulary, Error> {
    let mut tokens: Vec<Token> = (0..size).map(Token::padding).collect();
    let damaged =
        || folder.wrong(FILE, "a damaged file".into(), "a model of SentencePiece, as protobuf");
    let pieces = pieces(model).ok_or_else(damaged)?;
    if pieces.is_empty() {
        return Err(damaged());
    }
    // Those beyond `size` have no weights.
    for (place, piece) in tokens.iter_mut().zip(pieces) {
        *place = piece;
    }
    add_others(&mut tokens, folder, json)?;
    Ok(Vocabulary { has_scores: true, ..Vocabulary::new("llama", tokens) })
}

/// Adds tokens that other files tell of.
fn add_others(
    tokens: &mut [Token],
    folder: &Folder,
    json: Option<&TokenizerJson>,
) -> Result<(), Error> {
    let added = folder.opt_json("added_tokens.json")?;
    for (text, id) in added.as_object().into_iter().flatten() {
        let id = id.as_u64().and_then(|id| usize::try_from(id).ok());
        if let Some(place) = id.and_then(|id| tokens.get_mut(id)) {
            *place = Token::new(text.as_str(), -1000.0, Kind::UserDefined);
        }
    }
    let settings = folder.opt_json("tokenizer_config.json")?;
    for (id, token) in settings["added_tokens_decoder"].as_object().into_iter().flatten() {
        let place = id.parse().ok().and_then(|id: usize| tokens.get_mut(id));
        if let (Some(place), Some(text)) = (place, token["content"].as_str()) {
            *place = Token::added(text, token["special"] == true);
        }
    }
    for added in json.into_iter().flat_map(|json| &json.added_tokens) {
        let place = tokens.get_mut(added.id as usize).filter(|place| place.is_padding());
        if let Some(place) = place {
            *place = Token::added(&added.content, added.special);
        }
    }
    Ok(())
}

/// The pieces of a model; `None` where the file is damaged.
fn pieces(model: &[u8]) -> Option<Vec<Token>> {
    let mut pieces = Vec::new();
    let mut fields = Fields(model);
    while let Some((number, value)) = fields.next()? {
        if let (PIECE, Value::Bytes(bytes)) = (number, value) {
            pieces.push(piece(bytes)?);
        }
    }
    Some(pieces)
}

fn piece(bytes: &[u8]) -> Option<Token> {
    let mut token = Token::new("", 0.0, Kind::Normal);
    let mut fields = Fields(bytes);
    while let Some((number, value)) = fields.next()? {
        match (number, value) {
            (TEXT, Value::Bytes(text)) => token.text = std::str::from_utf8(text).ok()?.to_owned(),
            (SCORE, Value::Fixed32(bits)) => token.score = f32::from_bits(bits),
            (KIND, Value::Number(kind)) => {
                token.kind = match kind {
                    2 => Kind::Unknown,
                    3 => Kind::Control,
                    5 => Kind::Unused,
                    6 => Kind::Byte,
                    // What users define is text, and is made by its score as all is.
                    _ => Kind::Normal,
                }
            }
            _ => {}
        }
    }
    Some(token)
}

/// Fields of a message, one after the other.
struct Fields<'a>(&'a [u8]);

enum Value<'a> {
    Number(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
    /// Eight bytes, which no field that is read has.
    Fixed64,
}

impl<'a> Fields<'a> {
    /// The number and value of the next field; `Some(None)` at the end, `None` where it is damaged.
    #[allow(clippy::should_implement_trait, clippy::type_complexity)]
    fn next(&mut self) -> Option<Option<(u64, Value<'a>)>> {
        if self.0.is_empty() {
            return Some(None);
        }
        let tag = self.number()?;
        let value = match tag & 7 {
            0 => Value::Number(self.number()?),
            1 => {
                self.take(8)?;
                Value::Fixed64
            }
            2 => {
                let length = usize::try_from(self.number()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.take(4)?.try_into().ok()?)),
            _ => return None,
        };
        Some(Some((tag >> 3, value)))
    }

    /// A number of seven bits a byte, the lowest first.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_read_and_damage_is_noticed() {
        let piece = [0x0a, 1, b'x', 0x15, 0, 0, 0x80, 0xbf, 0x18, 6];
        let other = [0x12, 3, 0x18, 0x80, 1];
        let file = [&[0x0a, piece.len() as u8][..], &piece, &other].concat();
        let found = pieces(&file).expect("a model");
        assert_eq!(found, [Token::new("x", -1.0, Kind::Byte)]);
        for end in 1..file.len() {
            let cut = pieces(&file[..end]);
            assert!(cut.is_none_or(|cut| cut.len() <= 1), "{end}");
        }
        assert!(pieces(&file[..5]).is_none());
        assert!(pieces(&[0xff; 12]).is_none());
    }
}
