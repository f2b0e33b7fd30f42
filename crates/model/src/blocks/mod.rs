//! The parts that architectures are made of.

pub mod attention;
pub mod ffn;
pub mod head;
pub mod moe;
pub mod norm;
pub mod pooling;
pub mod rope;
