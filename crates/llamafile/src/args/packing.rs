//! Flags and operands of `llamafile pack` and the other commands on packed files.

use std::fs::{self, File};
use std::io::{self, Read};

use pack::{Form, Icon, Target};

use super::flag::{Action, Flag, Group, Invalid};
use super::shared;
use crate::error::{CliError, describe};
use crate::settings::{Command, Packing, Settings};

/// Flags of all commands on packed files; [`apply_words`] says which takes which.
pub const PACKING: &[Flag] = &[
    Flag {
        names: &["-o", "--output"],
        action: Action::Value {
            name: "FILE|DIR",
            set: |s, v| {
                s.packing.output = Some(v.into());
                Ok(())
            },
        },
        env: None,
        group: Group::Packing,
        help: "File to write (default: MODEL.llamafile; retarget and upgrade change the file \
               itself), or folder to unpack to (default: here).",
    },
    Flag {
        names: &["--portable"],
        action: Action::Value {
            name: "all|unix",
            set: |s, v| {
                s.packing.form = Some(match v {
                    "all" => Form::Portable,
                    "unix" => Form::Unix,
                    _ => return Err(Invalid::expected("all or unix", v)),
                });
                Ok(())
            },
        },
        env: None,
        group: Group::Packing,
        help: "One file for every system, or one for every Unix that also starts without a shell \
               (default: all).",
    },
    Flag {
        names: &["--os"],
        action: Action::Value {
            name: "SYSTEM",
            set: |s, v| {
                s.packing.form = Some(system(v)?);
                Ok(())
            },
        },
        env: None,
        group: Group::Packing,
        help: "A true executable of one system: linux-x86_64, linux-aarch64, macos-aarch64, \
               macos-x86_64, windows-x86_64, freebsd-x86_64.",
    },
    Flag {
        names: &["--engines"],
        action: Action::Value {
            name: "DIR",
            set: |s, v| {
                s.packing.engines = Some(v.into());
                Ok(())
            },
        },
        env: None,
        group: Group::Packing,
        help: "Folder of executables named llamafile-SYSTEM to pack (default: those of this \
               program's own file).",
    },
    Flag {
        names: &["--args"],
        action: Action::Value {
            name: "FILE",
            set: |s, v| {
                s.packing.args = Some(text(v)?);
                Ok(())
            },
        },
        env: None,
        group: Group::Packing,
        help: "Arguments that the file starts with, one a line; a line ... stands for those of the \
               user. They may also be given behind --.",
    },
    Flag {
        names: &["--icon"],
        action: Action::Value {
            name: "FILE",
            set: |s, v| {
                s.packing.about.icon = Some(icon(v)?);
                Ok(())
            },
        },
        env: None,
        group: Group::Packing,
        help: "Icon that Windows shows, in the format .ico.",
    },
    Flag {
        names: &["--name"],
        action: Action::Value {
            name: "NAME",
            set: |s, v| {
                let name = v.parse().map_err(|expected| Invalid::expected(expected, v))?;
                s.packing.about.name = Some(name);
                Ok(())
            },
        },
        env: None,
        group: Group::Packing,
        help: "Name of the program that Windows shows.",
    },
    Flag {
        names: &["--app-version"],
        action: Action::Value {
            name: "1.2.3.4",
            set: |s, v| {
                let version = v.parse().map_err(|expected| Invalid::expected(expected, v))?;
                s.packing.about.version = Some(version);
                Ok(())
            },
        },
        env: None,
        group: Group::Packing,
        help: "Version of it that Windows shows.",
    },
    shared::help(Group::Packing),
];

fn system(name: &str) -> Result<Form, Invalid> {
    Form::from_name(name).ok_or_else(|| {
        let names = Target::ALL.map(Target::name).join(", ");
        Invalid::expected(&format!("one of {names}, portable or unix"), name)
    })
}

fn text(path: &str) -> Result<String, Invalid> {
    fs::read_to_string(path).map_err(|error| Invalid {
        cause: format!("cannot read \"{path}\": {}", describe(&error)),
        remedy: Some("give the path of a UTF-8 text file with one argument a line".into()),
    })
}

/// Most bytes of an icon.
const MAX_ICON: u64 = 16 << 20;

fn icon(path: &str) -> Result<Icon, Invalid> {
    let invalid = |cause: String| Invalid {
        cause,
        remedy: Some("give the path of an icon in the format .ico".into()),
    };
    let read = |file: File| {
        let mut bytes = Vec::new();
        file.take(MAX_ICON).read_to_end(&mut bytes).map(|_| bytes)
    };
    let failed =
        |error: io::Error| invalid(format!("cannot read \"{path}\": {}", describe(&error)));
    let bytes = File::open(path).and_then(read).map_err(failed)?;
    Icon::new(path, &bytes).map_err(|error| invalid(error.to_string()))
}

/// The files, and a check that the command has all it needs and nothing else.
pub fn apply_words(settings: &mut Settings, words: &[String]) -> Result<(), CliError> {
    settings.packing.files = words.iter().map(Into::into).collect();
    let Packing { files, output, form, engines, args, arguments, about } = &settings.packing;
    let (name, usage) = match settings.command {
        Command::Pack => ("pack", "llamafile pack model.gguf -o model.llamafile"),
        Command::Retarget => ("retarget", "llamafile retarget --os linux-x86_64 FILE"),
        Command::Upgrade => ("upgrade", "llamafile upgrade FILE --engines DIR"),
        Command::Unpack => ("unpack", "llamafile unpack FILE -o DIR"),
        _ => ("verify", "llamafile verify FILE"),
    };
    let refuse = |cause: String| Err(CliError::new(cause).hint(usage));
    let packs = settings.command == Command::Pack;
    let changes = matches!(settings.command, Command::Retarget | Command::Upgrade);
    let superfluous = [
        ("--args", args.is_some() && !packs),
        ("--icon, --name or --app-version", !about.is_empty() && !packs),
        ("--engines", engines.is_some() && !packs && !changes),
        ("--os or --portable", form.is_some() && !packs && !changes),
        ("-o", output.is_some() && settings.command == Command::Verify),
    ];
    if let Some((flag, _)) = superfluous.iter().find(|(_, given)| *given) {
        return refuse(format!("{name} takes no {flag}"));
    }
    if args.is_some() && arguments.is_some() {
        return refuse("pack takes --args or arguments behind --, not both".into());
    }
    if packs {
        if files.is_empty() && output.is_none() {
            return refuse("pack needs a model, or -o for a file without one".into());
        }
        return Ok(());
    }
    if files.len() != 1 {
        return refuse(format!("{name} needs one file"));
    }
    if settings.command == Command::Retarget && form.is_none() {
        return refuse("retarget needs --os or --portable".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{parsed, refused};
    use super::*;

    #[test]
    fn packing() {
        let settings = parsed("pack a.gguf b.gguf -o x --portable unix -- -c 5 --x --").unwrap();
        assert_eq!(settings.command, Command::Pack);
        let packing = settings.packing;
        assert_eq!(packing.files, ["a.gguf", "b.gguf"].map(std::path::PathBuf::from));
        assert_eq!(packing.form, Some(Form::Unix));
        assert_eq!(packing.arguments.unwrap(), ["-c", "5", "--x", "--"]);
        assert!(refused("pack").contains("needs a model"));
        assert!(refused("pack a --portable some").contains("all or unix"));
        assert!(refused("pack a --args /no/such").contains("cannot read"));
        assert!(refused("pack a --icon /no/such").contains("cannot read"));
        assert!(refused("pack a --icon Cargo.toml").contains("no icon"));
        assert!(refused("pack a --app-version 1.x").contains("four numbers"));
        let about = parsed("pack a --name Sky --app-version 1.2").unwrap().packing.about;
        assert_eq!(
            (about.name.is_some(), about.version.unwrap().to_string()),
            (true, "1.2.0.0".into())
        );
    }

    #[test]
    fn changing() {
        let settings = parsed("retarget --os linux-aarch64 f -o g").unwrap();
        assert_eq!(settings.packing.form.map(Form::name), Some("linux-aarch64"));
        assert!(refused("retarget f").contains("--os"));
        assert!(refused("retarget --os beos f").contains("freebsd-x86_64"));
        assert!(refused("upgrade").contains("one file"));
        assert!(refused("verify a b").contains("one file"));
        assert!(refused("verify a -o b").contains("takes no -o"));
        assert!(refused("upgrade a --name b").contains("takes no --icon, --name"));
        assert!(refused("verify a --engines b").contains("takes no --engines"));
        assert_eq!(parsed("--install").unwrap().command, Command::Install);
        assert!(refused("-m x verify").contains("must come before"));
    }
}
