//! What macOS tells in its named values (`sysctl hw`).

use super::Cache;
use super::facts::{Facts, RawProcessor};

/// The facts in these values; `None` where cores are not counted. Numbers of processors are made up,
/// level by level: the system has none to offer.
pub(super) fn facts(
    number: &dyn Fn(&str) -> Option<u64>,
    text: &dyn Fn(&str) -> Option<String>,
) -> Option<Facts> {
    /// More than any machine has.
    const MOST: u64 = 1 << 12;
    let levels = number("hw.nperflevels").unwrap_or(1).clamp(1, 8);
    let mut facts = Facts::default();
    for level in 0..levels {
        // Intel's machines have one kind of core and no levels.
        let prefix = if levels > 1 { format!("hw.perflevel{level}.") } else { "hw.".into() };
        let value = |name: &str| number(&format!("{prefix}{name}"));
        let (physical, logical) = (value("physicalcpu")?, value("logicalcpu")?);
        if physical == 0 || physical > MOST || !(physical..=MOST).contains(&logical) {
            return None;
        }
        let threads = (logical / physical) as usize;
        let first = facts.processors.len();
        let ids = first..first + physical as usize * threads;
        // Levels may all be fast: the second of two may be called Performance.
        let name = text(&format!("{prefix}name"));
        let is_efficient = name.map_or(level > 0, |name| name == "Efficiency");
        if levels > 1 && !is_efficient {
            facts.performance.extend(ids.clone());
        }
        facts.processors.extend(ids.map(|id| {
            let start = id - (id - first) % threads;
            RawProcessor { id, core: (start..start + threads).collect(), speed: None }
        }));
        let cache = |level, bytes: &str, sharing: u64| {
            let instances = logical.div_ceil(sharing.max(1)) as usize;
            value(bytes).filter(|&bytes| bytes > 0).map(|bytes| Cache { level, bytes, instances })
        };
        facts.caches.extend(cache(1, "l1dcachesize", threads as u64));
        // Without levels, only the innermost are known to belong to one core.
        let sharing = value("cpusperl2").unwrap_or(threads as u64);
        facts.caches.extend(cache(2, "l2cachesize", sharing));
        facts.caches.extend(cache(3, "l3cachesize", logical));
    }
    facts.caches.sort();
    facts.online = facts.processors.len();
    Some(facts)
}
