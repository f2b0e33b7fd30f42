//! One prompt, one answer.

use std::fs;
use std::io::Read;
use std::process::Stdio;

use crate::support::{folder, llamafile, model, run, run_with_input, stderr, stdout};

const SKY: &str = "Why is the sky blue?";

#[test]
fn a_question_gets_a_sensible_answer_and_nothing_else() {
    let output = run(&["-p", SKY, "--temp", "0", "-n", "60"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(text.contains("scatter"), "{text}");
    assert!(!text.contains(SKY) && !text.contains("<|im_"), "{text}");
    assert!(text.ends_with('\n'), "{text}");
    assert_eq!(stderr(&output), "");
}

#[test]
fn the_answer_ends_by_itself() {
    let output = run(&["-p", "What is 2+2?", "--temp", "0"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains('4'), "{}", stdout(&output));
}

#[test]
fn greedy_answers_do_not_depend_on_threads_and_seeds() {
    let answer = |more: &[&str]| {
        let mut arguments = vec!["-p", SKY, "--temp", "0", "-n", "24"];
        arguments.extend(more);
        stdout(&run(&arguments))
    };
    let first = answer(&["-t", "1"]);
    assert!(!first.is_empty());
    assert_eq!(first, answer(&["-t", "2"]));
    assert_eq!(first, answer(&["-t", "1", "--seed", "5"]));
}

#[test]
fn equal_seeds_repeat_the_answer_and_others_do_not() {
    let answer = |seed: &str| stdout(&run(&["-p", "Tell me a story.", "-s", seed, "-n", "24"]));
    let first = answer("7");
    assert_eq!(first, answer("7"));
    assert_ne!(first, answer("8"));
}

#[test]
fn a_stop_text_ends_the_answer() {
    const STORY: &str = "Once upon a time";
    for (mode, prompt) in [(&["-no-cnv"][..], STORY), (&[], SKY)] {
        let arguments = [mode, &["-p", prompt, "--temp", "0", "-n", "40"]].concat();
        let whole = stdout(&run(&arguments));
        let answer = whole.strip_prefix(prompt).unwrap_or(&whole);
        // A text within the answer that begins inside a token.
        let words: Vec<&str> = answer.split_whitespace().collect();
        let stop = &words[words.len() / 2][1..];
        let stopped = stdout(&run(&[&arguments[..], &["-r", "no such text", "-r", stop]].concat()));
        let expected = &answer[..answer.find(stop).expect("a text of the answer")];
        let found = stopped.strip_prefix(prompt).unwrap_or(&stopped);
        assert_eq!(found.trim_end(), expected.trim_end());
    }
}

#[test]
fn the_prompt_comes_from_a_pipe_or_a_file() {
    let typed = stdout(&run(&["-p", SKY, "--temp", "0", "-n", "12"]));
    let piped = run_with_input(&["--temp", "0", "-n", "12"], &format!("{SKY}\n"));
    assert_eq!(stdout(&piped), typed);
    let file = folder("prompt").join("prompt.txt");
    fs::write(&file, format!("{SKY}\n")).unwrap();
    let read = run(&["-f", file.to_str().unwrap(), "--temp", "0", "-n", "12"]);
    assert_eq!(stdout(&read), typed);
}

#[test]
fn a_completion_repeats_its_prompt_unless_told_not_to() {
    let arguments = ["-no-cnv", "-p", "Once upon a time", "--temp", "0", "-n", "8"];
    let whole = stdout(&run(&arguments));
    assert!(whole.starts_with("Once upon a time"), "{whole}");
    let mut quiet = arguments.to_vec();
    quiet.push("--no-display-prompt");
    let rest = stdout(&run(&quiet));
    assert_eq!(whole, format!("Once upon a time{rest}"));
}

#[test]
fn the_system_message_counts() {
    let ask = |system: &str| {
        stdout(&run(&["-sys", system, "-p", "Who are you?", "--temp", "0", "-n", "16"]))
    };
    assert_ne!(ask("You are a pirate."), ask("You are a doctor."));
}

#[test]
fn timings_go_to_standard_error() {
    let output = run(&["-p", "Hi", "-n", "4", "--timings"]);
    assert!(stderr(&output).contains("tokens/s"), "{}", stderr(&output));
    assert!(!stdout(&output).contains("tokens/s"));
}

#[test]
fn a_reader_that_goes_away_ends_the_run_quietly() {
    let mut command = llamafile();
    command.arg("-m").arg(model()).args(["-p", "Tell me a long story.", "--temp", "0"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut first = [0; 4];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(stderr(&output), "");
}

#[test]
fn help_and_version_need_no_model() {
    for arguments in [["--help"], ["help"]] {
        let output = llamafile().args(arguments).output().unwrap();
        assert!(output.status.success());
        assert!(stdout(&output).contains("--temp"), "{}", stdout(&output));
    }
    let output = llamafile().arg("--version").output().unwrap();
    assert_eq!(stdout(&output), concat!("llamafile ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn the_environment_lowers_the_instruction_set() {
    let run = |isa: &str| {
        let mut command = llamafile();
        command.env("LLAMAFILE_ISA", isa).arg("-m").arg(model());
        command.args(["-p", "Hi", "-n", "1", "-v"]).output().unwrap()
    };
    let scalar = run("scalar");
    assert!(scalar.status.success());
    assert!(stderr(&scalar).contains("cpu (scalar, "), "{}", stderr(&scalar));
    let unknown = run("sse9");
    assert_eq!(unknown.status.code(), Some(1));
    assert!(stderr(&unknown).contains("LLAMAFILE_ISA=sse9"), "{}", stderr(&unknown));
}
