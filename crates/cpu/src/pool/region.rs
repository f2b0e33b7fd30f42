//! One parallel region: how threads enter it, share its chunks and leave it.
//!
//! `state` holds the region's number, whether it is open, and how many threads are inside. Opening
//! adds one to the number; a thread enters by adding one to the count and is inside if the region
//! was open at that moment. The caller closes the region when no chunks are left and waits until
//! nobody is inside: threads that come late find it closed and touch nothing.
//!
//! Each worker has a share of consecutive chunks and takes them in order, so that it reads memory as
//! one long stream; with nothing left it takes the last chunk of the longest share. On two threads
//! that read weights, one counter for all made 36 GB/s of what shares read at 50.

use std::any::Any;
use std::cell::UnsafeCell;
use std::hint::spin_loop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// How long an idle thread spins before it sleeps: longer than the serial work between the regions
/// of a token.
const SPIN: Duration = Duration::from_micros(50);

const INSIDE: u64 = 1;
const INSIDE_MASK: u64 = 0xffff;
const OPEN: u64 = 1 << 16;
const NUMBER: u64 = 1 << 17;

/// Alone on its cache line (two lines, as processors prefetch them in pairs).
#[derive(Default)]
#[repr(align(128))]
struct Line<T>(T);

/// A worker's chunks that are not yet taken: the first in the low half, the end in the high half.
#[derive(Default)]
struct Share(AtomicU64);

impl Share {
    fn set(&self, start: usize, end: usize) {
        self.0.store((end as u64) << 32 | start as u64, Relaxed);
    }

    fn len(&self) -> usize {
        let (start, end) = Self::parts(self.0.load(Relaxed));
        end.saturating_sub(start)
    }

    fn take_first(&self) -> Option<usize> {
        self.take(|start, _| start, 1)
    }

    fn take_last(&self) -> Option<usize> {
        self.take(|_, end| end - 1, (1u64 << 32).wrapping_neg())
    }

    /// Takes the chunk `which(start, end)`, after which `step` has been added to the parts.
    fn take(&self, which: impl Fn(usize, usize) -> usize, step: u64) -> Option<usize> {
        let taken = self.0.fetch_update(Relaxed, Relaxed, |parts| {
            let (start, end) = Self::parts(parts);
            (start < end).then(|| parts.wrapping_add(step))
        });
        let (start, end) = Self::parts(taken.ok()?);
        Some(which(start, end))
    }

    fn parts(parts: u64) -> (usize, usize) {
        ((parts & u64::from(u32::MAX)) as usize, (parts >> 32) as usize)
    }
}

type Panic = Box<dyn Any + Send>;

/// What the threads of a pool share.
pub(super) struct Shared {
    state: Line<AtomicU64>,
    /// By worker.
    shares: Box<[Line<Share>]>,
    sleepers: Line<AtomicUsize>,
    stop: Line<AtomicBool>,
    job: UnsafeCell<Option<Job>>,
    panic: Mutex<Option<Panic>>,
}

/// A borrowed task without its lifetime.
#[derive(Clone, Copy)]
struct Job {
    task: *const (),
    call: unsafe fn(*const (), usize, usize),
}

// SAFETY: `job` is written only by the pool's one caller while the region is closed and nobody is
// inside, and read only from inside; the task behind it is `Sync`.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// For up to `n_workers` threads, the caller included.
    pub(super) fn new(n_workers: usize) -> Self {
        Self {
            state: Line::default(),
            shares: (0..n_workers).map(|_| Line::default()).collect(),
            sleepers: Line::default(),
            stop: Line::default(),
            job: UnsafeCell::new(None),
            panic: Mutex::new(None),
        }
    }

    /// Runs a region as worker 0. One caller at a time.
    ///
    /// # Panics
    /// With more than `u32::MAX` chunks.
    pub(super) fn run<'a, F: Fn(usize, usize) + Sync>(
        &self,
        n_chunks: usize,
        task: &F,
        threads: impl Iterator<Item = &'a Thread>,
    ) {
        unsafe fn call<F: Fn(usize, usize)>(task: *const (), worker: usize, chunk: usize) {
            // SAFETY: made from `&F` in `run`, which outlives the region.
            unsafe { (*task.cast::<F>())(worker, chunk) }
        }
        assert!(u32::try_from(n_chunks).is_ok(), "{n_chunks} chunks");
        let job = Job { task: (&raw const *task).cast(), call: call::<F> };
        // SAFETY: the region is closed and empty, see the type.
        unsafe { *self.job.get() = Some(job) };
        let n_workers = self.shares.len();
        for (worker, share) in self.shares.iter().enumerate() {
            share.0.set(worker * n_chunks / n_workers, (worker + 1) * n_chunks / n_workers);
        }
        self.state.0.fetch_add(NUMBER | OPEN, SeqCst);
        if self.sleepers.0.load(SeqCst) > 0 {
            threads.for_each(Thread::unpark);
        }
        self.work_off(job, 0);
        self.state.0.fetch_and(!OPEN, SeqCst);
        let mut spins = 0u32;
        while self.state.0.load(Acquire) & INSIDE_MASK != 0 {
            spins += 1;
            // A thread inside may have lost its processor to somebody else.
            if spins < 20_000 { spin_loop() } else { thread::yield_now() }
        }
        let panic = self.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// The life of worker `worker`.
    pub(super) fn work(&self, worker: usize) {
        let mut last = 0;
        while self.await_region(last) {
            let state = self.state.0.fetch_add(INSIDE, SeqCst);
            last = state / NUMBER;
            if state & OPEN != 0 {
                // SAFETY: inside an open region the job is set and stays until we leave.
                if let Some(job) = unsafe { *self.job.get() } {
                    self.work_off(job, worker);
                }
            }
            self.state.0.fetch_sub(INSIDE, Release);
        }
    }

    /// Ends the life of all workers.
    pub(super) fn stop<'a>(&self, threads: impl Iterator<Item = &'a Thread>) {
        self.stop.0.store(true, SeqCst);
        threads.for_each(Thread::unpark);
    }

    fn work_off(&self, job: Job, worker: usize) {
        let result = catch_unwind(AssertUnwindSafe(|| {
            while let Some(chunk) = self.next(worker) {
                // SAFETY: the task lives until the region has been closed and left by all.
                unsafe { (job.call)(job.task, worker, chunk) };
            }
        }));
        if let Err(panic) = result {
            self.shares.iter().for_each(|share| share.0.set(0, 0));
            self.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
        }
    }

    /// The next chunk for a worker: of its own share, or of the one with most left.
    fn next(&self, worker: usize) -> Option<usize> {
        if let Some(chunk) = self.shares[worker].0.take_first() {
            return Some(chunk);
        }
        loop {
            let longest = self.shares.iter().max_by_key(|share| share.0.len())?;
            if longest.0.len() == 0 {
                return None;
            }
            // Somebody else may just have taken the last one.
            if let Some(chunk) = longest.0.take_last() {
                return Some(chunk);
            }
        }
    }

    /// Waits for a region with another number than `last`; false when the pool ends.
    fn await_region(&self, last: u64) -> bool {
        let ends = || self.stop.0.load(SeqCst);
        let is_new = || ends() || self.state.0.load(SeqCst) / NUMBER != last;
        let mut spins = 0u32;
        let mut start = None;
        while !is_new() {
            spins += 1;
            if !spins.is_multiple_of(64) {
                spin_loop();
            } else if start.get_or_insert_with(Instant::now).elapsed() > SPIN {
                self.sleepers.0.fetch_add(1, SeqCst);
                while !is_new() {
                    thread::park();
                }
                self.sleepers.0.fetch_sub(1, SeqCst);
            }
        }
        !ends()
    }
}
