//! The CPU backend: thread pool, run-time instruction-set dispatch, kernels.

pub mod isa;
pub mod matmul;
pub mod pool;
pub mod topology;
