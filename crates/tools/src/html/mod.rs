//! Pages with charts: one self-contained file, light or dark as the reader's system is.

mod chart;

use std::fmt::Write;
use std::path::Path;

use crate::{Error, output};

pub use chart::{Columns, Lines, Series};

const STYLE: &str = include_str!("style.css");

/// A page in the making.
#[derive(Debug, Clone)]
pub struct Page {
    title: String,
    body: String,
}

impl Page {
    /// A page with a heading and a line below it.
    pub fn new(title: &str, subtitle: &str) -> Self {
        let body = format!("<h1>{}</h1>\n<p class=sub>{}</p>\n", escape(title), escape(subtitle));
        Self { title: title.to_owned(), body }
    }

    /// Begins a section.
    pub fn heading(&mut self, text: &str) {
        let _ = writeln!(self.body, "<h2>{}</h2>", escape(text));
    }

    /// Figures that matter, each with what it is.
    pub fn facts<'a>(&mut self, facts: impl IntoIterator<Item = (&'a str, String)>) {
        self.body += "<dl>";
        for (name, value) in facts {
            let (name, value) = (escape(name), escape(&value));
            let _ = write!(self.body, "<div><dt>{name}</dt><dd>{value}</dd></div>");
        }
        self.body += "</dl>\n";
    }

    /// Remarks, each of a kind that has a colour: `error`, `warning` or `note`.
    pub fn remarks<'a>(&mut self, remarks: impl IntoIterator<Item = (&'a str, &'a str)>) {
        self.body += "<ul>";
        for (kind, text) in remarks {
            let (kind, text) = (escape(kind), escape(text));
            let _ = write!(self.body, "<li class={kind}><b>{kind}</b> {text}</li>");
        }
        self.body += "</ul>\n";
    }

    /// A table whose columns after the first hold numbers, or all text.
    pub fn table(&mut self, head: &[&str], rows: &[Vec<String>], numbers: bool) {
        let class = if numbers { " class=numbers" } else { "" };
        let _ = write!(self.body, "<div class=wide><table{class}><thead><tr>");
        for cell in head {
            let _ = write!(self.body, "<th>{}</th>", escape(cell));
        }
        self.body += "</tr></thead>\n<tbody>";
        for row in rows {
            self.body += "<tr>";
            for cell in row {
                let _ = write!(self.body, "<td>{}</td>", escape(cell));
            }
            self.body += "</tr>\n";
        }
        self.body += "</tbody></table></div>\n";
    }

    /// What is long, folded away until it is asked for.
    pub fn folded(&mut self, summary: &str, content: impl FnOnce(&mut Self)) {
        let _ = writeln!(self.body, "<details><summary>{}</summary>", escape(summary));
        content(self);
        self.body += "</details>\n";
    }

    /// Text as it is.
    pub fn code(&mut self, text: &str) {
        let _ = writeln!(self.body, "<pre>{}</pre>", escape(text));
    }

    /// Bars that stand side by side.
    pub fn columns(&mut self, caption: &str, columns: &Columns<'_>) {
        self.figure(caption, &columns.names(), &columns.svg(caption));
    }

    /// Curves.
    pub fn lines(&mut self, caption: &str, lines: &Lines<'_>) {
        self.figure(caption, &lines.names(), &lines.svg(caption));
    }

    fn figure(&mut self, caption: &str, names: &[&str], svg: &str) {
        let _ = write!(self.body, "<figure><figcaption>{}", escape(caption));
        if names.len() > 1 {
            self.body += "<span class=legend>";
            for (i, name) in names.iter().enumerate() {
                let color = i % chart::COLORS;
                let _ = write!(self.body, "<span><i class=b{color}></i>{}</span>", escape(name));
            }
            self.body += "</span>";
        }
        let _ = writeln!(self.body, "</figcaption>{svg}</figure>");
    }

    /// The page.
    pub fn finish(&self) -> String {
        let build = concat!("llamafile ", env!("CARGO_PKG_VERSION"));
        format!(
            "<!doctype html>\n<html lang=en><meta charset=utf-8>\n\
             <meta name=viewport content=\"width=device-width, initial-scale=1\">\n\
             <meta name=color-scheme content=\"light dark\">\n\
             <title>{}</title>\n<style>\n{STYLE}</style>\n<main>\n{}<footer>{build}</footer>\n\
             </main>\n</html>\n",
            escape(&self.title),
            self.body
        )
    }

    /// Writes the page to a file.
    ///
    /// # Errors
    /// A file that can't be written.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        output::write_file(path, |out| {
            let failed = |error| Error::Write { path: path.to_owned(), error };
            std::io::Write::write_all(out, self.finish().as_bytes()).map_err(failed)
        })
    }
}

/// Text as HTML.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_files_say_is_no_markup() {
        let evil = "<script>alert('x & \"y\"')</script>";
        let mut page = Page::new(evil, evil);
        page.heading(evil);
        page.facts([(evil, evil.to_owned())]);
        page.remarks([("note", evil)]);
        page.table(&[evil], &[vec![evil.to_owned()]], false);
        page.code(evil);
        let labels = [evil.to_owned()];
        let series = [
            Series { name: evil.into(), values: vec![1.0] },
            Series { name: evil.into(), values: vec![2.0] },
        ];
        let format = &|v: f64| format!("{v}{evil}");
        page.columns(evil, &Columns { labels: &labels, series: &series, format });
        page.lines(evil, &Lines { x: &[1.0], x_name: evil, series: &series, format });
        let text = page.finish();
        assert!(!text.contains("<script"), "{text}");
        assert!(text.matches("&lt;script&gt;").count() > 10);
        // Nothing is fetched from elsewhere.
        assert!(!text.contains("http") && !text.contains("url("), "{text}");
    }
}
