//! Parts of a model's memory as files have them.
//!
//! | bytes | content, little-endian |
//! |---|---|
//! | 4 | `LFKV` |
//! | 4 | version, 1 |
//! | 4 | [`Kind`] |
//! | 4 | number of tokens |
//! | 32 | [`Key`] |
//! | 8 | bytes of the payload |
//! | 4 each | tokens |
//! | | payload |
//! | 32 | SHA-256 of all before |
//!
//! Readers know what they look for, to the byte, so that nothing in a file decides on sizes.

use std::io::{self, Read, Write};

use backend::PAGE;
use gguf::Gguf;
use sha2::{Digest, Sha256};

const MAGIC: &[u8; 4] = b"LFKV";
const VERSION: u32 = 1;
/// Bytes before the tokens.
const HEAD: usize = 56;
/// Bytes that are sampled at two places of each tensor.
const SAMPLE: usize = 64;

/// What a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing but tokens.
    Text = 0,
    /// A page of keys, values and rows.
    Page = 1,
    /// The states after the tokens.
    States = 2,
    /// A page of keys and values of layers on sliding windows.
    Recent = 3,
}

/// Names the beginning of a text for a model with its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(pub [u8; 32]);

impl Key {
    /// No text yet, for the model of this file whose memory has this layout.
    pub fn root(gguf: &Gguf, layout: &str) -> Self {
        let mut hash = Sha256::new();
        let mut put = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        put(layout.as_bytes());
        for (key, value) in gguf.metadata().iter().filter(|(key, _)| !key.starts_with("tokenizer."))
        {
            put(key.as_bytes());
            put(format!("{value:?}").as_bytes());
        }
        for tensor in gguf.tensors() {
            put(tensor.name.as_bytes());
            put(format!("{} {:?}", tensor.ty, tensor.shape).as_bytes());
            let data = gguf.data(tensor);
            let middle = data.len() / 2;
            put(&data[middle..data.len().min(middle + SAMPLE)]);
            put(&data[data.len().saturating_sub(SAMPLE)..]);
        }
        Self(hash.finalize().into())
    }

    /// The text and these tokens after it.
    pub fn after(self, tokens: &[u32]) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.0);
        tokens.iter().for_each(|token| hash.update(token.to_le_bytes()));
        Self(hash.finalize().into())
    }

    /// The text after each whole page of these tokens.
    pub fn pages(self, tokens: &[u32]) -> Vec<Self> {
        let next = |key: &mut Self, page: &[u32; PAGE]| {
            *key = key.after(page);
            Some(*key)
        };
        tokens.as_chunks().0.iter().scan(self, next).collect()
    }

    /// As a name of a file.
    pub fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What is known of a record before its payload.
#[derive(Debug, Clone, Copy)]
pub struct Label<'a> {
    pub kind: Kind,
    pub key: Key,
    pub tokens: &'a [u32],
}

impl Label<'_> {
    /// Bytes of the whole record.
    pub fn record_len(&self, payload: usize) -> u64 {
        (HEAD + size_of_val(self.tokens) + payload + 32) as u64
    }

    fn encode(&self, payload: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD + size_of_val(self.tokens));
        out.extend_from_slice(MAGIC);
        let numbers = [VERSION, self.kind as u32, self.tokens.len() as u32];
        out.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        out.extend_from_slice(&self.key.0);
        out.extend_from_slice(&(payload as u64).to_le_bytes());
        out.extend(self.tokens.iter().flat_map(|token| token.to_le_bytes()));
        out
    }

    /// Writes a record.
    pub fn write(&self, payload: &[u8], out: &mut impl Write) -> io::Result<()> {
        let label = self.encode(payload.len());
        let hash = Sha256::new().chain_update(&label).chain_update(payload);
        out.write_all(&label)?;
        out.write_all(payload)?;
        out.write_all(&hash.finalize())
    }

    /// Reads the payload, of `payload` bytes, of a record with this label.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] for anything else.
    pub fn read(&self, payload: usize, input: &mut impl Read) -> io::Result<Vec<u8>> {
        let label = self.encode(payload);
        let mut found = vec![0; label.len()];
        input.read_exact(&mut found)?;
        if found != label {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut found = vec![0; payload];
        input.read_exact(&mut found)?;
        check(Sha256::new().chain_update(&label).chain_update(&found), input)?;
        Ok(found)
    }
}

/// Reads a record of nothing but tokens, at most `most` of them.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] for anything else, or another key.
pub fn read_text(key: Key, most: usize, input: &mut impl Read) -> io::Result<Vec<u32>> {
    let mut head = [0; HEAD];
    input.read_exact(&mut head)?;
    let n = u32::from_le_bytes([head[12], head[13], head[14], head[15]]) as usize;
    let mut expected = Label { kind: Kind::Text, key, tokens: &[] }.encode(0);
    expected[12..16].copy_from_slice(&head[12..16]);
    if head[..] != expected || n > most {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; n * size_of::<u32>()];
    input.read_exact(&mut bytes)?;
    check(Sha256::new().chain_update(head).chain_update(&bytes), input)?;
    Ok(bytes.as_chunks().0.iter().map(|token| u32::from_le_bytes(*token)).collect())
}

fn check(hash: Sha256, input: &mut impl Read) -> io::Result<()> {
    let mut sum = [0; 32];
    input.read_exact(&mut sum)?;
    if hash.finalize()[..] == sum { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_whole_or_refused() {
        let key = Key([3; 32]).after(&[1, 2]);
        let label = Label { kind: Kind::Page, key, tokens: &[7, 8] };
        let mut file = Vec::new();
        label.write(b"payload", &mut file).unwrap();
        assert_eq!(file.len() as u64, label.record_len(7));
        assert_eq!(label.read(7, &mut &file[..]).unwrap(), b"payload");
        for at in 0..file.len() {
            let mut other = file.clone();
            other[at] ^= 1;
            assert!(label.read(7, &mut &other[..]).is_err(), "byte {at}");
            assert!(label.read(7, &mut &file[..at]).is_err(), "{at} bytes");
        }
        assert!(label.read(6, &mut &file[..]).is_err());
        assert!(Label { tokens: &[7, 9], ..label }.read(7, &mut &file[..]).is_err());
        assert!(Label { key: Key([3; 32]), ..label }.read(7, &mut &file[..]).is_err());
    }

    #[test]
    fn texts_have_a_bound() {
        let (key, tokens) = (Key([5; 32]), [1, 1 << 31, 3]);
        let mut file = Vec::new();
        Label { kind: Kind::Text, key, tokens: &tokens }.write(&[], &mut file).unwrap();
        assert_eq!(read_text(key, 3, &mut &file[..]).unwrap(), tokens);
        assert!(read_text(key, 2, &mut &file[..]).is_err());
        assert!(read_text(key.after(&[]), 3, &mut &file[..]).is_err());
        for at in 0..file.len() {
            let mut other = file.clone();
            other[at] ^= 64;
            assert!(read_text(key, 1 << 20, &mut &other[..]).is_err(), "byte {at}");
        }
    }

    #[test]
    fn keys_are_chained() {
        let tokens: Vec<u32> = (0..2 * PAGE as u32 + 5).collect();
        let keys = Key([0; 32]).pages(&tokens);
        assert_eq!(keys.len(), 2);
        assert_eq!(keys[1], keys[0].after(&tokens[PAGE..2 * PAGE]));
        assert_ne!(keys[1], Key([0; 32]).after(&tokens[PAGE..2 * PAGE]));
        assert_eq!(keys[0].to_hex().len(), 64);
    }
}
