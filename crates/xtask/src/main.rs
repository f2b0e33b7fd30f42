//! Tasks of this repository that need more than cargo: `cargo xtask dist`.
#![forbid(unsafe_code)]

mod dist;
mod error;

use std::env;
use std::process::ExitCode;

use error::Error;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let done = match args.split_first() {
        Some((task, rest)) if task == "dist" => dist::run(rest),
        Some((help, _)) if help == "--help" || help == "-h" => {
            print!("{}", dist::USAGE);
            Ok(())
        }
        _ => Err(Error::Usage(format!("the task must be named\n\n{}", dist::USAGE))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            error.exit_code()
        }
    }
}
