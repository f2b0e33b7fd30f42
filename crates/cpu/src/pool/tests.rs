use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::*;

#[test]
fn every_chunk_runs_once_for_any_number_of_threads() {
    for threads in [0, 1, 2, 3, 7] {
        let pool = Pool::new(threads);
        assert_eq!(pool.threads(), threads.max(1));
        for n_chunks in [0, 1, 2, 3, 100, 1000] {
            let counts: Vec<AtomicUsize> = (0..n_chunks).map(|_| AtomicUsize::new(0)).collect();
            pool.for_each(n_chunks, |worker, chunk| {
                assert!(worker < pool_size(threads));
                counts[chunk].fetch_add(1, Relaxed);
            });
            assert!(counts.iter().all(|count| count.load(Relaxed) == 1));
        }
    }
}

fn pool_size(threads: usize) -> usize {
    threads.max(1)
}

#[test]
fn regions_follow_each_other_with_and_without_sleep() {
    let pool = Pool::new(3);
    let mut data = vec![0usize; 64];
    for round in 0..2000 {
        if round % 500 == 0 {
            std::thread::sleep(Duration::from_millis(2));
        }
        pool.for_each_mut(&mut data, 5, |_, piece| piece.iter_mut().for_each(|x| *x += 1));
        assert!(data.iter().all(|&x| x == round + 1));
    }
}

#[test]
fn states_belong_to_one_thread() {
    let pool = Pool::new(4);
    let mut sums = vec![0u64; 4];
    pool.for_each_with(&mut sums, 1000, |sum, chunk| *sum += chunk as u64);
    assert_eq!(sums.iter().sum::<u64>(), 999 * 1000 / 2);
}

#[test]
fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
    let pool = Pool::new(3);
    for bad in [0, 57, 99] {
        let result = catch_unwind(AssertUnwindSafe(|| {
            pool.for_each(100, |_, chunk| assert!(chunk != bad, "chunk {bad}"));
        }));
        assert!(result.is_err());
        let count = AtomicUsize::new(0);
        pool.for_each(10, |_, _| {
            count.fetch_add(1, Relaxed);
        });
        assert_eq!(count.into_inner(), 10);
    }
}

#[test]
fn the_last_piece_may_be_short() {
    let pool = Pool::new(2);
    let mut data = vec![0usize; 10];
    pool.for_each_mut(&mut data, 4, |index, piece| piece.fill(index + piece.len() * 10));
    assert_eq!(data, [40, 40, 40, 40, 41, 41, 41, 41, 22, 22]);
}

#[test]
#[cfg(target_os = "linux")]
fn threads_run_where_they_are_bound() {
    let allowed = || {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        line.unwrap().trim().to_owned()
    };
    // In a thread of its own, which stays bound.
    let run = move || {
        let last = crate::topology::Topology::of_process().processors.last().unwrap().id;
        let pool = Pool::new(3);
        pool.bind(&vec![vec![last]; 3]).unwrap();
        let mut found = vec![String::new(); 3];
        // Chunks that wait for each other need a thread each.
        let barrier = std::sync::Barrier::new(3);
        pool.for_each_with(&mut found, 3, |found, _| {
            barrier.wait();
            *found = allowed();
        });
        assert_eq!(found, vec![last.to_string(); 3]);
        assert!(pool.bind(&[vec![1 << 15]]).is_err());
    };
    std::thread::spawn(run).join().unwrap();
}

/// A thread that comes late to the last region must still see that the pool ends.
#[test]
fn pools_end_at_any_moment() {
    for round in 0..3000 {
        let pool = Pool::new(4);
        for _ in 0..round % 3 {
            pool.for_each(4, |_, _| {});
        }
    }
}

/// Prints the cost of a region; a bound here would depend on the machine's other load.
#[test]
#[ignore = "a measurement"]
fn cost_of_a_region() {
    let pool = Pool::new(2);
    let start = Instant::now();
    for _ in 0..100_000 {
        pool.for_each(2, |_, _| {});
    }
    println!("{:?} per region", start.elapsed() / 100_000);
}
