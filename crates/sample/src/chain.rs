use std::sync::Arc;

use crate::adaptive_p::AdaptiveP;
use crate::candidates::Candidates;
use crate::dry::Dry;
use crate::dynamic_temperature::dynamic_temperature;
use crate::infill::infill;
use crate::min_p::min_p;
use crate::mirostat::MirostatV1;
use crate::mirostat_v2::MirostatV2;
use crate::penalties::Penalties;
use crate::rng::Rng;
use crate::temperature::temperature;
use crate::top_k::top_k;
use crate::top_n_sigma::top_n_sigma;
use crate::top_p::top_p;
use crate::typical::typical;
use crate::xtc::xtc;
use crate::{Mirostat, Params, SamplerKind, Vocabulary};

/// The samplers that have something to do, in their order, and the choice at the end.
#[derive(Clone)]
pub(crate) struct Chain {
    steps: Vec<Step>,
    choice: Choice,
    min_keep: usize,
}

#[derive(Clone)]
enum Step {
    Penalties(Penalties),
    Dry(Dry),
    TopNSigma(f32),
    TopK(usize),
    TypicalP(f32),
    TopP(f32),
    MinP(f32),
    Xtc { probability: f32, threshold: f32 },
    Temperature(f32),
    DynamicTemperature { base: f32, range: f32, exponent: f32 },
    Infill(Arc<dyn Vocabulary>),
}

#[derive(Clone)]
enum Choice {
    Draw,
    AdaptiveP(AdaptiveP),
    MirostatV1(MirostatV1),
    MirostatV2(MirostatV2),
}

impl Chain {
    pub(crate) fn new(params: &Params, vocabulary: &Arc<dyn Vocabulary>) -> Self {
        let min_keep = params.min_keep;
        let choice = match params.mirostat {
            Mirostat::V1 => Choice::MirostatV1(MirostatV1::new(params)),
            Mirostat::V2 => Choice::MirostatV2(MirostatV2::new(params)),
            Mirostat::Off if params.samplers.contains(&SamplerKind::AdaptiveP) => {
                Choice::AdaptiveP(AdaptiveP::new(params))
            }
            Mirostat::Off => Choice::Draw,
        };
        let mut steps: Vec<Step> = match params.mirostat {
            Mirostat::Off => {
                let kinds = params.samplers.iter();
                kinds.filter_map(|kind| Step::new(*kind, params, vocabulary)).collect()
            }
            _ => vec![Step::Temperature(params.temperature)],
        };
        // Where the likeliest token is taken in the end, those that only drop others have no say.
        if matches!(steps.last(), Some(Step::Temperature(t)) if *t <= 0.0)
            && steps.iter().all(Step::keeps_the_likeliest)
        {
            steps.retain(|step| !step.only_drops());
        }
        Self { steps, choice, min_keep }
    }

    /// Forgets what was accepted and remembers `history` instead.
    pub(crate) fn restart(&mut self, history: &[u32]) {
        for step in &mut self.steps {
            match step {
                Step::Penalties(penalties) => penalties.restart(history),
                Step::Dry(dry) => dry.restart(history),
                _ => {}
            }
        }
        match &mut self.choice {
            Choice::Draw => {}
            Choice::AdaptiveP(adaptive) => adaptive.restart(),
            Choice::MirostatV1(mirostat) => mirostat.restart(),
            Choice::MirostatV2(mirostat) => mirostat.restart(),
        }
    }

    pub(crate) fn accept(&mut self, token: u32) {
        for step in &mut self.steps {
            match step {
                Step::Penalties(penalties) => penalties.accept(token),
                Step::Dry(dry) => dry.accept(token),
                _ => {}
            }
        }
        if let Choice::AdaptiveP(adaptive) = &mut self.choice {
            adaptive.accept(token);
        }
    }

    /// Chooses one of `candidates`; `None` where there are none.
    pub(crate) fn choose(&mut self, rng: &mut Rng, candidates: &mut Candidates) -> Option<u32> {
        for step in &self.steps {
            step.apply(self.min_keep, rng, candidates);
        }
        match &mut self.choice {
            Choice::AdaptiveP(adaptive) => adaptive.choose(rng, candidates),
            Choice::MirostatV1(mirostat) => mirostat.choose(rng, candidates),
            Choice::MirostatV2(mirostat) => mirostat.choose(rng, candidates),
            Choice::Draw => {
                candidates.softmax();
                candidates.draw(rng).map(|at| candidates.at(at).token)
            }
        }
    }
}

impl Step {
    /// `None` where the parameters leave the sampler nothing to do.
    fn new(kind: SamplerKind, p: &Params, vocabulary: &Arc<dyn Vocabulary>) -> Option<Self> {
        let active = match kind {
            SamplerKind::Penalties => return Penalties::new(p).map(Self::Penalties),
            SamplerKind::Dry => return Dry::new(p, &**vocabulary).map(Self::Dry),
            SamplerKind::TopNSigma => p.top_n_sigma > 0.0,
            SamplerKind::TopK => p.top_k > 0,
            SamplerKind::TypicalP => p.typical_p < 1.0,
            SamplerKind::TopP => p.top_p < 1.0,
            SamplerKind::MinP => p.min_p > 0.0,
            SamplerKind::Xtc => p.xtc_probability > 0.0 && p.xtc_threshold <= 0.5,
            SamplerKind::Temperature => p.temperature != 1.0 || p.dynatemp_range > 0.0,
            SamplerKind::Infill => true,
            // The choice at the end.
            SamplerKind::AdaptiveP => false,
        };
        active.then(|| match kind {
            SamplerKind::TopNSigma => Self::TopNSigma(p.top_n_sigma),
            SamplerKind::TopK => Self::TopK(p.top_k),
            SamplerKind::TypicalP => Self::TypicalP(p.typical_p),
            SamplerKind::TopP => Self::TopP(p.top_p),
            SamplerKind::MinP => Self::MinP(p.min_p),
            SamplerKind::Xtc => {
                Self::Xtc { probability: p.xtc_probability, threshold: p.xtc_threshold }
            }
            SamplerKind::Temperature if p.dynatemp_range > 0.0 => Self::DynamicTemperature {
                base: p.temperature,
                range: p.dynatemp_range,
                exponent: p.dynatemp_exponent,
            },
            SamplerKind::Infill => Self::Infill(vocabulary.clone()),
            _ => Self::Temperature(p.temperature),
        })
    }

    fn apply(&self, min_keep: usize, rng: &mut Rng, candidates: &mut Candidates) {
        match self {
            Self::Penalties(penalties) => penalties.apply(candidates),
            Self::Dry(dry) => dry.apply(candidates),
            Self::TopNSigma(n) => top_n_sigma(*n, candidates),
            Self::TopK(k) => top_k(*k, candidates),
            Self::TypicalP(p) => typical(*p, min_keep, candidates),
            Self::TopP(p) => top_p(*p, min_keep, candidates),
            Self::MinP(p) => min_p(*p, min_keep, candidates),
            Self::Xtc { probability, threshold } => {
                xtc(*probability, *threshold, min_keep, rng, candidates);
            }
            Self::Temperature(t) => temperature(*t, candidates),
            Self::DynamicTemperature { base, range, exponent } => {
                dynamic_temperature(*base, *range, *exponent, candidates);
            }
            Self::Infill(vocabulary) => infill(&**vocabulary, candidates),
        }
    }

    /// Whether the likeliest candidate stays the likeliest.
    fn keeps_the_likeliest(&self) -> bool {
        let changes = matches!(self, Self::Penalties(_) | Self::Dry(_));
        changes || self.only_drops() || matches!(self, Self::Temperature(_))
    }

    /// Whether it does nothing but drop candidates, never the likeliest.
    fn only_drops(&self) -> bool {
        matches!(self, Self::TopNSigma(_) | Self::TopK(_) | Self::TopP(_) | Self::MinP(_))
    }
}
