/// The token with the highest logit, the lowest of equals; `None` if all are -inf.
pub(crate) fn greedy(logits: &[f32]) -> Option<u32> {
    let max = highest(logits);
    if max == f32::NEG_INFINITY {
        return None;
    }
    logits.iter().position(|&x| x == max).and_then(|i| u32::try_from(i).ok())
}

/// The maximum over independent lanes, which vectorises; one running maximum
/// took longer than all of top-k.
pub(crate) fn highest(logits: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 32];
    for chunk in logits.chunks(lanes.len()) {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = if x > *lane { x } else { *lane };
        }
    }
    lanes.into_iter().fold(f32::NEG_INFINITY, f32::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_first_of_the_highest() {
        assert_eq!(greedy(&[1.0, 5.0, 5.0, -2.0]), Some(1));
        assert_eq!(greedy(&[f32::NEG_INFINITY, -7.0]), Some(1));
        assert_eq!(greedy(&[f32::NEG_INFINITY; 3]), None);
        for peak in [0, 31, 32, 63, 64, 69] {
            let logits: Vec<f32> = (0..70).map(|i| if i == peak { 1.0 } else { 0.5 }).collect();
            assert_eq!(greedy(&logits), Some(peak));
        }
    }
}
