//! Files of log-probabilities, which llama.cpp's `llama-perplexity` reads and writes, too.
//!
//! `_logits_`, then the length of chunks, the size of the vocabulary and the number of chunks as
//! `i32`, then all tokens as `i32`. For each token that is scored there follow a scale and a minimum
//! as `f32`, and for each token of the vocabulary a `u16`, padded to an even number of them: its
//! log-probability is scale · u16 + minimum.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use super::Error;
use super::stats::Softmax;

const MAGIC: &[u8; 8] = b"_logits_";

/// Log-probabilities that are further below the largest are as good as none.
const RANGE: f32 = 16.0;

/// Most tokens of a chunk, of all chunks, and of a vocabulary.
const MOST: usize = 1 << 30;

/// `u16`s of a row.
fn row_len(n_vocab: usize) -> usize {
    n_vocab.next_multiple_of(2) + 4
}

/// Writes log-probabilities.
pub struct LogitsWriter {
    path: PathBuf,
    out: BufWriter<File>,
}

impl LogitsWriter {
    /// Begins a file about `tokens`, which are chunks of `n_ctx`.
    ///
    /// # Errors
    /// A file that can't be written.
    pub fn create(
        path: &Path,
        n_ctx: usize,
        n_vocab: usize,
        tokens: &[u32],
    ) -> Result<Self, Error> {
        let mut head = MAGIC.to_vec();
        for number in [n_ctx, n_vocab, tokens.len() / n_ctx] {
            head.extend((number as i32).to_le_bytes());
        }
        head.extend(tokens.iter().flat_map(|id| id.to_le_bytes()));
        let failed = |error| Error::LogitsFile { path: path.to_owned(), error };
        let mut out = BufWriter::new(File::create(path).map_err(failed)?);
        out.write_all(&head).map_err(failed)?;
        Ok(Self { path: path.to_owned(), out })
    }

    /// Writes rows that [`encode`] made.
    pub(super) fn rows(&mut self, rows: &[Vec<u8>]) -> Result<(), Error> {
        let written = rows.iter().try_for_each(|row| self.out.write_all(row));
        written.map_err(|error| Error::LogitsFile { path: self.path.clone(), error })
    }

    /// Ends the file.
    ///
    /// # Errors
    /// As [`LogitsWriter::create`].
    pub fn finish(mut self) -> Result<(), Error> {
        self.out.flush().map_err(|error| Error::LogitsFile { path: self.path, error })
    }
}

/// Logits as a row of the file, and the negative log-probability of `token`.
pub(super) fn encode(logits: &[f32], token: u32) -> (Vec<u8>, f64) {
    let Softmax { max, sum } = Softmax::of(logits);
    let log_sum = sum.ln() as f32;
    let least = logits.iter().copied().fold(f32::INFINITY, f32::min).max(max - RANGE);
    let scale = (max - least) / 65535.0;
    let mut row = Vec::with_capacity(2 * row_len(logits.len()));
    row.extend(scale.to_le_bytes());
    row.extend((least - max - log_sum).to_le_bytes());
    let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    for &logit in logits {
        let level = (inverse * (logit - least)).round_ties_even().max(0.0) as u16;
        row.extend(level.to_le_bytes());
    }
    row.resize(2 * row_len(logits.len()), 0);
    (row, f64::from(max + log_sum - logits[token as usize]))
}

/// Reads log-probabilities.
pub struct LogitsReader {
    path: PathBuf,
    file: BufReader<File>,
    /// Tokens of a chunk.
    pub n_ctx: usize,
    /// Tokens of the vocabulary.
    pub n_vocab: usize,
    /// All chunks.
    pub tokens: Vec<u32>,
}

impl LogitsReader {
    /// Opens a file.
    ///
    /// # Errors
    /// A file that can't be read, is no such file, or whose size is not what it says.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |error| Error::LogitsFile { path: path.to_owned(), error };
        let damaged = |problem: &str| Error::Logits { path: path.into(), problem: problem.into() };
        let file = File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let mut file = BufReader::new(file);
        let mut head = [0; 20];
        let short = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => damaged("no file of log-probabilities"),
            _ => failed(error),
        };
        file.read_exact(&mut head).map_err(short)?;
        if &head[..8] != MAGIC {
            return Err(damaged("no file of log-probabilities"));
        }
        let number = |at: usize| {
            let bytes = [head[at], head[at + 1], head[at + 2], head[at + 3]];
            usize::try_from(i32::from_le_bytes(bytes)).ok().filter(|n| (1..MOST).contains(n))
        };
        let (Some(n_ctx), Some(n_vocab), Some(n_chunks)) = (number(8), number(12), number(16))
        else {
            return Err(damaged("the sizes it gives make no sense"));
        };
        let n_scored = (n_ctx - 1).saturating_sub(n_ctx / 2);
        let rows = (n_chunks as u64).saturating_mul((n_scored * 2 * row_len(n_vocab)) as u64);
        let n_tokens = (n_ctx as u64).saturating_mul(n_chunks as u64);
        let expected = rows.saturating_add(n_tokens.saturating_mul(4)).saturating_add(20);
        if size < expected {
            return Err(damaged("it is incomplete"));
        }
        let mut bytes = vec![0; n_tokens as usize * 4];
        file.read_exact(&mut bytes).map_err(failed)?;
        let tokens: Vec<u32> = bytes.as_chunks().0.iter().map(|b| u32::from_le_bytes(*b)).collect();
        if tokens.iter().any(|&id| id as usize >= n_vocab) {
            return Err(damaged("it has tokens beyond its vocabulary"));
        }
        Ok(Self { path: path.to_owned(), file, n_ctx, n_vocab, tokens })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next `n` rows.
    pub(super) fn rows(&mut self, n: usize) -> Result<Vec<Row>, Error> {
        let mut rows = Vec::with_capacity(n);
        let mut bytes = vec![0; 2 * row_len(self.n_vocab)];
        for _ in 0..n {
            self.file
                .read_exact(&mut bytes)
                .map_err(|error| Error::LogitsFile { path: self.path.clone(), error })?;
            let (head, levels) = bytes.split_at(8);
            let float = |at: usize| {
                f32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]])
            };
            let levels = levels.as_chunks().0.iter().take(self.n_vocab);
            let levels = levels.map(|b| u16::from_le_bytes(*b)).collect();
            rows.push(Row { scale: float(0), least: float(4), levels });
        }
        Ok(rows)
    }
}

/// The log-probabilities of all tokens that may come next.
pub(super) struct Row {
    scale: f32,
    least: f32,
    levels: Vec<u16>,
}

impl Row {
    pub(super) fn get(&self, token: usize) -> f32 {
        self.scale * f32::from(self.levels[token]) + self.least
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_as_they_were_written() {
        let folder = std::env::temp_dir().join(format!("tools-logits-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("base");
        let logits = [[1.0, 5.0, -2.0], [0.0, 0.0, 0.0], [30.0, 1.0, 29.0]];
        let mut writer = LogitsWriter::create(&path, 4, 3, &[0, 1, 2, 1]).expect("a file");
        let rows: Vec<Vec<u8>> = logits.iter().map(|row| encode(row, 1).0).collect();
        assert!(rows.iter().all(|row| row.len() == 2 * 8));
        writer.rows(&rows).expect("room");
        writer.finish().expect("room");

        let mut reader = LogitsReader::open(&path).expect("a file");
        assert_eq!((reader.n_ctx, reader.n_vocab), (4, 3));
        assert_eq!(reader.tokens, [0, 1, 2, 1]);
        for (row, logits) in reader.rows(3).expect("all rows").iter().zip(&logits) {
            let softmax = Softmax::of(logits);
            for (token, &logit) in logits.iter().enumerate() {
                let expected = -softmax.nll(logit.max(softmax.max - RANGE)) as f32;
                assert!((row.get(token) - expected).abs() < 2e-4, "{token} of {logits:?}");
            }
        }
        let whole = std::fs::read(&path).expect("a file");
        for (name, bytes, problem) in [
            ("short", &whole[..12], "no file of"),
            ("other", &b"GGUF0000000000000000"[..], "no file of"),
            ("cut", &whole[..40], "incomplete"),
        ] {
            std::fs::write(folder.join(name), bytes).expect("a file");
            let error = LogitsReader::open(&folder.join(name)).err().expect("a refusal");
            assert!(error.to_string().contains(problem), "{name}: {error}");
        }
        std::fs::remove_dir_all(&folder).expect("it is ours");
    }
}
