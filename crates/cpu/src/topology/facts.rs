//! What systems tell of processors, and the judgement of it.

use super::{Cache, CoreKind, Processor, Topology};

/// One logical processor that the process may use.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct RawProcessor {
    /// Its number.
    pub(super) id: usize,
    /// The processors of its core, itself included; empty if unknown.
    pub(super) core: Vec<usize>,
    /// A measure of its speed, in parts of the fastest possible; `None` if it says nothing of the
    /// design.
    pub(super) speed: Option<Speed>,
}

/// A measure of speed.
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "other systems tell kinds"))]
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Speed {
    /// Work per second.
    Capacity(u64),
    /// Cycles per second.
    Clock(u64),
}

impl Speed {
    /// Whether a core of this speed is slow beside one of speed `fastest`.
    ///
    /// By capacity, the middle cores of phones have six tenths of the fastest, little cores below
    /// four. Clocks tell less: those of little cores reach two thirds, of middle cores four fifths.
    fn is_slow(self, fastest: u64) -> bool {
        match self {
            Speed::Capacity(speed) => (speed as f64) < 0.5 * fastest as f64,
            Speed::Clock(speed) => (speed as f64) < 0.7 * fastest as f64,
        }
    }

    fn value(self) -> u64 {
        match self {
            Speed::Capacity(speed) | Speed::Clock(speed) => speed,
        }
    }
}

/// What is known of the processors.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Facts {
    pub(super) processors: Vec<RawProcessor>,
    /// Numbers of performance cores' processors, where the system names them.
    pub(super) performance: Vec<usize>,
    /// See [`Topology::online`].
    pub(super) online: usize,
    /// See [`Topology::quota`].
    pub(super) quota: Option<f64>,
    /// See [`Topology::caches`].
    pub(super) caches: Vec<Cache>,
}

impl Facts {
    /// What this system tells; `None` if nothing.
    pub(super) fn of_process() -> Option<Self> {
        #[cfg(target_os = "linux")]
        return super::linux::facts(&crate::host::file);
        #[cfg(target_vendor = "apple")]
        return super::apple::facts(
            &crate::host::system::apple::number,
            &crate::host::system::apple::text,
        );
        #[cfg(windows)]
        return super::windows::of_process();
        #[cfg(not(any(target_os = "linux", target_vendor = "apple", windows)))]
        return None;
    }

    /// As many equal cores as the standard library says the process may use at once: on other
    /// systems, such as the BSDs, and where nothing else is told.
    pub(super) fn without_details() -> Self {
        let n = std::thread::available_parallelism().map_or(1, |n| n.get());
        let processors = (0..n).map(|id| RawProcessor { id, ..RawProcessor::default() });
        Self { processors: processors.collect(), online: n, ..Self::default() }
    }

    /// Who is a performance core. Where only efficiency cores may be used, these count as such.
    pub(super) fn judge(self) -> Topology {
        let speeds = self.processors.iter().filter_map(|p| p.speed);
        let fastest = speeds.map(Speed::value).max().unwrap_or(0);
        let kind = |p: &RawProcessor| {
            let is_slow = match p.speed {
                _ if !self.performance.is_empty() => !self.performance.contains(&p.id),
                Some(speed) => speed.is_slow(fastest),
                None => false,
            };
            if is_slow { CoreKind::Efficiency } else { CoreKind::Performance }
        };
        let mut processors: Vec<Processor> = self
            .processors
            .iter()
            .map(|p| Processor {
                id: p.id,
                core: p.core.iter().copied().min().unwrap_or(p.id),
                kind: kind(p),
            })
            .collect();
        if processors.iter().all(|p| p.kind == CoreKind::Efficiency) {
            processors.iter_mut().for_each(|p| p.kind = CoreKind::Performance);
        }
        processors.sort_by_key(|p| p.id);
        let online = self.online.max(processors.len());
        Topology { processors, online, quota: self.quota, caches: self.caches }
    }
}

/// Counts caches of which each is given as often as there are processors that see it: by level,
/// bytes, and something that tells them apart.
#[cfg(any(target_os = "linux", windows, test))]
pub(super) fn count_caches<T: Ord>(mut caches: Vec<(u8, u64, T)>) -> Vec<Cache> {
    caches.sort();
    caches.dedup();
    let mut counted: Vec<Cache> = Vec::new();
    for (level, bytes, _) in caches {
        match counted.last_mut() {
            Some(last) if (last.level, last.bytes) == (level, bytes) => last.instances += 1,
            _ => counted.push(Cache { level, bytes, instances: 1 }),
        }
    }
    counted
}
