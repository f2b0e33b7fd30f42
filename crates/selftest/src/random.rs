//! Random inputs, the same every time.

use backend::{TensorType, Weight};

/// A small generator (splitmix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (((self.bits() >> 32) * n as u64) >> 32) as usize
    }

    /// Values between `low` and `high`.
    pub fn range(&mut self, n: usize, low: f32, high: f32) -> Vec<f32> {
        let mut unit = || (self.bits() >> 40) as f32 / (1u64 << 24) as f32;
        (0..n).map(|_| low + (high - low) * unit()).collect()
    }

    /// Values between -2 and 2.
    pub fn values(&mut self, n: usize) -> Vec<f32> {
        self.range(n, -2.0, 2.0)
    }

    /// Values that are exact in 8 bits: each `block` is multiples of a power of two, with a greatest
    /// magnitude of 127 of them. Neighbouring blocks differ in it.
    pub fn exact(&mut self, n: usize, block: usize) -> Vec<f32> {
        let mut out = Vec::with_capacity(n);
        while out.len() < n {
            let len = block.min(n - out.len());
            let step = [0.0625, 0.03125, 0.015_625][self.below(3)];
            let start = out.len();
            out.extend((0..len).map(|_| (self.below(255) as f32 - 127.0) * step));
            let greatest = start + self.below(len);
            out[greatest] = if out[greatest] < 0.0 { -127.0 * step } else { 127.0 * step };
        }
        out
    }

    /// Matrices of random codes with scales that are neither tiny nor huge.
    pub fn weight(&mut self, ty: TensorType, [cols, rows, count]: [usize; 3]) -> Weight {
        let info = ty.info();
        let n = cols * rows * count;
        let (len, size) = (info.block_len, info.block_bytes);
        let mut bytes = vec![0; n / len * size];
        if let (1, Some(encode)) = (len, info.encode) {
            encode(&self.values(n), None, &mut bytes);
        } else if let Some(decode) = info.decode {
            let mut values = vec![0.0; len];
            for block in bytes.chunks_exact_mut(size) {
                loop {
                    block.chunks_mut(8).for_each(|bytes| {
                        bytes.copy_from_slice(&self.bits().to_le_bytes()[..bytes.len()]);
                    });
                    decode(block, &mut values);
                    let most = values.iter().fold(0f32, |most, v| most.max(v.abs()));
                    if (0.015_625..8.0).contains(&most) && values.iter().all(|v| v.is_finite()) {
                        break;
                    }
                }
            }
        }
        Weight::new("selftest", ty, [cols, rows, count], bytes.into())
            .expect("bytes of the right number")
    }
}
