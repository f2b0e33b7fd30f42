//! The help, made from the table of flags.

use std::fmt::Write;

use super::TABLES;
use super::flag::{Action, Flag, Group};
use crate::models::KNOWN;
use crate::terminal::Style;
use tools::quantize::TARGETS;
use tools::synth::SHAPES;

const INDENT: usize = 28;
const WIDTH: usize = 96;

const EXAMPLES: &[(&str, &str)] = &[
    ("llamafile", "chat with the default model"),
    ("llamafile -p \"Why is the sky blue?\"", "one answer, then exit"),
    ("llamafile -m model.gguf", "chat with a model of yours"),
    ("llamafile -m model.gguf -f notes.txt", "the prompt from a file"),
    ("git diff | llamafile -sys \"Review this.\"", "the prompt from a pipe"),
    ("llamafile -no-cnv -p \"Once upon a time\"", "plain text, continued"),
    ("llamafile -p Hi --temp 0 -n 20 --timings", "repeatable, short, timed"),
    ("llamafile bench -m model.gguf", "how fast it is here"),
    ("llamafile doctor -m model.gguf", "whether it fits here"),
    ("llamafile pack model.gguf", "one file to hand to anyone"),
];

const COMMANDS: &[(&str, &str)] = &[
    ("llamafile [FLAGS]", "chat, or answer -p, -f or standard input"),
    ("llamafile chat [MODEL]", "the same as -m MODEL --chat"),
    ("llamafile run [MODEL] [PROMPT]", "the same as -m MODEL -p PROMPT"),
    ("llamafile pull MODEL", "fetch a known model"),
    ("llamafile embed [TEXT...] [FLAGS]", "vectors of texts, or scores of pairs"),
    ("llamafile convert DIR -o FILE", "a model file of a BERT model's folder"),
    ("llamafile quantize IN [OUT] TARGET", "make a model file smaller, as llama-quantize does"),
    ("llamafile bench [FLAGS]", "measure models as llama-bench does"),
    ("llamafile synth SHAPE [FLAGS]", "write a model of random weights to measure"),
    ("llamafile doctor [FLAGS]", "what the machine has, and whether a model fits"),
    ("llamafile pack MODEL... [FLAGS] [-- ARGS]", "one file of models and program"),
    ("llamafile retarget FILE --os SYSTEM", "make it an executable of one system"),
    ("llamafile upgrade FILE [--engines DIR]", "swap the program in a packed file"),
    ("llamafile inspect FILE", "list what is packed in a file"),
    ("llamafile unpack FILE [-o DIR]", "take out what is packed in a file"),
    ("llamafile verify FILE", "prove that a packed file is whole"),
    ("llamafile --llamafile FILE [FLAGS]", "start what is packed in a file"),
    ("llamafile help", "print this help"),
    ("llamafile version", "print the version"),
];

const QUANTIZE_EXAMPLES: &[(&str, &str)] = &[
    ("llamafile quantize model-F16.gguf small.gguf Q4_K_M", "the usual choice"),
    ("llamafile quantize model-F16.gguf Q8_0 8", "with 8 threads"),
    ("llamafile quantize --dry-run model-F16.gguf Q5_K_M", "how large it would be"),
    ("llamafile quantize --imatrix i.gguf in.gguf out.gguf IQ2_M", "tiny, still usable"),
    ("llamafile quantize --tensor-type ffn_down=q8_0 in.gguf Q4_K_M", "exact where you want"),
];

/// The whole help.
pub fn help(style: Style) -> String {
    let mut text = String::from("llamafile runs language models from a single file.\n");
    section(&mut text, style, "Examples");
    pairs(&mut text, style, EXAMPLES, 44);
    section(&mut text, style, "Commands");
    pairs(&mut text, style, COMMANDS, 44);
    for group in Group::ALL {
        section(&mut text, style, group.title());
        for flag in TABLES.into_iter().flatten().filter(|flag| flag.group == group) {
            entry(&mut text, style, flag);
        }
    }
    section(&mut text, style, "Known models");
    for model in KNOWN {
        let about = format!("{} ({} MB)", model.title, model.bytes / 1_000_000);
        pairs(&mut text, style, &[(model.name, &about)], INDENT);
    }
    section(&mut text, style, "Shapes of llamafile synth");
    for shape in SHAPES {
        pairs(&mut text, style, &[(shape.name, shape.title)], INDENT);
    }
    text
}

/// The help of `llamafile quantize`.
pub fn quantize_help(style: Style) -> String {
    let mut text = String::from(
        "llamafile quantize IN.gguf [OUT.gguf] TARGET [THREADS]\n\n\
         Writes a model in fewer bits per weight: smaller and faster, at some loss of quality. Start\n\
         from a file of 16 or 32 bits. The output is OUT.gguf, or ggml-model-TARGET.gguf beside IN.gguf.\n",
    );
    section(&mut text, style, "Examples");
    pairs(&mut text, style, QUANTIZE_EXAMPLES, 66);
    section(&mut text, style, Group::Quantize.title());
    for flag in TABLES.into_iter().flatten().filter(|flag| flag.group == Group::Quantize) {
        entry(&mut text, style, flag);
    }
    section(&mut text, style, "Targets, and the bits per weight of their base type");
    for target in TARGETS {
        let bits = 8.0 * target.base.block_bytes() as f64 / target.base.block_len() as f64;
        let number = target.file_type.map_or(String::new(), |ty| (ty as u32).to_string());
        let about = match target.file_type {
            Some(_) => format!("{bits:7.3}  {}", target.about),
            None => format!("{:7}  {}", "", target.about),
        };
        let name = format!("{number:>2}  {}", target.name);
        pairs(&mut text, style, &[(&name, &about)], 18);
    }
    text
}

fn section(text: &mut String, style: Style, title: &str) {
    let _ = writeln!(text, "\n{}", style.bold(title));
}

fn pairs(text: &mut String, style: Style, pairs: &[(&str, &str)], width: usize) {
    for (left, right) in pairs {
        let padding = " ".repeat(width.saturating_sub(left.len() + 2));
        let _ = writeln!(text, "  {}{padding}{right}", style.accent(left));
    }
}

fn entry(text: &mut String, style: Style, flag: &Flag) {
    let (off, value): (&[&str], _) = match &flag.action {
        Action::Plain(_) => (&[], String::new()),
        Action::Switch { off, .. } => (off, String::new()),
        Action::Value { name, .. } => (&[], format!(" {name}")),
        Action::Optional { off, .. } => (off, " [on|off|auto]".into()),
    };
    let names: Vec<&str> = flag.names.iter().chain(off).copied().collect();
    let head = format!("{}{value}", names.join(", "));
    let mut about = flag.help.to_owned();
    if let Some(variable) = flag.env {
        let _ = write!(about, " [{variable}]");
    }
    let mut lines = wrap(&about, WIDTH - INDENT).into_iter();
    if head.len() + 4 <= INDENT {
        let padding = " ".repeat(INDENT - 2 - head.len());
        let first = lines.next().unwrap_or_default();
        let _ = writeln!(text, "  {}{padding}{first}", style.accent(&head));
    } else {
        let _ = writeln!(text, "  {}", style.accent(&head));
    }
    for line in lines {
        let _ = writeln!(text, "{:INDENT$}{line}", "");
    }
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let fits = lines
            .last()
            .is_some_and(|line| line.is_empty() || line.len() + 1 + word.len() <= width);
        if !fits {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_is_in_the_help_and_no_line_is_too_long() {
        let text = help(Style::plain());
        for flag in TABLES.into_iter().flatten() {
            for name in flag.names {
                assert!(text.contains(name), "{name}");
            }
        }
        for line in text.lines() {
            assert!(line.len() <= WIDTH, "{line}");
        }
    }
}
