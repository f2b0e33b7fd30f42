//! LFM2 (Liquid AI 2025, arXiv:2511.23404): layers of short convolutions and of attention; `lfm2moe`
//! has experts.

use super::prelude::*;
use crate::blocks::short_conv::GatedConv;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, weights } = source;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Neox)?);
    let kernel = keys.count("shortconv.l_cache")?;
    let experts = source.normalized_routing()?;
    let window = keys.opt_usize("attention.sliding_window")?.filter(|&n| n > 0);
    let mask = window.map_or(Mask::Causal, Mask::Sliding);
    // The last norm has the name that is the first one's elsewhere.
    let last = norm.load(weights, "token_embd_norm", hp.n_embd)?;
    Ok(Arc::new(Decoder::with_last_norm(source, last, |il, w| {
        let mixer: Box<dyn Mixer> = if hp.n_head_kv[il] == 0 {
            Box::new(GatedConv::load(w, hp.n_embd, kernel)?)
        } else {
            let attention = Attention::load(w, hp, il)?.with_rope(&rope).with_mask(mask);
            Box::new(attention.with_head_norms(w, norm)?)
        };
        Layer::pre_norm(w, norm, hp.n_embd, mixer, silu_ffn(w, hp, &experts)?)
    })?))
}
