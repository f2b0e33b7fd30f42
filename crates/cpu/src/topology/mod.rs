//! How many threads are worth starting.

#[cfg(any(target_os = "linux", test))]
mod facts;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(test)]
mod tests;

/// A number of threads for compute-bound work: the physical performance cores that the process may
/// use, within its quota of processor time. Two threads on one core, or a slow core among fast
/// ones, cost more in waiting than they add.
///
/// Outside Linux it is what the system says the process can run at once.
pub fn default_threads() -> usize {
    #[cfg(target_os = "linux")]
    if let Some(facts) = linux::facts() {
        return facts.threads();
    }
    std::thread::available_parallelism().map_or(1, |n| n.get())
}
