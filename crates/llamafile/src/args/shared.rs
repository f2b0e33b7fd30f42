//! Flags that several commands have: one way of reading each.

use super::flag::{Action, Flag, Group};
use super::table::kv_type;
use super::values::{file, threads as thread_count, whole, whole_or};
use crate::settings::{Command, Text};

/// `-m`, the one model of a command.
pub const fn model(group: Group, help: &'static str) -> Flag {
    Flag {
        names: &["-m", "--model"],
        action: Action::Value {
            name: "FILE|NAME",
            set: |s, v| {
                s.model = Some(v.into());
                Ok(())
            },
        },
        env: Some("LLAMA_ARG_MODEL"),
        group,
        help,
    }
}

/// `--offline`.
pub const fn offline(group: Group, help: &'static str) -> Flag {
    Flag {
        names: &["--offline"],
        action: Action::Plain(|s| s.offline = true),
        env: Some("LLAMA_ARG_OFFLINE"),
        group,
        help,
    }
}

/// `-p`, a text.
pub const fn prompt(group: Group, help: &'static str) -> Flag {
    Flag {
        names: &["-p", "--prompt"],
        action: Action::Value {
            name: "TEXT",
            set: |s, v| {
                s.prompt = Some(Text::Typed(v.into()));
                Ok(())
            },
        },
        env: None,
        group,
        help,
    }
}

/// `-f`, a text in a file.
pub const fn prompt_file(group: Group, help: &'static str) -> Flag {
    Flag {
        names: &["-f", "--file"],
        action: Action::Value {
            name: "FILE",
            set: |s, v| {
                s.prompt = Some(file(v)?);
                Ok(())
            },
        },
        env: None,
        group,
        help,
    }
}

/// `-e`, whether typed texts have escapes.
pub const fn escape(group: Group, help: &'static str) -> Flag {
    Flag {
        names: &["-e", "--escape"],
        action: Action::Switch { off: &["--no-escape"], set: |s, on| s.escape = Some(on) },
        env: None,
        group,
        help,
    }
}

/// `-c`, positions of a context.
pub const fn context(group: Group, help: &'static str) -> Flag {
    Flag {
        names: &["-c", "--ctx-size"],
        action: Action::Value {
            name: "N",
            set: |s, v| {
                s.context = Some(whole(v, 0)?).filter(|n| *n > 0);
                Ok(())
            },
        },
        env: Some("LLAMA_ARG_CTX_SIZE"),
        group,
        help,
    }
}

/// `-t`, threads.
pub const fn threads(group: Group, help: &'static str) -> Flag {
    Flag {
        names: &["-t", "--threads"],
        action: Action::Value {
            name: "N",
            set: |s, v| {
                s.threads =
                    thread_count(v).map_err(|e| e.hint("leave -t out to use every fast core"))?;
                Ok(())
            },
        },
        env: Some("LLAMA_ARG_THREADS"),
        group,
        help,
    }
}

/// `--efficiency-cores`.
pub const fn efficiency_cores(group: Group) -> Flag {
    Flag {
        names: &["--efficiency-cores"],
        action: Action::Plain(|s| s.placement.efficiency_cores = true),
        env: None,
        group,
        help: "Count efficiency cores among the fast ones.",
    }
}

/// `-b`, tokens evaluated at once.
pub const fn batch(group: Group, help: &'static str) -> Flag {
    Flag {
        names: &["-b", "--batch-size"],
        action: Action::Value {
            name: "N",
            set: |s, v| {
                s.batch = Some(whole(v, 1)?);
                Ok(())
            },
        },
        env: Some("LLAMA_ARG_BATCH"),
        group,
        help,
    }
}

/// `--chunks`, how much of a text.
pub const fn chunks(group: Group) -> Flag {
    Flag {
        names: &["--chunks"],
        action: Action::Value {
            name: "N",
            set: |s, v| {
                s.chunks = whole_or(v, 1, &["-1"])?;
                Ok(())
            },
        },
        env: None,
        group,
        help: "Most chunks to evaluate (default: -1, all).",
    }
}

/// `-ctk`, the format of keys.
pub const fn key_type(group: Group, help: &'static str) -> Flag {
    Flag {
        names: &["-ctk", "--cache-type-k"],
        action: Action::Value {
            name: "TYPE",
            set: |s, v| {
                s.key_type = kv_type(v)?;
                Ok(())
            },
        },
        env: Some("LLAMA_ARG_CACHE_TYPE_K"),
        group,
        help,
    }
}

/// `-ctv`, the format of values.
pub const fn value_type(group: Group, help: &'static str) -> Flag {
    Flag {
        names: &["-ctv", "--cache-type-v"],
        action: Action::Value {
            name: "TYPE",
            set: |s, v| {
                s.value_type = kv_type(v)?;
                Ok(())
            },
        },
        env: Some("LLAMA_ARG_CACHE_TYPE_V"),
        group,
        help,
    }
}

/// `--json`.
pub const fn json(group: Group, help: &'static str) -> Flag {
    Flag { names: &["--json"], action: Action::Plain(|s| s.json = true), env: None, group, help }
}

/// `--html`, a page to write.
pub const fn html(group: Group, help: &'static str) -> Flag {
    Flag {
        names: &["--html"],
        action: Action::Value {
            name: "FILE",
            set: |s, v| {
                s.html = Some(v.into());
                Ok(())
            },
        },
        env: None,
        group,
        help,
    }
}

/// `-h`.
pub const fn help(group: Group) -> Flag {
    Flag {
        names: &["-h", "--help"],
        action: Action::Plain(|s| s.command = Command::Help),
        env: None,
        group,
        help: "Print this help.",
    }
}
