//! What tests of operations share.

use backend::{Backend, Tensor};
use cpu::isa::Isa;
use cpu::{Cpu, CpuOptions};
use reference::Reference;

/// A small generator: xorshift64*.
pub struct Random(u64);

impl Random {
    /// From this seed.
    pub fn new(seed: u64) -> Self {
        // Which must not be 0.
        Self(seed | 1 << 63)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// Roughly normal values.
    pub fn values(&mut self, n: usize) -> Vec<f32> {
        let mut uniform = || (self.next() & 0xffff) as f32 / 32768.0 - 1.0;
        (0..n).map(|_| (uniform() + uniform() + uniform()) * 1.2).collect()
    }
}

/// Whether the processor is emulated, which takes tens of times as long: `scripts/test-aarch64` says so,
/// and the larger cases are left out.
pub fn is_emulated() -> bool {
    std::env::var_os("EMULATED").is_some()
}

/// All of a tensor.
pub fn download(b: &mut dyn Backend, t: Tensor) -> Vec<f32> {
    let mut out = vec![0.0; t.rows() * t.cols()];
    b.download(t, &mut out);
    out
}

/// Runs `case` on the judge and on all others. Results may differ by `relative` times the
/// greatest expected value of a vector of `group`, and by `absolute`; numbers of threads make no difference at all.
pub fn compare(
    name: &str,
    group: usize,
    [relative, absolute]: [f32; 2],
    case: impl Fn(&mut dyn Backend) -> Vec<f32>,
) {
    let expected = case(&mut Reference::new());
    assert!(!expected.is_empty());
    for isa in Isa::available() {
        let mut first: Option<Vec<f32>> = None;
        for threads in (1..=3).step_by(if is_emulated() { 2 } else { 1 }) {
            let options = CpuOptions { threads: Some(threads), isa: Some(isa), ..<_>::default() };
            let found = case(&mut Cpu::new(options));
            let bits = |v: &[f32]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            match &first {
                Some(first) => {
                    assert!(bits(first) == bits(&found), "{name}, {isa}: {threads} threads differ");
                }
                None => {
                    assert_eq!(found.len(), expected.len());
                    let groups = expected.chunks(group).zip(found.chunks(group)).enumerate();
                    for (i, (expected, found)) in groups {
                        let most = expected.iter().fold(0f32, |m, v| m.max(v.abs()));
                        for (e, f) in expected.iter().zip(found) {
                            let bound = relative * most + absolute;
                            assert!((e - f).abs() <= bound, "{name}, {isa}: {f} for {e} in {i}");
                        }
                    }
                    first = Some(found);
                }
            }
        }
    }
}
