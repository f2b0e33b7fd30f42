//! Takes one engine out of several that were compressed together: `llamafile-unpack SKIP LEN` reads
//! an xz stream and writes the `LEN` bytes behind the first `SKIP` of what it holds.
//!
//! Portable files carry it for each Unix, as none is sure to have a program that reads xz. Their script
//! checks what it writes.
#![forbid(unsafe_code)]

use std::env;
use std::io::{self, Read};
use std::process::ExitCode;

use lzma_rust2::XzReader;

fn main() -> ExitCode {
    let mut numbers = env::args().skip(1).map_while(|argument| argument.parse().ok());
    let (Some(skip), Some(len)) = (numbers.next(), numbers.next()) else {
        eprintln!("expected two numbers: bytes to skip and bytes to write");
        return ExitCode::FAILURE;
    };
    match unpack(skip, len) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot unpack: {error}");
            ExitCode::FAILURE
        }
    }
}

fn unpack(skip: u64, len: u64) -> io::Result<()> {
    let mut content = XzReader::new(io::stdin().lock(), false);
    io::copy(&mut content.by_ref().take(skip), &mut io::sink())?;
    let written = io::copy(&mut content.take(len), &mut io::stdout().lock())?;
    if written == len { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
