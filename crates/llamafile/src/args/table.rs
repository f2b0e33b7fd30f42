//! The one table of flags: parsing, help and environment all read it.
//!
//! Spellings, defaults and environment variables are llama.cpp's, or llamafile's where llama.cpp
//! has no such flag.

use backend::KvType;

use super::flag::{Action, Flag, Group, Invalid};
use super::shared;
use super::values::{cpu_mask, cpu_range, cpu_strict, file, on_off_auto, whole_or};
use crate::settings::{Color, Command, Mode, Text};

/// Every flag that has an effect or is harmless to accept.
pub const FLAGS: &[Flag] = &[
    // Model
    shared::model(
        Group::Model,
        "GGUF file, or name of a known model (see 'llamafile pull'), or llamafile that holds \
               one model (or FILE@NAME). Without it the packed model is used, or the default one, \
               which is fetched the first time.",
    ),
    shared::offline(
        Group::Model,
        "Never use the network: known models must have been fetched before.",
    ),
    Flag {
        names: &["--chat-template"],
        action: Action::Value {
            name: "JINJA",
            set: |s, v| {
                s.template = Some(v.into());
                Ok(())
            },
        },
        env: Some("LLAMA_ARG_CHAT_TEMPLATE"),
        group: Group::Model,
        help: "Jinja source to use in place of the model's own chat template.",
    },
    Flag {
        names: &["--chat-template-file"],
        action: Action::Value {
            name: "FILE",
            set: |s, v| {
                let (Text::Read(source) | Text::Typed(source)) = file(v)?;
                s.template = Some(source);
                Ok(())
            },
        },
        env: Some("LLAMA_ARG_CHAT_TEMPLATE_FILE"),
        group: Group::Model,
        help: "The same, from a file.",
    },
    // Prompt and conversation
    shared::prompt(Group::Prompt, "What to ask. Answers once and exits."),
    shared::prompt_file(Group::Prompt, "The same, from a file; - is standard input."),
    Flag {
        names: &["-sys", "--system-prompt"],
        action: Action::Value {
            name: "TEXT",
            set: |s, v| {
                s.system = Some(Text::Typed(v.into()));
                Ok(())
            },
        },
        env: None,
        group: Group::Prompt,
        help: "How the model shall behave, as the conversation's system message.",
    },
    Flag {
        names: &["-sysf", "--system-prompt-file"],
        action: Action::Value {
            name: "FILE",
            set: |s, v| {
                s.system = Some(file(v)?);
                Ok(())
            },
        },
        env: None,
        group: Group::Prompt,
        help: "The same, from a file.",
    },
    Flag {
        names: &["-cnv", "--conversation", "--chat", "-i", "--interactive"],
        action: Action::Plain(|s| s.mode = Mode::Chat),
        env: None,
        group: Group::Prompt,
        help: "Hold a conversation, with -p as its first message. \
               This is what happens without a prompt.",
    },
    Flag {
        names: &["-st", "--single-turn", "--cli"],
        action: Action::Plain(|s| s.mode = Mode::Answer),
        env: None,
        group: Group::Prompt,
        help: "Answer once and exit. This is what happens with a prompt.",
    },
    Flag {
        names: &["-no-cnv", "--no-conversation"],
        action: Action::Plain(|s| s.mode = Mode::Completion),
        env: None,
        group: Group::Prompt,
        help: "Continue the prompt as plain text, without the chat template.",
    },
    shared::escape(
        Group::Prompt,
        "Let \\n, \\t, \\\" and the like in -p and -sys stand for the character they name \
               (default: on).",
    ),
    // Choosing tokens
    Flag {
        names: &["-n", "--predict", "--n-predict"],
        action: Action::Value {
            name: "N",
            set: |s, v| {
                s.predict = whole_or(v, 0, &["-1", "-2"])?;
                Ok(())
            },
        },
        env: Some("LLAMA_ARG_N_PREDICT"),
        group: Group::Sampling,
        help: "Most tokens to generate (default: -1, until the model ends its answer or the \
               context is full).",
    },
    Flag {
        names: &["-r", "--reverse-prompt"],
        action: Action::Value {
            name: "TEXT",
            set: |s, v| {
                s.stops.push(v.into());
                Ok(())
            },
        },
        env: None,
        group: Group::Sampling,
        help: "Text that ends an answer and is not part of it; there may be several.",
    },
    // Speed and memory
    shared::context(
        Group::Engine,
        "Tokens that prompt and answers may take together (default: 0, as the model says).",
    ),
    shared::threads(
        Group::Engine,
        "Threads (default: -1, one for each fast core that may be used).",
    ),
    shared::efficiency_cores(Group::Engine),
    Flag {
        names: &["-C", "--cpu-mask"],
        action: Action::Value {
            name: "HEX",
            set: |s, v| {
                s.placement.processors.get_or_insert_default().extend(cpu_mask(v)?);
                Ok(())
            },
        },
        env: None,
        group: Group::Engine,
        help: "Run on these processors only (Linux and Windows): bit N stands for processor N.",
    },
    Flag {
        names: &["-Cr", "--cpu-range"],
        action: Action::Value {
            name: "LOW-HIGH",
            set: |s, v| {
                s.placement.processors.get_or_insert_default().extend(cpu_range(v)?);
                Ok(())
            },
        },
        env: None,
        group: Group::Engine,
        help: "The same, as a range; both together add up.",
    },
    Flag {
        names: &["--cpu-strict"],
        action: Action::Value {
            name: "0|1",
            set: |s, v| {
                s.placement.strict = cpu_strict(v)?;
                Ok(())
            },
        },
        env: None,
        group: Group::Engine,
        help: "1 gives each thread a processor of its own, cores first (Linux and Windows; \
               default: 0).",
    },
    shared::batch(Group::Engine, "Most tokens of a prompt that are evaluated at once."),
    Flag {
        names: &["--batch-invariant"],
        action: Action::Plain(|s| s.batch_invariant = true),
        env: None,
        group: Group::Engine,
        help: "Compute the same bits for a token however it is batched: in a prompt of any -b, in \
               one that is partly remembered, or generated. Prompts are as fast, generation \
               takes about three times as long. The number of threads never changes results.",
    },
    shared::key_type(
        Group::Engine,
        "Precision of keys kept in memory: f32, f16, bf16, q8_0, q5_1, q5_0, q4_1, q4_0 or \
               iq4_nl (default: f16).",
    ),
    shared::value_type(
        Group::Engine,
        "Precision of values kept in memory, one of the same (default: f16).",
    ),
    Flag {
        names: &["--swa-full"],
        action: Action::Plain(|s| s.full_windows = true),
        env: Some("LLAMA_ARG_SWA_FULL"),
        group: Group::Engine,
        help: "Keep all keys and values of layers on sliding windows: more memory, but an answer \
               may go on from anywhere in an earlier text.",
    },
    // Output
    Flag {
        names: &["--display-prompt"],
        action: Action::Switch {
            off: &["--no-display-prompt"],
            set: |s, on| s.display_prompt = Some(on),
        },
        env: None,
        group: Group::Output,
        help: "Repeat the prompt before the text (default: only with -no-cnv).",
    },
    Flag {
        names: &["--timings", "--show-timings", "--perf"],
        action: Action::Switch {
            off: &["--no-timings", "--no-show-timings", "--no-perf"],
            set: |s, on| s.timings = on,
        },
        env: Some("LLAMA_ARG_SHOW_TIMINGS"),
        group: Group::Output,
        help: "Report load time and speeds on standard error (default: off).",
    },
    Flag {
        names: &["-co", "--color"],
        action: Action::Optional {
            off: &["--no-color"],
            set: |s, v| {
                s.color = match on_off_auto(v)? {
                    Some(true) => Color::On,
                    Some(false) => Color::Off,
                    None => Color::Auto,
                };
                Ok(())
            },
        },
        env: None,
        group: Group::Output,
        help: "Colours (default: auto, on a terminal unless NO_COLOR is set).",
    },
    Flag {
        names: &["--simple-io"],
        action: Action::Plain(|s| s.simple_io = true),
        env: None,
        group: Group::Output,
        help: "Read the conversation line by line, without an editor.",
    },
    Flag {
        names: &["-v", "--verbose", "--log-verbose"],
        action: Action::Plain(|s| s.verbose = true),
        env: None,
        group: Group::Output,
        help: "Report on standard error what is being done.",
    },
    Flag {
        names: &["--install"],
        action: Action::Plain(|s| s.command = Command::Install),
        env: None,
        group: Group::Model,
        help: "Make the packed file that was started an executable of this machine: in place, once \
               and for all.",
    },
    Flag {
        names: &["-h", "--help", "--usage"],
        action: Action::Plain(|s| s.command = Command::Help),
        env: None,
        group: Group::Output,
        help: "Print this help.",
    },
    Flag {
        names: &["--version"],
        action: Action::Plain(|s| s.command = Command::Version),
        env: None,
        group: Group::Output,
        help: "Print the version.",
    },
    // Accepted for compatibility
    Flag {
        names: &["-ngl", "--gpu-layers", "--n-gpu-layers"],
        action: Action::Value {
            name: "N",
            set: |s, v| {
                let wanted = match v {
                    "auto" => None,
                    "all" => Some(usize::MAX),
                    v => whole_or(v, 0, &["auto", "all", "-1"])?,
                };
                if wanted.is_some_and(|layers| layers > 0) {
                    s.notes.push(format!(
                        "-ngl {v} has no effect: there is no GPU backend yet, the CPU does the work"
                    ));
                }
                Ok(())
            },
        },
        env: Some("LLAMA_ARG_N_GPU_LAYERS"),
        group: Group::Compatibility,
        help: "Layers on a GPU. There is no GPU backend yet: says so and uses the CPU.",
    },
    Flag {
        names: &["--gpu"],
        action: Action::Value {
            name: "WHICH",
            set: |_, v| match v.to_ascii_lowercase().as_str() {
                "auto" | "disable" | "disabled" | "none" | "off" => Ok(()),
                _ => Err(Invalid {
                    cause: format!("there is no GPU backend yet, so no \"{v}\""),
                    remedy: Some("use --gpu auto or --gpu disable to run on the CPU".into()),
                }),
            },
        },
        env: None,
        group: Group::Compatibility,
        help: "auto or disable: both run on the CPU.",
    },
    Flag {
        names: &["-fa", "--flash-attn"],
        action: Action::Optional {
            off: &[],
            set: |s, v| {
                if on_off_auto(v)? == Some(false) {
                    s.notes.push("-fa off has no effect: there is one kind of attention".into());
                }
                Ok(())
            },
        },
        env: Some("LLAMA_ARG_FLASH_ATTN"),
        group: Group::Compatibility,
        help: "Attention never builds its full score matrix here.",
    },
    Flag {
        names: &["--jinja"],
        action: Action::Switch {
            off: &["--no-jinja"],
            set: |s, on| {
                if !on {
                    s.notes
                        .push("--no-jinja has no effect: chat templates are always Jinja".into());
                }
            },
        },
        env: Some("LLAMA_ARG_JINJA"),
        group: Group::Compatibility,
        help: "Chat templates are always Jinja here.",
    },
    Flag {
        names: &["--mmap"],
        action: Action::Switch {
            off: &["--no-mmap"],
            set: |s, on| {
                if !on {
                    s.notes.push("--no-mmap has no effect: model files are always mapped".into());
                }
            },
        },
        env: None,
        group: Group::Compatibility,
        help: "Model files are always mapped into memory.",
    },
    Flag {
        names: &["--nologo", "--no-warmup"],
        action: Action::Plain(|_| {}),
        env: None,
        group: Group::Compatibility,
        help: "What these turn off does not happen here.",
    },
];

/// A format of keys and values.
pub fn kv_type(text: &str) -> Result<KvType, Invalid> {
    let all = || KvType::ALL.map(KvType::name).join(", ");
    KvType::from_name(text).ok_or_else(|| Invalid::expected(&format!("one of {}", all()), text))
}
