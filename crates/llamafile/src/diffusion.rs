//! Answers of models that fill in masks.

use std::ops::ControlFlow;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use engine::{Diffusion, Draw, Engine, Schedule};

use crate::answer::Output;
use crate::error::CliError;
use crate::generator;
use crate::settings::Settings;
use crate::terminal::{Progress, Unit};

/// Tokens of prompt and answer together where nothing else is said, as in llama.cpp.
const USUAL_LEN: usize = 512;
/// The schedule then, as Dream's authors have it.
const USUAL_SCHEDULE: Schedule = Schedule::Timestep { eps: 1e-3 };

/// Writes the answer to `prompt`, its tokens.
pub fn answer(
    engine: &Engine,
    settings: &Settings,
    prompt: &[u32],
    out: &mut Output,
) -> Result<(), CliError> {
    let diffusion = request(engine, settings, prompt.len());
    if settings.verbose {
        eprintln!("diffusion: {diffusion:?}");
    }
    let begun = Instant::now();
    let mut progress =
        (!settings.diffusion.visual).then(|| Progress::new("Filling in", Unit::Tokens, 0));
    let mut n_steps = 0;
    let tokens = engine.diffuse(prompt, &diffusion, &mut |step, answer| {
        n_steps = step + 1;
        match &mut progress {
            Some(progress) => {
                let filled = answer.iter().flatten().count();
                progress.update(filled as u64, answer.len() as u64);
            }
            None => eprintln!("{}", shown(engine, answer)),
        }
        ControlFlow::Continue(())
    });
    drop(progress);
    let mut tokens = tokens.map_err(|error| generator::explain(&error))?;
    let tokenizer = engine.tokenizer();
    if let Some(end) = tokens.iter().position(|&token| tokenizer.is_eog(token)) {
        tokens.truncate(end);
    }
    let _ = out.write(&tokenizer.decode(&tokens, false));
    if settings.timings || settings.verbose {
        let seconds = begun.elapsed().as_secs_f64();
        eprintln!("answer  {seconds:8.3} s  {n_steps:6} steps");
    }
    Ok(())
}

fn request(engine: &Engine, settings: &Settings, n_prompt: usize) -> Diffusion {
    let params = settings.sampling.over(engine.sampling());
    let given = &settings.diffusion;
    let n_ctx = settings.context.unwrap_or(engine.info().n_ctx_train);
    let room = n_ctx.min(USUAL_LEN.max(n_prompt)).saturating_sub(n_prompt);
    Diffusion {
        len: settings.predict.unwrap_or(room),
        steps: given.steps,
        schedule: given.schedule.unwrap_or(USUAL_SCHEDULE),
        algorithm: given.algorithm,
        alg_temp: given.alg_temp,
        cfg_scale: given.cfg_scale,
        draw: Draw {
            temperature: params.temperature,
            top_k: params.top_k,
            top_p: params.top_p,
            add_gumbel_noise: given.add_gumbel_noise,
        },
        seed: params.seed.map_or_else(fresh_seed, u64::from),
    }
}

fn fresh_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

/// The answer so far, with blanks for masks.
fn shown(engine: &Engine, answer: &[Option<u32>]) -> String {
    let mut text = String::new();
    for part in answer.chunk_by(|a, b| a.is_some() == b.is_some()) {
        let tokens: Vec<u32> = part.iter().copied().flatten().collect();
        match tokens.is_empty() {
            true => text.extend(part.iter().map(|_| '_')),
            false => text.push_str(&engine.tokenizer().decode(&tokens, false)),
        }
    }
    text
}
