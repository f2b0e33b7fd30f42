//! Results as a page with charts.

use super::Measurement;
use super::measurement::test_name;
use super::report::{count, size};
use crate::html::{Columns, Lines, Page, Series};

/// A page of all results.
pub fn page(results: &[Measurement]) -> Page {
    let first = results.first();
    let cpu = first.and_then(|m| m.cpu_info.as_deref()).unwrap_or("unknown processor");
    let isa = first.map_or("", |m| m.isa);
    let mut page = Page::new("Speed of models", &format!("{cpu}, {isa}"));
    let limit = |value: Option<f64>, unit: &str| {
        value.map_or("unknown".to_owned(), |value| format!("{value:.0} {unit}"))
    };
    page.facts([
        ("Memory bandwidth", limit(first.and_then(|m| m.bandwidth_gb_s), "GB/s")),
        ("8-bit products", limit(first.and_then(|m| m.int8_gops), "GOPS")),
        ("Tests", results.len().to_string()),
    ]);
    for (heading, is_prompt) in [("Prompts", true), ("Generation", false)] {
        let own: Vec<&Measurement> =
            results.iter().filter(|m| (m.n_prompt > 0) == is_prompt).collect();
        if !own.is_empty() {
            page.heading(heading);
            chart(&mut page, &own);
        }
    }
    page.heading("All results");
    let rows: Vec<Vec<String>> = results.iter().map(row).collect();
    let head = ["Model", "Size", "Parameters", "Threads", "Test", "Tokens/s", "±"];
    page.table(&head, &rows, true);
    page
}

/// Curves over depths, or bars where there is one depth.
fn chart(page: &mut Page, results: &[&Measurement]) {
    let mut depths: Vec<usize> = results.iter().map(|m| m.n_depth).collect();
    depths.sort_unstable();
    depths.dedup();
    let mut names: Vec<String> = Vec::new();
    for result in results {
        let name = name(result, results);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let speed = |wanted: &str, depth: usize| {
        let found = results.iter().find(|m| name(m, results) == wanted && m.n_depth == depth);
        found.map_or(f64::NAN, |m| m.avg_ts)
    };
    let format = &|value: f64| format!("{value:.0}");
    if let [depth] = depths[..] {
        let values = names.iter().map(|name| speed(name, depth)).collect();
        let series = [Series { name: "tokens/s".into(), values }];
        page.columns("Tokens per second", &Columns { labels: &names, series: &series, format });
        return;
    }
    let series: Vec<Series> = names
        .iter()
        .map(|name| Series {
            name: name.clone(),
            values: depths.iter().map(|&depth| speed(name, depth)).collect(),
        })
        .collect();
    let x: Vec<f64> = depths.iter().map(|&depth| depth as f64).collect();
    let lines = Lines { x: &x, x_name: "tokens in memory before", series: &series, format };
    page.lines("Tokens per second by depth", &lines);
}

/// What tells a result from the others, but for its depth.
fn name(result: &Measurement, all: &[&Measurement]) -> String {
    let mut parts = Vec::new();
    if all.iter().any(|other| other.model_filename != result.model_filename) {
        parts.push(result.model_type.clone());
    }
    parts.push(test_name(result.n_prompt, result.n_gen, 0));
    if all.iter().any(|other| other.n_threads != result.n_threads) {
        parts.push(format!("{} threads", result.n_threads));
    }
    parts.join(", ")
}

fn row(result: &Measurement) -> Vec<String> {
    vec![
        result.model_type.clone(),
        size(result.model_size),
        count(result.model_n_params),
        result.n_threads.to_string(),
        result.test(),
        format!("{:.2}", result.avg_ts),
        format!("{:.2}", result.stddev_ts),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::measurement::example;
    use super::*;

    #[test]
    fn depths_become_curves_and_one_depth_bars() {
        let at = |n_depth, avg_ts| Measurement { n_depth, avg_ts, ..example() };
        let curves = page(&[at(0, 200.0), at(4096, 100.0)]).finish();
        assert!(curves.contains("by depth") && curves.contains("4096: 100"), "{curves}");
        let bars = page(&[at(0, 200.0)]).finish();
        assert!(bars.contains("<rect") && !bars.contains("by depth"), "{bars}");
        assert!(page(&[]).finish().contains("All results"));
    }
}
