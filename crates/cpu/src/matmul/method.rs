//! Which kernels compute a product.

use backend::{Form, Task};
use quant::TensorType;

use super::activation::{Block, CodesMut};
use super::kernels::{CodeKernels, FloatKernels, Kernels, TypeKernels};
use crate::isa::Isa;
use crate::kernel::Kernel;

/// How products are computed.
pub struct Method {
    /// See [`Kernels::quantize`].
    pub(super) quantize: unsafe fn(x: &[f32], block: Block, out: CodesMut<'_>),
    /// By number of the type.
    types: Vec<Option<Chosen>>,
    /// Whether a row's results must be the same bits whatever other rows are in the batch: panels are
    /// then taken for few columns too, since direct kernels sum in another order.
    batch_invariant: bool,
}

/// The kernels of one type, each row of a table with those of an instruction set.
#[derive(Clone, Copy)]
pub(super) enum Chosen {
    /// Of a packed integer type.
    Codes {
        /// For direct products.
        direct: &'static CodeKernels,
        /// For panels.
        panels: &'static CodeKernels,
    },
    /// Of a float type.
    Floats {
        /// For direct products.
        direct: &'static FloatKernels,
        /// For panels.
        panels: &'static FloatKernels,
    },
}

impl Method {
    /// With the kernels of an instruction set.
    ///
    /// # Panics
    /// Where the processor lacks it.
    pub fn new(isa: Isa, batch_invariant: bool) -> Self {
        Self::choose(isa, batch_invariant, |_| true)
    }

    /// With those of lower levels in place of what may not be used.
    ///
    /// # Panics
    /// Where the processor lacks the instruction set.
    pub(crate) fn choose(
        isa: Isa,
        batch_invariant: bool,
        may_use: impl Fn(Kernel) -> bool,
    ) -> Self {
        assert!(isa.is_available(), "this processor has no {isa}");
        let rounding = Kernel::choose(isa, Task::Rounding, &may_use);
        let forms = |ty| {
            let row = |form| {
                let kernel = Kernel::choose(isa, Task::Product(ty, form), &may_use);
                let row = Kernels::of(kernel.isa).get(ty)?;
                #[cfg(feature = "plant")]
                let row = super::plant::replace(kernel, row);
                Some(row)
            };
            match (row(Form::Direct)?, row(Form::Panels)?) {
                (TypeKernels::Codes(direct), TypeKernels::Codes(panels)) => {
                    Some(Chosen::Codes { direct, panels })
                }
                (TypeKernels::Floats(direct), TypeKernels::Floats(panels)) => {
                    Some(Chosen::Floats { direct, panels })
                }
                _ => unreachable!("{ty} is of codes on all levels, or on none"),
            }
        };
        let mut types = Vec::new();
        for ty in TensorType::all() {
            types.resize(ty as usize, None);
            types.push(forms(ty));
        }
        Self { quantize: Kernels::of(rounding.isa).quantize, types, batch_invariant }
    }

    /// The kernels of a type; `None` where it can't be multiplied.
    pub(super) fn get(&self, ty: TensorType) -> Option<Chosen> {
        self.types[ty as usize]
    }

    /// Whether a product with `n` columns goes by panels.
    pub(super) fn takes_panels(&self, kernels: Chosen, n: usize) -> bool {
        self.batch_invariant || n >= kernels.panel_cols()
    }
}

impl Chosen {
    pub(super) fn panel_rows(self) -> usize {
        match self {
            Chosen::Codes { panels, .. } => panels.panel_rows,
            Chosen::Floats { panels, .. } => panels.panel_rows,
        }
    }

    /// From this many columns on, panels are faster than direct products.
    pub(super) fn panel_cols(self) -> usize {
        match self {
            Chosen::Codes { panels, .. } => panels.panel_cols,
            Chosen::Floats { panels, .. } => panels.panel_cols,
        }
    }
}
