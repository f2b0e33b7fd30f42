//! Tests of kernels on the machine that runs them: a processor or a compiler may be wrong where those
//! of the developers are right.
//!
//! For each [`backend::Task`] there are [`Case`]s, written against the interface of backends and judged
//! by the `reference` backend. A [`Candidate`] is a kernel of any device with a backend that uses it
//! and no other for its task. [`run`] tests all of them; [`wrong_kernels`] only those that a model will
//! use, quickly, when it is loaded.
#![forbid(unsafe_code)]

mod candidate;
mod case;
mod cases;
mod random;
mod run;
mod startup;

pub use candidate::{Candidate, of_cpu};
pub use case::{Case, Disagreement};
pub use cases::{Extent, cases};
pub use run::{Verdict, run};
pub use startup::{Fault, wrong_kernels};
