//! Facts about processors, as the system tells them, and what follows from them.

/// A processor is slow if its speed is below this part of the fastest one's: efficiency cores have
/// up to two thirds, while the favoured and other performance cores of a chip are within a fifth.
const SLOW: f64 = 0.7;

/// One logical processor that the process may use.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Processor {
    /// Its number.
    pub(super) id: usize,
    /// The processors of its core, itself included; empty if unknown.
    pub(super) core: Vec<usize>,
    /// Any measure of its speed.
    pub(super) speed: Option<u64>,
}

/// What is known of the processors.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Facts {
    pub(super) processors: Vec<Processor>,
    /// Performance cores, where the system names them.
    pub(super) performance: Vec<usize>,
    /// Processors' worth of time that the process may use.
    pub(super) quota: Option<f64>,
}

impl Facts {
    /// See [`default_threads`](super::default_threads).
    pub(super) fn threads(&self) -> usize {
        let fastest = self.processors.iter().filter_map(|p| p.speed).max().unwrap_or(0);
        let is_fast = |p: &&Processor| match p.speed {
            _ if !self.performance.is_empty() => self.performance.contains(&p.id),
            Some(speed) => speed as f64 >= SLOW * fastest as f64,
            None => true,
        };
        let mut fast: Vec<&Processor> = self.processors.iter().filter(is_fast).collect();
        if fast.is_empty() {
            fast = self.processors.iter().collect();
        }
        // A core counts at its first processor in the list.
        let is_first = |(at, p): &(usize, &&Processor)| {
            !fast[..*at].iter().any(|earlier| p.core.contains(&earlier.id))
        };
        let cores = fast.iter().enumerate().filter(is_first).count();
        let quota = self.quota.map_or(usize::MAX, |quota| quota.ceil() as usize);
        cores.min(quota).max(1)
    }
}

/// Parses a list of processors such as `0-3,8,10-11`; `None` where it is none.
pub(super) fn parse_list(text: &str) -> Option<Vec<usize>> {
    /// More than any machine has; keeps a strange file from filling memory.
    const MOST: usize = 1 << 16;
    let mut list = Vec::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if last >= MOST {
            return None;
        }
        list.extend(first..=last);
    }
    Some(list)
}

/// The processors allowed in the text of `/proc/self/status`.
pub(super) fn parse_status(text: &str) -> Option<Vec<usize>> {
    let line = text.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    parse_list(line)
}

/// Processors' worth of time in the text of a cgroup v2 `cpu.max`; `None` without limit.
pub(super) fn parse_cpu_max(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    quota_of(quota, period)
}

/// The ratio of a quota and its period; `None` without limit.
pub(super) fn quota_of(quota: &str, period: &str) -> Option<f64> {
    let quota: f64 = quota.trim().parse().ok()?;
    let period: f64 = period.trim().parse().ok()?;
    (quota > 0.0 && period > 0.0).then_some(quota / period)
}

/// The process's groups that limit processor time, in the text of `/proc/self/cgroup`: that of
/// version 2 and that of version 1's `cpu` controller.
pub(super) fn parse_cgroup(text: &str) -> (Option<&str>, Option<&str>) {
    let mut groups = (None, None);
    for line in text.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        match (fields.next(), fields.next()) {
            (Some(""), Some(path)) => groups.0 = Some(path),
            (Some(names), Some(path)) if names.split(',').any(|name| name == "cpu") => {
                groups.1 = Some(path);
            }
            _ => {}
        }
    }
    groups
}
