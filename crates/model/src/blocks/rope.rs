//! Rotary position embedding and its scalings.
//!
//! RoPE: Su et al. 2021, arXiv:2104.09864. YaRN: Peng et al. 2023, arXiv:2309.00071. The tables
//! are computed here, in `f64`, once per batch; backends only rotate.

use std::sync::Arc;

use backend::{Backend, RopeLayout, Span, Tensor, Vector};

use crate::error::Error;
use crate::hparams::{Hparams, Keys};
use crate::weights::Weights;

/// How positions become angles.
#[derive(Debug, Clone)]
pub struct Rope {
    /// Where pairs are.
    pub layout: RopeLayout,
    /// Width of a head.
    pub head_dim: usize,
    /// Rotated values of a head.
    pub n_rot: usize,
    /// Base of the geometric series of frequencies.
    pub freq_base: f32,
    /// Factor of all angles: linear position interpolation.
    pub freq_scale: f32,
    /// YaRN, where the file asks for it.
    pub yarn: Option<Yarn>,
    /// Factor of cosines and sines.
    pub magnitude: f32,
    /// Divisors of the frequencies, one per pair (Llama 3, LongRoPE).
    pub factors: Option<Vector>,
    /// LongRoPE's divisors for contexts longer than the original one.
    pub long_factors: Option<Vector>,
    /// Context length before extension.
    pub n_ctx_orig: usize,
    /// Whether each pair stays, since its position is not the text's (M-RoPE); empty if none does.
    pub still: Vec<bool>,
}

/// YaRN's mix of interpolation and extrapolation.
#[derive(Debug, Clone, Copy)]
pub struct Yarn {
    /// Weight of extrapolation for high frequencies.
    pub ext_factor: f32,
    /// Rotations over the original context above which a frequency is extrapolated.
    pub beta_fast: f32,
    /// Rotations below which it is interpolated.
    pub beta_slow: f32,
}

/// A batch's rotations on the backend.
#[derive(Debug, Clone, Copy)]
pub struct RopeTable {
    /// `(cos, sin)` pairs, `[rows][n_rot]`.
    pub angles: Tensor,
    /// Width of a head.
    pub head_dim: usize,
    /// Where pairs are.
    pub layout: RopeLayout,
}

impl RopeTable {
    /// A copy of `x` with the last values of each head of `width` rotated; the table is for heads of
    /// as many values as are rotated.
    pub fn rotate_tails(&self, backend: &mut dyn Backend, x: Tensor, width: usize) -> Tensor {
        let (rows, n_rot) = (x.rows(), self.angles.cols());
        let n = rows * x.cols() / width;
        let x = if x.is_dense() { x } else { backend.concat(&[x]) }.reshape(n, width);
        let tails = backend.concat(&[x.columns(width - n_rot..width)]);
        let by_row = tails.reshape(rows, n / rows.max(1) * n_rot);
        backend.rope(by_row, n_rot, self.angles, self.layout);
        backend.concat(&[x.columns(0..width - n_rot), tails]).reshape(rows, n / rows.max(1) * width)
    }
}

impl Rope {
    /// Reads the scaling keys and frequency factors of the file.
    pub fn load(
        keys: &Keys<'_>,
        w: &Weights<'_>,
        hp: &Hparams,
        layout: RopeLayout,
    ) -> Result<Self, Error> {
        Self::load_for(keys, w, hp, hp.head_dim, layout)
    }

    /// The same for heads of another width.
    pub fn load_for(
        keys: &Keys<'_>,
        w: &Weights<'_>,
        hp: &Hparams,
        head_dim: usize,
        layout: RopeLayout,
    ) -> Result<Self, Error> {
        let scaling = keys.opt_str("rope.scaling.type")?.unwrap_or("linear");
        let factor = match keys.opt_f32("rope.scaling.factor")? {
            Some(factor) => Some(factor),
            None => keys.opt_f32("rope.scale_linear")?,
        };
        let freq_scale = match factor {
            Some(factor) if factor != 0.0 && scaling != "none" => 1.0 / factor,
            _ => 1.0,
        };
        let magnification = yarn_magnification(keys, freq_scale)?;
        let yarn_default = if scaling == "yarn" { 1.0 } else { 0.0 };
        let ext_factor = keys.opt_f32("rope.scaling.yarn_ext_factor")?.unwrap_or(yarn_default);
        let yarn = (ext_factor != 0.0).then_some(Yarn {
            ext_factor,
            beta_fast: keys.opt_f32("rope.scaling.yarn_beta_fast")?.unwrap_or(32.0),
            beta_slow: keys.opt_f32("rope.scaling.yarn_beta_slow")?.unwrap_or(1.0),
        });
        let mut magnitude = keys.opt_f32("rope.scaling.attn_factor")?.unwrap_or(1.0);
        match yarn {
            Some(_) => magnitude *= magnification,
            None => magnitude *= keys.opt_f32("rope.scaling.yarn_attn_factor")?.unwrap_or(1.0),
        }
        let n_pairs = hp.n_rot / 2;
        check_width(hp.n_rot, head_dim)?;
        let long_factors = w.opt_vector("rope_factors_long.weight", n_pairs)?;
        let factors = match w.opt_vector("rope_freqs.weight", n_pairs)? {
            Some(factors) => Some(factors),
            None => w.opt_vector("rope_factors_short.weight", n_pairs)?,
        };
        Ok(Self {
            layout,
            head_dim,
            n_rot: hp.n_rot,
            freq_base: keys.opt_f32("rope.freq_base")?.unwrap_or(10_000.0),
            freq_scale,
            yarn,
            magnitude,
            factors,
            long_factors,
            n_ctx_orig: keys
                .opt_usize("rope.scaling.original_context_length")?
                .unwrap_or(hp.n_ctx_train),
            still: Vec::new(),
        })
    }

    /// The same for heads of another width.
    pub fn for_heads(&self, head_dim: usize, layout: RopeLayout) -> Result<Self, Error> {
        check_width(self.n_rot, head_dim)?;
        Ok(Self { head_dim, layout, ..self.clone() })
    }

    /// Multimodal rotations (Qwen2-VL, Wang et al. 2024, arXiv:2409.12191), whose pairs are cut into
    /// sections of time, height, width and another; `interleaved` ones take turns. In text all
    /// positions are the same but the last, which is 0.
    pub fn with_sections(self, sections: [usize; 4], interleaved: bool) -> Self {
        let [time, height, width, other] = sections;
        let still = |pair: usize| {
            let at = pair % (time + height + width + other).max(1);
            match (interleaved, at % 3) {
                (false, _) => at >= time + height + width,
                (true, 0) => at >= 3 * time,
                (true, 1) => at >= 3 * height,
                (true, _) => at >= 3 * width,
            }
        };
        let still = (0..self.n_rot / 2).map(still).collect();
        Self { layout: RopeLayout::Neox, still, ..self }
    }

    /// The same heads, but with this base and no scaling.
    pub fn unscaled(&self, freq_base: f32) -> Self {
        let growth = self.yarn.map_or(1.0, |_| yarn_magnitude(self.freq_scale));
        let magnitude = self.magnitude / growth;
        Self { freq_base, freq_scale: 1.0, yarn: None, magnitude, ..self.clone() }
    }

    /// What sliding-window layers use where they are not scaled: another base, if the file names
    /// one, else `freq_base`.
    pub fn unscaled_sliding(&self, keys: &Keys<'_>, freq_base: f32) -> Result<Arc<Self>, Error> {
        Ok(Arc::new(self.unscaled(keys.opt_f32("rope.freq_base_swa")?.unwrap_or(freq_base))))
    }

    /// What sliding-window layers use where they are scaled alike: another base, if the file names
    /// one.
    pub fn sliding(&self, keys: &Keys<'_>) -> Result<Arc<Self>, Error> {
        let freq_base = keys.opt_f32("rope.freq_base_swa")?.unwrap_or(self.freq_base);
        Ok(Arc::new(Self { freq_base, ..self.clone() }))
    }

    /// Without the frequency factors of the file.
    pub fn without_factors(&self) -> Arc<Self> {
        Arc::new(Self { factors: None, long_factors: None, ..self.clone() })
    }

    /// The same, turning this many values of a head, if the file names another number for these
    /// layers. Pairs beyond the frequency factors have none.
    pub fn with_width(&self, n_rot: Option<usize>) -> Result<Arc<Self>, Error> {
        let n_rot = n_rot.unwrap_or(self.n_rot);
        check_width(n_rot, self.head_dim)?;
        Ok(Arc::new(Self { n_rot, ..self.clone() }))
    }

    /// The rotations of a batch, for a context of `n_ctx` positions.
    pub fn table(&self, backend: &mut dyn Backend, spans: &[Span<'_>], n_ctx: usize) -> RopeTable {
        let positions = spans.iter().flat_map(|span| span.pos..span.len());
        self.table_at(backend, positions.map(|pos| pos as f64), n_ctx)
    }

    /// The rotations of any positions; those of negative ones turn back.
    pub fn table_at(
        &self,
        backend: &mut dyn Backend,
        positions: impl Iterator<Item = f64>,
        n_ctx: usize,
    ) -> RopeTable {
        let rates = self.rates(n_ctx);
        let magnitude = f64::from(self.magnitude);
        let angles: Vec<f32> = positions
            .flat_map(|pos| rates.iter().map(move |rate| pos * rate))
            .flat_map(|angle| [(angle.cos() * magnitude) as f32, (angle.sin() * magnitude) as f32])
            .collect();
        let angles = backend.upload(&angles, self.n_rot);
        RopeTable { angles, head_dim: self.head_dim, layout: self.layout }
    }

    /// Radians per position of each pair.
    fn rates(&self, n_ctx: usize) -> Vec<f64> {
        let factors = match &self.long_factors {
            Some(long) if n_ctx > self.n_ctx_orig => Some(long),
            _ => self.factors.as_ref(),
        };
        let ramp = self.yarn.map(|yarn| (yarn, self.yarn_range(yarn)));
        (0..self.n_rot / 2)
            .map(|pair| {
                if self.still.get(pair) == Some(&true) {
                    return 0.0;
                }
                let exponent = -2.0 * pair as f64 / self.n_rot as f64;
                let factor =
                    factors.and_then(|factors| factors.get(pair)).map_or(1.0, |&f| f64::from(f));
                let extrapolated = f64::from(self.freq_base).powf(exponent) / factor;
                let interpolated = extrapolated * f64::from(self.freq_scale);
                let Some((yarn, (low, high))) = ramp else { return interpolated };
                let progress = (pair as f64 - low) / (high - low).max(0.001);
                let mix = (1.0 - progress.clamp(0.0, 1.0)) * f64::from(yarn.ext_factor);
                interpolated * (1.0 - mix) + extrapolated * mix
            })
            .collect()
    }

    /// The pairs between which YaRN blends: those that turn `beta_fast` and `beta_slow` times over
    /// the original context.
    fn yarn_range(&self, yarn: Yarn) -> (f64, f64) {
        let (n_rot, base) = (self.n_rot as f64, f64::from(self.freq_base));
        let pair_turning = |turns: f32| {
            let period = self.n_ctx_orig as f64 / (f64::from(turns) * std::f64::consts::TAU);
            n_rot * period.ln() / (2.0 * base.ln())
        };
        let low = pair_turning(yarn.beta_fast).floor().max(0.0);
        let high = pair_turning(yarn.beta_slow).ceil().min(n_rot - 1.0);
        (low, high)
    }
}

fn check_width(n_rot: usize, head_dim: usize) -> Result<(), Error> {
    if n_rot > 0 && n_rot <= head_dim && n_rot.is_multiple_of(2) {
        return Ok(());
    }
    Err(Error::Value {
        key: "rope.dimension_count".into(),
        value: n_rot.to_string(),
        expected: format!("an even number of at most {head_dim}"),
    })
}

/// The factor of cosines and sines with YaRN. DeepSeek-V2 takes the growth of scores elsewhere.
fn yarn_magnification(keys: &Keys<'_>, freq_scale: f32) -> Result<f32, Error> {
    let growth = |multiplier: f32| 1.0 + multiplier * (yarn_magnitude(freq_scale) - 1.0);
    match keys.opt_f32("rope.scaling.yarn_log_multiplier")? {
        None | Some(0.0) => Ok(growth(1.0)),
        Some(multiplier) => Ok(growth(1.0) / growth(multiplier)),
    }
}

/// The paper's 0.1 ln(s) + 1; a factor below 1 shrinks nothing.
fn yarn_magnitude(freq_scale: f32) -> f32 {
    1.0 + 0.1 * (1.0 / freq_scale).ln().max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rope() -> Rope {
        Rope {
            layout: RopeLayout::Norm,
            head_dim: 8,
            n_rot: 8,
            freq_base: 10_000.0,
            freq_scale: 1.0,
            yarn: None,
            magnitude: 1.0,
            factors: None,
            long_factors: None,
            n_ctx_orig: 4096,
            still: Vec::new(),
        }
    }

    #[test]
    fn plain_rates_are_the_geometric_series() {
        let rates = rope().rates(128);
        for (pair, rate) in rates.iter().enumerate() {
            assert!((rate - 10f64.powi(-(pair as i32))).abs() < 1e-12, "{pair}: {rate}");
        }
    }

    #[test]
    fn linear_scaling_and_factors_divide_rates() {
        let scaled = Rope { freq_scale: 0.25, ..rope() };
        assert!((scaled.rates(128)[1] - 0.025).abs() < 1e-12);
        let factors = Some(Vector::new(vec![1.0, 2.0, 4.0, 8.0]));
        let long = Some(Vector::new(vec![10.0; 4]));
        let factored = Rope { factors, long_factors: long, ..rope() };
        assert!((factored.rates(4096)[2] - 0.0025).abs() < 1e-12);
        assert!((factored.rates(4097)[2] - 0.001).abs() < 1e-12);
    }

    #[test]
    fn sections_of_no_text_position_stay() {
        let rates = |sections, interleaved| {
            let rates = rope().with_sections(sections, interleaved).rates(128);
            rates.into_iter().map(|rate| rate == 0.0).collect::<Vec<_>>()
        };
        assert_eq!(rates([1, 1, 1, 1], false), [false, false, false, true]);
        assert_eq!(rates([1, 2, 1, 0], true), [false, false, false, true]);
    }

    #[test]
    fn yarn_keeps_fast_pairs_and_interpolates_slow_ones() {
        let yarn = Some(Yarn { ext_factor: 1.0, beta_fast: 32.0, beta_slow: 1.0 });
        let rope = Rope { yarn, freq_scale: 0.25, n_rot: 64, head_dim: 64, ..rope() };
        let plain = Rope { yarn: None, freq_scale: 1.0, ..rope.clone() };
        let (rates, plain) = (rope.rates(128), plain.rates(128));
        assert!((rates[0] - plain[0]).abs() < 1e-12);
        assert!((rates[31] - plain[31] * 0.25).abs() < 1e-12);
    }

    #[test]
    fn unscaled_layers_know_nothing_of_yarn() {
        let yarn = Some(Yarn { ext_factor: 1.0, beta_fast: 32.0, beta_slow: 1.0 });
        let magnitude = 2.0 * yarn_magnitude(0.25);
        let unscaled = Rope { yarn, freq_scale: 0.25, magnitude, ..rope() }.unscaled(500.0);
        assert!((unscaled.magnitude - 2.0).abs() < 1e-6);
        assert_eq!(unscaled.rates(128), Rope { freq_base: 500.0, ..rope() }.rates(128));
    }
}
