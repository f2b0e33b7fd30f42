//! Vectors as arrays, left to the compiler.

use super::{Kernel, Simd};
use quant::{bf16_to_f32, f16_to_f32, f32_to_f16};

const LANES: usize = 8;
type V = [f32; LANES];

/// Runs anywhere.
#[derive(Clone, Copy)]
pub struct Portable;

impl Portable {
    #[inline(always)]
    fn zip(a: V, b: V, f: impl Fn(f32, f32) -> f32) -> V {
        std::array::from_fn(|i| f(a[i], b[i]))
    }
}

impl Simd for Portable {
    type V = V;
    type Sum = [f64; LANES];
    type Ints = [i32; LANES];
    type Codes = [[u8; 4]; LANES];
    const CODE_BIAS: i32 = 0;
    const LANES: usize = LANES;
    const TILE_ROWS: usize = if cfg!(target_arch = "aarch64") { 6 } else { 2 };

    #[inline(always)]
    fn splat(self, x: f32) -> V {
        [x; LANES]
    }

    #[inline(always)]
    fn load(self, x: &[f32]) -> V {
        std::array::from_fn(|i| x[..LANES][i])
    }

    #[inline(always)]
    fn load_partial(self, x: &[f32]) -> V {
        let mut v = [0.0; LANES];
        v[..x.len()].copy_from_slice(x);
        v
    }

    #[inline(always)]
    fn store(self, v: V, x: &mut [f32]) {
        x[..LANES].copy_from_slice(&v);
    }

    #[inline(always)]
    fn store_partial(self, v: V, x: &mut [f32]) {
        x.copy_from_slice(&v[..x.len()]);
    }

    #[inline(always)]
    fn load_f16(self, x: &[u16]) -> V {
        std::array::from_fn(|i| f16_to_f32(x[..LANES][i]))
    }

    #[inline(always)]
    fn load_f32_bytes(self, x: &[u8]) -> V {
        let (x, _) = x[..4 * LANES].as_chunks();
        std::array::from_fn(|i| f32::from_le_bytes(x[i]))
    }

    #[inline(always)]
    fn load_f16_bytes(self, x: &[u8]) -> V {
        let (x, _) = x[..2 * LANES].as_chunks();
        std::array::from_fn(|i| f16_to_f32(u16::from_le_bytes(x[i])))
    }

    #[inline(always)]
    fn load_bf16_bytes(self, x: &[u8]) -> V {
        let (x, _) = x[..2 * LANES].as_chunks();
        std::array::from_fn(|i| bf16_to_f32(u16::from_le_bytes(x[i])))
    }

    #[inline(always)]
    fn store_f16(self, v: V, x: &mut [u16]) {
        std::iter::zip(&mut x[..LANES], v).for_each(|(x, v)| *x = f32_to_f16(v));
    }

    #[inline(always)]
    fn load_bf16(self, x: &[u16]) -> V {
        std::array::from_fn(|i| bf16_to_f32(x[..LANES][i]))
    }

    #[inline(always)]
    fn load_i8(self, x: &[u8]) -> V {
        std::array::from_fn(|i| f32::from(x[..LANES][i] as i8))
    }

    #[inline(always)]
    fn add(self, a: V, b: V) -> V {
        Self::zip(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, a: V, b: V) -> V {
        Self::zip(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, a: V, b: V) -> V {
        Self::zip(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, a: V, b: V) -> V {
        Self::zip(a, b, |a, b| a / b)
    }

    #[inline(always)]
    fn mul_add(self, a: V, b: V, c: V) -> V {
        // Only where it is an instruction: elsewhere it would be a call.
        if cfg!(target_arch = "aarch64") {
            std::array::from_fn(|i| a[i].mul_add(b[i], c[i]))
        } else {
            std::array::from_fn(|i| a[i] * b[i] + c[i])
        }
    }

    #[inline(always)]
    fn max(self, a: V, b: V) -> V {
        Self::zip(a, b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn min(self, a: V, b: V) -> V {
        Self::zip(a, b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn round(self, v: V) -> V {
        // Adding 1.5 · 2^23 leaves no bits for a fraction; callers stay far below 2^22.
        const MAGIC: f32 = 12_582_912.0;
        v.map(|x| x + MAGIC - MAGIC)
    }

    #[inline(always)]
    fn scale2(self, v: V, n: V) -> V {
        let power = |n: i32| f32::from_bits(((n + 127) << 23) as u32);
        Self::zip(v, n, |v, n| {
            let n = n as i32;
            v * power(n >> 1) * power(n - (n >> 1))
        })
    }

    #[inline(always)]
    fn select_lt(self, a: V, b: V, x: V, y: V) -> V {
        std::array::from_fn(|i| if a[i] < b[i] { x[i] } else { y[i] })
    }

    #[inline(always)]
    fn swap_pairs(self, v: V) -> V {
        std::array::from_fn(|i| v[i ^ 1])
    }

    #[inline(always)]
    fn reduce_add(self, v: V) -> f32 {
        let half: [f32; 4] = std::array::from_fn(|i| v[i] + v[i + 4]);
        (half[0] + half[2]) + (half[1] + half[3])
    }

    #[inline(always)]
    fn reduce_max(self, v: V) -> f32 {
        v.into_iter().fold(f32::NEG_INFINITY, f32::max)
    }

    #[inline(always)]
    fn sum_zero(self) -> Self::Sum {
        [0.0; LANES]
    }

    #[inline(always)]
    fn sum_squares(self, sum: Self::Sum, v: V) -> Self::Sum {
        std::array::from_fn(|i| sum[i] + f64::from(v[i]) * f64::from(v[i]))
    }

    #[inline(always)]
    fn sum_values(self, sum: Self::Sum, v: V) -> Self::Sum {
        std::array::from_fn(|i| sum[i] + f64::from(v[i]))
    }

    #[inline(always)]
    fn sum_total(self, sum: Self::Sum) -> f64 {
        sum.into_iter().sum()
    }

    #[inline(always)]
    fn follow(self, _: &[u8]) {}

    #[inline(always)]
    fn splat_int(self, x: i32) -> [i32; LANES] {
        [x; LANES]
    }

    #[inline(always)]
    fn int_to_float(self, v: [i32; LANES]) -> V {
        v.map(|x| x as f32)
    }

    #[inline(always)]
    fn load_codes(self, x: &[u8]) -> Self::Codes {
        let codes = &x.as_chunks().0[..LANES];
        std::array::from_fn(|i| codes[i])
    }

    #[inline(always)]
    fn dot4(self, sum: [i32; LANES], codes: Self::Codes, x: i32) -> [i32; LANES] {
        let x = x.to_le_bytes();
        std::array::from_fn(|lane| {
            let products =
                (0..4).map(|i| (i32::from(codes[lane][i]) - 128) * i32::from(x[i] as i8));
            sum[lane] + products.sum::<i32>()
        })
    }

    #[inline(always)]
    fn prefetch(self, _: *const u8) {}

    #[inline(never)]
    fn outline<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.run(self)
    }
}
