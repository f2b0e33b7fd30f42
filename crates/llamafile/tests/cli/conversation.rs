//! Conversations, line by line.

use crate::support::{run_with_input, stderr, stdout};

const PLAIN: [&str; 5] = ["--chat", "--simple-io", "--temp", "0", "-n"];

fn converse(lines: &str) -> (String, String) {
    let mut arguments = PLAIN.to_vec();
    arguments.push("24");
    let output = run_with_input(&arguments, lines);
    assert!(output.status.success(), "{}", stderr(&output));
    (stdout(&output), stderr(&output))
}

#[test]
fn what_was_said_counts_until_it_is_cleared() {
    let question = "What is my name?\n";
    let (fresh, _) = converse(question);
    let (told, _) = converse(&format!("My name is Zoe.\n{question}"));
    assert!(!fresh.is_empty() && !told.ends_with(&fresh), "{told}");
    let (cleared, _) = converse(&format!("My name is Zoe.\n/clear\n{question}"));
    assert!(cleared.ends_with(&fresh), "{cleared}\nfresh: {fresh}");
}

#[test]
fn commands_are_obeyed_and_unknown_ones_met_with_a_suggestion() {
    let (out, err) = converse("/stats\n/hlep\n/exit\nnever asked\n");
    assert_eq!(out, "");
    assert!(err.contains("context 0 of 8192 tokens used"), "{err}");
    assert!(err.contains("did you mean /help?"), "{err}");
}

#[test]
fn quotes_hold_several_lines_together() {
    let (block, err) = converse("\"\"\"\nWhat is\n2+2?\n\"\"\"\n");
    assert_eq!(block.trim().lines().count(), 1, "one answer: {block}");
    assert!(!err.contains("error"), "{err}");
}
