//! Calls to Linux.

use std::io;
use std::os::unix::thread::JoinHandleExt;
use std::thread::JoinHandle;

/// Lets a thread of the pool, or the calling one, run on these processors only.
pub(crate) fn bind(thread: Option<&JoinHandle<()>>, processors: &[usize]) -> io::Result<()> {
    const BITS: usize = usize::BITS as usize;
    // The system's type is an array of unsigned long, which is as wide as usize.
    let words = processors.iter().max().map_or(0, |last| last / BITS + 1);
    let mut mask = vec![0usize; words];
    for processor in processors {
        mask[processor / BITS] |= 1 << (processor % BITS);
    }
    let thread = match thread {
        // The standard library has it as a number, and some C libraries as a pointer.
        Some(thread) => thread.as_pthread_t() as libc::pthread_t,
        // SAFETY: it has no conditions.
        None => unsafe { libc::pthread_self() },
    };
    let bytes = size_of_val(&mask[..]);
    // SAFETY: the thread is joined only when its handle, borrowed here, is consumed; the mask is
    // `bytes` long.
    match unsafe { libc::pthread_setaffinity_np(thread, bytes, mask.as_ptr().cast()) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}
