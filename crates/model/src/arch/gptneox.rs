//! GPT-NeoX (Black et al. 2022, arXiv:2204.06745) and Pythia, with attention and feed-forward in a
//! row or side by side; StarCoder 2 (Lozhkov et al. 2024, arXiv:2402.19173) and CodeShell are the
//! former.

use super::prelude::*;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let parallel = source.keys.bool("use_parallel_residual")?;
    load_as(source, parallel)
}

pub(super) fn load_in_a_row(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    load_as(source, false)
}

fn load_as(source: &Source<'_>, parallel: bool) -> Result<Arc<dyn Model>, Error> {
    let hp = &source.hp;
    let (norm, rope) = (source.layer_norm()?, source.rope(RopeLayout::Neox)?);
    let model = Decoder::load(source, norm, |il, w| {
        let attention = Attention::load(w, hp, il)?.with_rope(&rope);
        let ffn = Ffn::plain(w, hp.n_embd, Activation::GeluTanh)?;
        Ok(Layer { parallel, ..Layer::pre_norm(w, norm, hp.n_embd, attention, ffn)? })
    })?;
    Ok(Arc::new(model))
}
