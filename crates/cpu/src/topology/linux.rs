//! What Linux tells in `/proc` and `/sys`.

use super::facts::{Facts, RawProcessor, Speed, count_caches};
use crate::host::{Text, cgroup};

const CPUS: &str = "/sys/devices/system/cpu";

/// The facts in these files; `None` where `/proc` is not to be had.
pub(super) fn facts(text: Text<'_>) -> Option<Facts> {
    let status = text("/proc/thread-self/status")?;
    let allowed = parse_status(&status).filter(|allowed| !allowed.is_empty())?;
    let list = |path: &str| text(path).as_deref().and_then(parse_list).unwrap_or_default();
    // x86-64 names performance cores where there are others. Other differences in clock are no
    // differences in design: AMD's dense cores (Zen 4c, 5c) are slower only.
    let is_x86 = text("/proc/cpuinfo").is_some_and(|info| info.contains("vendor_id"));
    let processors = allowed.iter().map(|&id| processor(text, id, !is_x86)).collect();
    Some(Facts {
        processors,
        performance: list("/sys/devices/cpu_core/cpus"),
        online: list(&format!("{CPUS}/online")).len(),
        quota: cgroup::cpu_quota(text),
        caches: count_caches(allowed.iter().flat_map(|&id| caches(text, id)).collect()),
    })
}

fn processor(text: Text<'_>, id: usize, with_speed: bool) -> RawProcessor {
    let read = |file: &str| text(&format!("{CPUS}/cpu{id}/{file}"));
    let number = |file: &str| read(file)?.trim().parse().ok();
    let speed = || {
        let capacity = number("cpu_capacity").map(Speed::Capacity);
        capacity.or_else(|| number("cpufreq/cpuinfo_max_freq").map(Speed::Clock))
    };
    let core = read("topology/thread_siblings_list").as_deref().and_then(parse_list);
    RawProcessor { id, core: core.unwrap_or_default(), speed: with_speed.then(speed).flatten() }
}

/// The caches for data of a processor: level, bytes, and the processors that share it.
fn caches(text: Text<'_>, id: usize) -> Vec<(u8, u64, String)> {
    let cache = |index: usize| {
        let read = |file: &str| text(&format!("{CPUS}/cpu{id}/cache/index{index}/{file}"));
        let kind = read("type")?;
        let level = read("level")?.trim().parse().ok()?;
        let size = read("size")?;
        let kib: u64 = size.trim().strip_suffix('K')?.parse().ok()?;
        let shared = read("shared_cpu_list").unwrap_or_default();
        Some((kind, (level, kib.checked_mul(1024)?, shared)))
    };
    let all = (0..8).map_while(cache);
    all.filter(|(kind, _)| kind.trim() != "Instruction").map(|(_, cache)| cache).collect()
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
fn parse_status(text: &str) -> Option<Vec<usize>> {
    let line = text.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    parse_list(line)
}
