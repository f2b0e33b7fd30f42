//! Mamba (Gu & Dao 2023, arXiv:2312.00752), also as Falcon Mamba, which norms step sizes, B and C;
//! and Mamba-2 (Dao & Gu 2024, arXiv:2405.21060).

use super::prelude::*;
use crate::blocks::layer::MixerLayer;
use crate::blocks::ssm::{Mamba, Mamba2, SsmShape};

pub(super) fn load_1(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let (norm, shape) = (source.rms_norm()?, SsmShape::load(keys, hp.n_embd)?);
    let has_norms = keys.opt_bool("ssm.dt_b_c_rms")?.unwrap_or(false);
    let norms = has_norms.then(|| [norm.plain(), norm.plain(), norm.plain()]);
    Ok(Arc::new(Decoder::load(source, norm, |_, w| {
        MixerLayer::load(w, norm, hp.n_embd, Mamba::load(w, shape, norms.clone())?)
    })?))
}

pub(super) fn load_2(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let (norm, shape) = (source.rms_norm()?, SsmShape::load(keys, hp.n_embd)?);
    Ok(Arc::new(Decoder::load(source, norm, |_, w| {
        MixerLayer::load(w, norm, hp.n_embd, Mamba2::load(w, shape, norm)?)
    })?))
}
