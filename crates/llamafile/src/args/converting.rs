//! Flags and operands of `llamafile convert`.

use std::num::NonZero;

use tools::convert::Precision;

use super::flag::{Action, Flag, Group, Invalid};
use super::shared;
use super::values::{MAX_THREADS, whole};
use crate::error::CliError;
use crate::settings::Settings;

/// Flags of `llamafile convert`.
pub const CONVERT: &[Flag] = &[
    Flag {
        names: &["-o", "--output", "--outfile"],
        action: Action::Value {
            name: "FILE",
            set: |s, v| {
                s.convert.output = Some(v.into());
                Ok(())
            },
        },
        env: None,
        group: Group::Convert,
        help: "Model file to write.",
    },
    Flag {
        names: &["--outtype"],
        action: Action::Value {
            name: "TYPE",
            set: |s, v| {
                let precision = Precision::named(v);
                let expected = "auto, f32, f16, bf16 or q8_0";
                s.convert.precision = precision.ok_or_else(|| Invalid::expected(expected, v))?;
                Ok(())
            },
        },
        env: None,
        group: Group::Convert,
        help: "What matrices become: f32, f16, bf16, q8_0, or auto, 16 bits as the weights have \
               them (default: auto).",
    },
    Flag {
        names: &["--model-name"],
        action: Action::Value {
            name: "NAME",
            set: |s, v| {
                s.convert.name = Some(v.into());
                Ok(())
            },
        },
        env: None,
        group: Group::Convert,
        help: "What the model is called (default: by its folder).",
    },
    Flag {
        names: &["--pre"],
        action: Action::Value {
            name: "NAME",
            set: |s, v| {
                s.convert.pre_tokenizer = Some(v.into());
                Ok(())
            },
        },
        env: None,
        group: Group::Convert,
        help: "How the tokenizer cuts text into words, such as llama-bpe or qwen2; needed only where \
               it is not recognised.",
    },
    Flag {
        names: &["-t", "--threads"],
        action: Action::Value {
            name: "N",
            set: |s, v| {
                s.convert.threads = NonZero::new(whole(v, 1)?.min(MAX_THREADS));
                Ok(())
            },
        },
        env: None,
        group: Group::Convert,
        help: "Threads that convert (default: one for each fast core).",
    },
    shared::help(Group::Convert),
];

/// The one operand is the folder.
pub fn apply_words(settings: &mut Settings, words: &[String]) -> Result<(), CliError> {
    let usage = "llamafile convert DIR -o FILE.gguf";
    let [folder] = words else {
        return Err(CliError::new("convert needs the folder of one model").hint(usage));
    };
    if settings.convert.output.is_none() {
        return Err(CliError::new("convert needs a file to write, -o FILE").hint(usage));
    }
    settings.convert.folder = folder.into();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::parsed;
    use super::*;
    use crate::settings::Command;

    #[test]
    fn a_folder_and_a_file() {
        let settings = parsed("convert dir -o out.gguf --outtype f32").unwrap();
        assert_eq!(settings.command, Command::Convert);
        assert_eq!(settings.convert.folder.to_str(), Some("dir"));
        assert_eq!(settings.convert.precision, Precision::F32);
        let settings =
            parsed("convert dir -o x --pre qwen2 --model-name A --outtype q8_0").unwrap();
        assert_eq!(settings.convert.precision, Precision::Q8_0);
        assert_eq!(settings.convert.pre_tokenizer.as_deref(), Some("qwen2"));
        assert_eq!(settings.convert.name.as_deref(), Some("A"));
        for line in
            ["convert dir", "convert -o out", "convert a b -o c", "convert a -o b --outtype q4_0"]
        {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
