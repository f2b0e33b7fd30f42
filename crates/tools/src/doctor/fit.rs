//! Whether a model fits into memory.

use backend::{CacheSpec, KvSpec, KvTypes, PAGE};
use gguf::Location;
use model::{CacheShape, KvShape, Shape};
use serde::Serialize;

use crate::Error;

/// The memory that a model takes, in bytes, and whether there is as much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fit {
    /// The model file.
    pub path: String,
    /// Its architecture.
    pub architecture: String,
    /// Bytes of all tensors. They are mapped: of a file that does not fit, parts are read again
    /// and again.
    pub weights: u64,
    /// The context that was asked for, or that the model was trained with.
    pub context: usize,
    /// Bytes of keys, values and states for a full context; `None` if there can't be as many.
    pub kv: Option<u64>,
    /// Whether weights and context fit into the available memory; `None` where that is not known.
    pub fits: Option<bool>,
    /// The most positions that fit beside the weights; `None` where memory is not known, or there
    /// are no keys and values.
    pub largest_context: Option<u64>,
}

impl Fit {
    /// Reads the file; `available` is memory, `n_ctx` as in [`super::Options`].
    pub(super) fn of_file(
        file: &Location,
        n_ctx: Option<usize>,
        available: Option<u64>,
    ) -> Result<Self, Error> {
        let failed = |error| Error::Model { path: file.path().to_owned(), error };
        let gguf = file.open()?;
        let model = model::load(&gguf).map_err(failed)?;
        let weights = gguf.tensors().iter().map(|tensor| tensor.size() as u64).sum();
        let context = n_ctx.unwrap_or(model.shape().n_ctx_train);
        Ok(Self {
            path: file.to_string(),
            architecture: gguf.metadata().str("general.architecture")?.to_owned(),
            ..Self::of_sizes(weights, model.shape(), context, available)
        })
    }

    fn of_sizes(weights: u64, shape: &Shape, context: usize, available: Option<u64>) -> Self {
        let states = shape.state_bytes();
        let kv = kv_bytes(shape, context.div_ceil(PAGE))
            .zip(states)
            .and_then(|(kv, states)| kv.checked_add(states));
        let fixed = weights.saturating_add(states.unwrap_or(u64::MAX));
        let fits = |available| {
            kv.and_then(|kv| weights.checked_add(kv)).is_some_and(|needed| needed <= available)
        };
        let page = kv_bytes(shape, 1).filter(|&bytes| bytes > 0);
        Self {
            path: String::new(),
            architecture: String::new(),
            weights,
            context,
            kv,
            fits: available.map(fits),
            largest_context: available
                .zip(page)
                .map(|(available, page)| available.saturating_sub(fixed) / page * PAGE as u64),
        }
    }
}

/// Bytes of keys and values of all layers in `n_pages` pages.
fn kv_bytes(shape: &Shape, n_pages: usize) -> Option<u64> {
    let types = KvTypes::default();
    let attending = shape.kv.iter().filter(|kv| kv.n_head_kv > 0);
    let layers = attending.map(|&KvShape { n_head_kv, head_dim, head_dim_v }| {
        let bytes = KvSpec { n_head_kv, head_dim, head_dim_v, n_pages, types }.bytes();
        u64::try_from(bytes.ok()?).ok()
    });
    let kv: u64 = layers.sum::<Option<u64>>()?;
    let caches = shape.caches.iter().flatten().map(|&CacheShape { width, stride }| {
        let bytes = CacheSpec { width, stride, n_pages, ty: types.k }.bytes();
        u64::try_from(bytes.ok()?).ok()
    });
    kv.checked_add(caches.sum::<Option<u64>>()?)
}

#[cfg(test)]
mod tests {
    use model::OutputKind;

    use super::*;

    /// 2 layers of 4 heads of 32 + 32 half floats: 1 KiB a position, 64 KiB a page.
    fn fit(weights: u64, context: usize, available: Option<u64>) -> Fit {
        fit_with_states(weights, context, available, vec![])
    }

    fn fit_with_states(
        weights: u64,
        context: usize,
        available: Option<u64>,
        states: Vec<Vec<usize>>,
    ) -> Fit {
        let kv = vec![KvShape { n_head_kv: 4, head_dim: 32, head_dim_v: 32 }; 2];
        let output = OutputKind::Logits;
        let shape =
            Shape { n_embd: 1, n_vocab: 1, n_ctx_train: 1, kv, caches: vec![], states, output };
        Fit::of_sizes(weights, &shape, context, available)
    }

    #[test]
    fn weights_and_whole_pages_must_fit() {
        let found = fit(1 << 20, 100, Some((1 << 20) + (128 << 10)));
        assert_eq!(found.kv, Some(128 << 10));
        assert_eq!((found.fits, found.largest_context), (Some(true), Some(128)));
        let found = fit(1 << 20, 129, Some((1 << 20) + (191 << 10)));
        assert_eq!((found.fits, found.largest_context), (Some(false), Some(128)));
        let found = fit(1 << 20, 64, Some(1 << 19));
        assert_eq!((found.fits, found.largest_context), (Some(false), Some(0)));
        assert_eq!(fit(1, 1, None).fits, None);
        // A state of 1 KiB and four snapshots of it.
        let found = fit_with_states(1 << 20, 64, Some((1 << 20) + (69 << 10)), vec![vec![256]]);
        assert_eq!(found.kv, Some(69 << 10));
        assert_eq!((found.fits, found.largest_context), (Some(true), Some(64)));
        let found = fit(1, usize::MAX, Some(u64::MAX));
        assert_eq!((found.kv, found.fits), (None, Some(false)));
    }
}
