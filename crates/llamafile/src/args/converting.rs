//! Flags and operands of `llamafile convert`.

use tools::convert::Precision;

use super::flag::{Action, Flag, Group, Invalid};
use super::shared;
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
                s.convert.precision = match v {
                    "f32" => Precision::F32,
                    "f16" => Precision::F16,
                    _ => return Err(Invalid::expected("f32 or f16", v)),
                };
                Ok(())
            },
        },
        env: None,
        group: Group::Convert,
        help: "Precision of matrices: f32 or f16 (default: f16).",
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
        for line in
            ["convert dir", "convert -o out", "convert a b -o c", "convert a -o b --outtype q8_0"]
        {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
