//! The older format of llama.cpp, little-endian: number of entries (i32), entries, then optionally
//! the number of pieces of text (i32), and the length (i32) and name of the text.
//!
//! An entry is the length of its name (i32), the name, a count (i32), the number of values (i32) and
//! the values (f32), which are mean squares times the count.

use super::{Entry, ImatrixFile};

pub(super) fn parse(bytes: &[u8]) -> Result<ImatrixFile, String> {
    let mut bytes = Cursor(bytes);
    let mut file = ImatrixFile::default();
    let entries = bytes.size("the number of entries")?;
    for index in 0..entries {
        let (name, entry) =
            read_entry(&mut bytes).map_err(|what| format!("entry {index}: {what}"))?;
        if file.entries.insert(name.clone(), entry).is_some() {
            return Err(format!("{name} occurs twice"));
        }
    }
    if !bytes.0.is_empty() {
        file.chunk_count = bytes.size("the number of chunks")? as u32;
    }
    if !bytes.0.is_empty() {
        let dataset = bytes.text("the name of the text")?;
        file.datasets.extend(Some(dataset).filter(|dataset| !dataset.is_empty()));
    }
    file.checked()
}

fn read_entry(bytes: &mut Cursor) -> Result<(String, Entry), String> {
    let name = bytes.text("its name")?;
    let count = bytes.size("its count")?;
    let len = bytes.size("its number of values")?;
    let values = bytes.take(len.saturating_mul(4), "its values")?;
    let values = values.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value));
    // The values are means already where the count is 0.
    let counts = vec![count.max(1) as u64];
    Ok((name, Entry { squares: values.collect(), sums: None, counts }))
}

/// What is left to read.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize, what: &str) -> Result<&'a [u8], String> {
        let (taken, rest) =
            self.0.split_at_checked(len).ok_or_else(|| format!("the file ends within {what}"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn size(&mut self, what: &str) -> Result<usize, String> {
        let mut value = [0; 4];
        value.copy_from_slice(self.take(4, what)?);
        let value = i32::from_le_bytes(value);
        usize::try_from(value).map_err(|_| format!("{what} is {value}"))
    }

    fn text(&mut self, what: &str) -> Result<String, String> {
        let len = self.size(what)?;
        let text = self.take(len, what)?;
        String::from_utf8(text.to_vec()).map_err(|_| format!("{what} is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(bytes: &mut Vec<u8>, number: i32) {
        bytes.extend(number.to_le_bytes());
    }

    fn sample() -> Vec<u8> {
        let mut bytes = Vec::new();
        put(&mut bytes, 1);
        put(&mut bytes, 1);
        bytes.push(b'a');
        put(&mut bytes, 2);
        put(&mut bytes, 3);
        [2f32, 4.0, 6.0].iter().for_each(|value| bytes.extend(value.to_le_bytes()));
        bytes
    }

    #[test]
    fn entries_and_the_optional_end_are_read() {
        let mut bytes = sample();
        let file = parse(&bytes).unwrap();
        assert_eq!(file.entries["a"].mean_squares(), [1.0, 2.0, 3.0]);
        assert_eq!((file.chunk_count, file.datasets.len()), (0, 0));
        put(&mut bytes, 9);
        put(&mut bytes, 1);
        bytes.push(b't');
        let file = parse(&bytes).unwrap();
        assert_eq!((file.chunk_count, file.datasets), (9, vec!["t".to_owned()]));
    }

    #[test]
    fn hostile_lengths_are_refused_before_anything_is_allocated() {
        let sample = sample();
        for at in [0, 4, 9, 13] {
            for odd in [-1, i32::MIN, i32::MAX] {
                let mut bytes = sample.clone();
                bytes[at..at + 4].copy_from_slice(&odd.to_le_bytes());
                // A large count is only a count.
                assert_eq!(parse(&bytes).is_ok(), at == 9 && odd > 0, "{odd} at {at}");
            }
        }
        for len in 0..sample.len() {
            assert!(parse(&sample[..len]).is_err(), "{len}");
        }
    }
}
