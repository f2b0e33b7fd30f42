//! Vectors and scores as text, as `llama-embedding` prints them.

use std::fmt::Write;

use engine::{Normalization, Pooling};

use crate::settings::{Embed, VectorFormat};

/// The vectors of each text in the format asked for.
pub fn print(
    texts: &[&str],
    vectors: &[Vec<Vec<f32>>],
    embed: &Embed,
    pooling: Pooling,
    labels: &[String],
) -> String {
    let rows: Vec<&[f32]> = vectors.iter().flatten().map(Vec::as_slice).collect();
    let whole = embed.normalization == Normalization::MaxAbsolute && pooling != Pooling::Rank;
    let decimals = if whole { 0 } else { 7 };
    match embed.format {
        VectorFormat::Text if pooling == Pooling::Rank => scores(&rows, labels),
        VectorFormat::Text => for_people(texts, &rows, pooling, whole),
        VectorFormat::Raw => {
            rows.iter().map(|row| joined(row, " ", decimals) + "\n").collect::<String>()
        }
        VectorFormat::Array => {
            let rows = rows.iter().map(|row| format!("[{}]", joined(row, ",", decimals)));
            format!("[{}]\n", rows.collect::<Vec<_>>().join(","))
        }
        VectorFormat::Json { similarities } => json(&rows, decimals, similarities),
    }
}

fn joined(row: &[f32], separator: &str, decimals: usize) -> String {
    let values = row.iter().map(|value| format!("{value:.decimals$}"));
    values.collect::<Vec<_>>().join(separator)
}

fn scores(rows: &[&[f32]], labels: &[String]) -> String {
    let mut text = String::new();
    for (i, row) in rows.iter().enumerate() {
        for (j, score) in row.iter().enumerate() {
            let label = match labels.get(j).filter(|label| !label.is_empty()) {
                _ if row.len() == 1 => String::new(),
                Some(label) => format!(" [{label}]"),
                None => format!(" [{j}]"),
            };
            let _ = writeln!(text, "rerank score {i}: {score:8.3}{label}");
        }
    }
    text
}

/// Beginnings of vectors where there are several, and how alike they are.
fn for_people(texts: &[&str], rows: &[&[f32]], pooling: Pooling, whole: bool) -> String {
    let number =
        |value: &f32| if whole { format!("{value:6.0} ") } else { format!("{value:9.6} ") };
    let numbers = |values: &[f32]| values.iter().map(number).collect::<String>();
    let mut text = String::new();
    for (i, row) in rows.iter().enumerate() {
        let shown = match (pooling, rows.len()) {
            (Pooling::None, _) if row.len() > 6 => {
                format!("{} ... {}", numbers(&row[..3]), numbers(&row[row.len() - 3..]))
            }
            (Pooling::None, _) | (_, 1) => numbers(row),
            _ => numbers(&row[..row.len().min(16)]),
        };
        let _ = writeln!(text, "embedding {i}: {shown}");
    }
    if rows.len() < 2 || pooling == Pooling::None {
        return text;
    }
    text.push_str("\ncosine similarity matrix:\n\n");
    let start = |text: &str, n: usize| text.chars().take(n).collect::<String>();
    let heads = texts.iter().map(|text| format!("{:>6} ", start(text, 6)));
    text.extend(heads);
    text.push('\n');
    for (a, name) in rows.iter().zip(texts) {
        text.extend(rows.iter().map(|b| format!("{:6.2} ", cosine(a, b))));
        let _ = writeln!(text, "{}", start(name, 10));
    }
    text
}

/// As OpenAI has it.
fn json(rows: &[&[f32]], decimals: usize, similarities: bool) -> String {
    let entry = |(i, row): (usize, &&[f32])| {
        let values = joined(row, ",", decimals);
        format!(
            "    {{\n      \"object\": \"embedding\",\n      \"index\": {i},\n      \
             \"embedding\": [{values}]\n    }}"
        )
    };
    let data: Vec<String> = rows.iter().enumerate().map(entry).collect();
    let mut text = format!("{{\n  \"object\": \"list\",\n  \"data\": [\n{}\n  ]", data.join(",\n"));
    if similarities && rows.len() > 1 {
        let row = |a: &&[f32]| {
            let cosines = rows.iter().map(|b| format!("{:6.2}", cosine(a, b)));
            format!("    [{} ]", cosines.collect::<Vec<_>>().join(", "))
        };
        let all: Vec<String> = rows.iter().map(row).collect();
        let _ = write!(text, ",\n  \"cosineSimilarity\": [\n{}\n  ]", all.join(",\n"));
    }
    text + "\n}\n"
}

/// 1 for vectors of the same direction; those of zeros are alike.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    };
    match dot(a, a).sqrt() * dot(b, b).sqrt() {
        0.0 => f64::from(u8::from(dot(a, a) == dot(b, b))),
        lengths => dot(a, b) / lengths,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn printed(format: VectorFormat, pooling: Pooling) -> String {
        let vectors = [vec![vec![0.6f32, -0.8]], vec![vec![0.0, 1.0]]];
        let embed = Embed { format, ..Embed::default() };
        print(&["one", "another text"], &vectors, &embed, pooling, &["no".into(), "yes".into()])
    }

    #[test]
    fn each_format_has_its_form() {
        let raw = printed(VectorFormat::Raw, Pooling::Mean);
        assert_eq!(raw, "0.6000000 -0.8000000\n0.0000000 1.0000000\n");
        let array: Value =
            serde_json::from_str(&printed(VectorFormat::Array, Pooling::Mean)).unwrap();
        assert_eq!(array[1][1], 1.0);
        let json = printed(VectorFormat::Json { similarities: true }, Pooling::Mean);
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&json["object"], &json["data"][1]["index"]), (&"list".into(), &1.into()));
        assert_eq!(json["data"][0]["embedding"][0], 0.6);
        assert_eq!(json["cosineSimilarity"][0][1], -0.8);
        let text = printed(VectorFormat::Text, Pooling::Mean);
        assert!(text.starts_with("embedding 0:  0.600000 -0.800000 \n"), "{text}");
        assert!(text.ends_with("  1.00  -0.80 one\n -0.80   1.00 another te\n"), "{text}");
        let scores = printed(VectorFormat::Text, Pooling::Rank);
        assert!(scores.starts_with("rerank score 0:    0.600 [no]\n"), "{scores}");
    }
}
