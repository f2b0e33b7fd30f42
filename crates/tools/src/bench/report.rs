//! Results as text.

use serde_json::Value;

use super::Measurement;

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// A table in Markdown, with the columns of `llama-bench`.
    #[default]
    Markdown,
    /// An array of objects.
    Json,
    /// Comma-separated values with a header; samples are separated by semicolons.
    Csv,
}

/// Writes results one by one.
#[derive(Debug)]
pub struct Report {
    format: Format,
    rows: usize,
}

/// A column of the Markdown table.
struct Column {
    title: &'static str,
    width: usize,
    align: Align,
    value: fn(&Measurement) -> String,
}

#[derive(PartialEq, Eq)]
enum Align {
    Left,
    Right,
}

/// Titles and widths are those of `llama-bench`.
const COLUMNS: [Column; 7] = [
    Column { title: "model", width: 30, align: Align::Left, value: |m| m.model_type.clone() },
    Column { title: "size", width: 10, align: Align::Right, value: |m| size(m.model_size) },
    Column { title: "params", width: 10, align: Align::Right, value: |m| count(m.model_n_params) },
    Column { title: "backend", width: 10, align: Align::Left, value: |m| m.backends.into() },
    Column { title: "threads", width: 7, align: Align::Right, value: |m| m.n_threads.to_string() },
    Column { title: "test", width: 15, align: Align::Right, value: Measurement::test },
    Column { title: "t/s", width: 20, align: Align::Right, value: speed },
];

impl Report {
    /// A report without results yet.
    pub fn new(format: Format) -> Self {
        Self { format, rows: 0 }
    }

    /// The text of one more result, with the beginning of the report before the first.
    pub fn row(&mut self, measurement: &Measurement) -> String {
        let first = self.rows == 0;
        self.rows += 1;
        match self.format {
            Format::Markdown => {
                let head = if first { head() } else { String::new() };
                head + &line(|column| (column.value)(measurement))
            }
            Format::Json => {
                let separator = if first { "[\n" } else { ",\n" };
                let object = serde_json::to_string_pretty(measurement).unwrap_or_default();
                format!("{separator}  {}", object.replace('\n', "\n  "))
            }
            Format::Csv => {
                let fields = match serde_json::to_value(measurement) {
                    Ok(Value::Object(fields)) => fields,
                    _ => Default::default(),
                };
                let names = fields.keys().map(String::as_str).collect::<Vec<_>>().join(",");
                let values = fields.values().map(csv).collect::<Vec<_>>().join(",");
                if first { format!("{names}\n{values}\n") } else { format!("{values}\n") }
            }
        }
    }

    /// The end of the report; `last` is the last result.
    pub fn end(&self, last: &Measurement) -> String {
        match self.format {
            Format::Markdown => {
                let cpu = last.cpu_info.as_deref().unwrap_or("unknown processor");
                let bandwidth = last.bandwidth_gb_s.map(|limit| format!(", {limit:.1} GB/s"));
                let int8 = last.int8_gops.map(|limit| format!(", {limit:.0} GOPS"));
                let limits = [bandwidth, int8].map(Option::unwrap_or_default).concat();
                format!("\nbuild: {}, {cpu}, {}{limits}\n", last.build, last.isa)
            }
            Format::Json => "\n]\n".to_owned(),
            Format::Csv => String::new(),
        }
    }
}

fn head() -> String {
    let rule: String = COLUMNS
        .iter()
        .map(|column| {
            let dashes = "-".repeat(column.width - 1);
            let end = if column.align == Align::Right { ":" } else { "-" };
            format!(" {dashes}{end} |")
        })
        .collect();
    format!("{}|{rule}\n", line(|column| column.title.to_owned()))
}

fn line(value: impl Fn(&Column) -> String) -> String {
    let cells: String = COLUMNS
        .iter()
        .map(|column| {
            let (value, width) = (value(column), column.width);
            match column.align {
                Align::Left => format!(" {value:<width$} |"),
                Align::Right => format!(" {value:>width$} |"),
            }
        })
        .collect();
    format!("|{cells}\n")
}

/// A number of bytes.
pub(crate) fn size(bytes: u64) -> String {
    let mib = bytes as f64 / 1024.0 / 1024.0;
    if mib < 1024.0 { format!("{mib:.2} MiB") } else { format!("{:.2} GiB", mib / 1024.0) }
}

/// A number of parameters.
pub(crate) fn count(n: u64) -> String {
    let millions = n as f64 / 1e6;
    if millions < 1000.0 { format!("{millions:.2} M") } else { format!("{:.2} B", millions / 1e3) }
}

fn speed(m: &Measurement) -> String {
    format!("{:.2} ± {:.2}", m.avg_ts, m.stddev_ts)
}

/// A value as a CSV field: text in quotes, samples separated by semicolons.
fn csv(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => format!("\"{}\"", text.replace('"', "\"\"")),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(csv).collect();
            values.join(";")
        }
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::measurement::example;
    use super::*;

    /// As `llama-bench` prints it, but for the footer.
    #[test]
    fn the_table_is_that_of_llama_bench() {
        let mut report = Report::new(Format::Markdown);
        let text = report.row(&example()) + &report.row(&example());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..3],
            [
                "| model                          |       size |     params | backend    | threads \
                 |            test |                  t/s |",
                "| ------------------------------ | ---------: | ---------: | ---------- | ------: \
                 | --------------: | -------------------: |",
                "| llama 1.24B Q4_0               | 699.76 MiB |     1.24 B | CPU        |       2 \
                 |           pp512 |       192.00 ± 90.51 |",
            ]
        );
        assert_eq!(lines.len(), 4);
        assert_eq!(
            report.end(&example()),
            "\nbuild: llamafile 0.1.0, Some \"fast\" one, avx2, 26.0 GB/s, 502 GOPS\n"
        );
    }

    #[test]
    fn json_holds_the_samples() {
        let mut report = Report::new(Format::Json);
        let rows = report.row(&example()) + &report.row(&example());
        let value: Value = serde_json::from_str(&(rows + &report.end(&example()))).unwrap();
        assert_eq!(value.as_array().unwrap().len(), 2);
        assert_eq!(value[1]["samples_ns"][1], 4_000_000_000u64);
        assert_eq!(value[0]["samples_ts"][0], 256.0);
        assert_eq!(value[0]["avg_ns"], 3_000_000_000u64);
        assert_eq!(value[0]["n_prompt"], 512);
    }

    #[test]
    fn csv_quotes_text_and_joins_samples() {
        let mut report = Report::new(Format::Csv);
        let text = report.row(&example()) + &report.row(&example());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("build,cpu_info,isa,"), "{}", lines[0]);
        assert!(lines[1].contains("\"Some \"\"fast\"\" one\",\"avx2\""), "{}", lines[1]);
        assert!(lines[1].ends_with(",2000000000;4000000000,256.0;128.0"), "{}", lines[1]);
        assert_eq!(report.end(&example()), "");
    }
}
