//! The cases of each task.

mod attention;
mod cache;
mod elementwise;
mod products;
mod recurrent;
mod rows;

use backend::Task;

use crate::case::Case;

/// How much is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Several odd sizes.
    Thorough,
    /// One odd size, in a fraction of a millisecond.
    Quick,
}

/// The cases of a task.
pub fn cases(task: Task, extent: Extent) -> Vec<Case> {
    match task {
        Task::Product(ty, form) => products::product(ty, form, extent),
        Task::Rounding => products::rounding(extent),
        Task::Attention(ty) => attention::attention(ty, extent),
        Task::Elementwise => elementwise::elementwise(extent),
        Task::Gate => elementwise::gate(extent),
        Task::Norm => rows::norm(extent),
        Task::Rope => rows::rope(extent),
        Task::Softmax => rows::softmax(extent),
        Task::Sparsity => rows::sparsity(extent),
        Task::Streams => rows::streams(extent),
        Task::Cache => cache::cache(extent),
        Task::Convolution => recurrent::convolution(extent),
        Task::Scan => recurrent::scan(extent),
        Task::LinearAttention => recurrent::linear_attention(extent),
    }
}

/// `all`, or only the first.
fn of_extent<T>(extent: Extent, all: &[T]) -> &[T] {
    match extent {
        Extent::Thorough => all,
        Extent::Quick => &all[..1],
    }
}
