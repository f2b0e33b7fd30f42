//! Random weights, encoded.

use std::io::{self, Write};

use quant::{Encode, TensorType};

/// Values of a run of blocks; every type's blocks divide it.
const RUN: usize = 256;
/// Different runs.
const RUNS: usize = 4096;

/// A stock of encoded runs of normally distributed values.
///
/// Tensors are drawn from it run by run. Encoding each value of a large model takes the slower
/// encoders many minutes, and speeds do not depend on values; drawing is as fast as the disk.
pub(super) struct Blocks {
    bytes: Vec<u8>,
    run_bytes: usize,
}

impl Blocks {
    /// Encodes values of this standard deviation. `None` where the type has no encoder.
    pub(super) fn new(ty: TensorType, deviation: f32, random: &mut Random) -> Option<Self> {
        let encode: Encode = ty.info().encode?;
        let run_bytes = ty.row_bytes(RUN)?;
        let values: Vec<f32> = (0..RUNS * RUN).map(|_| deviation * random.normal()).collect();
        let mut bytes = vec![0; RUNS * run_bytes];
        encode(&values, None, &mut bytes);
        Some(Self { bytes, run_bytes })
    }

    /// Writes `len` bytes, a whole number of blocks, of random runs.
    pub(super) fn write(
        &self,
        len: usize,
        random: &mut Random,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let mut buffer = Vec::with_capacity(RUNS * self.run_bytes);
        let mut left = len;
        while left > 0 {
            buffer.clear();
            for _ in 0..RUNS {
                let run = (random.bits() >> 32) as usize % RUNS;
                buffer.extend_from_slice(&self.bytes[run * self.run_bytes..][..self.run_bytes]);
            }
            let now = left.min(buffer.len());
            out.write_all(&buffer[..now])?;
            left -= now;
        }
        Ok(())
    }
}

/// SplitMix64 (Steele et al. 2014, doi:10.1145/2714064.2660195).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Nearly normal with mean 0 and variance 1: the scaled sum of four uniform numbers.
    fn normal(&mut self) -> f32 {
        let bits = self.bits();
        let sum: i32 = (0..4).map(|i| i32::from((bits >> (16 * i)) as i16)).sum();
        // A uniform 16-bit number has variance 2^32 / 12.
        (sum as f32 + 2.0) * (3f32.sqrt() / 65536.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_have_the_deviation_asked_for() {
        let mut random = Random::new(7);
        for name in ["f32", "q8_0", "q4_K"] {
            let ty = TensorType::from_name(name).unwrap();
            let blocks = Blocks::new(ty, 0.02, &mut random).unwrap();
            let n = 300 * 1024;
            let mut bytes = Vec::new();
            blocks.write(ty.row_bytes(n).unwrap(), &mut random, &mut bytes).unwrap();
            let mut values = vec![0.0; n];
            ty.info().decode.unwrap()(&bytes, &mut values);
            let sum = |f: fn(f64) -> f64| values.iter().map(|&v| f(v.into())).sum::<f64>();
            let mean = sum(|v| v) / n as f64;
            let deviation = (sum(|v| v * v) / n as f64).sqrt();
            assert!(mean.abs() < 2e-4, "{name}: {mean}");
            assert!((deviation - 0.02).abs() < 5e-4, "{name}: {deviation}");
        }
    }

    #[test]
    fn types_without_encoder_are_refused() {
        assert!(Blocks::new(TensorType::I32, 1.0, &mut Random::new(1)).is_none());
    }
}
