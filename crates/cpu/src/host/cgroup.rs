//! Linux's control groups, which limit what a container or service may use.

use super::Text;

/// Version of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V1,
    V2,
}

/// The folders of the process's groups that a controller such as `cpu` may limit, and of the groups
/// around them. Some may not exist: a container sees its own group as the root.
pub(crate) fn folders(text: Text<'_>, controller: &str) -> Vec<(Version, String)> {
    let mut folders = Vec::new();
    for line in text("/proc/self/cgroup").unwrap_or_default().lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(names), Some(group)) = (fields.next(), fields.next()) else { continue };
        if names.is_empty() {
            around(&mut folders, Version::V2, "/sys/fs/cgroup", group);
        } else if names.split(',').any(|name| name == controller) {
            around(&mut folders, Version::V1, &format!("/sys/fs/cgroup/{controller}"), group);
        }
    }
    folders
}

/// Adds `root/group` and each folder around it up to `root`.
fn around(folders: &mut Vec<(Version, String)>, version: Version, root: &str, group: &str) {
    let mut group = group.trim_matches('/');
    while !group.is_empty() {
        folders.push((version, format!("{root}/{group}")));
        group = group.rsplit_once('/').map_or("", |(outer, _)| outer);
    }
    folders.push((version, root.to_owned()));
}

/// Processors' worth of time that the process may use: the tightest quota.
pub(crate) fn cpu_quota(text: Text<'_>) -> Option<f64> {
    let quotas = folders(text, "cpu").into_iter().filter_map(|(version, folder)| match version {
        Version::V2 => {
            let limit = text(&format!("{folder}/cpu.max"))?;
            let (quota, period) = limit.trim().split_once(' ')?;
            ratio(quota, period)
        }
        Version::V1 => {
            let quota = text(&format!("{folder}/cpu.cfs_quota_us"))?;
            ratio(&quota, &text(&format!("{folder}/cpu.cfs_period_us"))?)
        }
    });
    quotas.reduce(f64::min)
}

/// The ratio of a quota and its period; `None` without limit (`max` or -1).
fn ratio(quota: &str, period: &str) -> Option<f64> {
    let quota: f64 = quota.trim().parse().ok()?;
    let period: f64 = period.trim().parse().ok()?;
    (quota > 0.0 && period > 0.0).then_some(quota / period)
}

/// Bytes of memory that the process's groups may use, and how many of them are left, in the
/// tightest group. Files that are only cached count as left.
pub(crate) fn memory_limit(text: Text<'_>) -> Option<(u64, u64)> {
    let limits = folders(text, "memory").into_iter().filter_map(|(version, folder)| {
        let (limit, used, cached) = match version {
            Version::V2 => ("memory.max", "memory.current", ["inactive_file ", "active_file "]),
            Version::V1 => (
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
                ["total_inactive_file ", "total_active_file "],
            ),
        };
        let number = |text: &str| text.trim().parse::<u64>().ok();
        let limit = number(&text(&format!("{folder}/{limit}"))?)?;
        let used = number(&text(&format!("{folder}/{used}"))?)?;
        let stat = text(&format!("{folder}/memory.stat")).unwrap_or_default();
        let cached = cached.iter().filter_map(|name| {
            stat.lines().find_map(|line| line.strip_prefix(name)).and_then(number)
        });
        let used = used.saturating_sub(cached.sum());
        Some((limit, limit.saturating_sub(used)))
    });
    limits.min_by_key(|(_, left)| *left)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files by path, with their text.
    fn files(files: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        move |path| files.iter().find(|(name, _)| *name == path).map(|(_, text)| text.to_string())
    }

    #[test]
    fn folders_of_both_versions_from_inner_to_outer() {
        let text = files(&[("/proc/self/cgroup", "12:cpuset:/b\n4:cpu,cpuacct:/x/y\n0::/z\n")]);
        let folders = folders(&text, "cpu");
        let expected = [
            (Version::V1, "/sys/fs/cgroup/cpu/x/y"),
            (Version::V1, "/sys/fs/cgroup/cpu/x"),
            (Version::V1, "/sys/fs/cgroup/cpu"),
            (Version::V2, "/sys/fs/cgroup/z"),
            (Version::V2, "/sys/fs/cgroup"),
        ];
        assert_eq!(folders, expected.map(|(version, folder)| (version, folder.to_owned())));
    }

    #[test]
    fn the_tightest_quota_counts() {
        // A systemd slice of two and a half processors around a service without limit.
        let text = files(&[
            ("/proc/self/cgroup", "0::/a.slice/b.service\n"),
            ("/sys/fs/cgroup/a.slice/b.service/cpu.max", "max 100000\n"),
            ("/sys/fs/cgroup/a.slice/cpu.max", "250000 100000\n"),
        ]);
        assert_eq!(cpu_quota(&text), Some(2.5));
        // Docker with version 1 and without a namespace: the group's path is not to be seen.
        let text = files(&[
            ("/proc/self/cgroup", "4:cpu,cpuacct:/docker/0123\n"),
            ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n"),
            ("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
        ]);
        assert_eq!(cpu_quota(&text), Some(0.5));
        let text = files(&[
            ("/proc/self/cgroup", "1:cpu:/\n"),
            ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"),
            ("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
        ]);
        assert_eq!(cpu_quota(&text), None);
        assert_eq!(cpu_quota(&|_| None), None);
    }

    #[test]
    fn cached_files_are_left_of_a_memory_limit() {
        let text = files(&[
            ("/proc/self/cgroup", "0::/\n"),
            ("/sys/fs/cgroup/memory.max", "4294967296\n"),
            ("/sys/fs/cgroup/memory.current", "3000000000\n"),
            (
                "/sys/fs/cgroup/memory.stat",
                "anon 1\ninactive_file 1500000000\nactive_file 500000000\n",
            ),
        ]);
        assert_eq!(memory_limit(&text), Some((4_294_967_296, 3_294_967_296)));
        let text = files(&[
            ("/proc/self/cgroup", "0::/\n"),
            ("/sys/fs/cgroup/memory.max", "max\n"),
            ("/sys/fs/cgroup/memory.current", "3000000000\n"),
        ]);
        assert_eq!(memory_limit(&text), None);
    }
}
