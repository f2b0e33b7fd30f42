use super::super::windows::{Limits, facts};
use super::*;

const INTEL: &str = "Intel64 Family 6 Model 151 Stepping 2, GenuineIntel";
const AMD: &str = "AMD64 Family 26 Model 36 Stepping 0, AuthenticAMD";

/// The record of a core: class, group, and mask of its processors.
fn core(class: u8, group: u16, mask: u64) -> Vec<u8> {
    let two_threads = u8::from(mask.count_ones() > 1);
    let mut record = vec![two_threads, class];
    record.extend([0; 20]);
    record.extend(1u16.to_le_bytes());
    record.extend(affinity(group, mask));
    with_head(0, &record)
}

/// The record of a cache of that level, kind and size.
fn cache_record(level: u8, kind: u32, bytes: u32, group: u16, mask: u64) -> Vec<u8> {
    let mut record = vec![level, 8, 64, 0];
    record.extend(bytes.to_le_bytes());
    record.extend(kind.to_le_bytes());
    record.extend([0; 18]);
    record.extend(1u16.to_le_bytes());
    record.extend(affinity(group, mask));
    with_head(2, &record)
}

fn affinity(group: u16, mask: u64) -> Vec<u8> {
    let mask = usize::try_from(mask).unwrap().to_le_bytes();
    [&mask[..], &group.to_le_bytes(), &[0; 6]].concat()
}

fn with_head(kind: u32, record: &[u8]) -> Vec<u8> {
    let size = record.len() as u32 + 8;
    [&kind.to_le_bytes()[..], &size.to_le_bytes(), record].concat()
}

/// Core i7-12700K: 8 performance cores with two threads, 4 efficiency cores.
fn alder_lake() -> Vec<u8> {
    let fast = (0..8).flat_map(|i| core(1, 0, 0b11 << (2 * i)));
    let slow = (16..20).flat_map(|i| core(0, 0, 1 << i));
    let caches = [
        cache_record(3, 0, 25 << 20, 0, 0xfffff),
        cache_record(1, 1, 32 << 10, 0, 0b11),
        cache_record(1, 2, 48 << 10, 0, 0b11),
        cache_record(2, 0, 2 << 20, 0, 0xf0000),
    ];
    // A record of another kind, such as a package, is passed over.
    fast.chain(slow).chain(with_head(3, &[0; 40])).chain(caches.concat()).collect()
}

fn judge(records: &[u8], limits: &Limits) -> Topology {
    facts(records, limits).expect("facts").judge()
}

fn limits(vendor: &str) -> Limits {
    Limits { vendor: vendor.into(), ..Limits::default() }
}

#[test]
fn alder_lake_has_two_classes() {
    let topology = judge(&alder_lake(), &limits(INTEL));
    assert_eq!(summary(&topology), (8, 4, 8, 12));
    assert_eq!((topology.online, topology.processors.len()), (20, 20));
    let expected = [cache(1, 48 * KIB, 1), cache(2, 2 * MIB, 1), cache(3, 25 * MIB, 1)];
    assert_eq!(topology.caches, expected);
}

#[test]
fn the_process_may_be_bound_or_limited() {
    // start /affinity F000F: two performance cores and the efficiency cores.
    let bound = Limits { groups: vec![0], mask: 0xf000f, ..limits(INTEL) };
    let topology = judge(&alder_lake(), &bound);
    assert_eq!(summary(&topology), (2, 4, 2, 6));
    assert_eq!(topology.online, 20);
    // A container that may use a quarter of 20 processors.
    let limited = Limits { rate: Some(0.25), ..limits(INTEL) };
    assert_eq!(judge(&alder_lake(), &limited).threads(false), 5);
}

#[test]
fn lunar_lake_has_one_thread_on_every_core() {
    let records: Vec<u8> = (0..8).flat_map(|i| core(u8::from(i < 4), 0, 1 << i)).collect();
    assert_eq!(summary(&judge(&records, &limits(INTEL))), (4, 4, 4, 8));
}

#[test]
fn dense_cores_of_amd_count() {
    // Ryzen AI 9 HX 370: 4 + 8 cores, with two threads or one.
    for threads in [2, 1] {
        let mask = |i: u32| ((1u64 << threads) - 1) << (threads * i);
        let records: Vec<u8> = (0..12).flat_map(|i| core(u8::from(i < 4), 0, mask(i))).collect();
        assert_eq!(summary(&judge(&records, &limits(AMD))), (12, 0, 12, 12));
    }
}

#[test]
fn a_threadripper_has_two_groups() {
    // 64 cores of two threads: 64 processors in each group.
    let records: Vec<u8> = (0..64).flat_map(|i| core(0, i / 32, 0b11 << (2 * (i % 32)))).collect();
    let spread = Limits { groups: vec![0, 1], ..limits(AMD) };
    let topology = judge(&records, &spread);
    assert_eq!(summary(&topology), (64, 0, 64, 64));
    assert_eq!(topology.processors[127].id, 127);
    // Before Windows 11 a process has one group.
    let one = Limits { groups: vec![1], mask: u64::MAX, ..limits(AMD) };
    assert_eq!(summary(&judge(&records, &one)), (32, 0, 32, 32));
    assert_eq!(judge(&records, &one).processors[0].id, 64);
}

#[test]
fn senseless_records_end_the_list() {
    let records = alder_lake();
    assert!(facts(&[], &Limits::default()).is_none());
    assert!(facts(&records[..40], &Limits::default()).is_none());
    for len in 0..records.len() {
        // Whole records before the cut are kept.
        let found = facts(&records[..len], &Limits::default()).map_or(0, |f| f.processors.len());
        assert_eq!(found, (len / 48).min(8) * 2 + (len / 48).saturating_sub(8).min(4), "{len}");
    }
    let endless = [0u32.to_le_bytes(), 0u32.to_le_bytes()].concat().repeat(3);
    assert!(facts(&endless, &Limits::default()).is_none());
    let huge = [0u32.to_le_bytes(), u32::MAX.to_le_bytes()].concat();
    assert!(facts(&huge, &Limits::default()).is_none());
}
