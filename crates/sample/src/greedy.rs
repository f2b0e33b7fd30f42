/// The token with the highest logit, the lowest of equals; `None` if all are -inf.
pub(crate) fn greedy(logits: &[f32]) -> Option<u32> {
    // The maximum alone vectorises; the position follows from a second scan.
    let max = logits.iter().fold(f32::NEG_INFINITY, |m, &x| if x > m { x } else { m });
    if max == f32::NEG_INFINITY {
        return None;
    }
    logits.iter().position(|&x| x == max).and_then(|i| u32::try_from(i).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_first_of_the_highest() {
        assert_eq!(greedy(&[1.0, 5.0, 5.0, -2.0]), Some(1));
        assert_eq!(greedy(&[f32::NEG_INFINITY, -7.0]), Some(1));
        assert_eq!(greedy(&[f32::NEG_INFINITY; 3]), None);
    }
}
