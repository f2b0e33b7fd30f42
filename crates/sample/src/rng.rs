use std::hash::{BuildHasher, RandomState};

/// PCG32 (O'Neill 2014, XSH-RR 64/32): small, fast, and the same on every platform.
#[derive(Debug, Clone)]
pub(crate) struct Rng {
    state: u64,
    increment: u64,
}

const MULTIPLIER: u64 = 6_364_136_223_846_793_005;

impl Rng {
    pub(crate) fn new(seed: u32) -> Self {
        Self::with_stream(seed.into(), 54)
    }

    fn with_stream(seed: u64, stream: u64) -> Self {
        let mut rng = Self { state: 0, increment: (stream << 1) | 1 };
        rng.next_u32();
        rng.state = rng.state.wrapping_add(seed);
        rng.next_u32();
        rng
    }

    pub(crate) fn next_u32(&mut self) -> u32 {
        let old = self.state;
        self.state = old.wrapping_mul(MULTIPLIER).wrapping_add(self.increment);
        let xorshifted = (((old >> 18) ^ old) >> 27) as u32;
        xorshifted.rotate_right((old >> 59) as u32)
    }

    /// A number in [0, 1) with 53 random bits.
    pub(crate) fn uniform(&mut self) -> f64 {
        let bits = (u64::from(self.next_u32()) << 21) ^ u64::from(self.next_u32() >> 11);
        bits as f64 / (1u64 << 53) as f64
    }
}

/// A seed that differs from run to run.
pub(crate) fn fresh_seed() -> u32 {
    let nanos = std::time::UNIX_EPOCH.elapsed().map_or(0, |d| d.as_nanos());
    // RandomState carries the operating system's randomness.
    RandomState::new().hash_one(nanos) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_and_differs_by_seed() {
        let run = |seed| {
            let mut rng = Rng::new(seed);
            (0..8).map(|_| rng.next_u32()).collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }

    #[test]
    fn gives_the_published_numbers() {
        // First round of the reference demo `pcg32-demo`.
        let mut rng = Rng::with_stream(42, 54);
        for expected in [0xa15c_02b7, 0x7b47_f409, 0xba1d_3330, 0x83d2_f293, 0xbfa4_784b] {
            assert_eq!(rng.next_u32(), expected);
        }
    }

    #[test]
    fn uniform_is_uniform() {
        let mut rng = Rng::new(1);
        let n = 100_000;
        let mut buckets = [0u32; 10];
        for _ in 0..n {
            let x = rng.uniform();
            assert!((0.0..1.0).contains(&x));
            buckets[(x * 10.0) as usize] += 1;
        }
        // Five standard deviations of a binomial count.
        let sigma = (f64::from(n) * 0.1 * 0.9).sqrt();
        for count in buckets {
            assert!((f64::from(count) - f64::from(n) * 0.1).abs() < 5.0 * sigma, "{buckets:?}");
        }
    }
}
