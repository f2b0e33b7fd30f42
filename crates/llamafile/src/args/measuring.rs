//! Flags and operands of `llamafile bench` and `llamafile synth`.

use tools::bench::Format;
use tools::synth::{Recipe, SHAPES, Shape};

use super::flag::{Action, Flag, Group, Invalid};
use super::nearest;
use super::shared;
use super::table::kv_type;
use super::values::{MAX_THREADS, cpu_mask, cpu_strict, whole, whole_list};
use crate::error::CliError;
use crate::settings::{Bench, Synth};

/// Flags of `llamafile bench`; spellings and defaults are those of `llama-bench`.
pub const BENCH: &[Flag] = &[
    Flag {
        names: &["-m", "--model"],
        action: Action::Value {
            name: "FILE|NAME",
            set: |s, v| {
                s.bench.models.push(v.into());
                Ok(())
            },
        },
        env: None,
        group: Group::Bench,
        help: "Model to measure; may be given several times.",
    },
    Flag {
        names: &["-p", "--n-prompt"],
        action: Action::Value {
            name: "N,…",
            set: |s, v| {
                s.bench.plan.prompts = whole_list(v, 0)?;
                Ok(())
            },
        },
        env: None,
        group: Group::Bench,
        help: "Lengths of prompts, in tokens (default: 512; 0: none).",
    },
    Flag {
        names: &["-n", "--n-gen"],
        action: Action::Value {
            name: "N,…",
            set: |s, v| {
                s.bench.plan.generations = whole_list(v, 0)?;
                Ok(())
            },
        },
        env: None,
        group: Group::Bench,
        help: "Numbers of tokens to generate (default: 128; 0: none).",
    },
    Flag {
        names: &["-d", "--n-depth"],
        action: Action::Value {
            name: "N,…",
            set: |s, v| {
                s.bench.plan.depths = whole_list(v, 0)?;
                Ok(())
            },
        },
        env: None,
        group: Group::Bench,
        help: "Tokens in memory before each test (default: 0).",
    },
    Flag {
        names: &["-t", "--threads"],
        action: Action::Value {
            name: "N,…",
            set: |s, v| {
                let threads = whole_list(v, 1)?;
                if threads.iter().any(|&n| n > MAX_THREADS) {
                    return Err(Invalid::expected(&format!("at most {MAX_THREADS} threads"), v));
                }
                s.bench.plan.threads = threads;
                Ok(())
            },
        },
        env: None,
        group: Group::Bench,
        help: "Numbers of threads (default: one for each fast core that may be used).",
    },
    Flag {
        names: &["-C", "--cpu-mask"],
        action: Action::Value {
            name: "HEX",
            set: |s, v| {
                s.bench.plan.placement.processors = Some(cpu_mask(v)?);
                Ok(())
            },
        },
        env: None,
        group: Group::Bench,
        help: "Run on these processors only.",
    },
    Flag {
        names: &["--cpu-strict"],
        action: Action::Value {
            name: "0|1",
            set: |s, v| {
                s.bench.plan.placement.strict = cpu_strict(v)?;
                Ok(())
            },
        },
        env: None,
        group: Group::Bench,
        help: "1 gives each thread a processor of its own (default: 0).",
    },
    Flag {
        names: &["-r", "--repetitions"],
        action: Action::Value {
            name: "N",
            set: |s, v| {
                s.bench.plan.repetitions = whole(v, 1)?;
                Ok(())
            },
        },
        env: None,
        group: Group::Bench,
        help: "Runs of each test, after one that does not count (default: 5).",
    },
    Flag {
        names: &["-b", "--batch-size"],
        action: Action::Value {
            name: "N",
            set: |s, v| {
                s.bench.plan.batch = whole(v, 1)?;
                Ok(())
            },
        },
        env: None,
        group: Group::Bench,
        help: "Most tokens of a prompt that are evaluated at once (default: 512).",
    },
    Flag {
        names: &["--batch-invariant"],
        action: Action::Plain(|s| s.bench.plan.batch_invariant = true),
        env: None,
        group: Group::Bench,
        help: "Compute the same bits however tokens are batched, as of the command itself.",
    },
    Flag {
        names: &["-ctk", "--cache-type-k"],
        action: Action::Value {
            name: "TYPE",
            set: |s, v| {
                s.bench.plan.kv_types.k = kv_type(v)?;
                Ok(())
            },
        },
        env: None,
        group: Group::Bench,
        help: "Precision of keys in memory, as of the command itself (default: f16).",
    },
    Flag {
        names: &["-ctv", "--cache-type-v"],
        action: Action::Value {
            name: "TYPE",
            set: |s, v| {
                s.bench.plan.kv_types.v = kv_type(v)?;
                Ok(())
            },
        },
        env: None,
        group: Group::Bench,
        help: "Precision of values in memory (default: f16).",
    },
    Flag {
        names: &["-o", "--output"],
        action: Action::Value {
            name: "FORMAT",
            set: |s, v| {
                s.bench.format = match v {
                    "md" => Format::Markdown,
                    "json" => Format::Json,
                    "csv" => Format::Csv,
                    _ => return Err(Invalid::expected("md, json or csv", v)),
                };
                Ok(())
            },
        },
        env: None,
        group: Group::Bench,
        help: "md, a table; json or csv, with the time of every run (default: md).",
    },
    shared::html(Group::Bench, "Write a page with charts, too."),
    shared::help(Group::Bench),
];

/// Flags of `llamafile synth`.
pub const SYNTH: &[Flag] = &[
    Flag {
        names: &["--type"],
        action: Action::Value {
            name: "TYPE",
            set: |s, v| {
                s.synth.recipe = Recipe::named(v).ok_or_else(|| {
                    let all: Vec<&str> = Recipe::names().collect();
                    Invalid::expected("a type of weights", v)
                        .hint(format!("choose from {}", all.join(", ")))
                })?;
                Ok(())
            },
        },
        env: None,
        group: Group::Synth,
        help: "Type of all matrices, such as Q8_0, or a mixture: Q4_K_M or Q5_K_M \
               (default: Q4_K_M).",
    },
    Flag {
        names: &["-o", "--output"],
        action: Action::Value {
            name: "FILE",
            set: |s, v| {
                s.synth.output = Some(v.into());
                Ok(())
            },
        },
        env: None,
        group: Group::Synth,
        help: "File to write.",
    },
    Flag {
        names: &["-s", "--seed"],
        action: Action::Value {
            name: "N",
            set: |s, v| {
                s.synth.seed = whole(v, 0)? as u64;
                Ok(())
            },
        },
        env: None,
        group: Group::Synth,
        help: "Equal seeds make equal files (default: 0).",
    },
    shared::help(Group::Synth),
];

/// Models may also be given without `-m`.
pub fn apply_bench_words(bench: &mut Bench, words: &[String]) -> Result<(), CliError> {
    bench.models.extend_from_slice(words);
    if bench.plan.is_empty() {
        return Err(CliError::new("there is nothing to measure")
            .hint("give the length of a prompt with -p, or a number of tokens with -n"));
    }
    Ok(())
}

/// The one operand is the shape.
pub fn apply_synth_words(synth: &mut Synth, words: &[String]) -> Result<(), CliError> {
    let names = || SHAPES.iter().map(|shape| shape.name);
    let all = names().collect::<Vec<_>>().join(", ");
    let [word] = words else {
        return Err(
            CliError::new("synth needs the name of one shape").hint(format!("choose from {all}"))
        );
    };
    synth.shape = Some(Shape::named(word).ok_or_else(|| {
        let error = CliError::new(format!("there is no shape \"{word}\""));
        match nearest(word, names()) {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None => error.hint(format!("choose from {all}")),
        }
    })?);
    if synth.output.is_none() {
        return Err(CliError::new("synth needs a file to write")
            .hint(format!("llamafile synth {word} -o {word}.gguf")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{parsed, refused};
    use super::*;
    use crate::settings::Command;

    #[test]
    fn flags_of_bench_are_those_of_llama_bench() {
        let settings =
            parsed("bench -m a.gguf -m b -p 512,64 -n 0 -d 0,4096 -t 1,2 -r 2 -b 256 -o json")
                .unwrap();
        assert_eq!(settings.command, Command::Bench);
        let Bench { models, plan, format } = settings.bench;
        assert_eq!(models, ["a.gguf", "b"]);
        assert_eq!((plan.prompts, plan.generations), (vec![512, 64], vec![0]));
        assert_eq!((plan.depths, plan.threads), (vec![0, 4096], vec![1, 2]));
        assert_eq!((plan.repetitions, plan.batch), (2, 256));
        assert_eq!(format, Format::Json);
        assert_eq!(parsed("bench a.gguf").unwrap().bench.models, ["a.gguf"]);
        assert_eq!(parsed("bench --help").unwrap().command, Command::Help);
    }

    #[test]
    fn mistakes_in_bench_are_met_with_a_remedy() {
        assert!(refused("bench -p 0 -n 0").contains("nothing to measure"));
        assert!(refused("bench -p 5,x").contains("separated by commas, not \"5,x\""));
        assert!(refused("bench -t 513").contains("at most 512"));
        assert!(refused("bench -o xml").contains("md, json or csv"));
        assert!(refused("bench --temp 0").contains("unknown flag --temp"));
        assert!(refused("bench --repetition 2").contains("did you mean --repetitions?"));
        assert!(refused("-m x bench").contains("llamafile bench [FLAGS]"));
    }

    #[test]
    fn synth_takes_a_shape_a_type_and_a_file() {
        let settings = parsed("synth llama-1b --type q8_0 -o x.gguf -s 7").unwrap();
        assert_eq!(settings.command, Command::Synth);
        assert_eq!(settings.synth.shape.map(|shape| shape.name), Some("llama-1b"));
        assert_eq!(Some(settings.synth.recipe), Recipe::named("Q8_0"));
        assert_eq!(settings.synth.output, Some("x.gguf".into()));
        assert_eq!(settings.synth.seed, 7);
    }

    #[test]
    fn mistakes_in_synth_are_met_with_a_remedy() {
        assert!(refused("synth").contains("choose from smollm2-135m, llama-1b"));
        assert!(refused("synth lama-1b -o x").contains("did you mean llama-1b?"));
        assert!(refused("synth llama-1b").contains("-o llama-1b.gguf"));
        assert!(refused("synth llama-1b --type q9 -o x").contains("choose from f32, f16"));
    }
}
