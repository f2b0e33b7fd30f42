//! Whether a model fits into memory.

use engine::{Plan, Reason};
use gguf::Location;
use model::Model;
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
    /// The context that was asked for, that the model was trained with, or that fits.
    pub context: usize,
    /// Where that comes from: "asked", "trained" or "memory".
    pub reason: &'static str,
    /// Bytes of keys, values and states for a full context; `None` if there can't be as many.
    pub kv: Option<u64>,
    /// Bytes that a batch is computed in.
    pub work: Option<u64>,
    /// Whether all of it fits into the available memory; `None` where that is not known.
    pub fits: Option<bool>,
    /// The most positions that fit beside the weights; `None` where memory is not known.
    pub largest_context: Option<u64>,
}

impl Fit {
    /// Reads the file; `available` is memory.
    pub(super) fn of_file(
        file: &Location,
        options: &super::Options,
        available: Option<u64>,
    ) -> Result<Self, Error> {
        let failed = |error| Error::Model { path: file.path().to_owned(), error };
        let gguf = file.open()?;
        let model = model::load(&gguf).map_err(failed)?;
        let weights = gguf.tensors().iter().map(|tensor| tensor.size() as u64).sum();
        Ok(Self {
            path: file.to_string(),
            architecture: gguf.metadata().str("general.architecture")?.to_owned(),
            ..Self::of_model(&*model, weights, options, available)?
        })
    }

    fn of_model(
        model: &dyn Model,
        weights: u64,
        options: &super::Options,
        available: Option<u64>,
    ) -> Result<Self, Error> {
        let engine = |overcommit| engine::Options {
            n_ctx: options.n_ctx,
            threads: options.threads,
            overcommit,
            ..engine::Options::default()
        };
        let failed = |error| Error::Plan(Box::new(error));
        let longest = |available| Plan::longest(model, weights, &engine(false), available);
        let largest = available.map(longest).transpose().map_err(failed)?;
        let (plan, fits) = match Plan::new(model, weights, &engine(false), available) {
            Err(engine::Error::TooLarge { .. }) => {
                (Plan::new(model, weights, &engine(true), available), Some(false))
            }
            plan => (plan, available.map(|_| true)),
        };
        let plan = match plan {
            Ok(plan) => Some(plan),
            // More than can be addressed.
            Err(engine::Error::TooLarge { .. }) => None,
            Err(error) => return Err(failed(error)),
        };
        let reason = plan.as_ref().map_or(Reason::Asked, |plan| plan.reason);
        let context = options.n_ctx.unwrap_or(model.shape().n_ctx_train);
        Ok(Self {
            path: String::new(),
            architecture: String::new(),
            weights,
            context: plan.as_ref().map_or(context, |plan| plan.n_ctx),
            reason: match reason {
                Reason::Asked => "asked",
                Reason::Trained => "trained",
                Reason::Memory => "memory",
            },
            kv: plan.as_ref().map(|plan| plan.positions + plan.states),
            work: plan.as_ref().map(|plan| plan.work),
            fits,
            largest_context: largest.map(|n| n as u64),
        })
    }
}

#[cfg(test)]
mod tests {
    use fixtures::Fixture;

    use super::*;

    fn fit(n_ctx: Option<usize>, available: Option<u64>) -> Fit {
        let model = model::load(&Fixture::named("llama-gqa").model()).expect("the fixture loads");
        let options = super::super::Options { n_ctx, threads: Some(1), ..<_>::default() };
        Fit::of_model(&*model, 1 << 20, &options, available).expect("a plan")
    }

    #[test]
    fn verdicts_and_contexts() {
        let whole = fit(None, None);
        assert_eq!((whole.reason, whole.fits, whole.largest_context), ("trained", None, None));
        let asked = fit(Some(128), Some(1 << 40));
        assert_eq!((asked.context, asked.reason, asked.fits), (128, "asked", Some(true)));
        assert!(asked.largest_context.is_some_and(|n| n > 1 << 20));
        let needed = asked.weights + asked.kv.unwrap_or(0) + asked.work.unwrap_or(0);
        assert_eq!(fit(Some(128), Some(needed)).fits, Some(true));
        let refused = fit(Some(256), Some(needed));
        assert_eq!((refused.fits, refused.largest_context), (Some(false), Some(128)));
        assert!(refused.kv > asked.kv);
        let less = fit(None, Some(needed + needed / 15));
        assert_eq!((less.context, less.reason, less.fits), (128, "memory", Some(true)));
        let none = fit(None, Some(1 << 20));
        assert_eq!((none.fits, none.largest_context), (Some(false), Some(0)));
        let absurd = fit(Some(usize::MAX), Some(needed));
        assert_eq!((absurd.kv, absurd.fits, absurd.context), (None, Some(false), usize::MAX));
    }
}
