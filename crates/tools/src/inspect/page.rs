//! An inspection as a page with charts.

use engine::Bytes;

use super::{Group, Inspection, Severity};
use crate::bench::count;
use crate::html::{Columns, Page, Series};

impl Inspection {
    /// A page that shows all of it.
    pub fn page(&self) -> Page {
        let name = self.name.as_deref().unwrap_or(&self.path);
        let mut page = Page::new(name, &self.path);
        let unknown = || "unknown".to_owned();
        let trained = self.context.as_ref().map(|context| context.trained.to_string());
        page.facts([
            ("Architecture", self.architecture.clone().unwrap_or_else(unknown)),
            ("Parameters", count(self.parameters)),
            ("Type", self.file_type.clone().unwrap_or_else(unknown)),
            ("Size", Bytes(self.file_bytes.iter().sum()).to_string()),
            ("Context in training", trained.unwrap_or_else(unknown)),
            ("Tensors", self.tensors.len().to_string()),
        ]);
        page.heading("Problems");
        let kinds = |severity| match severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        match &self.problems[..] {
            [] => page.remarks([("note", "none found")]),
            found => page.remarks(found.iter().map(|p| (kinds(p.severity), p.text.as_str()))),
        }
        page.heading("Weights");
        self.add_layers(&mut page);
        add_groups(&mut page, "Type", &self.by_type);
        self.add_contexts(&mut page);
        self.add_details(&mut page);
        page
    }

    /// Layers as bars, of the types of their tensors.
    fn add_layers(&self, page: &mut Page) {
        let labels: Vec<String> = self.by_layer.iter().map(|layer| layer.name.clone()).collect();
        let of_type = |group: &Group| {
            let bytes = |layer: &Group| -> f64 {
                let tensors = self.tensors.iter();
                let own = tensors.filter(|t| t.ty == group.name);
                own.filter(|t| super::tensors::layer(&t.name) == layer.name)
                    .map(|tensor| tensor.bytes as f64)
                    .sum()
            };
            Series { name: group.name.clone(), values: self.by_layer.iter().map(bytes).collect() }
        };
        let series: Vec<Series> = self.by_type.iter().map(of_type).collect();
        let columns = Columns { labels: &labels, series: &series, format: &bytes };
        page.columns("Size by layer", &columns);
    }

    fn add_contexts(&self, page: &mut Page) {
        let Some(context) = &self.context else { return };
        page.heading("Memory of a context, beside the weights");
        let labels: Vec<String> = context.rows.iter().map(|row| row.n_ctx.to_string()).collect();
        let values = context.rows.iter().map(|row| row.bytes[0].unwrap_or(0) as f64).collect();
        let series = [Series { name: context.formats[0].to_owned(), values }];
        let columns = Columns { labels: &labels, series: &series, format: &bytes };
        page.columns(&format!("Keys, values and states in {}", context.formats[0]), &columns);
        let mut head = vec!["Tokens"];
        head.extend(&context.formats);
        head.push("+ work");
        let cell = |bytes: Option<u64>| bytes.map_or("–".into(), |n| Bytes(n).to_string());
        let rows: Vec<Vec<String>> = context
            .rows
            .iter()
            .map(|row| {
                let cells = row.bytes.iter().chain([&row.work]).map(|&bytes| cell(bytes));
                [row.n_ctx.to_string()].into_iter().chain(cells).collect()
            })
            .collect();
        page.table(&head, &rows, true);
    }

    fn add_details(&self, page: &mut Page) {
        page.heading("Details");
        let rows: Vec<Vec<String>> = self
            .metadata
            .iter()
            .map(|pair| vec![pair.key.clone(), pair.ty.clone(), pair.value.clone()])
            .collect();
        page.folded("Metadata", |page| page.table(&["Key", "Type", "Value"], &rows, false));
        let rows: Vec<Vec<String>> = self
            .tensors
            .iter()
            .map(|t| vec![t.name.clone(), t.ty.into(), t.sizes(), Bytes(t.bytes).to_string()])
            .collect();
        let head = ["Tensor", "Type", "Shape", "Size"];
        page.folded("Tensors", |page| page.table(&head, &rows, true));
    }
}

fn add_groups(page: &mut Page, title: &str, groups: &[Group]) {
    let row = |group: &Group| {
        let bits = 8.0 * group.bytes as f64 / group.values.max(1) as f64;
        vec![
            group.name.clone(),
            group.tensors.to_string(),
            count(group.values),
            Bytes(group.bytes).to_string(),
            format!("{bits:.2}"),
        ]
    };
    let rows: Vec<Vec<String>> = groups.iter().map(row).collect();
    page.table(&[title, "Tensors", "Weights", "Size", "Bits per weight"], &rows, true);
}

fn bytes(value: f64) -> String {
    Bytes(value as u64).to_string()
}
