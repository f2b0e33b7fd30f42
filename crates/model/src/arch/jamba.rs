//! Jamba (Lieber et al. 2024, arXiv:2403.19887): layers of Mamba and of attention without
//! positions, some with experts.

use super::prelude::*;
use crate::blocks::ssm::{Mamba, SsmShape};

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let (norm, shape) = (source.rms_norm()?, SsmShape::load(keys, hp.n_embd)?);
    let experts = Routing { normalize: false, ..Routing::softmax(hp.n_expert_used) };
    Ok(Arc::new(Decoder::load(source, norm, |il, w| {
        let mixer: Box<dyn Mixer> = if hp.n_head_kv[il] == 0 {
            let norms = [
                norm.load(w, "ssm_dt_norm", shape.dt_rank)?,
                norm.load(w, "ssm_b_norm", shape.state)?,
                norm.load(w, "ssm_c_norm", shape.state)?,
            ];
            Box::new(Mamba::load(w, shape, Some(norms))?)
        } else {
            Box::new(Attention::load(w, hp, il)?)
        };
        Layer::pre_norm(w, norm, hp.n_embd, mixer, silu_ffn(w, hp, &experts)?)
    })?))
}
