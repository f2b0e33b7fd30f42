//! Calls to Windows.

use std::io;
use std::os::windows::io::AsRawHandle;
use std::ptr;
use std::thread::JoinHandle;

use windows_sys::Win32::System::JobObjects::{
    JOB_OBJECT_CPU_RATE_CONTROL_ENABLE, JOB_OBJECT_CPU_RATE_CONTROL_HARD_CAP,
    JOBOBJECT_CPU_RATE_CONTROL_INFORMATION, JobObjectCpuRateControlInformation,
    QueryInformationJobObject,
};
use windows_sys::Win32::System::SystemInformation::{
    GROUP_AFFINITY, GetLogicalProcessorInformationEx, GlobalMemoryStatusEx, MEMORYSTATUSEX,
    RelationAll,
};
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetCurrentThread, GetProcessAffinityMask, GetProcessGroupAffinity,
    SetThreadGroupAffinity,
};

/// Processors of a group.
const GROUP: usize = 64;

/// The records of `GetLogicalProcessorInformationEx`, one after the other.
pub(crate) fn processor_records() -> Option<Vec<u8>> {
    let mut len = 0;
    // SAFETY: without a buffer the call only tells the length.
    unsafe { GetLogicalProcessorInformationEx(RelationAll, ptr::null_mut(), &mut len) };
    // Eight bytes at a time, as records are aligned to them.
    let mut buffer = vec![0u64; len.div_ceil(8) as usize];
    // SAFETY: the buffer has at least `len` bytes, aligned as the records are.
    let done = unsafe {
        GetLogicalProcessorInformationEx(RelationAll, buffer.as_mut_ptr().cast(), &mut len)
    };
    let mut bytes: Vec<u8> = buffer.into_iter().flat_map(u64::to_ne_bytes).collect();
    bytes.truncate(len as usize);
    (done != 0).then_some(bytes)
}

/// The groups whose processors the process may use.
pub(crate) fn process_groups() -> Option<Vec<u16>> {
    let mut groups = vec![0u16; 64];
    let mut count = groups.len() as u16;
    // SAFETY: the pseudo handle is always valid, and `count` is the length of the array.
    let done =
        unsafe { GetProcessGroupAffinity(GetCurrentProcess(), &mut count, groups.as_mut_ptr()) };
    groups.truncate(count.into());
    (done != 0).then_some(groups)
}

/// The processors of its group that the process may use; 0 if it has several groups.
pub(crate) fn process_mask() -> Option<u64> {
    let (mut process, mut system) = (0usize, 0usize);
    // SAFETY: the pseudo handle is always valid, and both masks are written to.
    let done = unsafe { GetProcessAffinityMask(GetCurrentProcess(), &mut process, &mut system) };
    (done != 0).then_some(process as u64)
}

/// The part of all processors' time that the process's job may use, from 0 to 1.
pub(crate) fn cpu_rate() -> Option<f64> {
    let mut rate = JOBOBJECT_CPU_RATE_CONTROL_INFORMATION::default();
    // SAFETY: a null handle means the process's own job, and the length is that of the structure.
    let done = unsafe {
        QueryInformationJobObject(
            ptr::null_mut(),
            JobObjectCpuRateControlInformation,
            (&raw mut rate).cast(),
            size_of_val(&rate) as u32,
            ptr::null_mut(),
        )
    };
    let hard = JOB_OBJECT_CPU_RATE_CONTROL_ENABLE | JOB_OBJECT_CPU_RATE_CONTROL_HARD_CAP;
    if done == 0 || rate.ControlFlags & hard != hard {
        return None;
    }
    // SAFETY: with these flags the union holds the rate; any bits are a number.
    let hundredths_of_percent = unsafe { rate.Anonymous.CpuRate };
    Some(f64::from(hundredths_of_percent) / 10_000.0)
}

/// Bytes of memory: all, and those available.
pub(crate) fn memory() -> Option<(u64, u64)> {
    let mut status = MEMORYSTATUSEX::default();
    status.dwLength = size_of_val(&status) as u32;
    // SAFETY: the structure says how long it is.
    let done = unsafe { GlobalMemoryStatusEx(&mut status) };
    (done != 0).then_some((status.ullTotalPhys, status.ullAvailPhys))
}

/// Lets a thread of the pool, or the calling one, run on these processors only, which must be of
/// one group.
pub(crate) fn bind(thread: Option<&JoinHandle<()>>, processors: &[usize]) -> io::Result<()> {
    let group = processors.first().map_or(0, |first| first / GROUP);
    if processors.iter().any(|processor| processor / GROUP != group) {
        let text = format!("a thread can only run on processors of one group of {GROUP}");
        return Err(io::Error::new(io::ErrorKind::Unsupported, text));
    }
    let mut affinity = GROUP_AFFINITY { Group: group as u16, ..GROUP_AFFINITY::default() };
    affinity.Mask = processors.iter().fold(0, |mask, processor| mask | 1 << (processor % GROUP));
    let thread = match thread {
        Some(thread) => thread.as_raw_handle(),
        // SAFETY: it has no conditions.
        None => unsafe { GetCurrentThread() },
    };
    // SAFETY: the handle is that of a thread that has not been joined.
    match unsafe { SetThreadGroupAffinity(thread, &affinity, ptr::null_mut()) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
