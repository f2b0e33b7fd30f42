use super::super::apple::facts;
use super::*;

/// The judgement of the lines of `sysctl hw` in `text`.
fn judge(text: &str) -> Option<Topology> {
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(": "));
        line.map(str::to_owned)
    };
    facts(&|name| value(name)?.parse().ok(), &value).map(Facts::judge)
}

#[test]
fn an_m1_pro_has_two_levels() {
    let topology = judge(
        "hw.ncpu: 10
         hw.nperflevels: 2
         hw.perflevel0.physicalcpu: 8
         hw.perflevel0.logicalcpu: 8
         hw.perflevel0.l1icachesize: 196608
         hw.perflevel0.l1dcachesize: 131072
         hw.perflevel0.l2cachesize: 12582912
         hw.perflevel0.cpusperl2: 4
         hw.perflevel0.name: Performance
         hw.perflevel1.physicalcpu: 2
         hw.perflevel1.logicalcpu: 2
         hw.perflevel1.l1dcachesize: 65536
         hw.perflevel1.l2cachesize: 4194304
         hw.perflevel1.cpusperl2: 2
         hw.perflevel1.name: Efficiency",
    )
    .unwrap();
    assert_eq!(summary(&topology), (8, 2, 8, 10));
    let expected = [
        cache(1, 64 * KIB, 2),
        cache(1, 128 * KIB, 8),
        cache(2, 4 * MIB, 1),
        cache(2, 12 * MIB, 2),
    ];
    assert_eq!(topology.caches, expected);
}

#[test]
fn levels_without_names_and_levels_that_are_all_fast() {
    let levels = "hw.nperflevels: 2
                  hw.perflevel0.physicalcpu: 6
                  hw.perflevel0.logicalcpu: 6
                  hw.perflevel1.physicalcpu: 12
                  hw.perflevel1.logicalcpu: 12";
    assert_eq!(summary(&judge(levels).unwrap()), (6, 12, 6, 18));
    let named = format!("{levels}\nhw.perflevel0.name: Super\nhw.perflevel1.name: Performance");
    assert_eq!(summary(&judge(&named).unwrap()), (18, 0, 18, 18));
}

#[test]
fn an_intel_machine_has_two_threads_per_core_and_no_levels() {
    let topology = judge(
        "hw.ncpu: 12
         hw.physicalcpu: 6
         hw.logicalcpu: 12
         hw.l1dcachesize: 32768
         hw.l2cachesize: 262144
         hw.l3cachesize: 12582912",
    )
    .unwrap();
    assert_eq!(summary(&topology), (6, 0, 6, 6));
    assert_eq!(topology.processors.len(), 12);
    let expected = [cache(1, 32 * KIB, 6), cache(2, 256 * KIB, 6), cache(3, 12 * MIB, 1)];
    assert_eq!(topology.caches, expected);
}

#[test]
fn senseless_values_are_no_facts() {
    assert!(judge("").is_none());
    assert!(judge("hw.physicalcpu: 0\nhw.logicalcpu: 0").is_none());
    assert!(judge("hw.physicalcpu: 8\nhw.logicalcpu: 4").is_none());
    assert!(judge("hw.physicalcpu: 8\nhw.logicalcpu: 99999999999").is_none());
}
