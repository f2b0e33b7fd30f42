//! Tasks with several answers, of which the model shall find the right one more likely than others.

mod random;
mod read;

use serde::Serialize;

use super::Error;
use super::evaluator::{Evaluator, Runner};
use super::stats::{Softmax, map_rows};

pub use read::{TaskError, read_tasks};

/// Tokens after the words to choose from that are enough to judge by.
const TRAILING: usize = 3;

/// Tasks whose answers are evaluated at once.
const MOST_TASKS: usize = 32;

/// Which test it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// HellaSwag: lines of text, six a task.
    HellaSwag,
    /// Winogrande: comma-separated values.
    Winogrande,
    /// ARC, MMLU, TruthfulQA and others, in the binary form of llama.cpp.
    MultipleChoice,
}

/// A question and its answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Whole texts, each with another answer.
    pub texts: Vec<String>,
    /// Beginnings of these up to the end of the answer, where what follows is judged.
    pub bases: Option<Vec<String>>,
    /// Which texts are right.
    pub right: Vec<bool>,
}

/// A task's outcome, and all of them so far.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Score {
    /// Tasks so far.
    pub done: usize,
    /// Tasks there are.
    pub total: usize,
    /// Of which the model chose rightly.
    pub correct: usize,
    /// Mean log-probability of a token of each answer of this task.
    pub answers: Vec<f32>,
    /// The answer that the model finds most likely.
    pub chosen: usize,
    /// The right one; the first of them.
    pub right: usize,
    /// Answers of all tasks so far.
    pub n_answers: usize,
}

impl Score {
    /// Share of tasks that were answered rightly.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.done.max(1) as f64
    }

    /// The interval that has the true share with 95 %, by Wilson.
    pub fn interval(&self) -> (f64, f64) {
        let (share, n, z) = (self.accuracy(), self.done.max(1) as f64, 1.959_963_984_54_f64);
        let squared = z * z / n;
        let half = squared * (n * (4.0 * share * (1.0 - share) + squared)).sqrt() / (2.0 * z);
        let middle = share + squared / 2.0;
        ((middle - half) / (1.0 + squared), (middle + half) / (1.0 + squared))
    }

    /// Standard error of a share of the tasks.
    pub fn error_of(&self, share: f64) -> f64 {
        (share * (1.0 - share) / (self.done.max(2) - 1) as f64).sqrt()
    }
}

/// A task as tokens.
struct Tokens {
    answers: Vec<Vec<u32>>,
    /// Tokens that all answers begin with.
    common: usize,
    /// The tokens of each answer that count.
    judged: Vec<std::ops::Range<usize>>,
}

impl Tokens {
    fn new(evaluator: &Evaluator, task: &Task) -> Self {
        let answers: Vec<Vec<u32>> = task.texts.iter().map(|text| evaluator.tokens(text)).collect();
        let first = answers.first().map_or(&[][..], Vec::as_slice);
        let same = |at: usize| answers.iter().all(|tokens| tokens.get(at) == first.get(at));
        // Something is left to judge, and something to judge it by.
        let shortest = answers.iter().map(Vec::len).min().unwrap_or(0);
        let common = (0..first.len()).take_while(|&at| same(at)).count();
        let common = common.min(shortest.saturating_sub(1)).max(1);
        let judged = answers.iter().map(|tokens| common..tokens.len().max(common)).collect();
        let mut own = Self { answers, common, judged };
        if let Some(bases) = &task.bases {
            own.judge_after(&bases.iter().map(|b| evaluator.tokens(b).len()).collect::<Vec<_>>());
        }
        own
    }

    /// Judges what follows the first tokens, if that is enough; the last token, which is a full stop,
    /// does not count.
    fn judge_after(&mut self, bases: &[usize]) {
        let enough = self.answers.iter().all(|tokens| tokens.len() > self.common + TRAILING);
        for ((range, tokens), base) in self.judged.iter_mut().zip(&self.answers).zip(bases) {
            let start = if enough { (*base).clamp(self.common, tokens.len()) } else { self.common };
            let last = usize::from(tokens.len() - start > 1);
            *range = start..tokens.len() - last;
        }
    }

    /// Positions that all answers take.
    fn needed(&self) -> usize {
        self.common + self.answers.iter().map(|tokens| tokens.len() - self.common).sum::<usize>()
    }
}

/// Has the model answer all tasks. `notice` is told each outcome.
///
/// # Errors
/// Tasks that don't fit the context, and models that can't be run.
pub fn evaluate(
    evaluator: &Evaluator,
    tasks: &[Task],
    notice: &mut dyn FnMut(&Score),
) -> Result<Option<Score>, Error> {
    let n_ctx = evaluator.options.n_ctx;
    let mut runner = evaluator.task_runner()?;
    let all: Vec<Tokens> = tasks.iter().map(|task| Tokens::new(evaluator, task)).collect();
    if let Some(at) = all.iter().position(|task| task.needed() > n_ctx) {
        return Err(Error::LongTask { task: at + 1, needed: all[at].needed(), n_ctx });
    }
    let (mut correct, mut n_answers, mut start) = (0, 0, 0);
    let mut last = None;
    while start < all.len() {
        let group = group(&all[start..], n_ctx, runner.n_sequences);
        let answers = log_probabilities(&mut runner, group)?;
        for (i, answers) in answers.into_iter().enumerate() {
            let right = &tasks[start + i].right;
            let mut chosen = 0;
            for (at, &answer) in answers.iter().enumerate() {
                if answer > answers[chosen] {
                    chosen = at;
                }
            }
            correct += usize::from(right.get(chosen) == Some(&true));
            n_answers += answers.len();
            let score = Score {
                done: start + i + 1,
                total: all.len(),
                correct,
                answers,
                chosen,
                right: right.iter().position(|&right| right).unwrap_or(0),
                n_answers,
            };
            notice(&score);
            last = Some(score);
        }
        start += group.len();
    }
    Ok(last)
}

/// As many tasks as fit.
fn group(tasks: &[Tokens], n_ctx: usize, n_sequences: usize) -> &[Tokens] {
    let (mut positions, mut sequences) = (0, 0);
    let fits = |task: &&Tokens| {
        positions += task.needed();
        sequences += task.answers.len();
        positions <= n_ctx && sequences <= n_sequences
    };
    let n = tasks.iter().take(MOST_TASKS).take_while(fits).count();
    &tasks[..n.max(1).min(tasks.len())]
}

/// Mean log-probability of the tokens that count, of each answer of each task.
fn log_probabilities(runner: &mut Runner<'_>, tasks: &[Tokens]) -> Result<Vec<Vec<f32>>, Error> {
    runner.clear();
    // The sequence of each task's first answer.
    let firsts: Vec<usize> = tasks
        .iter()
        .scan(0, |next, task| {
            let first = *next;
            *next += task.answers.len();
            Some(first)
        })
        .collect();
    let answers = || {
        tasks.iter().zip(&firsts).flat_map(|(task, first)| {
            task.answers
                .iter()
                .zip(&task.judged)
                .enumerate()
                .map(move |(i, answer)| (first + i, task.common, answer))
        })
    };
    let mut sums: Vec<f32> = vec![0.0; answers().count()];
    // What answers have in common is read once.
    let beginnings: Vec<(usize, &[u32])> =
        tasks.iter().zip(&firsts).map(|(t, &first)| (first, &t.answers[0][..t.common])).collect();
    let longest = tasks.iter().map(|task| task.common).max().unwrap_or(0);
    for (task, beginning) in tasks.iter().zip(&beginnings) {
        let (first, common) = (beginning.0, task.common);
        runner.run(&[*beginning], common - 1, &mut |rows| {
            for (i, (answer, judged)) in task.answers.iter().zip(&task.judged).enumerate() {
                if judged.start == common && rows.position + rows.len() == common {
                    sums[first + i] -= nll(rows.row(rows.len() - 1), answer[common]);
                }
            }
            Ok(())
        })?;
        for i in 1..task.answers.len() {
            runner.fork(first, first + i);
        }
    }
    debug_assert!(longest > 0);
    let rest: Vec<(usize, &[u32])> = answers()
        .map(|(sequence, common, (tokens, judged))| {
            (sequence, &tokens[common..judged.end.saturating_sub(1).max(common)])
        })
        .collect();
    let all: Vec<_> = answers().collect();
    runner.run(&rest, 0, &mut |rows| {
        let (_, common, (tokens, judged)) = all[rows.sequence];
        let values = map_rows(rows.len(), |i| {
            let next = common + rows.position + i + 1;
            if judged.contains(&next) { nll(rows.row(i), tokens[next]) } else { 0.0 }
        });
        values.iter().for_each(|nll| sums[rows.sequence] -= nll);
        Ok(())
    })?;
    let means: Vec<f32> =
        all.iter().zip(sums).map(|((_, _, (_, judged)), sum)| sum / judged.len() as f32).collect();
    Ok(tasks
        .iter()
        .zip(&firsts)
        .map(|(task, &first)| means[first..first + task.answers.len()].to_vec())
        .collect())
}

fn nll(logits: &[f32], token: u32) -> f32 {
    Softmax::of(logits).nll(logits[token as usize]) as f32
}
