//! Nanbeige 4 (2026): LLaMA whose layers run several times.

use super::prelude::*;
use crate::memory::KvShape;

/// Most layers that run.
const MOST_LAYERS: usize = 512;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, weights } = source;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Norm)?);
    let n_loops = keys.opt_usize("num_loops")?.unwrap_or(1);
    let most = MOST_LAYERS / hp.n_layer;
    if !(1..=most).contains(&n_loops) {
        let (key, value) = ("num_loops".into(), n_loops.to_string());
        return Err(Error::Value { key, value, expected: format!("1 to {most}") });
    }
    let with_norm = !keys.opt_bool("skip_loop_final_norm")?.unwrap_or(false);
    let model = Decoder::load(source, norm, |il, w| {
        let attention = Attention::load(w, hp, il)?.with_rope(&rope);
        let ffn = Ffn::gated(w, hp.n_embd, Activation::Silu)?;
        Layer::pre_norm(w, norm, hp.n_embd, attention, ffn)
    })?;
    let norm = norm.load(weights, "output_norm", hp.n_embd)?;
    let between = |layer| -> Arc<dyn Block> {
        if with_norm { Arc::new(LoopEnd { layer, norm: norm.clone() }) } else { layer }
    };
    Ok(Arc::new(model.repeated(hp, n_loops, between)))
}

/// The last layer of a loop that isn't the last.
struct LoopEnd {
    layer: Arc<dyn Block>,
    norm: Norm,
}

impl Block for LoopEnd {
    fn kv(&self) -> KvShape {
        self.layer.kv()
    }

    fn prepare(&self, cx: &mut Forward<'_>) {
        self.layer.prepare(cx);
    }

    fn forward(&self, cx: &mut Forward<'_>, il: usize, x: Tensor, last: bool) -> Tensor {
        let x = self.layer.forward(cx, il, x, last);
        self.norm.forward(cx, x)
    }
}
