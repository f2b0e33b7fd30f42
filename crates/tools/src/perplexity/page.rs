//! Results as pages with charts.

use super::divergence::SHARES;
use super::{ChunkScore, Divergence, Estimate, Perplexity};
use crate::html::{Lines, Page, Series};

/// Points of a curve over positions: more can't be told apart.
const MOST_POINTS: usize = 128;

impl Perplexity {
    /// A page about a model; `chunks` are what was known after each.
    pub fn page(&self, model: &str, text: &str, chunks: &[ChunkScore]) -> Page {
        let mut page = Page::new(&format!("Perplexity of {model}"), text);
        page.facts([
            ("Perplexity", with_error(self.perplexity, 4)),
            ("Chunks", chunks.len().to_string()),
            ("Tokens of a chunk", self.n_ctx.to_string()),
            ("Tokens scored", self.nll.len().to_string()),
        ]);
        page.heading("How sure it is");
        by_chunk(&mut page, chunks);
        page.heading("Where in a chunk");
        let (x, values) = thinned(self.scored.start, &self.by_position());
        let series = [Series { name: "mean −ln p".into(), values }];
        let lines = Lines { x: &x, x_name: POSITION, series: &series, format: &number };
        page.lines("Mean negative log-likelihood by position", &lines);
        page
    }
}

const POSITION: &str = "position in the chunk";

impl Divergence {
    /// A page about a model that was compared with another; `chunks` are what was known after each.
    pub fn page(&self, model: &str, base: &str, chunks: &[ChunkScore]) -> Page {
        let title = format!("{model} against a base");
        let mut page = Page::new(&title, &format!("Log-probabilities of the base: {base}"));
        let percent = |estimate: Estimate| format!("{} %", with_error(estimate.percent(), 2));
        page.facts([
            ("Mean KL divergence", with_error(self.kl, 5)),
            ("Same most likely token", percent(self.same_top)),
            ("RMS of Δp", percent(self.delta_rms)),
            ("Perplexity", with_error(self.perplexity, 4)),
            ("Perplexity of the base", with_error(self.base, 4)),
            ("Ratio", with_error(self.ratio, 4)),
        ]);
        page.heading("KL divergence by position");
        let (x, values) = thinned(self.first, &self.by_position);
        let series = [Series { name: "KL divergence".into(), values }];
        let lines = Lines { x: &x, x_name: POSITION, series: &series, format: &number };
        page.lines("Mean KL divergence by position", &lines);
        let (x, values) = thinned(self.first, &self.delta_by_position);
        let series = [Series { name: "mean |Δp|".into(), values }];
        let lines = Lines { x: &x, x_name: POSITION, series: &series, format: &number };
        page.lines("Mean difference of the probability of the text's token", &lines);
        page.heading("Spread");
        self.add_spread(&mut page);
        page.heading("How sure it is");
        by_chunk(&mut page, chunks);
        page
    }

    fn add_spread(&self, page: &mut Page) {
        let shares: Vec<f64> = (0..=200).map(|i| f64::from(i) / 2.0).collect();
        let at = |percentile: &dyn Fn(f32) -> f32| {
            shares.iter().map(|share| f64::from(percentile(*share as f32 / 100.0))).collect()
        };
        // Without the last percent, which would be all that is seen.
        let mut values: Vec<f64> = at(&|share| self.kl_percentile(share));
        values.truncate(199);
        let series = [Series { name: "KL divergence".into(), values }];
        let x = &shares[..199];
        let lines = Lines { x, x_name: "per cent of tokens", series: &series, format: &number };
        page.lines("KL divergence that so many tokens stay below", &lines);
        let mut rows = vec![vec![
            "maximum".to_owned(),
            format!("{:.6}", self.kl_percentile(1.0)),
            format!("{:.3} %", 100.0 * self.delta_percentile(1.0)),
        ]];
        rows.extend(SHARES.iter().map(|&share| {
            vec![
                format!("{:.1} %", 100.0 * share),
                format!("{:.6}", self.kl_percentile(share)),
                format!("{:.3} %", 100.0 * self.delta_percentile(share)),
            ]
        }));
        page.table(&["Share of tokens below", "KL divergence", "Δp"], &rows, true);
    }
}

/// Perplexity after each chunk, and the bounds that it is within.
fn by_chunk(page: &mut Page, chunks: &[ChunkScore]) {
    let x: Vec<f64> = chunks.iter().map(|chunk| chunk.chunk as f64).collect();
    let curve = |name: &str, errors: f64| Series {
        name: name.into(),
        values: chunks.iter().map(|c| (c.nll.value + errors * c.nll.error).exp()).collect(),
    };
    let series = [
        curve("perplexity so far", 0.0),
        curve("one standard error more", 1.0),
        curve("one standard error less", -1.0),
    ];
    let lines = Lines { x: &x, x_name: "chunks", series: &series, format: &number };
    page.lines("Perplexity by number of chunks", &lines);
}

/// Means of neighbours, where there are more values than points.
fn thinned(start: usize, values: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let each = values.len().div_ceil(MOST_POINTS).max(1);
    let points = values.chunks(each).enumerate().map(|(i, chunk)| {
        let middle = start as f64 + (i * each) as f64 + (chunk.len() - 1) as f64 / 2.0;
        (middle, chunk.iter().sum::<f64>() / chunk.len() as f64)
    });
    points.unzip()
}

fn with_error(estimate: Estimate, digits: usize) -> String {
    format!("{:.digits$} ± {:.digits$}", estimate.value, estimate.error)
}

fn number(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if value == 0.0 => "0".into(),
        0.0..0.001 => format!("{value:.1e}"),
        0.001..1.0 => format!("{value:.4}").trim_end_matches('0').into(),
        1.0..100.0 => format!("{value:.2}").trim_end_matches('0').trim_end_matches('.').into(),
        _ => format!("{value:.0}"),
    }
}
