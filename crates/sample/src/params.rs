use crate::{SampleError, SamplerKind};

/// How the next token is chosen. Defaults are llama.cpp's.
#[derive(Debug, Clone, PartialEq)]
pub struct Params {
    /// Equal seeds repeat equal runs; `None` takes a fresh one.
    pub seed: Option<u32>,
    /// The samplers to run, in this order. Mirostat takes the place of all of them.
    pub samplers: Vec<SamplerKind>,
    /// How many tokens top-p, min-p, typical and XTC leave at least; 0 and 1 mean one.
    pub min_keep: usize,

    /// Divides the logits before drawing; zero or less always takes the likeliest token.
    pub temperature: f32,
    /// How far entropy moves the temperature up and down; 0 leaves it alone.
    pub dynatemp_range: f32,
    /// Bends the way from entropy to temperature.
    pub dynatemp_exponent: f32,

    /// Keeps the `top_k` likeliest tokens; 0 keeps all.
    pub top_k: usize,
    /// Keeps the smallest set of likeliest tokens whose probabilities reach `top_p`; 1 keeps all.
    pub top_p: f32,
    /// Keeps tokens at least `min_p` times as likely as the likeliest; 0 keeps all.
    pub min_p: f32,
    /// Keeps the tokens of the most typical information that together reach this; 1 keeps all.
    pub typical_p: f32,
    /// Keeps logits within this many standard deviations of the highest; 0 or less keeps all.
    pub top_n_sigma: f32,
    /// How often XTC takes away all likely tokens but one; 0 never does.
    pub xtc_probability: f32,
    /// From which probability on XTC holds a token for likely; above 0.5 turns XTC off.
    pub xtc_threshold: f32,

    /// Divides positive logits of recent tokens, multiplies negative ones; 1 does nothing.
    pub repeat_penalty: f32,
    /// How many accepted tokens count as recent; 0 turns these penalties off.
    pub repeat_last_n: usize,
    /// Subtracted once from the logit of each recent token.
    pub presence_penalty: f32,
    /// Subtracted from the logit of a recent token once for each time it occurs.
    pub frequency_penalty: f32,

    /// Weight of the DRY penalty on tokens that prolong a repetition; 0 turns it off.
    pub dry_multiplier: f32,
    /// The penalty's growth by each repeated token; below 1 turns it off.
    pub dry_base: f32,
    /// Repetitions shorter than this many tokens go unpunished.
    pub dry_allowed_length: usize,
    /// How many accepted tokens are searched for repetitions; 0 turns the penalty off.
    pub dry_last_n: usize,
    /// Texts that no repetition reaches across.
    pub dry_breakers: Vec<String>,

    /// Probability about which adaptive-p chooses, 0 to 1; below 0 it just draws.
    pub adaptive_target: f32,
    /// Share of its memory that adaptive-p keeps from token to token, 0 to 0.99.
    pub adaptive_decay: f32,

    /// Which Mirostat chooses in place of the samplers.
    pub mirostat: Mirostat,
    /// Bits of surprise per token that Mirostat aims at (tau).
    pub mirostat_tau: f32,
    /// How fast Mirostat learns (eta).
    pub mirostat_eta: f32,

    /// Added to logits of tokens before everything else; -inf forbids a token. Tokens out of range
    /// have no effect.
    pub logit_bias: Vec<(u32, f32)>,
    /// Forbids all tokens that end a generation.
    pub ignore_eos: bool,

    /// How many of the likeliest tokens to report with each choice; 0 reports nothing.
    pub n_probs: usize,
    /// Whether the reported probabilities are those after the samplers, not the model's own.
    pub post_sampling_probs: bool,
}

/// The version of Mirostat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mirostat {
    /// None: the samplers run.
    #[default]
    Off,
    /// The version of the paper.
    V1,
    /// The authors' simpler second version.
    V2,
}

impl Mirostat {
    /// llama.cpp's number for it: 0, 1 or 2.
    pub fn from_number(number: i64) -> Option<Self> {
        match number {
            0 => Some(Self::Off),
            1 => Some(Self::V1),
            2 => Some(Self::V2),
            _ => None,
        }
    }

    /// The number that [`Mirostat::from_number`] takes.
    pub fn number(self) -> u8 {
        match self {
            Self::Off => 0,
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }
}

impl Default for Params {
    fn default() -> Self {
        Self {
            seed: None,
            samplers: SamplerKind::DEFAULT.to_vec(),
            min_keep: 0,
            temperature: 0.8,
            dynatemp_range: 0.0,
            dynatemp_exponent: 1.0,
            top_k: 40,
            top_p: 0.95,
            min_p: 0.05,
            typical_p: 1.0,
            top_n_sigma: -1.0,
            xtc_probability: 0.0,
            xtc_threshold: 0.1,
            repeat_penalty: 1.0,
            repeat_last_n: 64,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            dry_multiplier: 0.0,
            dry_base: 1.75,
            dry_allowed_length: 2,
            dry_last_n: 64,
            dry_breakers: ["\n", ":", "\"", "*"].map(String::from).to_vec(),
            adaptive_target: -1.0,
            adaptive_decay: 0.9,
            mirostat: Mirostat::Off,
            mirostat_tau: 5.0,
            mirostat_eta: 0.1,
            logit_bias: Vec::new(),
            ignore_eos: false,
            n_probs: 0,
            post_sampling_probs: false,
        }
    }
}

impl Params {
    /// Whether every number is one to compute with.
    ///
    /// # Errors
    /// [`SampleError::Param`] names the first that is not.
    pub fn check(&self) -> Result<(), SampleError> {
        let refuse = |name, value: f32, expected| {
            Err(SampleError::Param { name, value: value.to_string(), expected })
        };
        for (name, value) in [
            ("temperature", self.temperature),
            ("dynatemp_range", self.dynatemp_range),
            ("dynatemp_exponent", self.dynatemp_exponent),
            ("top_p", self.top_p),
            ("min_p", self.min_p),
            ("typical_p", self.typical_p),
            ("top_n_sigma", self.top_n_sigma),
            ("xtc_probability", self.xtc_probability),
            ("xtc_threshold", self.xtc_threshold),
            ("presence_penalty", self.presence_penalty),
            ("frequency_penalty", self.frequency_penalty),
            ("dry_multiplier", self.dry_multiplier),
            ("dry_base", self.dry_base),
            ("adaptive_target", self.adaptive_target),
            ("adaptive_decay", self.adaptive_decay),
            ("mirostat_tau", self.mirostat_tau),
            ("mirostat_eta", self.mirostat_eta),
        ] {
            if !value.is_finite() {
                return refuse(name, value, "a finite number");
            }
        }
        let repeat = self.repeat_penalty;
        if !(repeat > 0.0 && repeat.is_finite() && repeat.recip().is_finite()) {
            return refuse("repeat_penalty", repeat, "a finite number above 0");
        }
        let broken = |bias: &f32| bias.is_nan() || *bias == f32::INFINITY;
        match self.logit_bias.iter().map(|(_, bias)| *bias).find(broken) {
            Some(bias) => refuse("logit_bias", bias, "a finite number or -inf"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_cannot_be_computed_with_are_refused_by_name() {
        assert_eq!(Params::default().check(), Ok(()));
        let refused = |params: Params| params.check().unwrap_err().to_string();
        let nan = refused(Params { min_p: f32::NAN, ..Params::default() });
        assert_eq!(nan, "min_p is NaN: expected a finite number");
        for repeat_penalty in [0.0, -1.0, f32::INFINITY, 1e-45, f32::NAN] {
            let params = Params { repeat_penalty, ..Params::default() };
            assert!(refused(params).starts_with("repeat_penalty is"), "{repeat_penalty}");
        }
        let bias = |bias| Params { logit_bias: vec![(3, bias)], ..Params::default() };
        assert!(refused(bias(f32::INFINITY)).contains("logit_bias is inf"));
        assert_eq!(bias(f32::NEG_INFINITY).check(), Ok(()));
    }

    #[test]
    fn mirostat_has_three_numbers() {
        assert_eq!(Mirostat::from_number(2), Some(Mirostat::V2));
        assert_eq!(Mirostat::from_number(3), None);
    }
}
