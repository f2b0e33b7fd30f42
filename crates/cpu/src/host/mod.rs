//! Facts about the machine: its names and its memory.

#[cfg(any(target_os = "linux", test))]
pub(crate) mod cgroup;
mod memory;
pub(crate) mod system;

pub use memory::Memory;

/// A text by its path or name, as the system has it or as a test recorded it.
#[cfg(any(target_os = "linux", test))]
pub(crate) type Text<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The text of a file.
#[cfg(target_os = "linux")]
pub(crate) fn file(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// What the processor, or a board without such a name, calls itself.
pub fn cpu_name() -> Option<String> {
    #[cfg(target_arch = "x86_64")]
    let name = brand(|leaf| {
        let words = std::arch::x86_64::__cpuid(leaf);
        [words.eax, words.ebx, words.ecx, words.edx]
    });
    #[cfg(all(target_vendor = "apple", not(target_arch = "x86_64")))]
    let name = system::apple::text("machdep.cpu.brand_string");
    #[cfg(all(target_os = "linux", not(target_arch = "x86_64")))]
    let name = file("/proc/device-tree/model");
    #[cfg(all(windows, not(target_arch = "x86_64")))]
    let name = std::env::var("PROCESSOR_IDENTIFIER").ok();
    #[cfg(not(any(
        target_arch = "x86_64",
        target_vendor = "apple",
        target_os = "linux",
        windows
    )))]
    let name: Option<String> = None;
    name.map(|name| name.trim_matches(['\0', ' ', '\n']).to_owned()).filter(|name| !name.is_empty())
}

/// The version of the operating system or its kernel.
pub fn os_version() -> Option<String> {
    #[cfg(target_os = "linux")]
    let version = file("/proc/sys/kernel/osrelease");
    #[cfg(target_vendor = "apple")]
    let version = system::apple::text("kern.osproductversion");
    #[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
    let version: Option<String> = None;
    version.map(|version| version.trim().to_owned())
}

/// The processor's name from the leaves of CPUID (AMD64 Architecture Programmer's Manual, volume 3,
/// appendix E.4.2).
#[cfg(target_arch = "x86_64")]
fn brand(leaf: impl Fn(u32) -> [u32; 4]) -> Option<String> {
    const FIRST: u32 = 0x8000_0002;
    const LAST: u32 = 0x8000_0004;
    if leaf(0x8000_0000)[0] < LAST {
        return None;
    }
    let bytes: Vec<u8> = (FIRST..=LAST).flat_map(leaf).flat_map(u32::to_le_bytes).collect();
    String::from_utf8(bytes).ok()
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_spread_over_three_leaves() {
        let text = b"AMD Ryzen 9 7950X 16-Core Processor            \0";
        let words: Vec<u32> =
            text.chunks(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        let leaf = |leaf: u32| match leaf {
            0x8000_0000 => [0x8000_0028, 0, 0, 0],
            leaf => {
                let at = (leaf - 0x8000_0002) as usize * 4;
                [words[at], words[at + 1], words[at + 2], words[at + 3]]
            }
        };
        let name = brand(leaf).unwrap();
        assert_eq!(name.trim_matches(['\0', ' ']), "AMD Ryzen 9 7950X 16-Core Processor");
        assert_eq!(brand(|_| [0x8000_0001, 0, 0, 0]), None);
    }
}
