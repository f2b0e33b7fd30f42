//! A token for a mask, and how sure it is.

/// How a token is drawn from logits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Draw {
    /// Divides logits before drawing; 0 takes the likeliest.
    pub temperature: f32,
    /// Keeps the likeliest tokens; 0 keeps all.
    pub top_k: usize,
    /// Keeps the likeliest tokens that together reach this probability; 1 keeps all.
    pub top_p: f32,
    /// Draws from all tokens, and is as sure as they are likely without the temperature (LLaDA).
    pub add_gumbel_noise: bool,
}

/// A token, and how sure it is among those that were kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// The token.
    pub token: u32,
    /// Its probability.
    pub probability: f64,
    /// What the likeliest token has more than the second.
    pub margin: f64,
    /// `-Σ p ln p`.
    pub entropy: f64,
}

impl Choice {
    /// Draws a token; `None` without logits.
    pub fn draw(logits: &[f32], draw: &Draw, chance: &mut Chance) -> Option<Self> {
        let mut ranked: Vec<(u32, f64)> =
            (0..).zip(logits).map(|(token, &logit)| (token, f64::from(logit))).collect();
        let noisy = draw.add_gumbel_noise && draw.temperature > 0.0;
        let by_rank = |a: &(u32, f64), b: &(u32, f64)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if !noisy && (1..ranked.len()).contains(&draw.top_k) {
            ranked.select_nth_unstable_by(draw.top_k, by_rank);
            ranked.truncate(draw.top_k);
        }
        ranked.sort_unstable_by(by_rank);
        let mut shares = softmax(&ranked, 1.0);
        if !noisy && draw.top_p < 1.0 {
            let mut sum = 0.0;
            let reached = shares.iter().position(|share| {
                sum += share;
                sum >= f64::from(draw.top_p)
            });
            ranked.truncate(reached.map_or(ranked.len(), |last| last + 1));
        }
        let drawn = softmax(&ranked, f64::from(draw.temperature));
        if !noisy {
            shares = drawn.clone();
        }
        let at = chance.draw(&drawn)?;
        Some(Self {
            token: ranked[at].0,
            probability: shares[at],
            margin: shares[0] - shares.get(1).copied().unwrap_or(0.0),
            entropy: -shares.iter().filter(|&&p| p > 0.0).map(|p| p * p.ln()).sum::<f64>(),
        })
    }
}

/// Probabilities of ranked logits at a temperature.
fn softmax(ranked: &[(u32, f64)], temperature: f64) -> Vec<f64> {
    let max = ranked.first().map_or(0.0, |&(_, logit)| logit);
    let weight = |&(_, logit): &(u32, f64)| match temperature > 0.0 {
        true => ((logit - max) / temperature).exp(),
        false => f64::from(u8::from(logit == max)),
    };
    let weights: Vec<f64> = ranked.iter().map(weight).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

/// SplitMix64 (Steele, Lea and Flood 2014), the same on every machine.
pub struct Chance(u64);

impl Chance {
    /// Equal seeds give equal numbers.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number of Gumbel's distribution.
    pub fn gumbel(&mut self) -> f64 {
        -(-self.uniform().max(f64::MIN_POSITIVE).ln()).ln()
    }

    /// The place of one of `shares`, which sum to 1, with its probability; `None` without any.
    fn draw(&mut self, shares: &[f64]) -> Option<usize> {
        let mut left = self.uniform();
        for (at, share) in shares.iter().enumerate() {
            left -= share;
            if left < 0.0 {
                return Some(at);
            }
        }
        // Rounding may leave a crumb of probability.
        shares.iter().rposition(|&share| share > 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Draw = Draw { temperature: 1.0, top_k: 0, top_p: 1.0, add_gumbel_noise: false };

    #[test]
    fn choices_tell_how_sure_they_are() {
        let logits = [0.25f32, 0.5, 0.0, 0.25].map(f32::ln);
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-6, "{a} instead of {b}");
        let choice = |draw| Choice::draw(&logits, &draw, &mut Chance::new(1)).expect("a token");
        let plain = choice(PLAIN);
        close(plain.probability, if plain.token == 1 { 0.5 } else { 0.25 });
        close(plain.margin, 0.25);
        close(plain.entropy, 1.5 * 2f64.ln());
        let sure = Choice { token: 1, probability: 1.0, margin: 1.0, entropy: -0.0 };
        assert_eq!(choice(Draw { top_k: 1, ..PLAIN }), sure);
        assert_eq!(choice(Draw { top_p: 0.4, ..PLAIN }), sure);
        assert_eq!(choice(Draw { temperature: 0.0, ..PLAIN }), sure);
        let noisy = choice(Draw { temperature: 1e-3, top_k: 1, add_gumbel_noise: true, ..PLAIN });
        assert_eq!(noisy.token, 1);
        close(noisy.probability, 0.5);
        assert!(Choice::draw(&[], &PLAIN, &mut Chance::new(1)).is_none());
    }

    #[test]
    fn tokens_come_as_often_as_they_are_likely() {
        let shares = [0.5f32, 0.3, 0.2];
        let (mut chance, mut counts) = (Chance::new(7), [0usize; 3]);
        let n = 20_000;
        for _ in 0..n {
            let choice = Choice::draw(&shares.map(f32::ln), &PLAIN, &mut chance).expect("a token");
            counts[choice.token as usize] += 1;
        }
        for (count, share) in counts.into_iter().zip(shares.map(f64::from)) {
            let sigma = (n as f64 * share * (1.0 - share)).sqrt();
            assert!((count as f64 - n as f64 * share).abs() < 5.0 * sigma, "{counts:?}");
        }
    }
}
