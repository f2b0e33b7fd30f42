//! The flags of models that fill in masks; spellings and defaults are those of llama.cpp's
//! `llama-diffusion-cli`.

use engine::{Algorithm, Schedule};

use super::flag::{Action, Flag, Group, Invalid};
use super::values::{number, whole};
use crate::settings::Settings;

/// Every flag of filling in masks.
pub const DIFFUSION: &[Flag] = &[
    Flag {
        names: &["--diffusion-steps"],
        action: Action::Value {
            name: "N",
            set: |s, v| {
                s.diffusion.steps = whole(v, 1)?;
                Ok(())
            },
        },
        env: None,
        group: Group::Diffusion,
        help: "Evaluations of prompt and answer, whose length is -n (default: 128).",
    },
    Flag {
        names: &["--diffusion-eps"],
        action: Action::Value {
            name: "X",
            set: |s, v| {
                let eps = number(v, 0.0..=1.0)?;
                // As in llama.cpp, 0 stands for the other schedule.
                if eps > 0.0 {
                    schedule(s, Schedule::Timestep { eps })?;
                }
                Ok(())
            },
        },
        env: None,
        group: Group::Diffusion,
        help: "Replace masks as an even clock says, that ends at this time (default: 0.001).",
    },
    Flag {
        names: &["--diffusion-block-length"],
        action: Action::Value {
            name: "N",
            set: |s, v| match whole(v, 0)? {
                0 => Ok(()),
                len => schedule(s, Schedule::Block { len }),
            },
        },
        env: None,
        group: Group::Diffusion,
        help: "Instead, replace masks block by block, of so many tokens.",
    },
    Flag {
        names: &["--diffusion-algorithm"],
        action: Action::Value {
            name: "N",
            set: |s, v| {
                let all = Algorithm::ALL;
                let found = v.parse().ok().and_then(|number: usize| all.get(number));
                s.diffusion.algorithm = *found.ok_or_else(|| Invalid::expected("0 to 4", v))?;
                Ok(())
            },
        },
        env: None,
        group: Group::Diffusion,
        help: "Masks that are replaced first: 0 by chance one by one, 1 those of the least entropy, \
               2 those of the greatest margin, 3 any, 4 those of the likeliest tokens (default: 4).",
    },
    Flag {
        names: &["--diffusion-alg-temp"],
        action: Action::Value {
            name: "X",
            set: |s, v| {
                s.diffusion.alg_temp = number(v, 0.0..=f32::MAX)?;
                Ok(())
            },
        },
        env: None,
        group: Group::Diffusion,
        help: "How much chance has a part in that (default: 0).",
    },
    Flag {
        names: &["--diffusion-cfg-scale"],
        action: Action::Value {
            name: "X",
            set: |s, v| {
                s.diffusion.cfg_scale = number(v, 0.0..=f32::MAX)?;
                Ok(())
            },
        },
        env: None,
        group: Group::Diffusion,
        help: "How much more the prompt counts (default: 0; others take twice the time).",
    },
    Flag {
        names: &["--diffusion-add-gumbel-noise"],
        action: Action::Value {
            name: "0|1",
            set: |s, v| {
                s.diffusion.add_gumbel_noise = number(v, 0.0..=f32::MAX)? != 0.0;
                Ok(())
            },
        },
        env: None,
        group: Group::Diffusion,
        help: "1 draws from all tokens, and judges them without the temperature (default: 0).",
    },
    Flag {
        names: &["--diffusion-visual"],
        action: Action::Plain(|s| s.diffusion.visual = true),
        env: None,
        group: Group::Diffusion,
        help: "Show the answer after each step, on standard error.",
    },
];

fn schedule(settings: &mut Settings, schedule: Schedule) -> Result<(), Invalid> {
    match settings.diffusion.schedule.replace(schedule) {
        Some(other) if std::mem::discriminant(&other) != std::mem::discriminant(&schedule) => {
            let cause = "there is one schedule, of --diffusion-eps or of --diffusion-block-length";
            Err(Invalid { cause: cause.into(), remedy: Some("leave one of them out".into()) })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::parsed;
    use super::*;

    #[test]
    fn flags_as_llama_diffusion_cli_has_them() {
        let line = "-p hi --diffusion-steps 64 --diffusion-eps 0 --diffusion-block-length 32 \
                    --diffusion-algorithm 1 --diffusion-alg-temp 0.5 --diffusion-cfg-scale 2 \
                    --diffusion-add-gumbel-noise 1 --diffusion-visual";
        let diffusion = parsed(line).unwrap().diffusion;
        assert_eq!(diffusion.schedule, Some(Schedule::Block { len: 32 }));
        assert_eq!((diffusion.steps, diffusion.algorithm), (64, Algorithm::Entropy));
        assert_eq!((diffusion.alg_temp, diffusion.cfg_scale), (0.5, 2.0));
        assert!(diffusion.add_gumbel_noise && diffusion.visual);
        assert_eq!(parsed("-p hi").unwrap().diffusion.steps, 128);
        let both = parsed("--diffusion-eps 0.1 --diffusion-block-length 8").unwrap_err();
        assert!(both.to_string().contains("one schedule"), "{both}");
        assert!(parsed("--diffusion-algorithm 5").is_err());
    }
}
