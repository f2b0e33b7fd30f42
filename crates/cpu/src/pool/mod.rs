//! The thread pool: persistent threads that share the chunks of one parallel region at a time.

mod region;

use std::cell::Cell;
use std::io;
use std::marker::PhantomData;
use std::slice;
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::host::system;
use region::Shared;

/// Index of a thread of the pool, `0..threads()`; the caller is 0.
pub type Worker = usize;

/// A pool of threads, the calling one included.
///
/// A region's chunks are claimed one by one, neighbours mostly by the same thread. Threads spin for a
/// moment between regions, then sleep; a thread that sleeps does not delay a region that the others
/// finish before it wakes.
///
/// The pool is `Send` but not `Sync`: it has one caller at a time, and a task can't start a region.
pub struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    one_caller: PhantomData<Cell<()>>,
}

impl Pool {
    /// Starts `n_threads - 1` threads; 0 counts as 1. Where the system refuses more threads the
    /// pool is smaller.
    pub fn new(n_threads: usize) -> Self {
        let shared = Arc::new(Shared::new(n_threads.max(1)));
        let mut threads = Vec::new();
        for worker in 1..n_threads {
            let shared = shared.clone();
            let thread = std::thread::Builder::new()
                .name(format!("cpu-{worker}"))
                .spawn(move || shared.work(worker));
            match thread {
                Ok(thread) => threads.push(thread),
                Err(_) => break,
            }
        }
        Self { shared, threads, one_caller: PhantomData }
    }

    /// Number of threads, the caller included.
    pub fn threads(&self) -> usize {
        self.threads.len() + 1
    }

    /// Lets each thread run on the processors of its entry only; threads without one stay as they
    /// are. The first entry is for the calling thread, which stays bound when the pool ends.
    ///
    /// # Errors
    /// The system has no such processors, or does not let threads choose (macOS and the BSDs).
    pub fn bind(&self, processors: &[Vec<usize>]) -> io::Result<()> {
        let threads = std::iter::once(None).chain(self.threads.iter().map(Some));
        threads.zip(processors).try_for_each(|(thread, on)| system::bind(thread, on))
    }

    /// Runs `task(worker, chunk)` once for each chunk in `0..n_chunks`, in no particular order, and
    /// returns when all are done.
    ///
    /// A single chunk, or a single thread, runs inline.
    ///
    /// # Panics
    /// With the panic of a task, after all threads have left the region.
    pub fn for_each(&self, n_chunks: usize, task: impl Fn(Worker, usize) + Sync) {
        if n_chunks <= 1 || self.threads.is_empty() {
            (0..n_chunks).for_each(|chunk| task(0, chunk));
            return;
        }
        self.shared.run(n_chunks, &task, self.threads.iter().map(JoinHandle::thread));
    }

    /// Like [`Pool::for_each`], with a state of its own for each thread.
    ///
    /// # Panics
    /// Where there are fewer states than threads.
    pub fn for_each_with<S: Send>(
        &self,
        states: &mut [S],
        n_chunks: usize,
        task: impl Fn(&mut S, usize) + Sync,
    ) {
        assert!(states.len() >= self.threads(), "{} states", states.len());
        let states = SharedMut::new(states);
        self.for_each(n_chunks, |worker, chunk| {
            // SAFETY: a worker index is less than `threads()` and belongs to one thread, which
            // runs one task at a time.
            let state = unsafe { states.slice(worker, 1) };
            task(&mut state[0], chunk);
        });
    }

    /// Runs `task(index, piece)` for each piece of `chunk_len` elements of `data`, the last of
    /// which may be shorter.
    pub fn for_each_mut<T: Send>(
        &self,
        data: &mut [T],
        chunk_len: usize,
        task: impl Fn(usize, &mut [T]) + Sync,
    ) {
        let (len, n_chunks) = (data.len(), data.len().div_ceil(chunk_len));
        let data = SharedMut::new(data);
        self.for_each(n_chunks, |_, chunk| {
            let start = chunk * chunk_len;
            // SAFETY: each chunk is run once, and chunks don't overlap.
            let piece = unsafe { data.slice(start, chunk_len.min(len - start)) };
            task(chunk, piece);
        });
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop(self.threads.iter().map(JoinHandle::thread));
        for thread in self.threads.drain(..) {
            // Panics of tasks were given to the caller of their region.
            let _ = thread.join();
        }
    }
}

/// A mutable slice whose parts are written by several threads.
#[derive(Clone, Copy)]
pub struct SharedMut<'a, T> {
    data: *mut T,
    len: usize,
    borrow: PhantomData<&'a mut [T]>,
}

// SAFETY: it only hands out parts, and `slice` asks the caller that they don't overlap, so each
// element is used by one thread at a time.
unsafe impl<T: Send> Send for SharedMut<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for SharedMut<'_, T> {}

impl<'a, T> SharedMut<'a, T> {
    /// Borrows the slice.
    pub fn new(data: &'a mut [T]) -> Self {
        Self { data: data.as_mut_ptr(), len: data.len(), borrow: PhantomData }
    }

    /// The part of `len` elements from `start`.
    ///
    /// # Safety
    /// No two parts that live at the same time overlap.
    ///
    /// # Panics
    /// Where the part is not within the slice.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn slice(&self, start: usize, len: usize) -> &'a mut [T] {
        assert!(start <= self.len && len <= self.len - start, "{start} + {len} of {}", self.len);
        // SAFETY: within the borrowed slice; the caller keeps parts apart.
        unsafe { slice::from_raw_parts_mut(self.data.add(start), len) }
    }
}

#[cfg(test)]
mod tests;
