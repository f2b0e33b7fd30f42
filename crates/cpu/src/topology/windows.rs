//! What Windows tells: records of `GetLogicalProcessorInformationEx`, as the documentation of
//! `SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX` lays them out, and the limits of the process.

use super::facts::{Facts, RawProcessor, count_caches};

/// Processors of a group; processor `n` of group `g` has the number `64 g + n`.
const GROUP: usize = 64;

/// Kinds of records.
const CORE: u32 = 0;
const CACHE: u32 = 2;

/// Kind of a cache that holds only instructions.
const INSTRUCTIONS: u32 = 1;

/// What Windows tells of a process beside the records.
#[derive(Debug, Clone, Default)]
pub(super) struct Limits {
    /// The groups that the process may use; empty for all.
    pub(super) groups: Vec<u16>,
    /// The processors that it may use where it has one group; 0 for all.
    pub(super) mask: u64,
    /// The part of all processors' time that its job may use.
    pub(super) rate: Option<f64>,
    /// Name of the processor's maker.
    pub(super) vendor: String,
}

#[cfg(windows)]
pub(super) fn of_process() -> Option<Facts> {
    use crate::host::system::windows;
    let limits = Limits {
        groups: windows::process_groups().unwrap_or_default(),
        mask: windows::process_mask().unwrap_or(0),
        rate: windows::cpu_rate(),
        vendor: std::env::var("PROCESSOR_IDENTIFIER").unwrap_or_default(),
    };
    facts(&windows::processor_records()?, &limits)
}

/// A physical core.
struct Core {
    /// Higher is faster.
    class: u8,
    processors: Vec<usize>,
}

/// The facts in the records; `None` where they name no core that the process may use.
pub(super) fn facts(records: &[u8], limits: &Limits) -> Option<Facts> {
    let (mut cores, mut caches) = (Vec::new(), Vec::new());
    let mut rest = records;
    while let (Some(kind), Some(size)) = (u32_at(rest, 0), u32_at(rest, 4)) {
        // Records end where they say; a size below their head would go on for ever.
        let Some((record, next)) = rest.split_at_checked(size.max(8) as usize) else { break };
        match kind {
            CORE => cores.extend(core(record)),
            CACHE => caches.extend(cache(record)),
            _ => {}
        }
        rest = next;
    }
    let online = cores.iter().map(|core| core.processors.len()).sum();
    let allowed = |id: &usize| {
        let (group, bit) = (id / GROUP, id % GROUP);
        match limits.groups[..] {
            [] => true,
            [only] => {
                group == usize::from(only) && (limits.mask == 0 || limits.mask >> bit & 1 == 1)
            }
            ref several => several.iter().any(|&g| group == usize::from(g)),
        }
    };
    let processors: Vec<RawProcessor> = cores
        .iter()
        .flat_map(|core| core.processors.iter().map(move |&id| (core, id)))
        .filter(|(_, id)| allowed(id))
        .map(|(core, id)| RawProcessor { id, core: core.processors.clone(), speed: None })
        .collect();
    if processors.is_empty() {
        return None;
    }
    caches.retain(|(_, _, ids): &(u8, u64, Vec<usize>)| ids.iter().any(allowed));
    Some(Facts {
        processors,
        performance: performance(&cores, &limits.vendor),
        online,
        quota: limits.rate.map(|rate| rate * online as f64),
        caches: count_caches(caches),
    })
}

/// The processors of performance cores, where there are others: those of the highest class, and any
/// core of two threads, as efficiency cores have one. AMD's dense cores (Zen 4c, 5c) have a lower
/// class, but are slower in clock only.
fn performance(cores: &[Core], vendor: &str) -> Vec<usize> {
    if vendor.contains("AuthenticAMD") {
        return Vec::new();
    }
    let highest = cores.iter().map(|core| core.class).max();
    let fast = cores.iter().filter(|c| Some(c.class) == highest || c.processors.len() > 1);
    fast.flat_map(|core| core.processors.clone()).collect()
}

/// `PROCESSOR_RELATIONSHIP`: flags, class, 20 reserved bytes, number of groups, group masks.
fn core(record: &[u8]) -> Option<Core> {
    Some(Core { class: *record.get(9)?, processors: processors(record, 30, 32)? })
}

/// `CACHE_RELATIONSHIP`: level, associativity, line size, bytes, kind, 18 reserved bytes, number of
/// groups, group masks.
fn cache(record: &[u8]) -> Option<(u8, u64, Vec<usize>)> {
    let (level, bytes, kind) = (*record.get(8)?, u32_at(record, 12)?, u32_at(record, 16)?);
    // Older systems leave the number of groups 0: there is one.
    let processors = processors(record, 38, 40)?;
    (kind != INSTRUCTIONS).then_some((level, bytes.into(), processors))
}

/// The processors in the `GROUP_AFFINITY` structures from `at` on, whose number is at `count_at`: a
/// mask as wide as an address, a group number, and padding.
fn processors(record: &[u8], count_at: usize, at: usize) -> Option<Vec<usize>> {
    const WORD: usize = size_of::<usize>();
    let count = record.get(count_at..count_at + 2)?;
    let count = u16::from_le_bytes([count[0], count[1]]).max(1);
    let mut ids = Vec::new();
    for affinity in record.get(at..)?.chunks_exact(WORD + 8).take(count.into()) {
        let group = usize::from(u16::from_le_bytes([affinity[WORD], affinity[WORD + 1]]));
        let bits = (0..8 * WORD).filter(|bit| affinity[bit / 8] >> (bit % 8) & 1 == 1);
        ids.extend(bits.map(|bit| group * GROUP + bit));
    }
    Some(ids)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}
