//! Every kernel of this machine against the scalar reference.

mod text;

use std::time::Instant;

use ::selftest::{Candidate, Extent};
use cpu::Kernel;
use cpu::topology::Topology;
use serde::Serialize;

use crate::Error;

/// What to test.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Kernels whose names contain one of these, in any case; empty for all.
    pub names: Vec<String>,
    /// Threads; `None` for as many as suit the machine.
    pub threads: Option<usize>,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The kernels of each device and instruction set, the lowest first.
    pub kernels: Vec<Entry>,
    /// How many of them are wrong.
    pub wrong: usize,
    /// Threads that tested them.
    pub threads: usize,
    /// How long it took.
    pub seconds: f64,
}

/// One kernel.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// Its name: that of the device or instruction set, and the task.
    pub name: String,
    /// Whether it agrees with the reference.
    pub right: bool,
    /// Computations that were compared.
    pub cases: usize,
    /// The greatest error as a share of what it may be.
    pub error: f32,
    /// Whether the environment asks not to use it.
    pub disabled: bool,
    /// The first wrong result.
    pub wrong: Option<Wrong>,
}

/// A wrong result.
#[derive(Debug, Clone, Serialize)]
pub struct Wrong {
    /// What was computed.
    pub case: String,
    /// Which of the result's values.
    pub at: usize,
    /// What it is; `None` where that is no number.
    pub found: Option<f32>,
    /// What it should be.
    pub expected: f32,
    /// How far it might be off.
    pub limit: f32,
}

impl Report {
    /// All of it as a JSON object.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

/// Tests them; `progress` hears how many are done, and how many there are.
///
/// # Errors
/// An environment that disables what is no kernel.
pub fn run(options: &Options, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<Report, Error> {
    let disabled = Kernel::disabled_by_env().map_err(Error::Kernels)?;
    let wanted = |candidate: &Candidate| {
        let name = candidate.name.to_lowercase();
        options.names.is_empty()
            || options.names.iter().any(|part| name.contains(&part.to_lowercase()))
    };
    let candidates: Vec<Candidate> = ::selftest::of_cpu().into_iter().filter(wanted).collect();
    let threads = options.threads.unwrap_or_else(|| Topology::of_process().threads(false));
    let start = Instant::now();
    let verdicts = ::selftest::run(&candidates, Extent::Thorough, threads, &|done, _| {
        progress(done, candidates.len());
    });
    let kernels: Vec<Entry> = verdicts
        .into_iter()
        .map(|verdict| Entry {
            disabled: disabled.iter().any(|kernel| kernel.to_string() == verdict.name),
            right: verdict.wrong.is_none(),
            cases: verdict.cases,
            error: verdict.error,
            wrong: verdict.wrong.map(|wrong| Wrong {
                case: wrong.case,
                at: wrong.at,
                found: Some(wrong.found).filter(|found| found.is_finite()),
                expected: wrong.expected,
                limit: wrong.limit,
            }),
            name: verdict.name,
        })
        .collect();
    let wrong = kernels.iter().filter(|kernel| !kernel.right).count();
    Ok(Report { kernels, wrong, threads, seconds: start.elapsed().as_secs_f64() })
}
