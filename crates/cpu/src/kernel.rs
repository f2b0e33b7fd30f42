//! Kernels by name: which there are, and which of them are used.

use std::fmt;
use std::str::FromStr;

use backend::{Form, Task};
use quant::TensorType;

use crate::isa::Isa;

/// Name of the environment variable that lists kernels not to use, separated by commas.
pub const ENV: &str = "LLAMAFILE_DISABLE";

/// What does a task on an instruction set, for example `avx512-vnni/Q4_K/panels`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kernel {
    /// The instruction set that it is written for.
    pub isa: Isa,
    /// What it does.
    pub task: Task,
}

impl Kernel {
    /// Those that this processor can run, portable ones first.
    pub fn available() -> impl Iterator<Item = Kernel> {
        let of_level = |isa| Task::all().map(move |task| Kernel { isa, task });
        let is_own = |kernel: &Kernel| home(kernel.isa, kernel.task) == kernel.isa;
        Isa::available().flat_map(of_level).filter(is_own)
    }

    /// The kernel that does a task on this level: the best that may be used. Portable ones always may.
    pub fn choose(isa: Isa, task: Task, may_use: impl Fn(Kernel) -> bool) -> Kernel {
        let levels = Isa::ALL[..=isa as usize].iter().rev().filter(|isa| isa.is_available());
        let mut kernels = levels.map(|&isa| Kernel { isa: home(isa, task), task });
        let portable = Kernel { isa: Isa::Scalar, task };
        kernels.find(|&kernel| may_use(kernel)).unwrap_or(portable)
    }

    /// The kernels that [`ENV`] lists.
    ///
    /// The error is a message for people: a name of none that this processor can run, or of one that
    /// has no replacement.
    pub fn disabled_by_env() -> Result<Vec<Kernel>, String> {
        match std::env::var(ENV) {
            Ok(names) => Kernel::list(&names).map_err(|error| format!("{ENV}: {error}")),
            Err(_) => Ok(Vec::new()),
        }
    }

    fn list(names: &str) -> Result<Vec<Kernel>, UnknownKernel> {
        let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
        names.map(str::parse).collect()
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.isa, self.task)
    }
}

/// No kernel that this processor can do without has the name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no kernel of this processor that can be replaced; `llamafile selftest` lists them")]
pub struct UnknownKernel(String);

/// In any case. Only kernels that can be replaced are found.
impl FromStr for Kernel {
    type Err = UnknownKernel;

    fn from_str(name: &str) -> Result<Self, UnknownKernel> {
        let is_it = |kernel: &Kernel| {
            kernel.isa != Isa::Scalar && kernel.to_string().eq_ignore_ascii_case(name)
        };
        Kernel::available().find(is_it).ok_or_else(|| UnknownKernel(name.to_owned()))
    }
}

/// The lowest level whose kernel for the task is the same code.
fn home(isa: Isa, task: Task) -> Isa {
    use TensorType::{BF16, F16, F32, IQ2_XS, IQ2_XXS, IQ3_S, IQ3_XXS};
    let is_float = |ty| matches!(ty, F32 | F16 | BF16);
    let is_looked_up = |ty| matches!(ty, IQ2_XXS | IQ2_XS | IQ3_XXS | IQ3_S);
    match task {
        Task::Product(BF16, _) if isa == Isa::Avx512Bf16 => isa,
        Task::Product(ty, Form::Direct)
            if is_looked_up(ty) && matches!(isa, Isa::Avx512Vbmi | Isa::Avx512Bf16) =>
        {
            Isa::Avx512Vbmi
        }
        Task::Product(ty, _) => match isa {
            Isa::Avx512Vbmi | Isa::Avx512Bf16 => Isa::Avx512Vnni,
            Isa::AvxVnni if is_float(ty) => Isa::Avx2,
            Isa::Dotprod | Isa::I8mm if is_float(ty) => Isa::Neon,
            _ => isa,
        },
        Task::Rounding => match isa {
            Isa::Avx512Vbmi | Isa::Avx512Bf16 => Isa::Avx512Vnni,
            Isa::AvxVnni => Isa::Avx2,
            Isa::Neon | Isa::Dotprod | Isa::I8mm => Isa::Scalar,
            _ => isa,
        },
        // Keys and queries are multiplied in 8 bits.
        Task::Attention(_) => match isa {
            Isa::Avx512Vbmi | Isa::Avx512Bf16 => Isa::Avx512Vnni,
            Isa::AvxVnni => Isa::Avx2,
            Isa::I8mm => Isa::Dotprod,
            _ => isa,
        },
        _ => match isa {
            Isa::Avx512Vnni | Isa::Avx512Vbmi | Isa::Avx512Bf16 => Isa::Avx512,
            Isa::AvxVnni => Isa::Avx2,
            Isa::Dotprod | Isa::I8mm => Isa::Neon,
            _ => isa,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PANELS: Task = Task::Product(TensorType::Q4_K, Form::Panels);

    #[test]
    fn names_lead_back_to_what_can_be_replaced() {
        for kernel in Kernel::available() {
            let found = kernel.to_string().to_uppercase().parse();
            assert_eq!(found.ok(), (kernel.isa != Isa::Scalar).then_some(kernel), "{kernel}");
        }
        let names = Kernel::available().map(|kernel| kernel.to_string());
        let last = names.filter(|name| name.ends_with("/Q4_K/panels")).last().unwrap();
        let best = Kernel::choose(Isa::detect(), PANELS, |_| true);
        assert_eq!(last, best.to_string());
        assert_eq!(Kernel::list(""), Ok(Vec::new()));
        let unknown = Kernel::list("scalar/Q4_K/panels").unwrap_err();
        assert!(unknown.to_string().starts_with("scalar/Q4_K/panels is no kernel"), "{unknown}");
        if best.isa != Isa::Scalar {
            assert_eq!(Kernel::list(&format!(" {last},")), Ok(vec![best]));
        }
    }

    #[test]
    fn what_may_not_be_used_gives_way_to_the_next_lower_level() {
        for task in Task::all() {
            let mut disabled = Vec::new();
            let mut last = usize::MAX;
            loop {
                let kernel = Kernel::choose(Isa::detect(), task, |k| !disabled.contains(&k));
                assert!((kernel.isa as usize) < last && Kernel::available().any(|k| k == kernel));
                last = kernel.isa as usize;
                disabled.push(kernel);
                if kernel.isa == Isa::Scalar {
                    break;
                }
            }
            assert_eq!(Kernel::choose(Isa::detect(), task, |_| false).isa, Isa::Scalar);
            // All of this processor's have had their turn.
            let all = Kernel::available().filter(|kernel| kernel.task == task).count();
            assert_eq!(disabled.len(), all, "{task}");
        }
    }
}
