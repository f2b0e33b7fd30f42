//! The CPU backend: thread pool, run-time instruction-set dispatch, kernels.
