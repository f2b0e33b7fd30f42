//! The systems that executables are made for.

/// Kind of an operating system, as far as executables differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// Linux, with everything inside the executable: it runs on any distribution.
    LinuxStatic,
    /// Linux with its C library, which loading drivers of graphics cards takes.
    LinuxGlibc,
    /// Windows.
    Windows,
    /// macOS.
    MacOs,
    /// FreeBSD.
    FreeBsd,
    /// NetBSD.
    NetBsd,
    /// OpenBSD.
    OpenBsd,
}

/// An executable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// llamafile.
    Engine,
    /// What takes it out of a portable file, where it is compressed with others.
    Unpacker,
}

impl Program {
    /// The name that cargo knows it by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Engine => "llamafile",
            Self::Unpacker => "llamafile-unpack",
        }
    }

    /// The package that it is in.
    pub fn package(self) -> &'static str {
        match self {
            Self::Engine => "llamafile",
            Self::Unpacker => "pack",
        }
    }
}

/// A system and processor to make executables for.
#[derive(Debug)]
pub struct Target {
    /// Our name: `linux-x86_64`.
    pub name: &'static str,
    /// Kind of the system.
    pub system: System,
    /// Rust's name.
    pub triple: &'static str,
    /// Zig's name, with the oldest version of the system or its C library that is served.
    pub zig: &'static str,
    /// Arguments for rustc.
    pub rustflags: &'static [&'static str],
}

/// Without ASLR of the executable itself, static executables start and run without relocation.
const STATIC: &[&str] =
    &["-Ctarget-feature=+crt-static", "-Crelocation-model=static", "-Clink-self-contained=no"];

/// Every target, the more used first.
pub const TARGETS: &[Target] = &[
    Target {
        name: "linux-x86_64",
        system: System::LinuxStatic,
        triple: "x86_64-unknown-linux-musl",
        zig: "x86_64-linux-musl",
        rustflags: STATIC,
    },
    Target {
        name: "linux-glibc-x86_64",
        system: System::LinuxGlibc,
        triple: "x86_64-unknown-linux-gnu",
        zig: "x86_64-linux-gnu.2.17",
        rustflags: &[],
    },
    Target {
        name: "linux-aarch64",
        system: System::LinuxStatic,
        triple: "aarch64-unknown-linux-musl",
        zig: "aarch64-linux-musl",
        rustflags: STATIC,
    },
    Target {
        name: "windows-x86_64",
        system: System::Windows,
        triple: "x86_64-pc-windows-gnullvm",
        zig: "x86_64-windows-gnu",
        rustflags: &[],
    },
    Target {
        name: "macos-aarch64",
        system: System::MacOs,
        triple: "aarch64-apple-darwin",
        zig: "aarch64-macos.11.0",
        rustflags: &[],
    },
    Target {
        name: "macos-x86_64",
        system: System::MacOs,
        triple: "x86_64-apple-darwin",
        zig: "x86_64-macos.11.0",
        // As elsewhere, not Apple's oldest: what is alike takes less room in one file, and kernels are
        // chosen at run time.
        rustflags: &["-Ctarget-cpu=x86-64"],
    },
    Target {
        name: "freebsd-x86_64",
        system: System::FreeBsd,
        triple: "x86_64-unknown-freebsd",
        zig: "x86_64-freebsd.14.0",
        rustflags: &[],
    },
    Target {
        name: "netbsd-x86_64",
        system: System::NetBsd,
        triple: "x86_64-unknown-netbsd",
        zig: "x86_64-netbsd.10.1",
        rustflags: &[],
    },
    Target {
        name: "openbsd-x86_64",
        system: System::OpenBsd,
        triple: "x86_64-unknown-openbsd",
        zig: "x86_64-openbsd.7.8",
        rustflags: &[],
    },
];

impl Target {
    /// The target of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|target| target.name == name)
    }

    /// What is made for it.
    pub fn programs(&self) -> &'static [Program] {
        match self.system {
            // Nothing is unpacked there, or the static executable is.
            System::Windows | System::LinuxGlibc => &[Program::Engine],
            _ => &[Program::Engine, Program::Unpacker],
        }
    }

    /// Name of the executable as it is handed out.
    pub fn file_name(&self, program: Program) -> String {
        let begin = match program {
            Program::Engine => "llamafile",
            Program::Unpacker => "unpack",
        };
        format!("{begin}-{}{}", self.name, self.extension())
    }

    /// What names of executables end with.
    pub fn extension(&self) -> &'static str {
        if self.system == System::Windows { ".exe" } else { "" }
    }

    /// Rust's name as parts of names of environment variables have it.
    pub fn variable(&self) -> String {
        self.triple.replace('-', "_")
    }
}
