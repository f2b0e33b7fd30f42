//! Perplexity of chunks of a text.

use std::path::Path;

use super::evaluator::{Evaluator, Rows};
use super::logits_file::{LogitsWriter, encode};
use super::stats::{Estimate, Softmax, Sums, map_rows};
use super::{Error, stats};

/// What is known after a chunk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChunkScore {
    /// Chunks so far.
    pub chunk: usize,
    /// Chunks there are.
    pub total: usize,
    /// Mean negative log-likelihood of all tokens so far.
    pub nll: Estimate,
}

/// The perplexity of a text.
#[derive(Debug, Clone, Default)]
pub struct Perplexity {
    /// Tokens of a chunk.
    pub n_ctx: usize,
    /// Tokens of a chunk that are scored, and where they begin.
    pub scored: std::ops::Range<usize>,
    /// Negative log-likelihoods of all scored tokens, chunk after chunk.
    pub nll: Vec<f32>,
    /// e to the power of their mean.
    pub perplexity: Estimate,
}

impl Perplexity {
    /// Mean negative log-likelihood of tokens at each place of a chunk.
    pub fn by_position(&self) -> Vec<f64> {
        by_position(&self.nll, self.scored.len())
    }
}

/// Means over chunks, of which each has `width` values.
pub(super) fn by_position(values: &[f32], width: usize) -> Vec<f64> {
    let n = (values.len() / width.max(1)).max(1) as f64;
    let mean =
        |at: usize| values.iter().skip(at).step_by(width).map(|&v| f64::from(v)).sum::<f64>();
    (0..width.min(values.len())).map(|at| mean(at) / n).collect()
}

/// Perplexity of `tokens`: of the second half of each chunk.
///
/// # Errors
/// A text of fewer than two chunks, and models that can't be run.
pub fn perplexity(
    evaluator: &Evaluator,
    tokens: &[u32],
    notice: &mut dyn FnMut(ChunkScore),
) -> Result<Perplexity, Error> {
    let chunks = chunks(evaluator, tokens)?;
    let mut score = Scores::new(chunks.len(), evaluator.options.n_ctx);
    each_chunk(evaluator, &chunks, &mut |chunk, rows, targets| {
        let nll =
            map_rows(targets.len(), |i| Softmax::of(rows.row(i)).nll(rows.target(i, targets)));
        score.add(chunk, &nll, rows.position + targets.len(), notice)
    })?;
    Ok(score.finish())
}

/// The same, saving the log-probabilities of all tokens.
///
/// # Errors
/// As [`perplexity`], and a file that can't be written.
pub fn save_logits(
    evaluator: &Evaluator,
    tokens: &[u32],
    path: &Path,
    notice: &mut dyn FnMut(ChunkScore),
) -> Result<Perplexity, Error> {
    let n_ctx = evaluator.options.n_ctx;
    let chunks = chunks(evaluator, tokens)?;
    let tokens = &tokens[..chunks.len() * n_ctx];
    let mut writer = LogitsWriter::create(path, n_ctx, evaluator.n_vocab(), tokens)?;
    // Rows of a chunk stay together, though chunks are evaluated side by side.
    let mut rows_of: Vec<Vec<Vec<u8>>> = vec![Vec::new(); chunks.len()];
    let mut next = 0;
    let mut score = Scores::new(chunks.len(), n_ctx);
    each_chunk(evaluator, &chunks, &mut |chunk, rows, targets| {
        let encoded = map_rows(targets.len(), |i| encode(rows.row(i), targets[i]));
        let (bytes, nll): (Vec<_>, Vec<_>) = encoded.into_iter().unzip();
        rows_of[chunk].extend(bytes);
        while rows_of.get(next).is_some_and(|rows| rows.len() == scored(n_ctx).len()) {
            writer.rows(&std::mem::take(&mut rows_of[next]))?;
            next += 1;
        }
        score.add(chunk, &nll, rows.position + targets.len(), notice)
    })?;
    writer.finish()?;
    Ok(score.finish())
}

/// Perplexity with windows that move on by `stride` tokens, of which the last `stride` are scored.
/// A window is half a stride longer than a chunk, and begins with the token that it has in the text.
///
/// # Errors
/// As [`perplexity`], and a stride that is longer than a window.
pub fn perplexity_strided(
    evaluator: &Evaluator,
    tokens: &[u32],
    stride: usize,
    notice: &mut dyn FnMut(ChunkScore),
) -> Result<Perplexity, Error> {
    let window = evaluator.options.n_ctx + stride / 2;
    if stride == 0 || stride + 1 >= window {
        return Err(Error::ShortContext { n_ctx: window });
    }
    let needed = 2 * window;
    if tokens.len() < needed {
        return Err(Error::TooShort { tokens: tokens.len(), needed });
    }
    let n = (tokens.len() - window).div_ceil(stride);
    let n = evaluator.options.chunks.map_or(n, |most| most.min(n));
    let windows: Vec<&[u32]> = (0..n).map(|i| &tokens[i * stride..i * stride + window]).collect();
    let from = window - stride - 1;
    let mut score = Scores { scored: from..window - 1, ..Scores::new(n, window) };
    let mut runner = evaluator.runner(window)?;
    for (group, windows) in windows.chunks(runner.n_sequences).enumerate() {
        runner.clear();
        let first = group * runner.n_sequences;
        let sequences: Vec<(usize, &[u32])> = windows
            .iter()
            .enumerate()
            .map(|(i, window)| (i, &window[..window.len() - 1]))
            .collect();
        runner.run(&sequences, from, &mut |rows| {
            let targets = &windows[rows.sequence][rows.position + 1..][..rows.len()];
            check_finite(&rows, first + rows.sequence)?;
            let nll =
                map_rows(targets.len(), |i| Softmax::of(rows.row(i)).nll(rows.target(i, targets)));
            score.add(first + rows.sequence, &nll, rows.position + targets.len(), notice)
        })?;
    }
    Ok(score.finish())
}

/// The tokens of a chunk whose logits count, which are those for the tokens after them.
pub(super) fn scored(n_ctx: usize) -> std::ops::Range<usize> {
    n_ctx / 2..n_ctx - 1
}

/// The whole chunks of a text.
fn chunks<'t>(evaluator: &Evaluator, tokens: &'t [u32]) -> Result<Vec<&'t [u32]>, Error> {
    let n_ctx = evaluator.options.n_ctx;
    if n_ctx < 4 {
        return Err(Error::ShortContext { n_ctx });
    }
    if tokens.len() < 2 * n_ctx {
        return Err(Error::TooShort { tokens: tokens.len(), needed: 2 * n_ctx });
    }
    let most = evaluator.options.chunks.unwrap_or(usize::MAX);
    Ok(tokens.chunks_exact(n_ctx).take(most).collect())
}

/// What is told of a chunk: its number, logits, and the tokens that follow.
pub(super) type OnRows<'a> = dyn FnMut(usize, &Rows<'_>, &[u32]) -> Result<(), Error> + 'a;

/// Evaluates chunks of one length, as many at once as a batch has, and tells the logits that count.
pub(super) fn each_chunk(
    evaluator: &Evaluator,
    chunks: &[&[u32]],
    notice: &mut OnRows<'_>,
) -> Result<(), Error> {
    let n_ctx = chunks.first().map_or(0, |chunk| chunk.len());
    let mut runner = evaluator.runner(n_ctx)?;
    let n_sequences = runner.n_sequences;
    for (group, chunks) in chunks.chunks(n_sequences).enumerate() {
        runner.clear();
        let opened: Vec<Vec<u32>> = chunks.iter().map(|chunk| evaluator.opened(chunk)).collect();
        // Nothing follows the last token that could be scored.
        let n_tokens = if evaluator.is_observed() { n_ctx } else { n_ctx - 1 };
        let sequences: Vec<(usize, &[u32])> =
            opened.iter().map(|chunk| &chunk[..n_tokens]).enumerate().collect();
        runner.run(&sequences, scored(n_ctx).start, &mut |rows| {
            let chunk = group * n_sequences + rows.sequence;
            check_finite(&rows, chunk)?;
            let following = &chunks[rows.sequence][rows.position + 1..];
            notice(chunk, &rows, &following[..rows.len().min(following.len())])
        })?;
    }
    Ok(())
}

fn check_finite(rows: &Rows<'_>, chunk: usize) -> Result<(), Error> {
    let finite = map_rows(rows.len(), |i| rows.row(i).iter().all(|logit| logit.is_finite()));
    match finite.iter().position(|finite| !finite) {
        Some(at) => Err(Error::NotFinite { chunk: chunk + 1, position: rows.position + at }),
        None => Ok(()),
    }
}

impl Rows<'_> {
    /// The logit of the token that follows row `i`.
    pub(super) fn target(&self, i: usize, targets: &[u32]) -> f32 {
        self.row(i)[targets[i] as usize]
    }
}

/// Negative log-likelihoods of chunks that come side by side.
struct Scores {
    n_ctx: usize,
    scored: std::ops::Range<usize>,
    nll: Vec<Vec<f64>>,
    /// Chunks that are complete.
    done: usize,
    sums: Sums,
}

impl Scores {
    fn new(chunks: usize, n_ctx: usize) -> Self {
        let nll = vec![Vec::new(); chunks];
        Self { n_ctx, scored: scored(n_ctx), nll, done: 0, sums: stats::Sums::default() }
    }

    /// Takes more of a chunk, which then goes up to `end`.
    fn add(
        &mut self,
        chunk: usize,
        nll: &[f64],
        end: usize,
        notice: &mut dyn FnMut(ChunkScore),
    ) -> Result<(), Error> {
        self.nll[chunk].extend(nll);
        debug_assert_eq!(self.scored.start + self.nll[chunk].len(), end);
        let total = self.nll.len();
        while self.nll.get(self.done).is_some_and(|nll| nll.len() == self.scored.len()) {
            self.nll[self.done].iter().for_each(|&nll| self.sums.add(nll));
            self.done += 1;
            notice(ChunkScore { chunk: self.done, total, nll: self.sums.estimate() });
        }
        Ok(())
    }

    fn finish(self) -> Perplexity {
        Perplexity {
            n_ctx: self.n_ctx,
            scored: self.scored,
            nll: self.nll.iter().flatten().map(|&nll| nll as f32).collect(),
            perplexity: self.sums.estimate().exp(),
        }
    }
}
