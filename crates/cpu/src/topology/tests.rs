use super::facts::*;

/// `n` processors from `first`, `threads` per core, numbered core by core.
fn cores(first: usize, n: usize, threads: usize, speed: Option<u64>) -> Vec<Processor> {
    (first..first + n)
        .map(|id| {
            let start = first + (id - first) / threads * threads;
            Processor { id, core: (start..start + threads).collect(), speed }
        })
        .collect()
}

#[test]
fn hybrid_with_named_performance_cores() {
    // Core i7-12700K: 8 performance cores with two threads, 4 efficiency cores.
    let processors = [cores(0, 16, 2, Some(5_000_000)), cores(16, 4, 1, Some(3_800_000))].concat();
    let performance = parse_list("0-15\n").unwrap();
    let facts = Facts { processors: processors.clone(), performance, quota: None };
    assert_eq!(facts.threads(), 8);
    // Bound to the efficiency cores alone, all of these count.
    let facts = Facts { processors: processors[16..].to_vec(), ..facts };
    assert_eq!(facts.threads(), 4);
}

#[test]
fn second_threads_of_cores_do_not_count() {
    // Ryzen 9 7950X: 16 cores; the second threads are numbers 16 to 31, and favoured cores are
    // a little faster.
    let mut facts = Facts::default();
    for id in 0..32 {
        let speed = Some(if id % 16 < 8 { 5_881_000 } else { 5_481_000 });
        facts.processors.push(Processor { id, core: vec![id % 16, id % 16 + 16], speed });
    }
    assert_eq!(facts.threads(), 16);
    // taskset -c 0,1,16: two cores.
    facts.processors.retain(|p| [0, 1, 16].contains(&p.id));
    assert_eq!(facts.threads(), 2);
}

#[test]
fn slow_cores_by_capacity() {
    // Snapdragon 8 Gen 2: four little, four big of two kinds less than a fifth apart, one prime.
    let processors =
        [cores(0, 3, 1, Some(325)), cores(3, 4, 1, Some(844)), cores(7, 1, 1, Some(1024))].concat();
    assert_eq!(Facts { processors, ..Facts::default() }.threads(), 5);
}

#[test]
fn a_quota_limits_and_rounds_up() {
    let facts = |text| Facts {
        processors: cores(0, 64, 2, None),
        performance: Vec::new(),
        quota: parse_cpu_max(text),
    };
    assert_eq!(facts("max 100000\n").threads(), 32);
    assert_eq!(facts("250000 100000\n").threads(), 3);
    assert_eq!(facts("50000 100000\n").threads(), 1);
    assert_eq!(quota_of("-1\n", "100000\n"), None);
    assert_eq!(quota_of("400000\n", "100000\n"), Some(4.0));
}

#[test]
fn a_virtual_machine_that_tells_little() {
    let status = "Name:\tx\nCpus_allowed:\t3\nCpus_allowed_list:\t0-1\nMems_allowed_list:\t0\n";
    let ids = parse_status(status).unwrap();
    let processors = ids.into_iter().map(|id| Processor { id, core: vec![], speed: None });
    assert_eq!(Facts { processors: processors.collect(), ..Facts::default() }.threads(), 2);
    assert_eq!(Facts::default().threads(), 1);
}

#[test]
fn lists_of_processors() {
    assert_eq!(parse_list("0-3,8,10-11\n"), Some(vec![0, 1, 2, 3, 8, 10, 11]));
    assert_eq!(parse_list("\n"), Some(vec![]));
    assert_eq!(parse_list("0-x"), None);
    assert_eq!(parse_list("0-99999999999"), None);
}

#[test]
fn control_groups_of_both_versions() {
    assert_eq!(parse_cgroup("0::/user.slice/a\n"), (Some("/user.slice/a"), None));
    let both = "12:cpuset:/b\n4:cpu,cpuacct:/docker/x\n0::/\n";
    assert_eq!(parse_cgroup(both), (Some("/"), Some("/docker/x")));
}
