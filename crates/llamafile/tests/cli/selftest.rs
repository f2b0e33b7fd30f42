//! `llamafile selftest`, and kernels that are wrong or disabled.
//!
//! The program that is tested here has the feature `plant` of the crate `cpu`: `LLAMAFILE_PLANT` makes
//! the kernel that it names wrong. Shipped programs don't have it.

use std::process::Output;

use backend::{Form, Task, TensorType};
use cpu::Kernel;
use cpu::isa::Isa;
use serde_json::Value;

use crate::support::{llamafile, model, stderr, stdout};

/// Runs the command with a variable of the environment.
fn with(variable: &str, value: &str, arguments: &[&str]) -> Output {
    llamafile().args(arguments).env(variable, value).output().unwrap()
}

/// The kernel that this machine uses for products of a type.
fn in_use(ty: TensorType, form: Form) -> String {
    Kernel::choose(Isa::detect(), Task::Product(ty, form), |_| true).to_string()
}

#[test]
fn kernels_are_listed_and_right() {
    let output = llamafile().args(["selftest", "q4_0", "rope"]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    for task in ["Q4_0/direct ", "Q4_0/panels ", "attention/Q4_0 ", "rope "] {
        assert!(text.lines().any(|line| line.starts_with(task)), "no \"{task}\" in {text}");
    }
    assert!(text.contains(": 0 wrong"), "{text}");
    let unknown = llamafile().args(["selftest", "q9_0"]).output().unwrap();
    assert!(!unknown.status.success());
    assert!(stderr(&unknown).contains("q9_0"), "{}", stderr(&unknown));
}

#[test]
fn a_wrong_kernel_is_caught_by_the_selftest() {
    for (ty, form) in [(TensorType::Q4_K, Form::Panels), (TensorType::F16, Form::Direct)] {
        let name = in_use(ty, form);
        let output = with("LLAMAFILE_PLANT", &name, &["selftest", "--json", ty.name()]);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("1 of "), "{}", stderr(&output));
        let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
        let kernels = report["kernels"].as_array().unwrap();
        assert!(kernels.len() > 2);
        for kernel in kernels {
            assert_eq!(kernel["right"], kernel["name"] != name.as_str(), "{kernel}");
        }
    }
}

#[test]
fn a_wrong_kernel_is_caught_by_the_run() {
    let path = model().to_str().unwrap();
    let ask = ["-m", path, "-p", "What is the capital of France?", "-n", "24", "--temp", "0"];
    let right = llamafile().args(ask).output().unwrap();
    assert!(right.status.success() && stderr(&right).is_empty(), "{}", stderr(&right));
    for form in Form::ALL {
        let name = in_use(TensorType::Q4_1, form);
        let output = with("LLAMAFILE_PLANT", &name, &ask);
        let without = with("LLAMAFILE_DISABLE", &name, &ask);
        assert_eq!(stdout(&output), stdout(&without), "without {name}");
        let warning = format!("warning: the kernel {name} is wrong on this machine (");
        assert!(stderr(&output).starts_with(&warning), "{}", stderr(&output));
        assert!(stderr(&output).contains("is used instead"), "{}", stderr(&output));
        let bench = ["bench", "-m", path, "-p", "0", "-n", "1", "-r", "1"];
        let output = with("LLAMAFILE_PLANT", &name, &bench);
        assert!(stderr(&output).starts_with(&warning), "{}", stderr(&output));
        let doctor = with("LLAMAFILE_PLANT", &name, &["doctor", "--json"]);
        let found: Value = serde_json::from_str(&stdout(&doctor)).unwrap();
        let wrong = found["kernels"]["wrong"].as_array().unwrap();
        assert_eq!((wrong.len(), &wrong[0]["name"]), (1, &name.as_str().into()));
    }
}

#[test]
fn kernels_are_disabled_by_name() {
    let names = [Form::Direct, Form::Panels].map(|form| in_use(TensorType::Q4_1, form));
    let names = names.join(",");
    let path = model().to_str().unwrap();
    let ask = ["-m", path, "-p", "Hi", "-n", "2", "--temp", "0"];
    let output = with("LLAMAFILE_DISABLE", &names, &ask);
    assert!(output.status.success() && stderr(&output).is_empty(), "{}", stderr(&output));
    let doctor = with("LLAMAFILE_DISABLE", &names, &["doctor"]);
    for name in names.split(',') {
        let line = format!("  not used        {name}: LLAMAFILE_DISABLE asks for it\n");
        assert!(stdout(&doctor).contains(&line), "{}", stdout(&doctor));
    }
    let table = with("LLAMAFILE_DISABLE", &names, &["selftest", "q4_1/"]);
    assert!(stdout(&table).contains("off: disabled by LLAMAFILE_DISABLE"), "{}", stdout(&table));
    let unknown = with("LLAMAFILE_DISABLE", "sse9/Q4_1/panels", &ask);
    assert_eq!(unknown.status.code(), Some(1));
    let expected = "LLAMAFILE_DISABLE: sse9/Q4_1/panels is no kernel of this processor";
    assert!(stderr(&unknown).contains(expected), "{}", stderr(&unknown));
}
