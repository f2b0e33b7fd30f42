//! Products of weights and activations.
//!
//! A weight is used as it lies in the model file. Two ways lead to `y = W x`:
//!
//! - **direct**: for few columns of activations, kernels read packed blocks and multiply at once;
//!   each byte of the weight is read once.
//! - **panel**: for many columns, some rows are unpacked into a common form, interleaved for
//!   outer products, and used for all columns. Unpacking is paid once per panel, so all types run
//!   at nearly the same rate. A column's sums never depend on the other columns of its tile, so
//!   with panels alone results don't depend on the batch ([`Method`]).
//!
//! Packed integer types multiply 8-bit activations ([`activation`]), float types `f32` ones. Work is
//! split by rows of weights, and a value never depends on the split.
//!
//! A type is a [`formats::Format`] and a row in the table of each instruction set ([`kernels`]); which
//! of the rows are used is said by [`method`].

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod activation;
mod direct_float;
mod formats;
mod inputs;
mod kernels;
mod linear;
mod method;
mod moe;
mod panel;
#[cfg(feature = "plant")]
mod plant;
mod product;
mod scalar;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(test)]
mod tests;

pub use kernels::supports;
pub use linear::{Rows, linear, linear_heads};
pub use method::Method;
pub use moe::moe;
pub use product::Scratch;
