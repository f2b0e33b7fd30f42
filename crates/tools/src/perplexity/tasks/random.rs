//! The random choice of tasks, which is that of llama.cpp, so that results can be compared: the
//! generator MT19937 with the seed 1.

const N: usize = 624;
const M: usize = 397;

/// MT19937 of Matsumoto and Nishimura.
pub(super) struct Random {
    state: [u32; N],
    next: usize,
}

impl Random {
    pub(super) fn new(seed: u32) -> Self {
        let mut state = [seed; N];
        for i in 1..N {
            let before = state[i - 1];
            state[i] = 1_812_433_253_u32.wrapping_mul(before ^ before >> 30).wrapping_add(i as u32);
        }
        Self { state, next: N }
    }

    pub(super) fn bits(&mut self) -> u32 {
        if self.next == N {
            self.renew();
        }
        let mut bits = self.state[self.next];
        self.next += 1;
        bits ^= bits >> 11;
        bits ^= bits << 7 & 0x9d2c_5680;
        bits ^= bits << 15 & 0xefc6_0000;
        bits ^ bits >> 18
    }

    fn renew(&mut self) {
        for i in 0..N {
            let joined = self.state[i] & 1 << 31 | self.state[(i + 1) % N] & !(1 << 31);
            let odd = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[i] = self.state[(i + M) % N] ^ joined >> 1 ^ odd;
        }
        self.next = 0;
    }

    /// A number below `n`, by Lemire's method.
    pub(super) fn below(&mut self, n: u32) -> u32 {
        let mut product = u64::from(self.bits()) * u64::from(n);
        if (product as u32) < n {
            let threshold = n.wrapping_neg() % n;
            while (product as u32) < threshold {
                product = u64::from(self.bits()) * u64::from(n);
            }
        }
        (product >> 32) as u32
    }

    /// A number below `n` by a product of floats, as llama.cpp chooses some tasks.
    pub(super) fn below_by_float(&mut self, n: usize) -> usize {
        let share = self.bits() as f32 / 4_294_967_296.0;
        ((share * n as f32) as usize).min(n - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_sequence() {
        let mut random = Random::new(1);
        assert_eq!([random.bits(), random.bits()], [1_791_095_845, 4_282_876_139]);
        // The C++ standard gives the 10000th number of the default seed.
        let mut random = Random::new(5489);
        let last = (0..10_000).map(|_| random.bits()).last();
        assert_eq!(last, Some(4_123_659_995));
        let mut random = Random::new(1);
        assert!((0..1000).all(|_| random.below(7) < 7 && random.below_by_float(3) < 3));
    }
}
