//! What the machine can do at most, measured: reading memory, and arithmetic in registers. Kernels
//! are judged by how near they come.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::host::Memory;
use crate::isa::Isa;
use crate::pool::Pool;
use crate::topology::Topology;

/// How long each of the limits is measured.
const BUDGET: Duration = Duration::from_millis(80);
/// Values of a chunk of memory, half a megabyte; long runs suit the processors' prefetching.
const CHUNK: usize = 64 * 1024;
/// Rounds of a chunk of arithmetic: tens of microseconds.
const ROUNDS: usize = 4096;

/// The limits of a machine with a number of threads. It takes about a third of a second to measure
/// them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Bytes of memory read, in GB/s (10⁹ bytes); `None` where there was no memory for the test.
    pub bandwidth: Option<f64>,
    /// 8-bit integer multiplications and additions in GOPS (10⁹ per second), with the best
    /// instructions of the level.
    pub int8: Option<f64>,
    /// 32-bit float multiplications and additions in GFLOPS.
    pub f32: Option<f64>,
}

impl Limits {
    /// Measures what the threads of `pool` can do with the instructions of `isa`.
    ///
    /// # Panics
    /// Where the processor lacks the level.
    pub fn measure(pool: &Pool, isa: Isa) -> Self {
        Self {
            bandwidth: bandwidth(pool, stream_bytes(Topology::of_process(), Memory::of_machine())),
            int8: int8_peak(pool, isa),
            f32: f32_peak(pool, isa),
        }
    }
}

/// Bytes that are more than the caches of the processors hold together, within bounds and a quarter
/// of the memory available.
fn stream_bytes(topology: &Topology, memory: Option<Memory>) -> usize {
    let sizes =
        topology.caches.iter().map(|cache| cache.bytes.saturating_mul(cache.instances as u64));
    let outer = sizes.max().unwrap_or(0).saturating_mul(4);
    let available = memory.and_then(|memory| memory.available).unwrap_or(u64::MAX);
    outer.clamp(128 << 20, 1 << 30).min(available / 4) as usize
}

/// GB/s of reading `bytes` of memory again and again; `None` where they are not to be had.
pub fn bandwidth(pool: &Pool, bytes: usize) -> Option<f64> {
    let len = (bytes / 8).max(1).next_multiple_of(CHUNK);
    Vec::<u64>::new().try_reserve_exact(len).ok()?;
    let mut data = vec![0u64; len];
    // Pages are there only once they have been written, near the thread that did.
    pool.for_each_mut(&mut data, CHUNK, |chunk, data| data.fill(chunk as u64));
    let mut sums = vec![0u64; pool.threads()];
    // Which of them is faster differs by processor.
    let ways: [fn(&[u64]) -> u64; 2] = [read_streams, read_followed];
    let nanoseconds = ways.map(|read| {
        best_time(|| {
            pool.for_each_with(&mut sums, len / CHUNK, |sum, chunk| {
                *sum ^= read(&data[chunk * CHUNK..][..CHUNK]);
            });
        })
    });
    black_box(sums);
    Some((len * 8) as f64 / nanoseconds[0].min(nanoseconds[1]))
}

/// Values of a cache line.
const LINE: usize = 8;

/// Reads all values of a chunk, in four streams: those were never slower than one, and at best 1.6
/// times as fast.
fn read_streams(data: &[u64]) -> u64 {
    let (front, back) = data.split_at(data.len() / 2);
    let (a, b) = front.split_at(front.len() / 2);
    let (c, d) = back.split_at(back.len() / 2);
    let mut sums = [0; LINE];
    let [a, b, c, d] = [a, b, c, d].map(|stream| stream.as_chunks::<LINE>().0);
    for (((a, b), c), d) in a.iter().zip(b).zip(c).zip(d) {
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum ^= a[i] ^ b[i] ^ c[i] ^ d[i];
        }
    }
    sums.into_iter().fold(0, |all, sum| all ^ sum)
}

/// GOPS of 8-bit products and their sums; `None` for portable code.
///
/// # Panics
/// Where the processor lacks the level.
pub fn int8_peak(pool: &Pool, isa: Isa) -> Option<f64> {
    #[cfg(target_arch = "x86_64")]
    return peak(pool, isa, x86::int8(isa)?);
    #[cfg(target_arch = "aarch64")]
    return peak(pool, isa, aarch64::int8(isa)?);
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    None
}

/// GFLOPS of 32-bit float products and their sums; `None` for portable code.
///
/// # Panics
/// Where the processor lacks the level.
pub fn f32_peak(pool: &Pool, isa: Isa) -> Option<f64> {
    #[cfg(target_arch = "x86_64")]
    return peak(pool, isa, x86::f32(isa)?);
    #[cfg(target_arch = "aarch64")]
    return peak(pool, isa, aarch64::f32(isa)?);
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    None
}

/// A loop over registers.
struct Loop {
    /// Runs a number of rounds; the processor must have the level's instructions.
    run: unsafe fn(usize),
    /// Operations of one round.
    operations: usize,
}

fn peak(pool: &Pool, isa: Isa, Loop { run, operations }: Loop) -> Option<f64> {
    assert!(isa.is_available(), "the processor lacks {isa}");
    // Several chunks, so that a thread that is late does not count.
    let chunks = 4 * pool.threads();
    let nanoseconds = best_time(|| {
        // SAFETY: the processor has the level.
        pool.for_each(chunks, |_, _| unsafe { run(ROUNDS) });
    });
    Some((chunks * ROUNDS * operations) as f64 / nanoseconds)
}

/// Nanoseconds of a call: the best within the budget.
fn best_time(mut call: impl FnMut()) -> f64 {
    let (start, mut best) = (Instant::now(), Duration::MAX);
    while start.elapsed() < BUDGET || best == Duration::MAX {
        let run = Instant::now();
        call();
        best = best.min(run.elapsed());
    }
    best.as_nanos().max(1) as f64
}

/// Reads all values of a chunk as kernels read weights: in one stream that the processor is helped to
/// follow.
fn read_followed(data: &[u64]) -> u64 {
    let mut sums = [0; LINE];
    for line in data.as_chunks::<LINE>().0 {
        #[cfg(target_arch = "x86_64")]
        crate::simd::x86::follow(line.as_ptr().cast(), size_of_val(line));
        for (sum, value) in sums.iter_mut().zip(line) {
            *sum ^= value;
        }
    }
    sums.into_iter().fold(0, |all, sum| all ^ sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::Cache;

    #[test]
    fn every_level_but_portable_code_has_a_peak() {
        let pool = Pool::new(2);
        for isa in Isa::available() {
            let (int8, f32) = (int8_peak(&pool, isa), f32_peak(&pool, isa));
            assert_eq!((int8.is_none(), f32.is_none()), (isa == Isa::Scalar, isa == Isa::Scalar));
            assert!(int8.is_none_or(|gops| gops > 1e-3) && f32.is_none_or(|gflops| gflops > 1e-3));
        }
    }

    #[test]
    fn every_value_is_read() {
        let data: Vec<u64> = (0..1024).map(|i| i * i + 1).collect();
        let expected = data.iter().fold(0, |sum, value| sum ^ value);
        assert_eq!([read_streams(&data), read_followed(&data)], [expected; 2]);
    }

    #[test]
    fn memory_is_read_at_some_rate() {
        let gb_per_s = bandwidth(&Pool::new(2), 8 << 20).unwrap();
        // Between a very busy machine and any cache.
        assert!((0.01..10_000.0).contains(&gb_per_s), "{gb_per_s}");
        assert_eq!(bandwidth(&Pool::new(1), usize::MAX), None);
    }

    #[test]
    fn streams_are_larger_than_all_caches_within_memory() {
        let mut topology = Topology::of_process().clone();
        topology.caches = vec![Cache { level: 3, bytes: 64 << 20, instances: 2 }];
        assert_eq!(stream_bytes(&topology, None), 512 << 20);
        let available = Some(256 << 20);
        let memory = Some(Memory { total: 1 << 30, available, limit: None });
        assert_eq!(stream_bytes(&topology, memory), 64 << 20);
        topology.caches.clear();
        assert_eq!(stream_bytes(&topology, None), 128 << 20);
    }
}
