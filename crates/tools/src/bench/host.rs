//! Facts about the machine.

/// What the processor calls itself, if the system tells.
pub(super) fn cpu_name() -> Option<String> {
    #[cfg(target_os = "linux")]
    return name_in_cpuinfo(&std::fs::read_to_string("/proc/cpuinfo").ok()?);
    #[cfg(target_os = "macos")]
    return command_output("sysctl", &["-n", "machdep.cpu.brand_string"]);
    #[cfg(target_os = "windows")]
    return std::env::var("PROCESSOR_IDENTIFIER").ok();
    #[cfg(not(any(target_os = "linux", target_os = "macos", target_os = "windows")))]
    return None;
}

#[cfg(target_os = "macos")]
fn command_output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = std::process::Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    Some(text).filter(|text| !text.is_empty())
}

/// The first processor's name in the text of `/proc/cpuinfo`; ARM systems have none.
#[cfg(target_os = "linux")]
fn name_in_cpuinfo(text: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_found_where_there_is_one() {
        let text = "processor\t: 0\nmodel\t\t: 17\nmodel name\t: AMD EPYC: 9\n\nprocessor\t: 1\n";
        assert_eq!(name_in_cpuinfo(text).as_deref(), Some("AMD EPYC: 9"));
        assert_eq!(name_in_cpuinfo("processor : 0\nCPU part : 0xd0c\n"), None);
    }
}
