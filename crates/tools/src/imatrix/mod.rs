//! Measures how strongly the columns of weights are used over a text, as `llama-imatrix` does: the
//! mean squares of what they are multiplied with.

mod observer;

use crate::imatrix_file::ImatrixFile;
use crate::perplexity::{ChunkScore, Error, Evaluator, Perplexity, perplexity};
pub(crate) use observer::{Observations, Observer};

/// Weights at the end of a model, which are left out unless they are asked for.
const OUTPUTS: [&str; 2] = ["output.weight", "token_embd.weight"];

/// Evaluates `tokens` in chunks; returns what the weights of all blocks, and with `with_output` the
/// output matrix, were multiplied with, and the perplexity.
///
/// # Errors
/// As [`perplexity`].
pub fn imatrix(
    evaluator: Evaluator,
    tokens: &[u32],
    with_output: bool,
    notice: &mut dyn FnMut(ChunkScore),
) -> Result<(ImatrixFile, Perplexity), Error> {
    let seen = Observations::default();
    let evaluator = evaluator.observed(seen.clone());
    let perplexity = perplexity(&evaluator, tokens, notice)?;
    let n_ctx = perplexity.n_ctx;
    let n_chunks = perplexity.nll.len() / perplexity.scored.len().max(1);
    let mut entries = seen.entries();
    entries.retain(|name, _| {
        name.starts_with("blk.") || (with_output && OUTPUTS.contains(&name.as_str()))
    });
    let size = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let (chunk_count, chunk_size) = (size(n_chunks), size(n_ctx));
    Ok((ImatrixFile { entries, datasets: Vec::new(), chunk_count, chunk_size }, perplexity))
}
