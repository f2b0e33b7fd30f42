//! How many threads to start, and which processors each may run on.

use std::io;

use thiserror::Error;

use super::{CoreKind, Topology};

/// Where threads shall run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placement {
    /// The processors to use, whatever their kind; those that the process may not use are left
    /// out. `None` for all.
    pub processors: Option<Vec<usize>>,
    /// Each thread on a processor of its own, as far as there are enough.
    pub strict: bool,
    /// Whether to start threads for efficiency cores too.
    pub efficiency_cores: bool,
}

/// What follows from a [`Placement`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Number of threads.
    pub threads: usize,
    /// The processors that each thread may run on; `None` leaves that to the system.
    pub processors: Option<Vec<Vec<usize>>>,
}

/// Why threads can't be placed.
#[derive(Debug, Error)]
pub enum PlacementError {
    /// None of the processors asked for may be used.
    #[error(
        "none of the processors {} may be used; expected some of {}",
        ranges(asked),
        ranges(allowed)
    )]
    Unavailable {
        /// The processors asked for.
        asked: Vec<usize>,
        /// Those that the process may use.
        allowed: Vec<usize>,
    },
    /// The system does not let threads choose processors, or not these.
    #[error("threads can't be bound to processors: {0}")]
    System(#[from] io::Error),
}

impl Placement {
    /// The plan for `threads` threads, or for as many as suit the processors.
    ///
    /// Strict threads are spread over cores first: performance cores, efficiency cores where they
    /// were asked for, then second threads of cores.
    pub fn plan(
        &self,
        topology: &Topology,
        threads: Option<usize>,
    ) -> Result<Plan, PlacementError> {
        let mut topology = topology.clone();
        if let Some(asked) = &self.processors {
            let allowed = topology.processors.iter().map(|p| p.id).collect();
            topology.processors.retain(|p| asked.contains(&p.id));
            if topology.processors.is_empty() {
                return Err(PlacementError::Unavailable { asked: asked.clone(), allowed });
            }
        }
        let efficiency_cores = self.efficiency_cores || self.processors.is_some();
        let threads = threads.unwrap_or_else(|| topology.threads(efficiency_cores)).max(1);
        let processors = if self.strict {
            let seats = seats(&topology, efficiency_cores);
            Some(seats.iter().cycle().take(threads).map(|&id| vec![id]).collect())
        } else if self.processors.is_some() {
            Some(vec![topology.processors.iter().map(|p| p.id).collect(); threads])
        } else {
            None
        };
        Ok(Plan { threads, processors })
    }
}

/// Processors in the order in which threads take them.
fn seats(topology: &Topology, efficiency_cores: bool) -> Vec<usize> {
    let mut seats: Vec<_> = topology.processors.iter().collect();
    seats.retain(|p| efficiency_cores || p.kind == CoreKind::Performance);
    seats.sort_by_key(|p| (!topology.is_first(p), p.kind, p.id));
    seats.into_iter().map(|p| p.id).collect()
}

/// Numbers as people write them, such as `0-3,8`.
fn ranges(numbers: &[usize]) -> String {
    let mut sorted = numbers.to_vec();
    sorted.sort();
    sorted.dedup();
    let runs = sorted.chunk_by(|a, b| a + 1 == *b).map(|run| match run {
        [first, .., last] => format!("{first}-{last}"),
        _ => run[0].to_string(),
    });
    runs.collect::<Vec<_>>().join(",")
}
