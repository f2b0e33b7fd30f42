//! How far a model's predictions are from those of another, whose log-probabilities were saved.

use serde::Serialize;

use super::Error;
use super::chunks::{ChunkScore, by_position, each_chunk, scored};
use super::evaluator::Evaluator;
use super::logits_file::{LogitsReader, Row};
use super::stats::{Estimate, Softmax, Sums, map_rows, percentile};

/// Log-probabilities below this don't count.
const LEAST: f32 = -16.0;

/// Shares of the sorted values that are told.
pub(super) const SHARES: [f32; 10] = [0.999, 0.99, 0.95, 0.9, 0.75, 0.25, 0.1, 0.05, 0.01, 0.001];

/// How far predictions are apart.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Divergence {
    /// Tokens that were compared.
    pub count: usize,
    /// Perplexity of the model.
    pub perplexity: Estimate,
    /// Perplexity of the other one.
    pub base: Estimate,
    /// Correlation of the logarithms of both.
    pub correlation: f64,
    /// Logarithm of the ratio of both.
    pub log_ratio: Estimate,
    /// The ratio of both.
    pub ratio: Estimate,
    /// The difference of both.
    pub difference: Estimate,
    /// Mean Kullback-Leibler divergence.
    pub kl: Estimate,
    /// Divergences of all tokens, ascending.
    #[serde(skip)]
    pub kl_sorted: Vec<f32>,
    /// Mean difference of the probabilities of the text's tokens.
    pub delta: Estimate,
    /// Root of their mean square.
    pub delta_rms: Estimate,
    /// These differences, ascending.
    #[serde(skip)]
    pub delta_sorted: Vec<f32>,
    /// Share of tokens for which both models find the same one most likely.
    pub same_top: Estimate,
    /// Place in a chunk of the first token that is compared.
    pub first: usize,
    /// Mean divergence of tokens at each place of a chunk.
    pub by_position: Vec<f64>,
    /// Mean difference of probabilities, absolute, at each place.
    pub delta_by_position: Vec<f64>,
}

/// One token's comparison.
#[derive(Debug, Clone, Copy)]
struct Token {
    nll: f32,
    nll_base: f32,
    kl: f64,
    delta: f32,
    same_top: bool,
}

impl Token {
    fn compare(logits: &[f32], base: &Row, target: usize) -> Self {
        let Softmax { max, sum } = Softmax::of(logits);
        let log_sum = max + sum.ln() as f32;
        let (mut kl, mut top, mut base_top) = (0.0, 0, 0);
        let (mut most, mut base_most) = (f32::NEG_INFINITY, f32::NEG_INFINITY);
        for (token, &logit) in logits.iter().enumerate() {
            let p = base.get(token);
            if logit > most {
                (most, top) = (logit, token);
            }
            if p > base_most {
                (base_most, base_top) = (p, token);
            }
            if p > LEAST {
                kl += f64::from(p.exp() * (p - logit + log_sum));
            }
        }
        let (nll, nll_base) = (log_sum - logits[target], -base.get(target));
        let delta = (-nll).exp() - (-nll_base).exp();
        Self { nll, nll_base, kl, delta, same_top: top == base_top }
    }
}

/// Sums of all comparisons so far.
#[derive(Debug, Clone, Copy, Default)]
struct Totals {
    nll: Sums,
    base: Sums,
    product: f64,
    kl: Sums,
    delta: Sums,
    delta_squares: Sums,
    same_top: usize,
}

impl Totals {
    fn add(&mut self, token: &Token) {
        let (nll, base) = (f64::from(token.nll), f64::from(token.nll_base));
        self.nll.add(nll);
        self.base.add(base);
        self.product += nll * base;
        self.kl.add(token.kl);
        self.delta.add(f64::from(token.delta));
        self.delta_squares.add(f64::from(token.delta * token.delta));
        self.same_top += usize::from(token.same_top);
    }

    fn divergence(&self) -> Divergence {
        let count = self.nll.count;
        let (log, log_base) = (self.nll.estimate(), self.base.estimate());
        let mean = self.product / count.max(1) as f64;
        let covariance = match count {
            0..10 => 0.0,
            n => (mean - self.nll.mean() * self.base.mean()) / (n - 1) as f64,
        };
        let apart =
            |a: f64, b: f64, covariance: f64| (a * a + b * b - 2.0 * covariance).max(0.0).sqrt();
        let log_ratio = Estimate {
            value: log.value - log_base.value,
            error: apart(log.error, log_base.error, covariance),
        };
        let (perplexity, base) = (log.exp(), log_base.exp());
        let product = perplexity.value * base.value;
        let mean_square = self.delta_squares.estimate();
        let rms = mean_square.value.sqrt();
        let top = self.same_top as f64 / count.max(1) as f64;
        Divergence {
            count,
            perplexity,
            base,
            correlation: covariance / (log.error * log_base.error),
            log_ratio,
            ratio: log_ratio.exp(),
            difference: Estimate {
                value: perplexity.value - base.value,
                error: apart(perplexity.error, base.error, product * covariance),
            },
            kl: self.kl.estimate(),
            delta: self.delta.estimate(),
            delta_rms: Estimate { value: rms, error: 0.5 / rms * mean_square.error },
            same_top: Estimate {
                value: top,
                error: (top * (1.0 - top) / (count.max(2) - 1) as f64).sqrt(),
            },
            ..Divergence::default()
        }
    }
}

/// Compares a model with the saved log-probabilities of another one, on the tokens saved with them.
/// `notice` is told what is known after each chunk.
///
/// # Errors
/// Log-probabilities of another vocabulary or that can't be read, and models that can't be run.
pub fn divergence(
    evaluator: &Evaluator,
    mut base: LogitsReader,
    notice: &mut dyn FnMut(ChunkScore, &Divergence),
) -> Result<Divergence, Error> {
    base.must_suit(evaluator)?;
    let width = scored(base.n_ctx).len();
    let tokens = std::mem::take(&mut base.tokens);
    let most = evaluator.options.chunks.unwrap_or(usize::MAX);
    let chunks: Vec<&[u32]> = tokens.chunks_exact(base.n_ctx).take(most).collect();
    let total = chunks.len();
    // Chunks come side by side, their rows in the file one after another.
    let mut rows_of: Vec<Vec<Row>> = Vec::with_capacity(total);
    let mut compared: Vec<Vec<Token>> = vec![Vec::new(); total];
    let (mut done, mut totals) = (0, Totals::default());
    each_chunk(evaluator, &chunks, &mut |chunk, rows, targets| {
        while rows_of.len() <= chunk {
            rows_of.push(base.rows(width)?);
        }
        let place = compared[chunk].len();
        let own = &rows_of[chunk][place..];
        compared[chunk].extend(map_rows(targets.len(), |i| {
            Token::compare(rows.row(i), &own[i], targets[i] as usize)
        }));
        if compared[chunk].len() == width {
            rows_of[chunk] = Vec::new();
        }
        while compared.get(done).is_some_and(|tokens| tokens.len() == width) {
            compared[done].iter().for_each(|token| totals.add(token));
            done += 1;
            let score = ChunkScore { chunk: done, total, nll: totals.nll.estimate() };
            notice(score, &totals.divergence());
        }
        Ok(())
    })?;
    let tokens = || compared.iter().flatten();
    let kl: Vec<f32> = tokens().map(|token| token.kl as f32).collect();
    let delta: Vec<f32> = tokens().map(|token| token.delta).collect();
    let absolute: Vec<f32> = delta.iter().map(|delta| delta.abs()).collect();
    Ok(Divergence {
        first: scored(base.n_ctx).start,
        by_position: by_position(&kl, width),
        delta_by_position: by_position(&absolute, width),
        kl_sorted: sorted(kl),
        delta_sorted: sorted(delta),
        ..totals.divergence()
    })
}

impl Divergence {
    /// A percentile of the divergences.
    pub fn kl_percentile(&self, share: f32) -> f32 {
        percentile(&self.kl_sorted, share)
    }

    /// A percentile of the differences of probabilities.
    pub fn delta_percentile(&self, share: f32) -> f32 {
        percentile(&self.delta_sorted, share)
    }
}

impl LogitsReader {
    fn must_suit(&self, evaluator: &Evaluator) -> Result<(), Error> {
        let refuse = |problem: String| Err(Error::Logits { path: self.path().into(), problem });
        if self.n_vocab != evaluator.n_vocab() {
            let (saved, own) = (self.n_vocab, evaluator.n_vocab());
            return refuse(format!("it is of {saved} tokens, but the model has {own}"));
        }
        if self.n_ctx < 4 {
            return Err(Error::ShortContext { n_ctx: self.n_ctx });
        }
        Ok(())
    }
}

fn sorted(mut values: Vec<f32>) -> Vec<f32> {
    values.sort_by(f32::total_cmp);
    values
}
