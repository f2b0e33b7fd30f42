//! Download over HTTPS that goes on where an earlier one stopped.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use ureq::Agent;
use ureq::http::StatusCode;

use super::cannot;
use crate::error::CliError;
use crate::models::KnownModel;
use crate::terminal::{Progress, Unit};

/// Where the model's file is; `HF_ENDPOINT` names a mirror, as for Hugging Face's own tools.
pub fn address(model: &KnownModel) -> String {
    let endpoint = env::var("HF_ENDPOINT").unwrap_or_else(|_| "https://huggingface.co".into());
    format!(
        "{}/{}/resolve/{}/{}",
        endpoint.trim_end_matches('/'),
        model.repository,
        model.revision,
        model.file
    )
}

/// Why a download failed.
pub enum Failure {
    /// The other side, or the way to it: another source may do.
    Source(String),
    /// This machine: no source will do.
    Here(CliError),
}

/// Downloads `address` to `part`, a file of `total` bytes of which a beginning may be there.
pub fn download(address: &str, part: &Path, total: u64) -> Result<(), Failure> {
    let have = match fs::metadata(part).map(|meta| meta.len()) {
        Ok(length) if length == total => return Ok(()),
        Ok(length) if length < total => length,
        _ => 0,
    };
    let agent: Agent = Agent::config_builder()
        .timeout_resolve(Some(Duration::from_secs(5)))
        .timeout_connect(Some(Duration::from_secs(5)))
        .timeout_recv_response(Some(Duration::from_secs(20)))
        .timeout_per_read(Some(Duration::from_secs(30)))
        .user_agent(concat!("llamafile/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let mut request = agent.get(address);
    if have > 0 {
        request = request.header("Range", format!("bytes={have}-"));
    }
    let response = request.call().map_err(|error| unreachable(&error))?;
    let resumed = have > 0 && response.status() == StatusCode::PARTIAL_CONTENT;
    let start = if resumed { have } else { 0 };
    if resumed {
        eprintln!("Going on at {} MB.", start / 1_000_000);
    }
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .append(resumed)
        .truncate(!resumed)
        .open(part)
        .map_err(|error| unwritable(part, &error))?;
    // One byte more than expected is enough to see that the file is another one.
    let limit = total - start + 1;
    let mut body = response.into_body().into_with_config().limit(u64::MAX).reader().take(limit);
    let mut progress = Progress::new("Fetching", Unit::Bytes, start);
    let mut done = start;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = body.read(&mut buffer).map_err(|error| broken(&error))?;
        if read == 0 {
            break;
        }
        file.write_all(&buffer[..read]).map_err(|error| unwritable(part, &error))?;
        done += read as u64;
        progress.update(done, total);
    }
    if done < total {
        return Err(broken(&io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(())
}

fn unreachable(error: &ureq::Error) -> Failure {
    Failure::Source(format!("Hugging Face is out of reach ({error})"))
}

fn broken(error: &io::Error) -> Failure {
    Failure::Source(format!("the download from Hugging Face broke off ({error})"))
}

fn unwritable(part: &Path, error: &io::Error) -> Failure {
    Failure::Here(cannot("write", part, error))
}
