//! All kernels on trial.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use backend::Task;

use crate::candidate::Candidate;
use crate::case::{Case, Disagreement};
use crate::cases::{Extent, cases};

/// What is known of a kernel after its trial.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// Its name.
    pub name: String,
    /// Cases of its task, or those up to the wrong result.
    pub cases: usize,
    /// The greatest error as a share of what it may be.
    pub error: f32,
    /// A wrong result.
    pub wrong: Option<Disagreement>,
}

/// Tests kernels on some threads. `progress` hears of each one's name before it is tested, with the
/// number of those before. Verdicts are in the order of the candidates.
pub fn run(
    candidates: &[Candidate],
    extent: Extent,
    threads: usize,
    progress: &(dyn Fn(usize, &str) + Sync),
) -> Vec<Verdict> {
    // By task: what its cases come to is worked out once.
    let mut tasks: Vec<Task> = Vec::new();
    for candidate in candidates {
        if !tasks.contains(&candidate.task) {
            tasks.push(candidate.task);
        }
    }
    let (next, begun) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let verdicts = Mutex::new(Vec::new());
    let work = || {
        while let Some(&task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
            let cases = cases(task, extent);
            for (i, candidate) in candidates.iter().enumerate() {
                if candidate.task == task {
                    progress(begun.fetch_add(1, Ordering::Relaxed), &candidate.name);
                    let verdict = (i, judge(candidate, &cases));
                    verdicts.lock().unwrap_or_else(|poison| poison.into_inner()).push(verdict);
                }
            }
        }
    };
    thread::scope(|scope| {
        (1..threads).for_each(|_| drop(scope.spawn(work)));
        work();
    });
    let mut verdicts = verdicts.into_inner().unwrap_or_else(|poison| poison.into_inner());
    verdicts.sort_by_key(|&(i, _)| i);
    verdicts.into_iter().map(|(_, verdict)| verdict).collect()
}

/// Runs the cases up to the first wrong result.
pub(crate) fn judge(candidate: &Candidate, cases: &[Case]) -> Verdict {
    let mut verdict = Verdict { name: candidate.name.clone(), cases: 0, error: 0.0, wrong: None };
    let mut backend = candidate.backend();
    let mark = backend.mark();
    for case in cases {
        verdict.cases += 1;
        match case.judge(&mut *backend) {
            Ok(error) => verdict.error = verdict.error.max(error),
            Err(wrong) => {
                verdict.wrong = Some(wrong);
                break;
            }
        }
        backend.release(mark);
    }
    verdict
}
