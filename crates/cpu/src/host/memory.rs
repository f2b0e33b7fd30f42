//! Main memory.

/// Main memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// What the machine has.
    pub total: u64,
    /// What programs can get without pushing others out, if the system tells; what is left of
    /// `limit` where that is less.
    pub available: Option<u64>,
    /// What a container or service may use, where that is limited.
    pub limit: Option<u64>,
}

impl Memory {
    /// That of this machine now; `None` where the system does not tell.
    pub fn of_machine() -> Option<Self> {
        #[cfg(target_os = "linux")]
        return from_files(&super::file);
        #[cfg(target_vendor = "apple")]
        return from_sysctl(&super::system::apple::number);
        #[cfg(windows)]
        return super::system::windows::memory().map(|(total, available)| Self {
            total,
            available: Some(available),
            limit: None,
        });
        #[cfg(not(any(target_os = "linux", target_vendor = "apple", windows)))]
        return None;
    }
}

/// From `/proc/meminfo` and the control groups.
#[cfg(any(target_os = "linux", test))]
fn from_files(text: super::Text<'_>) -> Option<Memory> {
    let meminfo = text("/proc/meminfo")?;
    let field = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 =
            line.trim_start_matches(':').trim().strip_suffix("kB")?.trim().parse().ok()?;
        kib.checked_mul(1024)
    };
    let (total, available) = (field("MemTotal")?, field("MemAvailable"));
    // Version 1 writes a huge number where there is no limit.
    let limit = super::cgroup::memory_limit(text).filter(|(limit, _)| *limit < total);
    let available = match (available, limit) {
        (Some(available), Some((_, left))) => Some(available.min(left)),
        (available, limit) => available.or(limit.map(|(_, left)| left)),
    };
    Some(Memory { total, available, limit: limit.map(|(limit, _)| limit) })
}

/// From the numbers of macOS, one of which is the part of memory that is available, in percent.
#[cfg(any(target_vendor = "apple", test))]
fn from_sysctl(number: &dyn Fn(&str) -> Option<u64>) -> Option<Memory> {
    let total = number("hw.memsize")?;
    let percent = number("kern.memorystatus_level").filter(|percent| *percent <= 100);
    Some(Memory { total, available: percent.map(|percent| total / 100 * percent), limit: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str = "MemTotal:       24689764 kB\nMemFree:         1048576 kB\n\
                           MemAvailable:   20971520 kB\n";

    #[test]
    fn linux_without_and_with_a_limit() {
        let free = from_files(&|path| (path == "/proc/meminfo").then(|| MEMINFO.into()));
        let total = 24_689_764 * 1024;
        let available = Some(20_971_520 * 1024);
        assert_eq!(free, Some(Memory { total, available, limit: None }));
        let text = |limit: &'static str| {
            move |path: &str| {
                let text = match path {
                    "/proc/meminfo" => MEMINFO,
                    "/proc/self/cgroup" => "4:memory:/docker/1\n",
                    "/sys/fs/cgroup/memory/memory.limit_in_bytes" => limit,
                    "/sys/fs/cgroup/memory/memory.usage_in_bytes" => "1073741824",
                    _ => return None,
                };
                Some(text.to_owned())
            }
        };
        let limited = from_files(&text("2147483648\n"));
        let limit = Some(2 << 30);
        assert_eq!(limited, Some(Memory { total, available: Some(1 << 30), limit }));
        assert_eq!(from_files(&text("9223372036854771712\n")), free);
        assert_eq!(from_files(&|_| None), None);
    }

    #[test]
    fn macos_tells_a_percentage() {
        let number = |name: &str| match name {
            "hw.memsize" => Some(17_179_869_184),
            "kern.memorystatus_level" => Some(50),
            _ => None,
        };
        let memory = from_sysctl(&number).unwrap();
        assert_eq!(memory.available, Some(17_179_869_184 / 100 * 50));
    }
}
