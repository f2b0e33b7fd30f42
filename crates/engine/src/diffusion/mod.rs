//! Generation by models that see whole texts: an answer begins as masks, of which each step replaces
//! some (LLaDA, Nie et al. 2025, arXiv:2502.09992; Dream, Ye et al. 2025, arXiv:2508.15487).

mod choice;

use std::ops::{ControlFlow, Range};

use gguf::Gguf;
use model::{Context, Model, Outputs};
use tokenizer::Tokenizer;

use crate::{Engine, Error};
pub use choice::Draw;
use choice::{Chance, Choice};

/// How an answer comes about; names and defaults are those of llama.cpp's `llama-diffusion-cli`.
#[derive(Debug, Clone, PartialEq)]
pub struct Diffusion {
    /// Tokens of the answer.
    pub len: usize,
    /// Evaluations of the text, at most.
    pub steps: usize,
    /// How many masks each step replaces.
    pub schedule: Schedule,
    /// Which ones.
    pub algorithm: Algorithm,
    /// Randomness of their order: 0 for none.
    pub alg_temp: f32,
    /// How much more the prompt counts than it does by itself (classifier-free guidance): 0 for no
    /// more. Otherwise steps take twice the time.
    pub cfg_scale: f32,
    /// How a mask's token is drawn.
    pub draw: Draw,
    /// Equal seeds repeat equal answers.
    pub seed: u64,
}

/// How many masks a step replaces.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Schedule {
    /// As a clock that runs evenly from 1 to `eps` says, the part `1 - t' / t` of what is left, and
    /// in the last step all (Dream).
    Timestep {
        /// Small.
        eps: f32,
    },
    /// Blocks of so many tokens, one after another, each with its part of the steps, which replace
    /// the same number of masks (LLaDA).
    Block {
        /// Tokens of a block.
        len: usize,
    },
}

/// Which masks a step replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// Each by chance, so that the number is right on average.
    Origin,
    /// Those whose distribution has the least entropy, as Dream does; llama.cpp takes the greatest.
    Entropy,
    /// Those where the likeliest token leads the second by most.
    Margin,
    /// Any.
    Random,
    /// Those whose token is the likeliest.
    #[default]
    Confidence,
}

impl Algorithm {
    /// All, by their numbers in llama.cpp.
    pub const ALL: [Self; 5] =
        [Self::Origin, Self::Entropy, Self::Margin, Self::Random, Self::Confidence];
}

/// Is shown the number of a step and the answer before it, masks as `None`, and may break off.
pub type OnStep<'a> = dyn FnMut(usize, &[Option<u32>]) -> ControlFlow<()> + 'a;

/// What a file says of its model's masks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Masks {
    token: u32,
    /// Whether outputs are those of the next position.
    shifted: bool,
}

impl Masks {
    /// `None` for models that generate token by token, and where the file names no mask.
    pub(crate) fn of(
        gguf: &Gguf,
        model: &dyn Model,
        tokenizer: &Tokenizer,
    ) -> Result<Option<Self>, Error> {
        let shifted = gguf.metadata().opt_bool("diffusion.shift_logits")?.unwrap_or(true);
        let known = |&token: &u32| (token as usize) < model.shape().n_vocab && !model.is_causal();
        let token = tokenizer.special().mask.filter(known);
        Ok(token.map(|token| Self { token, shifted }))
    }
}

impl Engine {
    /// Whether the model sees whole texts, so that it answers by [`Engine::diffuse`] instead of
    /// sessions.
    pub fn is_diffusion(&self) -> bool {
        !self.model.is_causal()
    }

    /// Has a model that sees whole texts answer a prompt: the answer's tokens. Where
    /// `on_step` breaks off, those of masks are missing.
    ///
    /// # Errors
    /// Models that generate token by token, files without a mask, a prompt or an answer that are
    /// empty or together too long, and what evaluation refuses.
    pub fn diffuse(
        &self,
        prompt: &[u32],
        settings: &Diffusion,
        on_step: &mut OnStep<'_>,
    ) -> Result<Vec<u32>, Error> {
        let masks = self.masks.ok_or(Error::NoMasks)?;
        if prompt.is_empty() || settings.len == 0 {
            return Err(Error::EmptyPrompt);
        }
        let n_ctx = self.plan.n_ctx;
        let tokens = prompt.len().saturating_add(settings.len);
        if tokens > n_ctx {
            return Err(Error::PromptTooLong { tokens, n_ctx });
        }
        let (model, backend) = (self.model.clone(), Box::new(self.backend()?));
        let context = Context::new(model, backend, tokens, self.options.kv_types)?;
        let mut text = Text::new(context, masks, prompt, settings);
        text.fill_in(settings, on_step)?;
        Ok(text.answer().iter().copied().flatten().collect())
    }
}

/// A prompt and its answer on the way.
struct Text {
    context: Context,
    masks: Masks,
    /// Masks are `None`.
    tokens: Vec<Option<u32>>,
    n_prompt: usize,
    chance: Chance,
}

impl Text {
    fn new(context: Context, masks: Masks, prompt: &[u32], settings: &Diffusion) -> Self {
        let mut tokens: Vec<_> = prompt.iter().copied().map(Some).collect();
        tokens.resize(prompt.len() + settings.len, None);
        let chance = Chance::new(settings.seed);
        Self { context, masks, tokens, n_prompt: prompt.len(), chance }
    }

    fn answer(&self) -> &[Option<u32>] {
        &self.tokens[self.n_prompt..]
    }

    fn fill_in(&mut self, settings: &Diffusion, on_step: &mut OnStep<'_>) -> Result<(), Error> {
        let len = settings.len;
        let block_len = match settings.schedule {
            Schedule::Timestep { .. } => len,
            Schedule::Block { len: block_len } => block_len.clamp(1, len),
        };
        let steps = (settings.steps / len.div_ceil(block_len)).max(1);
        for (i, start) in (0..len).step_by(block_len).enumerate() {
            let block = self.n_prompt + start..self.n_prompt + len.min(start + block_len);
            for step in 0..steps {
                let open = self.open(block.clone());
                if open.is_empty() {
                    break;
                }
                if on_step(i * steps + step, self.answer()).is_break() {
                    return Ok(());
                }
                let count = settings.schedule.count(step, steps, open.len(), block.len());
                let logits = self.evaluate(settings.cfg_scale)?;
                self.replace(&open, count, &logits, settings)?;
            }
        }
        Ok(())
    }

    /// Positions of a block that are masks.
    fn open(&self, block: Range<usize>) -> Vec<usize> {
        block.filter(|&pos| self.tokens[pos].is_none()).collect()
    }

    /// Logits of all positions, `[positions][n_vocab]`.
    fn evaluate(&mut self, cfg_scale: f32) -> Result<Vec<f32>, Error> {
        let mask = self.masks.token;
        let mut tokens: Vec<u32> = self.tokens.iter().map(|token| token.unwrap_or(mask)).collect();
        self.context.clear();
        let mut logits = self.context.decode(&tokens, Outputs::All)?.to_vec();
        if cfg_scale > 0.0 {
            tokens[..self.n_prompt].fill(mask);
            self.context.clear();
            let others = self.context.decode(&tokens, Outputs::All)?;
            for (logit, &other) in logits.iter_mut().zip(&*others) {
                *logit = other + (cfg_scale + 1.0) * (*logit - other);
            }
        }
        // A mask is no answer.
        let n_vocab = logits.len() / self.tokens.len();
        logits.chunks_mut(n_vocab).for_each(|row| row[mask as usize] = f32::NEG_INFINITY);
        Ok(logits)
    }

    /// Replaces `count` of the masks at `open`.
    fn replace(
        &mut self,
        open: &[usize],
        count: usize,
        logits: &[f32],
        settings: &Diffusion,
    ) -> Result<(), Error> {
        let n_vocab = logits.len() / self.tokens.len();
        let shifted = usize::from(self.masks.shifted);
        let row = |pos: usize| &logits[pos.saturating_sub(shifted) * n_vocab..][..n_vocab];
        if settings.algorithm == Algorithm::Origin {
            let share = count as f64 / open.len() as f64;
            for &pos in open {
                if self.chance.uniform() < share {
                    let choice = Choice::draw(row(pos), &settings.draw, &mut self.chance);
                    self.tokens[pos] = Some(choice.ok_or(Error::NoToken)?.token);
                }
            }
            return Ok(());
        }
        let mut ranked = Vec::with_capacity(open.len());
        for &pos in open {
            let choice = Choice::draw(row(pos), &settings.draw, &mut self.chance);
            let choice = choice.ok_or(Error::NoToken)?;
            ranked.push((rank(&choice, settings, &mut self.chance), pos, choice.token));
        }
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        for &(_, pos, token) in ranked.iter().take(count) {
            self.tokens[pos] = Some(token);
        }
        Ok(())
    }
}

impl Schedule {
    /// How many of the `open` masks of a block of `len` a step replaces.
    fn count(self, step: usize, steps: usize, open: usize, len: usize) -> usize {
        match self {
            _ if step + 1 == steps => open,
            Self::Block { .. } => len / steps + usize::from(step < len % steps),
            Self::Timestep { eps } => {
                let clock = |step: usize| 1.0 - step as f32 / steps as f32 * (1.0 - eps);
                (open as f32 * (1.0 - clock(step + 1) / clock(step))) as usize
            }
        }
    }
}

/// Greater for choices that come first.
fn rank(choice: &Choice, settings: &Diffusion, chance: &mut Chance) -> f64 {
    let sure = match settings.algorithm {
        Algorithm::Entropy => -choice.entropy,
        Algorithm::Margin => choice.margin,
        Algorithm::Random => chance.uniform(),
        Algorithm::Origin | Algorithm::Confidence => choice.probability,
    };
    match settings.alg_temp {
        // Noise makes the greatest a draw from the softmax, and those after it draws from the rest.
        temperature if temperature > 0.0 => sure / f64::from(temperature) + chance.gumbel(),
        _ => sure,
    }
}

#[cfg(test)]
mod tests;
