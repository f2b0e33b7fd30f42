use crate::exp::sum;
use crate::rng::Rng;

/// Draws a place of a row of probabilities that sum to 1; `None` where all are 0.
pub(crate) fn draw(rng: &mut Rng, probs: &[f32]) -> Option<usize> {
    const CHUNK: usize = 256;
    let mut left = rng.uniform();
    let chunk = probs.chunks(CHUNK).position(|chunk| {
        let sum = sum(chunk);
        let inside = left < sum;
        left -= if inside { 0.0 } else { sum };
        inside
    });
    let first = chunk.map_or(0, |chunk| chunk * CHUNK);
    let end = chunk.map_or(probs.len(), |_| probs.len().min(first + CHUNK));
    let inside = chunk.and_then(|_| {
        probs[first..end].iter().position(|p| {
            left -= f64::from(*p);
            left < 0.0
        })
    });
    // Rounding may leave a crumb of probability: it goes to the last likely token.
    inside.or_else(|| probs[first..end].iter().rposition(|p| *p > 0.0)).map(|at| first + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequencies_follow_the_probabilities() {
        let probs = [0.4f64, 0.3, 0.2, 0.1];
        let items = probs.map(|p| p as f32);
        let mut rng = Rng::new(3);
        let n = 100_000;
        let mut counts = [0u32; 4];
        for _ in 0..n {
            counts[draw(&mut rng, &items).expect("four candidates")] += 1;
        }
        for (count, p) in counts.into_iter().zip(probs) {
            let sigma = (f64::from(n) * p * (1.0 - p)).sqrt();
            assert!((f64::from(count) - f64::from(n) * p).abs() < 5.0 * sigma, "{counts:?}");
        }
    }

    #[test]
    fn long_rows_are_drawn_from_as_a_loop_would() {
        let n = 3000u32;
        let probs: Vec<f32> = (0..n).map(|i| ((i * 7) % 64) as f32 / 94_500.0).collect();
        let (mut rng, mut same) = (Rng::new(8), Rng::new(8));
        for _ in 0..2000 {
            let mut left = same.uniform();
            let expected = probs.iter().position(|p| {
                left -= f64::from(*p);
                left < 0.0
            });
            // A draw on the border of two tokens may go to either.
            let got = draw(&mut rng, &probs);
            assert!(got == expected || left.abs() < 1e-6, "{got:?} {expected:?}");
            assert!(got.is_some_and(|at| probs[at] > 0.0));
        }
    }

    #[test]
    fn nothing_comes_of_nothing() {
        assert_eq!(draw(&mut Rng::new(1), &[]), None);
    }
}
