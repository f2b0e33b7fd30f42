//! What kernels are for, so that those of every backend can be listed, tested and disabled by name.

use std::fmt;
use std::str::FromStr;

use quant::TensorType;

use crate::kv::KvType;

/// The work of one kernel, whatever device it is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Task {
    /// Products with weights of a type.
    Product(TensorType, Form),
    /// Rounding of activations for products.
    Rounding,
    /// Keys and values stored in a format, and attention to them.
    Attention(KvType),
    /// Sums, products and functions of single values.
    Elementwise,
    /// Gated units.
    Gate,
    /// Norms of rows and of their groups.
    Norm,
    /// Rotary embedding.
    Rope,
    /// Softmax of rows.
    Softmax,
    /// Values of a row below a cut-off made zero.
    Sparsity,
    /// Mixtures of residual streams.
    Streams,
    /// Caches of rows: indexes, latent attention, attention to chosen positions.
    Cache,
    /// Short convolutions over a sequence.
    Convolution,
    /// Selective scans.
    Scan,
    /// Linear attention.
    LinearAttention,
}

/// The two ways of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// For few rows of activations: weights are multiplied as they are read.
    Direct,
    /// For many rows: weights are unpacked for all of them.
    Panels,
}

impl Form {
    /// Both.
    pub const ALL: [Form; 2] = [Form::Direct, Form::Panels];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Form::Direct => "direct",
            Form::Panels => "panels",
        }
    }
}

impl Task {
    /// The tasks that are neither products nor attention.
    pub const OTHERS: [Task; 12] = [
        Task::Rounding,
        Task::Elementwise,
        Task::Gate,
        Task::Norm,
        Task::Rope,
        Task::Softmax,
        Task::Sparsity,
        Task::Streams,
        Task::Cache,
        Task::Convolution,
        Task::Scan,
        Task::LinearAttention,
    ];

    /// Every task.
    pub fn all() -> impl Iterator<Item = Task> {
        let weights = TensorType::all().filter(|ty| ty.info().decode.is_some());
        let products = weights.flat_map(|ty| Form::ALL.map(|form| Task::Product(ty, form)));
        products.chain(KvType::ALL.map(Task::Attention)).chain(Task::OTHERS)
    }
}

/// For example `Q4_K/panels`, `attention/F16` or `rope`.
impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Task::Product(ty, form) => {
                return write!(f, "{}/{}", ty.name().to_uppercase(), form.name());
            }
            Task::Attention(ty) => {
                let ty = ty.tensor_type().name().to_uppercase();
                return write!(f, "attention/{ty}");
            }
            Task::Rounding => "rounding",
            Task::Elementwise => "elementwise",
            Task::Gate => "gate",
            Task::Norm => "norm",
            Task::Rope => "rope",
            Task::Softmax => "softmax",
            Task::Sparsity => "sparsity",
            Task::Streams => "streams",
            Task::Cache => "cache",
            Task::Convolution => "convolution",
            Task::Scan => "scan",
            Task::LinearAttention => "linear-attention",
        };
        f.write_str(name)
    }
}

/// No task has the name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no task of a kernel is called {0}")]
pub struct UnknownTask(String);

/// In any case.
impl FromStr for Task {
    type Err = UnknownTask;

    fn from_str(name: &str) -> Result<Self, UnknownTask> {
        let is_it = |task: &Task| task.to_string().eq_ignore_ascii_case(name);
        Task::all().find(is_it).ok_or_else(|| UnknownTask(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found_again() {
        let all: Vec<Task> = Task::all().collect();
        for (i, task) in all.iter().enumerate() {
            assert_eq!(task.to_string().to_lowercase().parse(), Ok(*task));
            assert!(!all[..i].contains(task), "{task} twice");
        }
        assert_eq!("q4_k/PANELS".parse(), Ok(Task::Product(TensorType::Q4_K, Form::Panels)));
        assert!("Q8_1/direct".parse::<Task>().is_err());
    }
}
