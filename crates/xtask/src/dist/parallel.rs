//! Several builds at once: most of a release build is one thread's work, that of optimisation across
//! crates.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::error::Error;

/// At most so many at once, as each takes some gigabytes of memory.
const AT_ONCE: usize = 4;

/// Applies `work` to all items, on as many threads as there are cores, in the items' order. After an
/// error nothing more is begun; the first error is returned.
pub fn map<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R, Error> + Sync,
) -> Result<Vec<R>, Error> {
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get());
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..cores.min(AT_ONCE).min(items.len()) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { return };
                    let result = work(item);
                    if result.is_err() {
                        next.store(items.len(), Ordering::Relaxed);
                    }
                    results.lock().unwrap_or_else(|e| e.into_inner()).push((index, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(|e| e.into_inner());
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order() {
        let items: Vec<usize> = (0..50).collect();
        let doubled = map(&items, |item| Ok(2 * item)).unwrap();
        assert_eq!(doubled, items.iter().map(|item| 2 * item).collect::<Vec<_>>());
    }

    #[test]
    fn an_error_ends_it() {
        let begun = AtomicUsize::new(0);
        let result = map(&[(); 1000], |()| {
            begun.fetch_add(1, Ordering::Relaxed);
            Err::<(), _>(Error::Missing("it".to_owned()))
        });
        assert_eq!(result.unwrap_err().to_string(), "this machine lacks it");
        assert!(begun.into_inner() <= AT_ONCE);
    }
}
