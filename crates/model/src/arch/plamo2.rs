//! PLaMo 2 (Preferred Networks 2025, arXiv:2509.04897): layers of Mamba with heads and of attention,
//! normed before and after.

use backend::{Linear, ShortConv};

use super::prelude::*;
use crate::blocks::short_conv::{self, silu_conv};
use crate::blocks::ssm::{Ssd, SsdInput, SsmShape};

/// Mamba-2's scan with Mamba's inputs, normed.
struct Plamo2Mamba {
    shape: SsmShape,
    input: Linear,
    conv: ShortConv,
    x: Linear,
    b_norm: Norm,
    c_norm: Norm,
    dt_norm: Norm,
    dt: Linear,
    ssd: Ssd,
    output: Linear,
}

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Neox)?);
    let shape = SsmShape::load(keys, hp.n_embd)?.check_heads()?;
    Ok(Arc::new(Decoder::load(source, norm, |il, w| {
        let mixer: Box<dyn Mixer> = if hp.n_head_kv[il] == 0 {
            Box::new(Plamo2Mamba::load(w, shape, norm)?)
        } else {
            let attention = Attention::load(w, hp, il)?.with_rope(&rope);
            let scale = 1.0 / (hp.head_dim_v as f32).sqrt();
            Box::new(attention.with_head_norms(w, norm)?.with_scale(scale))
        };
        let ffn = Ffn::fused(w, "", hp.n_embd, Activation::Silu)?;
        let layer = Layer::pre_norm(w, norm, hp.n_embd, mixer, ffn)?;
        layer.with_post_norms(w, norm, hp.n_embd)
    })?))
}

impl Plamo2Mamba {
    fn load(w: &Weights<'_>, shape: SsmShape, norm: NormKind) -> Result<Self, Error> {
        let SsmShape { n_embd, kernel, inner, state, dt_rank, .. } = shape;
        let dt_dim = (n_embd / 16).max(64);
        Ok(Self {
            shape,
            input: w.linear("ssm_in", [n_embd, 2 * inner])?,
            conv: short_conv::load(w, "ssm_conv1d", [kernel, inner])?,
            x: w.linear("ssm_x", [inner, dt_dim + 2 * state])?,
            b_norm: norm.load(w, "ssm_b_norm", state)?,
            c_norm: norm.load(w, "ssm_c_norm", state)?,
            dt_norm: norm.load(w, "ssm_dt_norm", dt_dim)?,
            dt: w.linear("ssm_dt", [dt_dim, dt_rank])?,
            ssd: Ssd::load(w, shape)?,
            output: w.linear("ssm_out", [inner, n_embd])?,
        })
    }
}

impl Mixer for Plamo2Mamba {
    fn states(&self) -> Vec<usize> {
        vec![self.conv.state_len(), self.ssd.state_len()]
    }

    fn forward(&self, cx: &mut Forward<'_>, il: usize, x: Tensor) -> Tensor {
        let SsmShape { inner, state, dt_rank, .. } = self.shape;
        // Each head has its gate before its input.
        let zx = cx.linear1(x, &self.input);
        let zx = cx.deinterleave(zx, &[inner / dt_rank; 2]);
        let (z, x) = (zx.columns(0..inner), zx.columns(inner..2 * inner));
        let x = silu_conv(cx, x, &self.conv, [il, 0]);
        let bcdt = cx.linear1(x, &self.x);
        let b = self.b_norm.forward(cx, bcdt.columns(0..state));
        let c = self.c_norm.forward(cx, bcdt.columns(state..2 * state));
        let dt = self.dt_norm.forward(cx, bcdt.columns(2 * state..bcdt.cols()));
        let dt = cx.linear1(dt, &self.dt);
        let y = self.ssd.forward(cx, SsdInput { x, b, c, dt, z }, [il, 1]);
        cx.linear1(y, &self.output)
    }
}
