//! NEON, in pairs of registers.

use std::arch::aarch64::*;
use std::arch::asm;

use super::{Kernel, Simd};
use crate::isa::aarch64::{vcvt_f16_f32, vcvt_f32_f16, vdotq_s32};

/// What every 64-bit ARM processor has, maybe with 8-bit dot products.
#[derive(Clone, Copy)]
pub struct Neon<const DOTPROD: bool>(());

/// What needs no check of the processor.
pub const NEON: Neon<false> = Neon(());

/// Runs a kernel on pairs of registers.
#[inline(never)]
pub fn run_neon<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(NEON)
}

/// Runs a kernel on pairs of registers, with 8-bit dot products.
#[target_feature(enable = "neon,dotprod")]
#[inline(never)]
pub fn run_dotprod<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Neon::<true>(()))
}

type V = [float32x4_t; 2];

/// Calls intrinsics of NEON.
macro_rules! vector {
    ($body:expr) => {
        // SAFETY: the targets of this file have NEON; `Neon<true>` exists only below `run_dotprod`,
        // whose callers have checked the processor; slices are checked to be long enough before
        // their pointers are used.
        unsafe { $body }
    };
}

/// Applies a function to both registers.
#[inline(always)]
fn zip(a: V, b: V, f: impl Fn(float32x4_t, float32x4_t) -> float32x4_t) -> V {
    [f(a[0], b[0]), f(a[1], b[1])]
}

/// Adds to each lane the products of its four bytes.
#[inline(always)]
fn widening_dot4(sum: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    vector!({
        let low = vpaddlq_s16(vmull_s8(vget_low_s8(a), vget_low_s8(b)));
        vaddq_s32(sum, vpaddq_s32(low, vpaddlq_s16(vmull_high_s8(a, b))))
    })
}

impl<const DOTPROD: bool> Simd for Neon<DOTPROD> {
    type V = V;
    type Sum = [float64x2_t; 4];
    type Ints = [int32x4_t; 2];
    type Codes = [int8x16_t; 2];
    const CODE_BIAS: i32 = 0;
    const LANES: usize = 8;
    const TILE_ROWS: usize = 6;

    #[inline(always)]
    fn splat(self, x: f32) -> V {
        [vector!(vdupq_n_f32(x)); 2]
    }

    #[inline(always)]
    fn load(self, x: &[f32]) -> V {
        assert!(x.len() >= 8);
        vector!([vld1q_f32(x.as_ptr()), vld1q_f32(x.as_ptr().add(4))])
    }

    #[inline(always)]
    fn load_partial(self, x: &[f32]) -> V {
        let mut all = [0.0; 8];
        all[..x.len()].copy_from_slice(x);
        self.load(&all)
    }

    #[inline(always)]
    fn store(self, v: V, x: &mut [f32]) {
        assert!(x.len() >= 8);
        vector!({
            vst1q_f32(x.as_mut_ptr(), v[0]);
            vst1q_f32(x.as_mut_ptr().add(4), v[1]);
        })
    }

    #[inline(always)]
    fn store_partial(self, v: V, x: &mut [f32]) {
        let mut all = [0.0; 8];
        self.store(v, &mut all);
        x.copy_from_slice(&all[..x.len()]);
    }

    #[inline(always)]
    fn load_f16(self, x: &[u16]) -> V {
        assert!(x.len() >= 8);
        vector!({
            let halves = vld1q_u16(x.as_ptr());
            [vcvt_f32_f16(vget_low_u16(halves)), vcvt_f32_f16(vget_high_u16(halves))]
        })
    }

    #[inline(always)]
    fn load_f32_bytes(self, x: &[u8]) -> V {
        assert!(x.len() >= 32);
        let at: *const f32 = x.as_ptr().cast();
        vector!([vld1q_f32(at), vld1q_f32(at.add(4))])
    }

    #[inline(always)]
    fn load_f16_bytes(self, x: &[u8]) -> V {
        assert!(x.len() >= 16);
        let at: *const u16 = x.as_ptr().cast();
        vector!([vcvt_f32_f16(vld1_u16(at)), vcvt_f32_f16(vld1_u16(at.add(4)))])
    }

    #[inline(always)]
    fn load_bf16_bytes(self, x: &[u8]) -> V {
        assert!(x.len() >= 16);
        let at: *const u16 = x.as_ptr().cast();
        vector!([
            vreinterpretq_f32_u32(vshll_n_u16::<16>(vld1_u16(at))),
            vreinterpretq_f32_u32(vshll_n_u16::<16>(vld1_u16(at.add(4)))),
        ])
    }

    #[inline(always)]
    fn store_f16(self, v: V, x: &mut [u16]) {
        assert!(x.len() >= 8);
        vector!(vst1q_u16(x.as_mut_ptr(), vcombine_u16(vcvt_f16_f32(v[0]), vcvt_f16_f32(v[1]))))
    }

    #[inline(always)]
    fn load_bf16(self, x: &[u16]) -> V {
        assert!(x.len() >= 8);
        vector!({
            let upper = vld1q_u16(x.as_ptr());
            [vget_low_u16(upper), vget_high_u16(upper)]
                .map(|upper| vreinterpretq_f32_u32(vshlq_n_u32::<16>(vmovl_u16(upper))))
        })
    }

    #[inline(always)]
    fn load_i8(self, x: &[u8]) -> V {
        assert!(x.len() >= 8);
        vector!({
            let x = vmovl_s8(vld1_s8(x.as_ptr().cast()));
            [vget_low_s16(x), vget_high_s16(x)].map(|x| vcvtq_f32_s32(vmovl_s16(x)))
        })
    }

    #[inline(always)]
    fn add(self, a: V, b: V) -> V {
        zip(a, b, |a, b| vector!(vaddq_f32(a, b)))
    }

    #[inline(always)]
    fn sub(self, a: V, b: V) -> V {
        zip(a, b, |a, b| vector!(vsubq_f32(a, b)))
    }

    #[inline(always)]
    fn mul(self, a: V, b: V) -> V {
        zip(a, b, |a, b| vector!(vmulq_f32(a, b)))
    }

    #[inline(always)]
    fn div(self, a: V, b: V) -> V {
        zip(a, b, |a, b| vector!(vdivq_f32(a, b)))
    }

    #[inline(always)]
    fn mul_add(self, a: V, b: V, c: V) -> V {
        vector!([vfmaq_f32(c[0], a[0], b[0]), vfmaq_f32(c[1], a[1], b[1])])
    }

    // The instructions for extrema treat NaN otherwise.
    #[inline(always)]
    fn max(self, a: V, b: V) -> V {
        self.select_lt(b, a, a, b)
    }

    #[inline(always)]
    fn min(self, a: V, b: V) -> V {
        self.select_lt(a, b, a, b)
    }

    #[inline(always)]
    fn round(self, v: V) -> V {
        v.map(|v| vector!(vrndnq_f32(v)))
    }

    #[inline(always)]
    fn scale2(self, v: V, n: V) -> V {
        let power =
            |n| vector!(vreinterpretq_f32_s32(vshlq_n_s32::<23>(vaddq_s32(n, vdupq_n_s32(127)))));
        zip(v, n, |v, n| {
            vector!({
                let n = vcvtq_s32_f32(n);
                let half = vshrq_n_s32::<1>(n);
                vmulq_f32(vmulq_f32(v, power(half)), power(vsubq_s32(n, half)))
            })
        })
    }

    #[inline(always)]
    fn select_lt(self, a: V, b: V, x: V, y: V) -> V {
        vector!([
            vbslq_f32(vcltq_f32(a[0], b[0]), x[0], y[0]),
            vbslq_f32(vcltq_f32(a[1], b[1]), x[1], y[1])
        ])
    }

    #[inline(always)]
    fn swap_pairs(self, v: V) -> V {
        v.map(|v| vector!(vrev64q_f32(v)))
    }

    #[inline(always)]
    fn reduce_add(self, v: V) -> f32 {
        vector!(vaddvq_f32(vaddq_f32(v[0], v[1])))
    }

    #[inline(always)]
    fn reduce_max(self, v: V) -> f32 {
        vector!(vmaxnmvq_f32(vmaxnmq_f32(v[0], v[1])))
    }

    #[inline(always)]
    fn sum_zero(self) -> Self::Sum {
        [vector!(vdupq_n_f64(0.0)); 4]
    }

    #[inline(always)]
    fn sum_squares(self, sum: Self::Sum, [low, high]: V) -> Self::Sum {
        vector!({
            let parts = [
                vcvt_f64_f32(vget_low_f32(low)),
                vcvt_high_f64_f32(low),
                vcvt_f64_f32(vget_low_f32(high)),
                vcvt_high_f64_f32(high),
            ];
            std::array::from_fn(|i| vfmaq_f64(sum[i], parts[i], parts[i]))
        })
    }

    #[inline(always)]
    fn sum_values(self, sum: Self::Sum, [low, high]: V) -> Self::Sum {
        vector!({
            let parts = [
                vcvt_f64_f32(vget_low_f32(low)),
                vcvt_high_f64_f32(low),
                vcvt_f64_f32(vget_low_f32(high)),
                vcvt_high_f64_f32(high),
            ];
            std::array::from_fn(|i| vaddq_f64(sum[i], parts[i]))
        })
    }

    #[inline(always)]
    fn sum_total(self, [a, b, c, d]: Self::Sum) -> f64 {
        vector!(vaddvq_f64(vaddq_f64(vaddq_f64(a, b), vaddq_f64(c, d))))
    }

    #[inline(always)]
    fn follow(self, _: &[u8]) {}

    #[inline(always)]
    fn splat_int(self, x: i32) -> Self::Ints {
        [vector!(vdupq_n_s32(x)); 2]
    }

    #[inline(always)]
    fn int_to_float(self, v: Self::Ints) -> V {
        v.map(|v| vector!(vcvtq_f32_s32(v)))
    }

    #[inline(always)]
    fn load_codes(self, x: &[u8]) -> Self::Codes {
        assert!(x.len() >= 32);
        [0, 16].map(|at| {
            vector!(vreinterpretq_s8_u8(veorq_u8(vld1q_u8(x.as_ptr().add(at)), vdupq_n_u8(128))))
        })
    }

    #[inline(always)]
    fn dot4(self, sum: Self::Ints, codes: Self::Codes, x: i32) -> Self::Ints {
        let [first, second] = sum;
        vector!({
            let x = vreinterpretq_s8_s32(vdupq_n_s32(x));
            if DOTPROD {
                [vdotq_s32(first, codes[0], x), vdotq_s32(second, codes[1], x)]
            } else {
                [widening_dot4(first, codes[0], x), widening_dot4(second, codes[1], x)]
            }
        })
    }

    #[inline(always)]
    fn prefetch(self, at: *const u8) {
        // SAFETY: a prefetch reads nothing and never faults, whatever the address.
        unsafe {
            asm!("prfm pldl1keep, [{at}]", at = in(reg) at, options(nostack, readonly, preserves_flags));
        }
    }

    #[inline(always)]
    fn outline<K: Kernel>(self, kernel: K) -> K::Output {
        vector!(if DOTPROD && K::MULTIPLIES_CODES { run_dotprod(kernel) } else { run_neon(kernel) })
    }
}
