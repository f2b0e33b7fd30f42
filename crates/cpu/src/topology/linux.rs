//! Reads the facts from `/proc` and `/sys`.

use std::fs::read_to_string;
use std::path::Path;

use super::facts::{
    Facts, Processor, parse_cgroup, parse_cpu_max, parse_list, parse_status, quota_of,
};

/// What this system tells of itself; `None` where `/proc` is not to be had.
pub(super) fn facts() -> Option<Facts> {
    let allowed = parse_status(&read_to_string("/proc/thread-self/status").ok()?)?;
    let performance = read_to_string("/sys/devices/cpu_core/cpus").ok();
    Some(Facts {
        processors: allowed.into_iter().map(processor).collect(),
        performance: performance.as_deref().and_then(parse_list).unwrap_or_default(),
        quota: quota(),
    })
}

fn processor(id: usize) -> Processor {
    let read = |file: &str| read_to_string(format!("/sys/devices/system/cpu/cpu{id}/{file}")).ok();
    let core = read("topology/thread_siblings_list").as_deref().and_then(parse_list);
    let speed = read("cpu_capacity").or_else(|| read("cpufreq/cpuinfo_max_freq"));
    Processor {
        id,
        core: core.unwrap_or_default(),
        speed: speed.and_then(|speed| speed.trim().parse().ok()),
    }
}

/// The tightest quota of the process's control groups and the groups around them.
fn quota() -> Option<f64> {
    let groups = read_to_string("/proc/self/cgroup").ok()?;
    let (v2, v1) = parse_cgroup(&groups);
    let v2 = v2.and_then(|group| {
        tightest(Path::new("/sys/fs/cgroup"), group, |dir| {
            parse_cpu_max(&read_to_string(dir.join("cpu.max")).ok()?)
        })
    });
    let v1 = v1.and_then(|group| {
        tightest(Path::new("/sys/fs/cgroup/cpu"), group, |dir| {
            let quota = read_to_string(dir.join("cpu.cfs_quota_us")).ok()?;
            quota_of(&quota, &read_to_string(dir.join("cpu.cfs_period_us")).ok()?)
        })
    });
    [v2, v1].into_iter().flatten().reduce(f64::min)
}

fn tightest(root: &Path, group: &str, quota: impl Fn(&Path) -> Option<f64>) -> Option<f64> {
    let inner = root.join(group.trim_start_matches('/'));
    let around = inner.ancestors().take_while(|dir| dir.starts_with(root));
    around.filter_map(quota).reduce(f64::min)
}
