//! The instruction sets of all operations but products.

use backend::{KvType, KvTypes, Task};

use crate::isa::Isa;
use crate::kernel::Kernel;
use crate::simd::Level;

/// The level of each task: that of the backend, or a lower one where its kernel may not be used.
#[derive(Debug, Clone)]
pub struct Levels {
    pub elementwise: Level,
    pub gate: Level,
    pub norm: Level,
    pub rope: Level,
    pub softmax: Level,
    pub sparsity: Level,
    pub streams: Level,
    pub cache: Level,
    pub convolution: Level,
    pub scan: Level,
    pub linear_attention: Level,
    /// By format of keys or values.
    attention: [Level; KvType::ALL.len()],
}

impl Levels {
    /// # Panics
    /// Where the processor lacks the instruction set.
    pub fn choose(isa: Isa, may_use: impl Fn(Kernel) -> bool) -> Self {
        let level = |task| Level::new(Kernel::choose(isa, task, &may_use).isa);
        Self {
            elementwise: level(Task::Elementwise),
            gate: level(Task::Gate),
            norm: level(Task::Norm),
            rope: level(Task::Rope),
            softmax: level(Task::Softmax),
            sparsity: level(Task::Sparsity),
            streams: level(Task::Streams),
            cache: level(Task::Cache),
            convolution: level(Task::Convolution),
            scan: level(Task::Scan),
            linear_attention: level(Task::LinearAttention),
            attention: KvType::ALL.map(|ty| level(Task::Attention(ty))),
        }
    }

    /// Of attention to keys and values of these formats.
    pub fn attention(&self, types: KvTypes) -> Level {
        let [k, v] = [types.k, types.v].map(|ty| self.attention[ty as usize]);
        if (k.isa() as usize) < v.isa() as usize { k } else { v }
    }
}
