//! A report as a table.

use std::fmt;

use super::{Entry, Report};

/// For each task a line, for each device or instruction set a column. Then what is wrong.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = |entry: &'_ Entry| -> (String, String) {
            let (device, task) = entry.name.split_once('/').unwrap_or((&entry.name, ""));
            (device.to_owned(), task.to_owned())
        };
        let names: Vec<(String, String)> = self.kernels.iter().map(parts).collect();
        let devices = unique(names.iter().map(|(device, _)| device));
        let tasks = unique(names.iter().map(|(_, task)| task));
        let width = tasks.iter().map(|task| task.len()).max().unwrap_or(0);

        write!(f, "{:width$}", "")?;
        for device in &devices {
            write!(f, "  {device}")?;
        }
        writeln!(f)?;
        for task in tasks {
            let mut line = format!("{task:width$}");
            for device in &devices {
                let at = names.iter().position(|(d, t)| d == *device && t == task);
                let cell = at.map_or("", |at| self.kernels[at].cell());
                line += &format!("  {cell:0$}", device.len());
            }
            writeln!(f, "{}", line.trim_end())?;
        }

        let plural = |n: usize| if n == 1 { "" } else { "s" };
        let (n, threads) = (self.kernels.len(), self.threads);
        write!(f, "\n{n} kernel{} tested in {:.1} s", plural(n), self.seconds)?;
        writeln!(f, " with {threads} thread{}: {} wrong", plural(threads), self.wrong)?;
        for entry in &self.kernels {
            let Some(wrong) = &entry.wrong else { continue };
            let found = wrong.found.map_or("no number".to_owned(), |found| found.to_string());
            writeln!(f, "\n{}", entry.name)?;
            writeln!(
                f,
                "  {}: value {} is {found} instead of {}",
                wrong.case, wrong.at, wrong.expected
            )?;
            writeln!(f, "  (it may differ by {:.1e})", wrong.limit)?;
        }
        if self.wrong > 0 {
            writeln!(f, "\nModels are run without them, by lower instruction sets.")?;
        }
        if self.kernels.iter().any(|entry| entry.disabled) {
            writeln!(f, "\noff: disabled by {}.", cpu::kernel::ENV)?;
        }
        Ok(())
    }
}

impl Entry {
    fn cell(&self) -> &'static str {
        match (self.right, self.disabled) {
            (false, _) => "WRONG",
            (true, true) => "off",
            (true, false) => "ok",
        }
    }
}

/// Each once, in the order of their first appearance.
fn unique<'a>(names: impl Iterator<Item = &'a String>) -> Vec<&'a str> {
    let mut all: Vec<&str> = Vec::new();
    for name in names {
        if !all.contains(&name.as_str()) {
            all.push(name);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::Wrong;
    use super::*;

    fn entry(name: &str) -> Entry {
        let name = name.to_owned();
        Entry { name, right: true, cases: 3, error: 0.1, disabled: false, wrong: None }
    }

    #[test]
    fn a_table_and_what_is_wrong() {
        let wrong = Wrong {
            case: "35x77 weights".to_owned(),
            at: 34,
            found: Some(1.5),
            expected: 1.0,
            limit: 1e-5,
        };
        let report = Report {
            kernels: vec![
                entry("scalar/F32/direct"),
                entry("scalar/rope"),
                Entry { right: false, wrong: Some(wrong), ..entry("avx2/F32/direct") },
                Entry { disabled: true, ..entry("avx2/rope") },
                entry("avx512/rope"),
            ],
            wrong: 1,
            threads: 2,
            seconds: 0.25,
        };
        let head = "            scalar  avx2  avx512\n";
        let expected = "\
F32/direct  ok      WRONG
rope        ok      off   ok

5 kernels tested in 0.2 s with 2 threads: 1 wrong

avx2/F32/direct
  35x77 weights: value 34 is 1.5 instead of 1
  (it may differ by 1.0e-5)

Models are run without them, by lower instruction sets.

off: disabled by LLAMAFILE_DISABLE.
";
        assert_eq!(report.to_string(), head.to_owned() + expected);
        assert!(report.to_json().contains("\"name\": \"avx2/F32/direct\""));
    }
}
