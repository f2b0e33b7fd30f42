//! The systems that a file can carry an engine for.

use std::fmt;

/// An operating system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Os {
    /// Linux, whatever its C library.
    Linux,
    /// macOS.
    Macos,
    /// Windows.
    Windows,
    /// FreeBSD.
    FreeBsd,
    /// NetBSD.
    NetBsd,
    /// OpenBSD.
    OpenBsd,
}

/// A family of processors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arch {
    /// 64-bit Intel and AMD.
    X86_64,
    /// 64-bit ARM.
    Aarch64,
}

/// A system and its processor: what an executable is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// Operating system.
    pub os: Os,
    /// Processor.
    pub arch: Arch,
}

impl Arch {
    /// The name, such as `x86_64`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }
}

impl Target {
    /// Every system, those most used first.
    pub const ALL: [Self; 10] = [
        Self::new(Os::Linux, Arch::X86_64),
        Self::new(Os::Linux, Arch::Aarch64),
        Self::new(Os::Macos, Arch::Aarch64),
        Self::new(Os::Macos, Arch::X86_64),
        Self::new(Os::Windows, Arch::X86_64),
        Self::new(Os::Windows, Arch::Aarch64),
        Self::new(Os::FreeBsd, Arch::X86_64),
        Self::new(Os::FreeBsd, Arch::Aarch64),
        Self::new(Os::NetBsd, Arch::X86_64),
        Self::new(Os::OpenBsd, Arch::X86_64),
    ];

    /// The Windows that a portable file is an executable for; Windows on ARM runs it, too.
    pub const WINDOWS: Self = Self::new(Os::Windows, Arch::X86_64);

    const fn new(os: Os, arch: Arch) -> Self {
        Self { os, arch }
    }

    /// The system that this program was built for, if it is one of [`Self::ALL`].
    pub fn host() -> Option<Self> {
        Self::from_name(&format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH))
    }

    /// The name, such as `linux-x86_64`.
    pub const fn name(self) -> &'static str {
        match (self.os, self.arch) {
            (Os::Linux, Arch::X86_64) => "linux-x86_64",
            (Os::Linux, Arch::Aarch64) => "linux-aarch64",
            (Os::Macos, Arch::X86_64) => "macos-x86_64",
            (Os::Macos, Arch::Aarch64) => "macos-aarch64",
            (Os::Windows, Arch::X86_64) => "windows-x86_64",
            (Os::Windows, Arch::Aarch64) => "windows-aarch64",
            (Os::FreeBsd, Arch::X86_64) => "freebsd-x86_64",
            (Os::FreeBsd, Arch::Aarch64) => "freebsd-aarch64",
            (Os::NetBsd, Arch::X86_64) => "netbsd-x86_64",
            (Os::NetBsd, Arch::Aarch64) => "netbsd-aarch64",
            (Os::OpenBsd, Arch::X86_64) => "openbsd-x86_64",
            (Os::OpenBsd, Arch::Aarch64) => "openbsd-aarch64",
        }
    }

    /// The target of that [name](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|target| target.name() == name)
    }

    /// What `uname -sm` prints there; empty for Windows.
    pub(crate) const fn uname(self) -> &'static [&'static str] {
        match (self.os, self.arch) {
            (Os::Linux, Arch::X86_64) => &["Linux x86_64"],
            (Os::Linux, Arch::Aarch64) => &["Linux aarch64", "Linux arm64"],
            (Os::Macos, Arch::X86_64) => &["Darwin x86_64"],
            (Os::Macos, Arch::Aarch64) => &["Darwin arm64"],
            (Os::Windows, _) => &[],
            (Os::FreeBsd, Arch::X86_64) => &["FreeBSD amd64"],
            (Os::FreeBsd, Arch::Aarch64) => &["FreeBSD arm64"],
            (Os::NetBsd, Arch::X86_64) => &["NetBSD amd64"],
            (Os::NetBsd, Arch::Aarch64) => &["NetBSD evbarm", "NetBSD aarch64"],
            (Os::OpenBsd, Arch::X86_64) => &["OpenBSD amd64"],
            (Os::OpenBsd, Arch::Aarch64) => &["OpenBSD arm64"],
        }
    }

    /// Names of its executable in a folder of engines, the preferred first.
    pub(crate) fn files(self) -> Vec<String> {
        let name = self.name();
        match self.os {
            Os::Windows => vec![format!("llamafile-{name}.exe")],
            // The static build runs on every Linux; the other needs a recent enough C library.
            Os::Linux => vec![
                format!("llamafile-{name}"),
                format!("llamafile-{}", name.replace("linux", "linux-glibc")),
            ],
            Os::Macos | Os::FreeBsd | Os::NetBsd | Os::OpenBsd => vec![format!("llamafile-{name}")],
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_read_back() {
        for target in Target::ALL {
            assert_eq!(Target::from_name(target.name()), Some(target));
        }
        assert_eq!(Target::from_name("linux-riscv64"), None);
    }
}
