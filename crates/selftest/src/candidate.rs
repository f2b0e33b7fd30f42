//! Kernels to test, of any device.

use backend::{Backend, Task};
use cpu::{Cpu, Kernel};

/// A kernel, and how to use it and no other for its task.
pub struct Candidate {
    /// Its name, which begins with its device or instruction set.
    pub name: String,
    /// What it does.
    pub task: Task,
    backend: Box<dyn Fn() -> Box<dyn Backend> + Send + Sync>,
}

impl Candidate {
    /// A kernel with backends that use it. Products must go by the task's form whatever the number of
    /// rows.
    pub fn new(
        name: String,
        task: Task,
        backend: impl Fn() -> Box<dyn Backend> + Send + Sync + 'static,
    ) -> Self {
        Self { name, task, backend: Box::new(backend) }
    }

    /// A backend that uses it.
    pub fn backend(&self) -> Box<dyn Backend> {
        (self.backend)()
    }
}

/// The kernels of the processor.
pub fn of_cpu() -> Vec<Candidate> {
    Kernel::available().map(Candidate::from).collect()
}

impl From<Kernel> for Candidate {
    fn from(kernel: Kernel) -> Self {
        Self::new(kernel.to_string(), kernel.task, move || Box::new(Cpu::isolating(kernel)))
    }
}
