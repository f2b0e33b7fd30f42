//! The CPU backend: thread pool, run-time instruction-set dispatch, kernels.

mod attention;
mod backend;
mod cache;
pub mod host;
pub mod isa;
pub mod kernel;
mod levels;
pub mod limits;
pub mod matmul;
mod ops;
pub mod pool;
mod recurrent;
mod simd;
pub mod topology;

pub use crate::attention::{MOST_WORK_BYTES, kv_bytes};
pub use crate::backend::{Cpu, CpuOptions};
pub use crate::kernel::Kernel;
