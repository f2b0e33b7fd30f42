//! From tokens to the residual stream, and from there to what a model yields.

use backend::{Linear, Tensor, Weight};

use crate::blocks::norm::{Norm, NormKind, normed};
use crate::error::Error;
use crate::forward::Forward;
use crate::hparams::Hparams;
use crate::weights::Weights;

/// The first step: a token's row of a table.
pub struct Embedding {
    /// `[n_vocab][n_embd]`.
    pub table: Weight,
    /// Factor of the row.
    pub scale: f32,
    /// After the factor.
    pub norm: Option<Norm>,
    /// Learned embeddings of positions, `[n_ctx_train][n_embd]`, which are added.
    pub positions: Option<Weight>,
    /// Embeddings of the types of tokens, of which every token has the first.
    pub token_types: Option<Weight>,
}

impl Embedding {
    /// Loads `token_embd`; without it the output matrix serves (old CodeShell files).
    pub fn load(w: &Weights<'_>, hp: &Hparams) -> Result<Self, Error> {
        let tied = !w.has("token_embd.weight") && w.has("output.weight");
        let table = w.table(if tied { "output.weight" } else { "token_embd.weight" }, hp.n_embd)?;
        Ok(Self { table, scale: 1.0, norm: None, positions: None, token_types: None })
    }

    /// The batch's tokens, `[rows][n_embd]`.
    pub fn forward(&self, cx: &mut Forward<'_>) -> Tensor {
        let x = cx.embed_tokens(&self.table);
        if self.scale != 1.0 {
            cx.scale(x, self.scale);
        }
        if let Some(table) = &self.token_types {
            let types = cx.embed(table, &vec![0; x.rows()]);
            cx.add_assign(x, types);
        }
        if let Some(table) = &self.positions {
            let positions = cx.embed_positions(table);
            cx.add_assign(x, positions);
        }
        normed(&self.norm, cx, x)
    }
}

/// The last step: a norm, and for logits the output matrix.
pub struct Head {
    /// Of the residual stream, if it needs one.
    pub norm: Option<Norm>,
    /// One logit per vocabulary entry; embeddings need none.
    pub output: Option<Linear>,
    /// Factor of the logits.
    pub scale: f32,
    /// Soft limit of the logits; 0 for none.
    pub softcap: f32,
}

impl Head {
    /// Loads `output_norm` and `output`; without the latter the token embedding serves.
    pub fn load(
        w: &Weights<'_>,
        hp: &Hparams,
        norm: NormKind,
        token_embd: &Weight,
    ) -> Result<Self, Error> {
        let norm = norm.load(w, "output_norm", hp.n_embd)?;
        Self::with_norm(w, hp, norm, token_embd)
    }

    /// The same with another norm.
    pub fn with_norm(
        w: &Weights<'_>,
        hp: &Hparams,
        norm: impl Into<Option<Norm>>,
        token_embd: &Weight,
    ) -> Result<Self, Error> {
        let output = w.opt_linear("output", [hp.n_embd, token_embd.rows()])?;
        let output = output.unwrap_or_else(|| Linear::plain(token_embd.clone()));
        Ok(Self { norm: norm.into(), output: Some(output), scale: 1.0, softcap: 0.0 })
    }

    /// `[rows][n_embd]` to `[rows][Shape::output_width]`, or where embeddings are wanted as wide.
    pub fn forward(&self, cx: &mut Forward<'_>, x: Tensor) -> Tensor {
        let x = normed(&self.norm, cx, x);
        let Some(output) = self.output.as_ref().filter(|_| !cx.wants_embeddings()) else {
            return x;
        };
        let logits = cx.linear1(x, output);
        if self.scale != 1.0 {
            cx.scale(logits, self.scale);
        }
        if self.softcap != 0.0 {
            cx.softcap(logits, self.softcap);
        }
        logits
    }
}
