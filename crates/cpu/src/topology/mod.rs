//! How many threads are worth starting.

/// A number of threads for compute-bound work: the physical performance cores that the process may
/// use, within its quota of processor time.
pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get())
}
