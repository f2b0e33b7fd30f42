//! Calls to the operating system. What they return is parsed elsewhere.

#[cfg(target_vendor = "apple")]
pub(crate) mod apple;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(windows)]
pub(crate) mod windows;

#[cfg(target_os = "linux")]
pub(crate) use linux::bind;
#[cfg(windows)]
pub(crate) use windows::bind;

/// Lets a thread of the pool, or the calling one, run on these processors only.
#[cfg(not(any(target_os = "linux", windows)))]
pub(crate) fn bind(
    _thread: Option<&std::thread::JoinHandle<()>>,
    _processors: &[usize],
) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}
