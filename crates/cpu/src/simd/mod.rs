//! Vectors of `f32`, one implementation per width.
//!
//! A kernel is written once, generic over [`Simd`], with `#[inline(always)]` on all its parts;
//! [`Level::run`] inlines it into a function that carries the target features.

#[cfg(target_arch = "aarch64")]
pub(crate) mod aarch64;
mod math;
mod portable;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86;

pub use math::{exp, expm1, sigmoid, softplus, tanh};

use crate::isa::Isa;

/// Rows that are read side by side where [several streams](Simd::several_streams) are faster.
pub const STREAMS: usize = 8;

/// Vector operations. A value of an implementing type proves that the processor has them.
pub trait Simd: Copy {
    /// A vector of [`Self::LANES`] values.
    type V: Copy;
    /// Sums in `f64`.
    type Sum: Copy;
    /// [`Self::LANES`] 32-bit integers.
    type Ints: Copy;
    /// Four 8-bit codes per lane.
    type Codes: Copy;
    /// What [`Simd::dot4`] sees added to each code.
    const CODE_BIAS: i32;
    /// Values per vector: 8 or 16.
    const LANES: usize;
    /// Most rows that a product of tiles keeps in registers.
    const TILE_ROWS: usize;

    fn splat(self, x: f32) -> Self::V;
    /// The first `LANES` values.
    fn load(self, x: &[f32]) -> Self::V;
    /// Fewer than `LANES` values; zeros for the others.
    fn load_partial(self, x: &[f32]) -> Self::V;
    /// To the first `LANES` values.
    fn store(self, v: Self::V, x: &mut [f32]);
    /// To fewer than `LANES` values.
    fn store_partial(self, v: Self::V, x: &mut [f32]);
    /// The first `LANES` half floats.
    fn load_f16(self, x: &[u16]) -> Self::V;
    /// The first `LANES` values of little-endian bytes.
    fn load_f32_bytes(self, x: &[u8]) -> Self::V;
    /// The first `LANES` half floats of little-endian bytes.
    fn load_f16_bytes(self, x: &[u8]) -> Self::V;
    /// The first `LANES` bfloat16 values of little-endian bytes.
    fn load_bf16_bytes(self, x: &[u8]) -> Self::V;
    /// Rounded to nearest even, to the first `LANES` half floats.
    fn store_f16(self, v: Self::V, x: &mut [u16]);
    /// The first `LANES` numbers, of which each is the upper half of a float.
    fn load_bf16(self, x: &[u16]) -> Self::V;
    /// The first `LANES` signed bytes.
    fn load_i8(self, x: &[u8]) -> Self::V;
    /// Rounded to half floats.
    #[inline(always)]
    fn round_f16(self, v: Self::V) -> Self::V {
        let mut halves = [0; 16];
        self.store_f16(v, &mut halves);
        self.load_f16(&halves)
    }

    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The greater; `b` where either is NaN.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// The lesser; `b` where either is NaN.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// To the nearest integer, ties to even.
    fn round(self, v: Self::V) -> Self::V;
    /// `v · 2^n` for integers `n` in -252..=254, rounded once or twice.
    fn scale2(self, v: Self::V, n: Self::V) -> Self::V;
    /// `a < b ? x : y`, lane by lane.
    fn select_lt(self, a: Self::V, b: Self::V, x: Self::V, y: Self::V) -> Self::V;
    /// Swaps neighbours: lanes 1, 0, 3, 2, …
    fn swap_pairs(self, v: Self::V) -> Self::V;
    fn reduce_add(self, v: Self::V) -> f32;
    fn reduce_max(self, v: Self::V) -> f32;

    fn sum_zero(self) -> Self::Sum;
    /// `sum + v²`, in `f64`.
    fn sum_squares(self, sum: Self::Sum, v: Self::V) -> Self::Sum;
    /// `sum + v`, in `f64`.
    fn sum_values(self, sum: Self::Sum, v: Self::V) -> Self::Sum;
    fn sum_total(self, sum: Self::Sum) -> f64;

    fn splat_int(self, x: i32) -> Self::Ints;
    fn int_to_float(self, v: Self::Ints) -> Self::V;
    /// The first `4 · LANES` codes, stored with 128 added.
    fn load_codes(self, x: &[u8]) -> Self::Codes;
    /// `sum + Σ_i (code[i] + CODE_BIAS) · x[i]` over the four codes of a lane and the bytes of `x`, the
    /// lowest first. All are -127 to 127.
    fn dot4(self, sum: Self::Ints, codes: Self::Codes, x: i32) -> Self::Ints;

    /// Helps the processor to follow a stream of which `x` is a step, where that gains.
    fn follow(self, x: &[u8]);
    /// Whether several streams of weights are read faster than one that is [followed](Simd::follow).
    #[inline(always)]
    fn several_streams(self) -> bool {
        false
    }
    /// Asks for the cache line at an address, which may lie anywhere. On x86-64 it comes into the
    /// second-level cache: into the first, attention to 6000 positions is 1.3 times slower on Zen 4.
    fn prefetch(self, at: *const u8);

    /// Runs a kernel as a function of its own. Inlined into a larger one, the registers of an inner
    /// loop compete with all that is live around it.
    fn outline<K: Kernel>(self, kernel: K) -> K::Output;
}

/// Code to run at some vector width.
pub trait Kernel {
    type Output;
    /// Whether it, or what it outlines, calls [`Simd::dot4`]. Only then is it compiled for instruction
    /// sets that differ by their 8-bit dot products.
    const MULTIPLIES_CODES: bool = false;
    /// Must be `#[inline(always)]`, as must all that it calls on the way to vector operations.
    fn run<S: Simd>(self, s: S) -> Self::Output;
}

/// An instruction set that the processor is known to have.
#[derive(Debug, Clone, Copy)]
pub struct Level(Isa);

impl Level {
    /// # Panics
    /// Where the processor lacks the instruction set.
    pub fn new(isa: Isa) -> Self {
        assert!(isa.is_available(), "this processor has no {isa}");
        Self(isa)
    }

    pub fn isa(self) -> Isa {
        self.0
    }

    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            // SAFETY: `new` has checked that the processor has the instruction set.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni | Isa::Avx512Vbmi | Isa::Avx512Bf16 if K::MULTIPLIES_CODES => unsafe {
                x86::run_avx512_vnni(kernel)
            },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 | Isa::Avx512Vnni | Isa::Avx512Vbmi | Isa::Avx512Bf16 => unsafe {
                x86::run_avx512(kernel)
            },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 | Isa::AvxVnni => unsafe { x86::run_avx2(kernel) },
            #[cfg(target_arch = "aarch64")]
            Isa::Dotprod | Isa::I8mm if K::MULTIPLIES_CODES => unsafe {
                aarch64::run_dotprod(kernel)
            },
            #[cfg(target_arch = "aarch64")]
            Isa::Neon | Isa::Dotprod | Isa::I8mm => aarch64::run_neon(kernel),
            _ => kernel.run(portable::Portable),
        }
    }
}

#[cfg(test)]
mod tests;
