//! Files of tasks.

use thiserror::Error;

use super::random::Random;
use super::{Kind, Task};

/// Most answers of a task.
const MOST_ANSWERS: u32 = 100;

/// Why a file of tasks is refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum TaskError {
    /// HellaSwag has six lines for each task.
    #[error(
        "{lines} lines; HellaSwag has 6 for each task: context, number of the right ending, and 4 endings"
    )]
    Lines {
        /// Lines of the file.
        lines: usize,
    },
    /// A line is not as it should be.
    #[error("line {line}: {problem}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// The file is not text.
    #[error("the file is not UTF-8 text")]
    NotText,
    /// A binary file is damaged.
    #[error("task {task}: {problem}")]
    Task {
        /// Counted from 1.
        task: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// There are none.
    #[error("the file has no tasks")]
    Empty,
}

/// Reads tasks, `most` of them chosen as llama.cpp does; 0 for all.
///
/// # Errors
/// A file of another form.
pub fn read_tasks(kind: Kind, file: &[u8], most: usize) -> Result<Vec<Task>, TaskError> {
    let text = || std::str::from_utf8(file).map_err(|_| TaskError::NotText);
    let tasks = match kind {
        Kind::HellaSwag => hellaswag(text()?, most)?,
        Kind::Winogrande => chosen(winogrande(text()?)?, most),
        Kind::MultipleChoice => chosen(multiple_choice(file)?, most),
    };
    if tasks.is_empty() { Err(TaskError::Empty) } else { Ok(tasks) }
}

/// The context, the number of the right ending, and four endings on a line each. Tasks come in
/// random order.
fn hellaswag(text: &str, most: usize) -> Result<Vec<Task>, TaskError> {
    let mut lines: Vec<&str> = text.split('\n').collect();
    if lines.last() == Some(&"") {
        lines.pop();
    }
    let (tasks, rest) = lines.as_chunks::<6>();
    if !rest.is_empty() {
        return Err(TaskError::Lines { lines: lines.len() });
    }
    let task = |(at, [context, right, endings @ ..]): (usize, &[&str; 6])| {
        let right: usize =
            right.trim().parse().ok().filter(|right| *right < 4).ok_or(TaskError::Line {
                line: 6 * at + 2,
                problem: "expected a number from 0 to 3",
            })?;
        Ok(Task {
            texts: endings.iter().map(|ending| format!("{context} {ending}")).collect(),
            bases: None,
            right: (0..4).map(|i| i == right).collect(),
        })
    };
    let mut left = tasks.iter().enumerate().map(task).collect::<Result<Vec<_>, _>>()?;
    let most = if most == 0 { left.len() } else { most.min(left.len()) };
    let mut random = Random::new(1);
    Ok((0..most).map(|_| left.remove(random.below(left.len() as u32) as usize)).collect())
}

/// Number, sentence with `_`, two choices, and 1 or 2, separated by commas.
fn winogrande(text: &str) -> Result<Vec<Task>, TaskError> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(at, line)| {
            let refuse = |problem| TaskError::Line { line: at + 1, problem };
            let fields = fields(line);
            let [_, sentence, one, other, answer] = fields[..] else {
                return Err(refuse("expected number, sentence, two choices and an answer"));
            };
            let sentence = sentence.strip_prefix('"').unwrap_or(sentence);
            let sentence = sentence.strip_suffix('"').unwrap_or(sentence);
            let (before, after) =
                sentence.split_once('_').ok_or_else(|| refuse("the sentence has no _"))?;
            let right = match answer.trim() {
                "1" => [true, false],
                "2" => [false, true],
                _ => return Err(refuse("expected the answer 1 or 2")),
            };
            let choices = [one, other];
            Ok(Task {
                texts: choices.iter().map(|c| format!("{before}{c}{after}")).collect(),
                bases: Some(choices.iter().map(|c| format!("{before}{c}")).collect()),
                right: right.to_vec(),
            })
        })
        .collect()
}

/// What the first four commas outside of quotes separate.
fn fields(line: &str) -> Vec<&str> {
    let mut quoted = false;
    let mut left = 5;
    line.splitn(5, |c| {
        quoted ^= c == '"';
        let comma = c == ',' && !quoted && left > 0;
        left -= usize::from(comma);
        comma
    })
    .collect()
}

/// Some of them in random order, or all as they are.
fn chosen(mut tasks: Vec<Task>, most: usize) -> Vec<Task> {
    if most == 0 || most >= tasks.len() {
        return tasks;
    }
    let mut random = Random::new(1);
    (0..most).map(|_| tasks.swap_remove(random.below_by_float(tasks.len()))).collect()
}

/// The number of tasks, the places of all, then each: question, answers of which one is right, and
/// answers of which several are.
fn multiple_choice(file: &[u8]) -> Result<Vec<Task>, TaskError> {
    let mut cursor = Cursor { bytes: file, task: 0 };
    let n = cursor.number()? as usize;
    cursor.take(n.checked_mul(4).ok_or(cursor.short())?)?;
    let mut tasks = Vec::new();
    for task in 1..=n {
        cursor.task = task;
        let question = cursor.text()?;
        let (answers, labels) = cursor.answers()?;
        cursor.answers()?;
        if question.is_empty() || answers.is_empty() || answers.iter().any(String::is_empty) {
            return Err(TaskError::Task { task, problem: "an empty question or answer" });
        }
        tasks.push(Task {
            texts: answers.iter().map(|answer| format!("{question} {answer}")).collect(),
            bases: None,
            right: labels.iter().map(|&label| label == 1).collect(),
        });
    }
    Ok(tasks)
}

struct Cursor<'a> {
    bytes: &'a [u8],
    task: usize,
}

impl<'a> Cursor<'a> {
    fn short(&self) -> TaskError {
        TaskError::Task { task: self.task.max(1), problem: "the file ends within it" }
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], TaskError> {
        let (taken, rest) = self.bytes.split_at_checked(n).ok_or(self.short())?;
        self.bytes = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u32, TaskError> {
        let (number, rest) = self.bytes.split_first_chunk().ok_or(self.short())?;
        self.bytes = rest;
        Ok(u32::from_le_bytes(*number))
    }

    fn text(&mut self) -> Result<String, TaskError> {
        let len = self.number()? as usize;
        Ok(String::from_utf8_lossy(self.take(len)?).into_owned())
    }

    fn answers(&mut self) -> Result<(Vec<String>, Vec<u32>), TaskError> {
        let n = self.number()?;
        if n > MOST_ANSWERS {
            return Err(TaskError::Task { task: self.task, problem: "more than 100 answers" });
        }
        let answers = (0..n).map(|_| self.text()).collect::<Result<_, _>>()?;
        let labels = (0..n).map(|_| self.number()).collect::<Result<_, _>>()?;
        Ok((answers, labels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_hellaswag() {
        let file = "A man sits\n2\none\ntwo\nthree\nfour\nA cat\n0\na\nb\nc\nd\n";
        let tasks = read_tasks(Kind::HellaSwag, file.as_bytes(), 0).expect("two tasks");
        assert_eq!(tasks.len(), 2);
        let man = tasks.iter().find(|task| task.texts[0] == "A man sits one").expect("a task");
        assert_eq!(man.right, [false, false, true, false]);
        assert_eq!(read_tasks(Kind::HellaSwag, file.as_bytes(), 1).expect("one").len(), 1);
        let refused = |file: &str| read_tasks(Kind::HellaSwag, file.as_bytes(), 0).unwrap_err();
        assert_eq!(refused("a\nb\n"), TaskError::Lines { lines: 2 });
        let problem = "expected a number from 0 to 3";
        assert_eq!(refused("a\n4\nb\nc\nd\ne\n"), TaskError::Line { line: 2, problem });
        assert_eq!(refused(""), TaskError::Empty);
    }

    #[test]
    fn rows_of_winogrande() {
        let file =
            "0,Sarah beat Maria so _ won.,Sarah,Maria,1\n1,\"Well, _ lost.\",Sarah,Maria,2\n";
        let tasks = read_tasks(Kind::Winogrande, file.as_bytes(), 0).expect("two tasks");
        assert_eq!(tasks[0].texts[1], "Sarah beat Maria so Maria won.");
        assert_eq!(tasks[1].texts[0], "Well, Sarah lost.");
        assert_eq!(tasks[1].bases.as_ref().expect("bases")[1], "Well, Maria");
        assert_eq!(tasks[1].right, [false, true]);
        for (line, part) in
            [("0,a _ b,c", "two choices"), ("0,a b,c,d,1", "no _"), ("0,a _ b,c,d,3", "1 or 2")]
        {
            let error = read_tasks(Kind::Winogrande, line.as_bytes(), 0).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    #[test]
    fn binary_tasks() {
        let text = |text: &str| [&(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
        let numbers = |numbers: &[u32]| numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        let file: Vec<u8> = [
            numbers(&[1, 8]),
            text("Is it?"),
            numbers(&[2]),
            text("yes"),
            text("no"),
            numbers(&[0, 1]),
            numbers(&[0]),
        ]
        .concat();
        let tasks = read_tasks(Kind::MultipleChoice, &file, 0).expect("a task");
        assert_eq!(tasks[0].texts, ["Is it? yes", "Is it? no"]);
        assert_eq!(tasks[0].right, [false, true]);
        for end in 0..file.len() {
            assert!(read_tasks(Kind::MultipleChoice, &file[..end], 0).is_err(), "{end}");
        }
        assert!(read_tasks(Kind::MultipleChoice, &[255; 64], 0).is_err());
    }
}
