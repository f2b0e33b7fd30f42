//! The kernels that a model will use, tested when it is loaded.

use std::fmt;

use backend::{Form, KvTypes, Task, TensorType};
use cpu::Kernel;
use cpu::isa::Isa;

use crate::candidate::Candidate;
use crate::case::Disagreement;
use crate::cases::{Extent, cases};
use crate::run::judge;

/// A kernel that is not used because its results are wrong.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The kernel.
    pub kernel: Kernel,
    /// What it got wrong.
    pub wrong: Disagreement,
    /// The kernel in its place, tested too; `None` if it is wrong itself, and without replacement.
    pub instead: Option<Kernel>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kernel, wrong, instead } = self;
        write!(f, "the kernel {kernel} is wrong on this machine ({wrong})")?;
        match instead {
            Some(instead) => write!(f, ", {instead} is used instead"),
            None => write!(f, ", and there is no other: don't trust what this machine computes"),
        }
    }
}

/// Tests the kernels that models with these types of weights, keys and values use on this level where
/// some are disabled. Takes a few milliseconds.
pub fn wrong_kernels(
    isa: Isa,
    disabled: &[Kernel],
    types: impl IntoIterator<Item = TensorType>,
    kv: KvTypes,
) -> Vec<Fault> {
    let types = types.into_iter().filter(|&ty| cpu::matmul::supports(ty));
    let products = types.flat_map(|ty| Form::ALL.map(|form| Task::Product(ty, form)));
    let attention = [Some(kv.k), (kv.v != kv.k).then_some(kv.v)].into_iter().flatten();
    let tasks = products.chain(attention.map(Task::Attention)).chain(Task::OTHERS);

    let mut faults: Vec<Fault> = Vec::new();
    for task in tasks {
        let cases = cases(task, Extent::Quick);
        let mut may_not = disabled.to_vec();
        let first = faults.len();
        loop {
            let kernel = Kernel::choose(isa, task, |kernel| !may_not.contains(&kernel));
            let Some(wrong) = judge(&Candidate::from(kernel), &cases).wrong else {
                faults[first..].iter_mut().for_each(|fault| fault.instead = Some(kernel));
                break;
            };
            faults.push(Fault { kernel, wrong, instead: None });
            if may_not.contains(&kernel) || kernel.isa == Isa::Scalar {
                break;
            }
            may_not.push(kernel);
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_of_this_machine_are_right() {
        let types = [TensorType::Q4_K, TensorType::F32, TensorType::Q8_1];
        for isa in Isa::available() {
            let faults = wrong_kernels(isa, &[], types, KvTypes::default());
            assert!(faults.is_empty(), "{}", faults[0]);
        }
    }

    #[test]
    #[ignore = "a measurement"]
    fn cost_of_a_start() {
        use std::time::Instant;
        let time = |what: &str, run: &dyn Fn()| {
            let start = Instant::now();
            (0..20).for_each(|_| run());
            println!("{what}: {:.2} ms", start.elapsed().as_secs_f64() * 50.0);
        };
        for types in [&[][..], &[TensorType::Q4_1, TensorType::Q8_0], &[TensorType::IQ2_XXS]] {
            time(&format!("{types:?}"), &|| {
                wrong_kernels(Isa::detect(), &[], types.iter().copied(), KvTypes::default());
            });
        }
        let attention = Task::Attention(KvTypes::default().k);
        let product = |form| Task::Product(TensorType::Q4_K, form);
        let products = [product(Form::Direct), product(Form::Panels), attention];
        for task in Task::OTHERS.into_iter().chain(products) {
            time(&format!("cases of {task}"), &|| drop(cases(task, Extent::Quick)));
            let kernel = Kernel::choose(Isa::detect(), task, |_| true);
            let cases = cases(task, Extent::Quick);
            time(&format!("{kernel}"), &|| drop(judge(&Candidate::from(kernel), &cases)));
        }
    }
}
