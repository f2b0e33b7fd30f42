//! An inspection as text.

use std::fmt::Write;

use engine::Bytes;

use super::{Group, Inspection, Severity, SpecialToken, TensorFacts};

/// How parts of the text are marked, such as by colours.
#[derive(Clone, Copy)]
pub struct Paint<'a> {
    /// Headings.
    pub heading: &'a dyn Fn(&str) -> String,
    /// What is wrong.
    pub problem: &'a dyn Fn(&str) -> String,
}

impl Inspection {
    /// All of it but the metadata and the tensors one by one.
    pub fn overview(&self, paint: Paint<'_>) -> String {
        let mut text = format!("{}\n", (paint.heading)(&self.path));
        let mut line = |name: &str, value: &str| {
            let _ = writeln!(text, "  {name:<14}{value}");
        };
        let name = self.name.as_deref().unwrap_or("(no name)");
        line("model", &format!("{name}, {}", self.title()));
        let files = match self.file_bytes.len() {
            1 => String::new(),
            n => format!(" in {n} files"),
        };
        let bytes = Bytes(self.file_bytes.iter().sum());
        let keys = self.metadata.len();
        let tensors = self.tensors.len();
        let version = self.version;
        line("file", &format!("{bytes}{files}, GGUF {version}, {keys} keys, {tensors} tensors"));
        if let Some(context) = &self.context {
            line("context", &format!("{} tokens in training", context.trained));
        }
        self.add_language(&mut line);
        self.add_problems(&mut text, paint);
        text += &section(paint, "Size by type");
        text += &groups(&self.by_type, self.tensor_bytes);
        text += &section(paint, "Size by layer");
        text += &groups(&self.by_layer, self.tensor_bytes);
        self.add_context(&mut text, paint);
        text
    }

    fn add_language(&self, line: &mut dyn FnMut(&str, &str)) {
        if let Some(tokenizer) = &self.tokenizer {
            let pre = tokenizer.pre.as_deref().unwrap_or("default");
            let added = match (tokenizer.add_bos, tokenizer.add_eos) {
                (true, true) => ", texts between BOS and EOS",
                (true, false) => ", texts begin with BOS",
                (false, true) => ", texts end with EOS",
                (false, false) => "",
            };
            let (model, n) = (&tokenizer.model, tokenizer.tokens);
            line("tokenizer", &format!("{model} ({pre}), {n} tokens{added}"));
            line("special", &tokens(&tokenizer.special, true));
            line("ends answers", &tokens(&tokenizer.ends, false));
        }
        let Some(template) = &self.template else { return };
        let mut parts = vec![template.name.map_or("the model's own".to_owned(), str::to_owned)];
        parts.push(format!("{} characters", template.chars));
        parts.push(format!("calls as {}", template.format));
        let able = [
            (template.system_role, "system messages"),
            (template.tools, "tools"),
            (template.reasoning, "thoughts"),
            (template.thinking_switch, "a switch for thinking"),
        ];
        let able: Vec<&str> = able.iter().filter(|(is, _)| *is).map(|(_, what)| *what).collect();
        if !able.is_empty() {
            parts.push(format!("with {}", able.join(", ")));
        }
        if !template.others.is_empty() {
            parts.push(format!("others: {}", template.others.join(", ")));
        }
        line("chat template", &parts.join("; "));
    }

    fn add_problems(&self, text: &mut String, paint: Paint<'_>) {
        *text += &section(paint, "Problems");
        if self.problems.is_empty() {
            *text += "  none found\n";
        }
        for problem in &self.problems {
            let kind = match problem.severity {
                Severity::Error => (paint.problem)("error"),
                Severity::Warning => (paint.problem)("warning"),
                Severity::Note => "note".to_owned(),
            };
            let _ = writeln!(text, "  {kind}: {}", problem.text);
        }
    }

    fn add_context(&self, text: &mut String, paint: Paint<'_>) {
        let Some(context) = self.context.as_ref().filter(|context| !context.rows.is_empty()) else {
            return;
        };
        *text += &section(paint, "Memory of a context, beside the weights");
        let formats = context.formats.iter().map(|format| format!("{format:>12}"));
        let _ = writeln!(text, "  {:>9}{}{:>14}", "tokens", formats.collect::<String>(), "+ work");
        for row in &context.rows {
            let bytes = |bytes: Option<u64>| bytes.map_or("-".into(), |n| Bytes(n).to_string());
            let cells = row.bytes.iter().map(|&n| format!("{:>12}", bytes(n)));
            let (cells, work) = (cells.collect::<String>(), bytes(row.work));
            let _ = writeln!(text, "  {:>9}{cells}{work:>14}", row.n_ctx);
        }
    }

    /// The metadata, a key a line.
    pub fn metadata_list(&self) -> String {
        let width = self.metadata.iter().map(|pair| pair.key.len()).max().unwrap_or(0);
        let line = |pair: &super::Pair| {
            format!("  {:<width$}  {:<16} {}\n", pair.key, pair.ty, pair.value)
        };
        self.metadata.iter().map(line).collect()
    }

    /// The tensors, one a line.
    pub fn tensor_list(&self) -> String {
        let width = self.tensors.iter().map(|tensor| tensor.name.len()).max().unwrap_or(0);
        let line = |tensor: &TensorFacts| {
            let TensorFacts { name, ty, bytes, .. } = tensor;
            format!("  {name:<width$}  {ty:<8} {:<24} {bytes:>14}\n", tensor.sizes())
        };
        self.tensors.iter().map(line).collect()
    }
}

impl TensorFacts {
    /// The shape, such as `576 x 49152`.
    pub fn sizes(&self) -> String {
        self.shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ")
    }
}

fn section(paint: Paint<'_>, title: &str) -> String {
    format!("\n{}\n", (paint.heading)(title))
}

/// Groups with their shares, and what layers of the same size have in common on one line.
fn groups(groups: &[Group], total: u64) -> String {
    let mut text = String::new();
    let mut rest = groups;
    while let Some(first) = rest.first() {
        let same = rest.iter().take_while(|g| g.bytes == first.bytes && g.tensors == first.tensors);
        let n = same.count();
        let name = match n {
            1 => first.name.clone(),
            n => format!("{} … {} (each)", first.name, rest[n - 1].name),
        };
        let share = 100.0 * (first.bytes * n as u64) as f64 / total.max(1) as f64;
        let bits = 8.0 * first.bytes as f64 / first.values.max(1) as f64;
        let _ = writeln!(
            text,
            "  {name:<28}{:>5} tensors{:>12}{share:>7.1} %{bits:>8.2} bits/weight",
            first.tensors,
            Bytes(first.bytes).to_string(),
        );
        rest = &rest[n..];
    }
    text
}

fn tokens(tokens: &[SpecialToken], roles: bool) -> String {
    let token = |token: &SpecialToken| {
        let text = token.text.as_deref().unwrap_or("(none)").escape_debug();
        let role = if roles { format!("{} ", token.role) } else { String::new() };
        format!("{role}{} {text}", token.id)
    };
    match tokens {
        [] => "none".to_owned(),
        tokens => tokens.iter().map(token).collect::<Vec<_>>().join(", "),
    }
}
