//! Rotary position embeddings (Su et al. 2021, arXiv:2104.09864) and how they are stretched to longer
//! contexts. Files of `transformers` 5 have all of it in `rope_parameters`; older ones have the base in
//! `rope_theta` and the rest in `rope_scaling`.

use std::f64::consts::TAU;

use super::Error;
use super::config::Config;
use super::pairs::Pairs;

/// Base of the frequencies where a file doesn't say.
const BASE: f64 = 10_000.0;

/// Parameters of rotary embeddings.
pub struct Rope<'a> {
    config: Config<'a>,
    parameters: Config<'a>,
}

impl<'a> Rope<'a> {
    /// Those of a model, of its layers of full attention where kinds of layers have their own.
    pub fn new(config: &Config<'a>) -> Self {
        let new = config.part("rope_parameters");
        let parameters =
            match (new.get("full_attention").is_object(), config.get("rope_parameters")) {
                (true, _) => new.part("full_attention"),
                (false, value) if value.is_object() => new,
                _ => config.part("rope_scaling"),
            };
        Self { config: *config, parameters }
    }

    /// The kind of stretching.
    pub fn kind(&self) -> &'a str {
        let text = |key| self.parameters.text(key);
        text("rope_type").or_else(|| text("type")).unwrap_or("default")
    }

    /// Base of the frequencies.
    pub fn base(&self) -> Result<f64, Error> {
        let base = self.parameters.opt_number("rope_theta")?;
        Ok(base.or(self.config.opt_number("rope_theta")?).unwrap_or(BASE))
    }

    /// Base of the frequencies of layers with a sliding window, where they have their own.
    pub fn sliding_base(&self) -> Result<Option<f64>, Error> {
        let sliding = self.config.part("rope_parameters").part("sliding_attention");
        let base = sliding.opt_number("rope_theta")?;
        Ok(base.or(self.config.opt_number("rope_local_base_freq")?))
    }

    /// A number among the parameters, or beside them.
    pub fn opt_number(&self, key: &'static str) -> Result<Option<f64>, Error> {
        let number = self.parameters.opt_number(key)?;
        Ok(number.or(self.config.opt_number(key)?))
    }

    /// The context that the model was made for before stretching.
    pub fn original_context(&self) -> Result<Option<u32>, Error> {
        let key = "original_max_position_embeddings";
        let count = self.parameters.opt_count(key)?;
        Ok(count.or(self.config.opt_count(key)?))
    }

    /// Factors by frequency; `None` where there are none.
    pub fn factors(&self, key: &'static str) -> Result<Option<Vec<f32>>, Error> {
        self.parameters.opt_numbers(key)
    }

    /// An error about a parameter.
    pub fn wrong(&self, key: &str, expected: &str) -> Error {
        self.parameters.wrong(key, expected)
    }

    /// Adds base and stretching.
    pub fn put(&self, pairs: &mut Pairs) -> Result<(), Error> {
        let number = |key| self.parameters.opt_number(key);
        match self.kind() {
            // Factors for each frequency tell all of it, or it begins beyond the context.
            "default" | "llama3" | "dynamic" => {}
            kind @ ("linear" | "yarn") => {
                pairs.size("rope.scaling.type", kind)?;
                pairs.size("rope.scaling.factor", self.parameters.number("factor")? as f32)?;
                if kind == "yarn" {
                    let context = self.original_context()?;
                    let missing = || self.wrong("original_max_position_embeddings", "a number");
                    let context = context.ok_or_else(missing)?;
                    pairs.size("rope.scaling.original_context_length", context)?;
                    let attention = number("attention_factor")?.or(number("attn_factor")?);
                    for (ours, value) in [
                        ("yarn_ext_factor", number("extrapolation_factor")?),
                        ("yarn_attn_factor", attention),
                        ("yarn_beta_fast", number("beta_fast")?),
                        ("yarn_beta_slow", number("beta_slow")?),
                    ] {
                        let value = value.map(|value| value as f32);
                        pairs.opt_size(&format!("rope.scaling.{ours}"), value)?;
                    }
                }
            }
            "su" | "longrope" => pairs.size("rope.scaling.type", "longrope")?,
            _ => {
                let expected = "default, linear, yarn, dynamic, llama3 or longrope";
                return Err(self.wrong("rope_type", expected));
            }
        }
        pairs.size("rope.freq_base", self.base()? as f32)?;
        pairs.opt_size("rope.freq_base_swa", self.sliding_base()?.map(|base| base as f32))
    }

    /// What each of the frequencies of `dims` dimensions is divided by, as Llama 3.1 stretches them: long
    /// waves by a factor, short ones not, and those between by something between. `None` for other
    /// models.
    pub fn llama3_factors(&self, dims: u32) -> Result<Option<Vec<f32>>, Error> {
        if self.kind() != "llama3" {
            return Ok(None);
        }
        let number =
            |key, default: f64| Ok::<_, Error>(self.parameters.opt_number(key)?.unwrap_or(default));
        let (factor, base) = (number("factor", 8.0)?, self.base()?);
        let (low, high) = (number("low_freq_factor", 1.0)?, number("high_freq_factor", 4.0)?);
        let context = f64::from(self.original_context()?.unwrap_or(8192));
        let factor_of = |pair: u32| {
            let frequency = base.powf(f64::from(2 * pair) / f64::from(dims)).recip() as f32;
            let wave = TAU / f64::from(frequency);
            if wave < context / high {
                return 1.0;
            }
            if wave > context / low {
                return factor as f32;
            }
            let share = (context / wave - low) / (high - low);
            ((1.0 - share) / factor + share).recip() as f32
        };
        let factors: Vec<f32> = (0..dims / 2).map(factor_of).collect();
        match factors.iter().all(|factor| factor.is_finite() && *factor > 0.0) {
            true => Ok(Some(factors)),
            false => Err(self.wrong("factor", "one that gives positive frequencies")),
        }
    }
}
