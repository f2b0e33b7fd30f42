use crate::candidates::Candidates;

/// Keeps logits of at least `max - n · sigma`, where `sigma` is the standard
/// deviation of all logits not forbidden (Tang et al. 2024, arXiv 2411.07641).
///
/// llama.cpp sets the others to -inf and goes on counting them as candidates;
/// here they are gone. This shows only where dynamic temperature follows with
/// nothing in between to drop them, as it takes the logarithm of their number.
pub(crate) fn top_n_sigma(n: f32, candidates: &mut Candidates) {
    let (count, _, variance) = candidates.moments();
    if count <= 1 {
        return;
    }
    let sigma = variance.sqrt();
    candidates.keep_from(candidates.max() - (f64::from(n) * sigma) as f32);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidates::testing::left;

    #[test]
    fn keeps_logits_within_n_deviations_of_the_highest() {
        // Mean 3, variance (4 + 1 + 0 + 1 + 4) / 5 = 2.
        let logits = [1.0, 2.0, 3.0, f32::NEG_INFINITY, 4.0, 5.0];
        for (n, expected) in [
            (0.5, vec![5]),       // from 5 - 0.707
            (1.0, vec![5, 4]),    // from 5 - 1.414
            (1.5, vec![5, 4, 2]), // from 5 - 2.121
            (3.0, vec![5, 4, 2, 1, 0]),
        ] {
            assert_eq!(left(&logits, |c| top_n_sigma(n, c)), expected, "n = {n}");
        }
        assert_eq!(left(&[7.0], |c| top_n_sigma(1.0, c)), [0]);
        assert_eq!(left(&[7.0, 7.0], |c| top_n_sigma(1.0, c)), [0, 1]);
    }
}
