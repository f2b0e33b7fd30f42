//! The processors that the process may use, and how many threads are worth starting.
//!
//! What the system tells is read into [`facts::Facts`] by pure functions, one file per system, and
//! judged in one place.

#[cfg(any(target_vendor = "apple", test))]
mod apple;
mod facts;
#[cfg(any(target_os = "linux", test))]
mod linux;
mod placement;
#[cfg(test)]
mod tests;
#[cfg(any(windows, test))]
mod windows;

use std::sync::OnceLock;

use facts::Facts;
pub use placement::{Placement, PlacementError, Plan};

/// The processors that the process may use.
#[derive(Debug, Clone, PartialEq)]
pub struct Topology {
    /// Logical processors, in the order of their numbers.
    pub processors: Vec<Processor>,
    /// Logical processors of the machine, whether the process may use them or not.
    pub online: usize,
    /// Processors' worth of time that the process may use, where that is limited.
    pub quota: Option<f64>,
    /// Caches for data of these processors, the innermost first.
    pub caches: Vec<Cache>,
}

/// A logical processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Processor {
    /// The system's number for it.
    pub id: usize,
    /// The number of its core's first processor.
    pub core: usize,
    /// What kind of core that is.
    pub kind: CoreKind,
}

/// Whether a core is made for speed or for saving power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CoreKind {
    /// As fast as the machine has, or nearly.
    Performance,
    /// Much slower than others of the machine.
    Efficiency,
}

/// Caches of one level and size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cache {
    /// 1 is the innermost.
    pub level: u8,
    /// Bytes of each.
    pub bytes: u64,
    /// How many there are.
    pub instances: usize,
}

impl Topology {
    /// That of this process, found at the first call: threads that were bound to processors since
    /// don't change it.
    pub fn of_process() -> &'static Self {
        static TOPOLOGY: OnceLock<Topology> = OnceLock::new();
        TOPOLOGY.get_or_init(|| Facts::of_process().unwrap_or_else(Facts::without_details).judge())
    }

    /// A number of threads for compute-bound work: the physical performance cores, or all physical
    /// cores, within the quota of processor time; at least 1.
    ///
    /// Two threads on one core cost more in waiting than they add, as does a slow core among fast
    /// ones.
    pub fn threads(&self, efficiency_cores: bool) -> usize {
        let efficiency = if efficiency_cores { self.cores(CoreKind::Efficiency) } else { 0 };
        let cores = self.cores(CoreKind::Performance) + efficiency;
        let quota = self.quota.map_or(usize::MAX, |quota| quota.ceil() as usize);
        cores.min(quota).max(1)
    }

    /// The number of physical cores of a kind.
    pub fn cores(&self, kind: CoreKind) -> usize {
        self.processors.iter().filter(|p| p.kind == kind && self.is_first(p)).count()
    }

    /// Whether this is the first of its core's processors.
    fn is_first(&self, processor: &Processor) -> bool {
        self.processors.iter().find(|p| p.core == processor.core) == Some(processor)
    }
}

/// The threads that suit this machine; see [`Topology::threads`].
pub fn default_threads() -> usize {
    Topology::of_process().threads(false)
}
