//! The parts that architectures are made of.

pub mod altup;
pub mod attention;
pub mod decoder;
pub mod delta_net;
pub mod draft;
pub mod ffn;
pub mod head;
pub mod hyper;
pub mod indexer;
pub mod laurel;
pub mod layer;
pub mod mla;
pub mod moe;
pub mod ngram;
pub mod norm;
pub mod per_layer;
pub mod pooling;
pub mod rope;
pub mod rwkv;
pub mod short_conv;
pub mod ssm;
pub mod stack;
