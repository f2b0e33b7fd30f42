//! What of the processor is used for a model.

use ::selftest::Fault;
use backend::KvTypes;
use cpu::isa::Isa;
use cpu::{CpuOptions, Kernel};
use gguf::Gguf;

use crate::Error;

/// The kernels for a model: as the environment says, without those that are wrong on this machine.
#[derive(Debug, Clone)]
pub(crate) struct Processor {
    pub isa: Isa,
    pub disabled: Vec<Kernel>,
    /// Those that are wrong.
    pub faults: Vec<Fault>,
}

impl Processor {
    /// Tests the kernels that a model will use.
    ///
    /// # Errors
    /// An environment that names unknown levels or kernels.
    pub fn for_model(gguf: &Gguf, kv: KvTypes) -> Result<Self, Error> {
        let isa = Isa::from_env().map_err(Error::Isa)?;
        let mut disabled = Kernel::disabled_by_env().map_err(Error::Kernels)?;
        let faults = ::selftest::wrong_kernels(isa, &disabled, gguf.matrix_types(), kv);
        disabled.extend(faults.iter().map(|fault| fault.kernel));
        Ok(Self { isa, disabled, faults })
    }

    /// Settings of a backend.
    pub fn options(&self, threads: Option<usize>, batch_invariant: bool) -> CpuOptions {
        let Self { isa, disabled, .. } = self.clone();
        CpuOptions { threads, isa: Some(isa), batch_invariant, disabled }
    }
}
