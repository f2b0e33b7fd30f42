//! What runs a model: a backend, and memory.

use std::sync::Arc;

use cpu::{Cpu, CpuOptions};
use model::{Context, Model};

use crate::{Error, Options};

/// A context as the options say, with room for `n_ctx` positions of `n_sequences` sequences together.
pub fn create(
    model: &Arc<dyn Model>,
    options: &Options,
    n_ctx: usize,
    n_sequences: usize,
) -> Result<Context, Error> {
    if n_ctx == 0 {
        return Err(Error::EmptyContext);
    }
    let cpu = CpuOptions {
        threads: options.threads,
        isa: options.isa,
        batch_invariant: options.batch_invariant,
    };
    let backend = Box::new(Cpu::placed(cpu, &options.placement)?);
    let types = options.kv_types;
    Ok(Context::with_sequences(model.clone(), backend, n_ctx, n_sequences, types)?)
}
