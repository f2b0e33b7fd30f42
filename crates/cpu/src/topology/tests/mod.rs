//! Machines as their systems describe them, and what follows.

mod apple;
mod linux;
mod placement;
mod windows;

use super::*;

/// Physical performance cores, physical efficiency cores, and the threads to start without and with
/// the latter.
fn summary(topology: &Topology) -> (usize, usize, usize, usize) {
    (
        topology.cores(CoreKind::Performance),
        topology.cores(CoreKind::Efficiency),
        topology.threads(false),
        topology.threads(true),
    )
}

fn cache(level: u8, bytes: u64, instances: usize) -> Cache {
    Cache { level, bytes, instances }
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

#[test]
fn this_machine_has_a_processor() {
    let topology = Topology::of_process();
    assert!(!topology.processors.is_empty() && topology.online >= topology.processors.len());
    assert!(topology.threads(false) >= 1 && default_threads() <= topology.threads(true));
    assert!(topology.cores(CoreKind::Performance) >= 1);
}

#[test]
fn a_system_that_tells_little_has_equal_cores() {
    let topology = Facts::without_details().judge();
    let n = topology.processors.len();
    assert_eq!(summary(&topology), (n, 0, n, n));
}
