//! Results as text, as llama.cpp's `llama-perplexity` prints them.

use std::fmt::Write;

use super::tasks::{Kind, Score};
use super::{ChunkScore, Divergence, Estimate, Perplexity};

/// How chunks are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OutputType {
    /// In running text.
    #[default]
    Short,
    /// A line for each, with mean and error of the negative log-likelihood.
    Long,
}

impl ChunkScore {
    /// What is printed after a chunk; `step` tokens lie between the beginnings of two.
    pub fn text(&self, form: OutputType, step: usize) -> String {
        let perplexity = self.nll.value.exp();
        match form {
            OutputType::Short => format!("[{}]{perplexity:.4},", self.chunk),
            OutputType::Long => {
                let Estimate { value, error } = self.nll;
                let start = (self.chunk - 1) * step;
                format!("{start:8}  {perplexity:.4}  {value:4.6}  {error:4.6}\n")
            }
        }
    }
}

impl Perplexity {
    /// The last line.
    pub fn text(&self) -> String {
        let Estimate { value, error } = self.perplexity;
        format!("Final estimate: PPL = {value:.4} +/- {error:.5}\n")
    }
}

impl Divergence {
    /// The head of the table of chunks.
    pub const HEAD: &str = "chunk             PPL               ln(PPL(Q)/PPL(base))          \
                            KL Divergence              Δp RMS            Same top p\n";

    /// What is known after a chunk.
    pub fn line(&self, chunk: usize) -> String {
        let Self { perplexity, log_ratio, kl, .. } = self;
        let (delta, top) = (self.delta_rms.percent(), self.same_top.percent());
        format!(
            "{chunk:4}    {:9.4} ± {:9.4}    {:10.5} ± {:10.5}    {:10.5} ± {:10.5}    \
             {:6.3} ± {:6.3} %    {:6.3} ± {:6.3} %\n",
            perplexity.value,
            perplexity.error,
            log_ratio.value,
            log_ratio.error,
            kl.value,
            kl.error,
            delta.value,
            delta.error,
            top.value,
            top.error,
        )
    }

    /// All that is known in the end.
    pub fn text(&self) -> String {
        let mut text = String::from("\n====== Perplexity statistics ======\n");
        let mut line = |name: &str, estimate: Estimate| {
            let _ = writeln!(text, "{name:<30}: {:10.6} ± {:10.6}", estimate.value, estimate.error);
        };
        line("Mean PPL(Q)", self.perplexity);
        line("Mean PPL(base)", self.base);
        let _ = writeln!(text, "Cor(ln(PPL(Q)), ln(PPL(base))): {:6.2}%", 100.0 * self.correlation);
        let mut line = |name: &str, estimate: Estimate| {
            let _ = writeln!(text, "{name:<30}: {:10.6} ± {:10.6}", estimate.value, estimate.error);
        };
        line("Mean ln(PPL(Q)/PPL(base))", self.log_ratio);
        line("Mean PPL(Q)/PPL(base)", self.ratio);
        line("Mean PPL(Q)-PPL(base)", self.difference);

        let Estimate { value, error } = self.kl;
        let _ = write!(
            text,
            "\n====== KL divergence statistics ======\nMean    KLD: {value:10.6} ± {error:10.6}\n"
        );
        for (name, share) in [
            ("Maximum", 1.0),
            ("99.9%  ", 0.999),
            ("99.0%  ", 0.99),
            ("95.0%  ", 0.95),
            ("90.0%  ", 0.9),
            ("Median ", 0.5),
            ("10.0%  ", 0.1),
            (" 5.0%  ", 0.05),
            (" 1.0%  ", 0.01),
            (" 0.1%  ", 0.001),
            ("Minimum", 0.0),
        ] {
            let _ = writeln!(text, "{name} KLD: {:10.6}", self.kl_percentile(share));
        }

        let Estimate { value, error } = self.delta.percent();
        let _ = write!(
            text,
            "\n====== Token probability statistics ======\nMean    Δp: {value:6.3} ± {error:5.3} %\n"
        );
        for (name, share) in [
            ("Maximum", 1.0),
            ("99.9%  ", 0.999),
            ("99.0%  ", 0.99),
            ("95.0%  ", 0.95),
            ("90.0%  ", 0.9),
            ("75.0%  ", 0.75),
            ("Median ", 0.5),
            ("25.0%  ", 0.25),
            ("10.0%  ", 0.1),
            (" 5.0%  ", 0.05),
            (" 1.0%  ", 0.01),
            (" 0.1%  ", 0.001),
            ("Minimum", 0.0),
        ] {
            let _ = writeln!(text, "{name} Δp: {:6.3}%", 100.0 * self.delta_percentile(share));
        }
        for (name, estimate) in [("RMS Δp    ", self.delta_rms), ("Same top p", self.same_top)] {
            let Estimate { value, error } = estimate.percent();
            let _ = writeln!(text, "{name}: {value:6.3} ± {error:5.3} %");
        }
        text
    }
}

impl Score {
    /// The head of the table of tasks.
    pub fn head(kind: Kind) -> &'static str {
        match kind {
            Kind::HellaSwag => "task\tacc_norm\t95% confidence interval\n",
            Kind::Winogrande => "task\taccuracy\tscores of both, chosen, right\n",
            Kind::MultipleChoice => "task\tacc_norm\n",
        }
    }

    /// The outcome of a task.
    pub fn line(&self, kind: Kind) -> String {
        let (done, accuracy) = (self.done, 100.0 * self.accuracy());
        match kind {
            Kind::HellaSwag => {
                let (low, high) = self.interval();
                let (low, high) = (100.0 * low, 100.0 * high);
                format!("{done}\t{accuracy:.8}%\t[{low:.4}%, {high:.4}%]\n")
            }
            Kind::Winogrande => {
                let [first, second] = [0, 1].map(|i| self.answers.get(i).copied().unwrap_or(0.0));
                let (chosen, right) = (self.chosen + 1, self.right + 1);
                format!("{done}\t{accuracy:.4}\t{first:10.6}  {second:10.6}  {chosen}  {right}\n")
            }
            Kind::MultipleChoice => format!("{done}\t{accuracy:.8}\n"),
        }
    }

    /// What is said in the end.
    pub fn summary(&self, kind: Kind) -> String {
        let (share, chance) = (self.accuracy(), self.done as f64 / self.n_answers.max(1) as f64);
        let with_error =
            |share: f64| format!("{:.4} +/- {:.4}", 100.0 * share, 100.0 * self.error_of(share));
        match kind {
            Kind::HellaSwag => String::new(),
            Kind::Winogrande => {
                format!("\nFinal Winogrande score({} tasks): {}\n", self.done, with_error(share))
            }
            Kind::MultipleChoice => format!(
                "\nFinal result: {}\nRandom chance: {}\n",
                with_error(share),
                with_error(chance)
            ),
        }
    }
}
