use std::collections::HashMap;

use super::super::linux::{facts, parse_list};
use super::*;

const INTEL: &str = "processor\t: 0\nvendor_id\t: GenuineIntel\n";
const AMD: &str = "processor\t: 0\nvendor_id\t: AuthenticAMD\n";
const ARM: &str = "processor\t: 0\nBogoMIPS\t: 38.40\nCPU implementer\t: 0x41\n";

/// Files that Linux shows.
#[derive(Default)]
struct Files(HashMap<String, String>);

impl Files {
    /// A machine whose process may use the processors in `allowed`.
    fn new(cpuinfo: &str, online: &str, allowed: &str) -> Self {
        let mut files = Self::default();
        files.add("/proc/cpuinfo", cpuinfo);
        files.add("/sys/devices/system/cpu/online", online);
        files.add(
            "/proc/thread-self/status",
            &format!("Name:\tx\nCpus_allowed:\tff\nCpus_allowed_list:\t{allowed}\nSeccomp:\t0\n"),
        );
        files
    }

    fn add(&mut self, path: &str, text: &str) {
        self.0.insert(path.to_owned(), format!("{text}\n"));
    }

    /// Files below those of one processor.
    fn processor(&mut self, id: usize, siblings: &str, files: &[(&str, &str)]) {
        let base = format!("/sys/devices/system/cpu/cpu{id}");
        self.add(&format!("{base}/topology/thread_siblings_list"), siblings);
        for (path, text) in files {
            self.add(&format!("{base}/{path}"), text);
        }
    }

    /// A cache of one processor.
    fn cache(&mut self, id: usize, index: usize, level: u8, kind: &str, size: &str, shared: &str) {
        let base = format!("/sys/devices/system/cpu/cpu{id}/cache/index{index}");
        for (name, text) in [
            ("level", &*level.to_string()),
            ("type", kind),
            ("size", size),
            ("shared_cpu_list", shared),
        ] {
            self.add(&format!("{base}/{name}"), text);
        }
    }

    fn judge(&self) -> Topology {
        facts(&|path| self.0.get(path).cloned()).expect("facts").judge()
    }
}

fn max_freq(text: &str) -> [(&str, &str); 1] {
    [("cpufreq/cpuinfo_max_freq", text)]
}

/// Core i7-12700K: 8 performance cores with two threads (0-15), 4 efficiency cores (16-19).
fn alder_lake(allowed: &str) -> Files {
    let mut files = Files::new(INTEL, "0-19", allowed);
    files.add("/sys/devices/cpu_core/cpus", "0-15");
    files.add("/sys/devices/cpu_atom/cpus", "16-19");
    for id in 0..16 {
        let first = id / 2 * 2;
        let siblings = format!("{first}-{}", first + 1);
        files.processor(id, &siblings, &max_freq(if id < 8 { "4900000" } else { "5000000" }));
        files.cache(id, 0, 1, "Data", "48K", &siblings);
        files.cache(id, 1, 1, "Instruction", "32K", &siblings);
        files.cache(id, 2, 2, "Unified", "1280K", &siblings);
        files.cache(id, 3, 3, "Unified", "25600K", "0-19");
    }
    for id in 16..20 {
        files.processor(id, &id.to_string(), &max_freq("3800000"));
        files.cache(id, 0, 1, "Data", "32K", &id.to_string());
        files.cache(id, 1, 1, "Instruction", "64K", &id.to_string());
        files.cache(id, 2, 2, "Unified", "2048K", "16-19");
        files.cache(id, 3, 3, "Unified", "25600K", "0-19");
    }
    files
}

#[test]
fn alder_lake_with_two_threads_on_performance_cores() {
    let topology = alder_lake("0-19").judge();
    assert_eq!(summary(&topology), (8, 4, 8, 12));
    assert_eq!(topology.online, 20);
    let expected = [
        cache(1, 32 * KIB, 4),
        cache(1, 48 * KIB, 8),
        cache(2, 1280 * KIB, 8),
        cache(2, 2 * MIB, 1),
        cache(3, 25 * MIB, 1),
    ];
    assert_eq!(topology.caches, expected);
}

#[test]
fn affinity_of_a_hybrid_machine() {
    // taskset -c 0-3,16-17: two cores of each kind.
    let topology = alder_lake("0-3,16-17").judge();
    assert_eq!(summary(&topology), (2, 2, 2, 4));
    assert_eq!((topology.online, topology.processors.len()), (20, 6));
    // Bound to efficiency cores alone, these count.
    assert_eq!(summary(&alder_lake("16-19").judge()), (4, 0, 4, 4));
}

#[test]
fn lunar_lake_without_second_threads() {
    // Core Ultra 7 258V: 4 performance cores, 4 low-power efficiency cores.
    let mut files = Files::new(INTEL, "0-7", "0-7");
    files.add("/sys/devices/cpu_core/cpus", "0-3");
    files.add("/sys/devices/cpu_atom/cpus", "4-7");
    for id in 0..8 {
        let freq = if id < 4 { "4800000" } else { "3700000" };
        files.processor(id, &id.to_string(), &max_freq(freq));
    }
    assert_eq!(summary(&files.judge()), (4, 4, 4, 8));
}

#[test]
fn a_ryzen_of_two_dies_uses_both() {
    // Ryzen 9 7950X: 16 cores; second threads are numbers 16 to 31. Favoured cores are faster.
    let machine = |allowed| {
        let mut files = Files::new(AMD, "0-31", allowed);
        for id in 0..32 {
            let core = id % 16;
            let siblings = format!("{core},{}", core + 16);
            files.processor(id, &siblings, &max_freq(if core < 8 { "5881000" } else { "5481000" }));
            let die = if core < 8 { "0-7,16-23" } else { "8-15,24-31" };
            files.cache(id, 0, 1, "Data", "32K", &siblings);
            files.cache(id, 1, 3, "Unified", "32768K", die);
        }
        files.judge()
    };
    let topology = machine("0-31");
    assert_eq!(summary(&topology), (16, 0, 16, 16));
    assert_eq!(topology.caches, [cache(1, 32 * KIB, 16), cache(3, 32 * MIB, 2)]);
    // taskset -c 0,1,16: two cores.
    assert_eq!(machine("0,1,16").threads(false), 2);
}

#[test]
fn dense_cores_of_amd_are_no_efficiency_cores() {
    // Ryzen AI 9 HX 370: 4 Zen 5 cores, and 8 Zen 5c of two thirds of their clock.
    for threads in [2, 1] {
        let mut files = Files::new(AMD, "0-23", if threads == 2 { "0-23" } else { "0-11" });
        for id in 0..12 * threads {
            let core = id % 12;
            let siblings =
                if threads == 2 { format!("{core},{}", core + 12) } else { core.to_string() };
            files.processor(id, &siblings, &max_freq(if core < 4 { "5157895" } else { "3309600" }));
        }
        assert_eq!(summary(&files.judge()), (12, 0, 12, 12), "{threads} threads a core");
    }
}

#[test]
fn graviton_has_equal_cores_of_one_thread() {
    // c7g.4xlarge in a container that tells no frequencies.
    let mut files = Files::new(ARM, "0-15", "0-15");
    for id in 0..16 {
        files.processor(id, &id.to_string(), &[("cpu_capacity", "1024")]);
        files.cache(id, 0, 1, "Data", "64K", &id.to_string());
        files.cache(id, 1, 2, "Unified", "1024K", &id.to_string());
        files.cache(id, 2, 3, "Unified", "32768K", "0-15");
    }
    let topology = files.judge();
    assert_eq!(summary(&topology), (16, 0, 16, 16));
    let expected = [cache(1, 64 * KIB, 16), cache(2, MIB, 16), cache(3, 32 * MIB, 1)];
    assert_eq!(topology.caches, expected);
}

#[test]
fn little_cores_by_capacity() {
    // Snapdragon 8 Gen 2: 3 little, 2 + 2 middle, 1 big; middle cores take part.
    let capacities = ["325", "325", "325", "844", "844", "818", "818", "1024"];
    let mut files = Files::new(ARM, "0-7", "0-7");
    for (id, capacity) in capacities.into_iter().enumerate() {
        files.processor(id, &id.to_string(), &[("cpu_capacity", capacity)]);
    }
    assert_eq!(summary(&files.judge()), (5, 3, 5, 8));
    // Tensor G1: 4 little, 2 middle of six tenths, 2 big.
    let capacities = ["160", "160", "160", "160", "620", "620", "1024", "1024"];
    let mut files = Files::new(ARM, "0-7", "0-7");
    for (id, capacity) in capacities.into_iter().enumerate() {
        files.processor(id, &id.to_string(), &[("cpu_capacity", capacity)]);
    }
    assert_eq!(summary(&files.judge()), (4, 4, 4, 8));
}

#[test]
fn little_cores_by_clock_where_capacity_is_not_told() {
    let machine = |little, big| {
        let mut files = Files::new(ARM, "0-7", "0-7");
        for id in 0..8 {
            files.processor(id, &id.to_string(), &max_freq(if id < 4 { little } else { big }));
        }
        summary(&files.judge())
    };
    assert_eq!(machine("1800000", "3000000"), (4, 4, 4, 8));
    // Snapdragon X Elite: some cores boost further.
    assert_eq!(machine("3417600", "4012800"), (8, 0, 8, 8));
}

#[test]
fn a_quota_limits_threads_and_rounds_up() {
    let limited = |cpu_max| {
        let mut files = alder_lake("0-19");
        files.add("/proc/self/cgroup", "0::/");
        files.add("/sys/fs/cgroup/cpu.max", cpu_max);
        let topology = files.judge();
        (topology.quota, topology.threads(false), topology.threads(true))
    };
    assert_eq!(limited("max 100000"), (None, 8, 12));
    assert_eq!(limited("250000 100000"), (Some(2.5), 3, 3));
    assert_eq!(limited("50000 100000"), (Some(0.5), 1, 1));
    assert_eq!(limited("1000000 100000"), (Some(10.0), 8, 10));
}

#[test]
fn a_virtual_machine_that_tells_little() {
    let topology = Files::new("", "0-1", "0-1").judge();
    assert_eq!(summary(&topology), (2, 0, 2, 2));
    assert_eq!(topology.caches, []);
    assert!(facts(&|_| None).is_none());
    let status = |path: &str| path.ends_with("status").then(|| "Cpus_allowed_list:\t\n".to_owned());
    assert!(facts(&status).is_none());
}

#[test]
fn lists_of_processors() {
    assert_eq!(parse_list("0-3,8,10-11\n"), Some(vec![0, 1, 2, 3, 8, 10, 11]));
    assert_eq!(parse_list("\n"), Some(vec![]));
    assert_eq!(parse_list("0-x"), None);
    assert_eq!(parse_list("0-99999999999"), None);
}
