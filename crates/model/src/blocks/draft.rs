//! Parts of draft models, which guess what a target model will answer.

use backend::{Linear, Tensor, Weight};

use crate::blocks::norm::{Norm, NormKind, normed};
use crate::error::Error;
use crate::forward::Forward;
use crate::weights::Weights;

/// A logit that rules a token out; infinity would be taken for damage.
const RULED_OUT: f32 = f32::MIN;

/// What a draft model makes of its target's features of a position, once.
pub struct Fusion {
    /// Of the features.
    pub before: Option<Norm>,
    /// To the width of the draft model.
    pub linear: Linear,
    /// Of the result.
    pub after: Option<Norm>,
}

impl Fusion {
    /// Values per position that the target model gives.
    pub fn width(&self) -> usize {
        self.linear.weight.cols()
    }

    /// `[rows][width]` to `[rows][n_embd]`.
    pub fn forward(&self, cx: &mut Forward<'_>, x: Tensor) -> Tensor {
        let x = normed(&self.before, cx, x);
        let x = cx.linear1(x, &self.linear);
        normed(&self.after, cx, x)
    }
}

/// From the residual stream to logits, perhaps of some of the target's tokens alone.
pub struct DraftHead {
    norm: Norm,
    output: Linear,
    /// The token of each logit, and how many tokens there are.
    tokens: Option<(Vec<usize>, usize)>,
}

impl DraftHead {
    /// Loads `output_norm`, `output`, without which `token_embd` serves, and `d2t` where the file has
    /// it.
    pub fn load(
        w: &Weights<'_>,
        n_embd: usize,
        norm: NormKind,
        token_embd: &Weight,
    ) -> Result<Self, Error> {
        let n_vocab = token_embd.rows();
        let tokens = w.opt_indices("d2t", n_vocab)?;
        let n_drafted = tokens.as_ref().map_or(n_vocab, Vec::len);
        let output = match w.opt_linear("output", [n_embd, n_drafted])? {
            None if n_drafted == n_vocab => Linear::plain(token_embd.clone()),
            None => w.linear("output", [n_embd, n_drafted])?,
            Some(output) => output,
        };
        let norm = norm.load(w, "output_norm", n_embd)?;
        Ok(Self { norm, output, tokens: tokens.map(|tokens| (tokens, n_vocab)) })
    }

    /// `[rows][n_embd]` to `[rows][n_vocab]`.
    pub fn forward(&self, cx: &mut Forward<'_>, x: Tensor) -> Tensor {
        let x = self.norm.forward(cx, x);
        let logits = cx.linear1(x, &self.output);
        let Some((tokens, n_vocab)) = &self.tokens else { return logits };
        let mut own = vec![0.0; x.rows() * tokens.len()];
        cx.download(logits, &mut own);
        let mut all = vec![RULED_OUT; x.rows() * n_vocab];
        for (all, own) in all.chunks_exact_mut(*n_vocab).zip(own.chunks(tokens.len().max(1))) {
            tokens.iter().zip(own).for_each(|(&token, &logit)| all[token] = logit);
        }
        cx.upload(&all, *n_vocab)
    }
}
