/// `e^x` for `x` of at most 88, to about two units in the last place; 0 below -87.
///
/// Straight-line code that vectorises: the exponentials of a whole vocabulary took longer than all
/// else with the standard library's.
pub(crate) fn exp(x: f32) -> f32 {
    // Adding 1.5 · 2^23 rounds to a whole number, which is then in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    // ln 2 in two parts, the first exact in products with n.
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    // The series in pairs: they need not wait for each other.
    let square = r * r;
    let high = (1.0 / 24.0 + r * (1.0 / 120.0)) + square * (1.0 / 720.0 + r * (1.0 / 5040.0));
    let series = (1.0 + r) + square * ((0.5 + r * (1.0 / 6.0)) + square * high);
    let power = f32::from_bits((rounded.to_bits() << 23).wrapping_add(0x3f80_0000));
    if x < -87.0 { 0.0 } else { series * power }
}

/// Sums are taken of so many numbers at once, in lanes, and these sums added up in double precision.
const CHUNK: usize = 256;
const LANES: usize = 16;

/// Writes `e^(x - max)` for each of `logits`, of which `max` is the highest; returns the sum.
pub(crate) fn exp_all(logits: &[f32], max: f32, out: &mut [f32]) -> f64 {
    let chunks = logits.chunks(CHUNK).zip(out.chunks_mut(CHUNK));
    let sums = chunks.map(|(logits, out)| {
        out.iter_mut().zip(logits).for_each(|(out, x)| *out = exp(x - max));
        sum(out)
    });
    sums.sum()
}

/// The sum of `e^(x - max)` over `logits`, of which `max` is the highest.
pub(crate) fn sum_exp(logits: &[f32], max: f32) -> f64 {
    let mut space = [0.0; CHUNK];
    let mut chunk = |chunk: &[f32]| exp_all(chunk, max, &mut space[..chunk.len()]);
    logits.chunks(CHUNK).map(&mut chunk).sum()
}

/// The sum of `numbers`.
pub(crate) fn sum(numbers: &[f32]) -> f64 {
    let lanes = |chunk: &[f32]| -> f32 {
        let mut lanes = [0.0; LANES];
        let (parts, rest) = chunk.as_chunks::<LANES>();
        for part in parts {
            lanes.iter_mut().zip(part).for_each(|(lane, x)| *lane += x);
        }
        lanes.iter().chain(rest).sum()
    };
    numbers.chunks(CHUNK).map(|chunk| f64::from(lanes(chunk))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_as_exact_as_can_be_in_single_precision() {
        for i in 0..100_000 {
            let x = -87.0 + i as f32 * 0.001_75;
            let expected = f64::from(x).exp();
            let error = (f64::from(exp(x)) / expected - 1.0).abs();
            assert!(error < 3e-7, "exp({x}): {error}");
        }
        assert_eq!((exp(0.0), exp(-88.0), exp(f32::NEG_INFINITY)), (1.0, 0.0, 0.0));
    }

    #[test]
    fn sums_are_those_of_the_formula() {
        let logits: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.37).sin() * 9.0).collect();
        let expected: f64 = logits.iter().map(|x| (f64::from(*x) - 9.0).exp()).sum();
        assert!((sum_exp(&logits, 9.0) / expected - 1.0).abs() < 1e-6);
    }
}
