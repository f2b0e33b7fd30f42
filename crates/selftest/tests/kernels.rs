//! Every kernel of the machine that runs the tests.

use std::sync::Mutex;

use selftest::{Extent, of_cpu, run};

#[test]
fn every_kernel_agrees_with_the_reference() {
    // Other processors are emulated, which takes a hundred times as long.
    let extent = if cfg!(target_arch = "x86_64") { Extent::Thorough } else { Extent::Quick };
    let candidates = of_cpu();
    let heard = Mutex::new(Vec::new());
    let verdicts = run(&candidates, extent, 2, &|before, name| {
        heard.lock().unwrap().push((before, name.to_owned()));
    });
    assert_eq!(verdicts.len(), candidates.len());
    for (verdict, candidate) in verdicts.iter().zip(&candidates) {
        assert_eq!(verdict.name, candidate.name);
        assert!(verdict.wrong.is_none(), "{}: {}", verdict.name, verdict.wrong.as_ref().unwrap());
        assert!(verdict.cases > 0 && verdict.error <= 1.0, "{verdict:?}");
    }
    let mut heard = heard.into_inner().unwrap();
    heard.sort();
    assert!(heard.iter().enumerate().all(|(i, (before, _))| *before == i));
    assert_eq!(heard.len(), candidates.len());
}
