//! AVX2 and AVX-512.

use std::arch::x86_64::*;
use std::ops::Range;
use std::sync::LazyLock;

use super::{Kernel, Simd};

/// AVX2, FMA and F16C.
#[derive(Clone, Copy)]
pub struct Avx2(());

/// AVX-512 F, BW, DQ and VL, maybe with VNNI.
#[derive(Clone, Copy)]
pub struct Avx512<const VNNI: bool>(());

/// Runs a kernel on 8 lanes.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline(never)]
pub fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx2(()))
}

/// Runs a kernel on 16 lanes.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
#[inline(never)]
pub fn run_avx512<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx512::<false>(()))
}

/// Runs a kernel on 16 lanes, with 8-bit dot products.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
#[inline(never)]
pub fn run_avx512_vnni<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx512::<true>(()))
}

/// Has these bytes behind an address, any one, come from memory into the second-level cache. Lines that
/// begin before them are left to others.
#[inline(always)]
pub fn fetch(at: *const u8, bytes: Range<usize>) {
    for line in bytes.start.div_ceil(64)..bytes.end.div_ceil(64) {
        let line = at.wrapping_add(line * 64);
        // SAFETY: a prefetch of any address is harmless, and every x86-64 processor has it.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.cast()) }
    }
}

/// Helps the processor to follow a stream of weights that goes on by `step` bytes from `at`. Steps must
/// leave no gaps.
///
/// Its own prefetching does not cross pages, so the first line of the next one is asked for when the
/// stream comes to a new page; and each line some way ahead is brought into the second-level cache.
/// Measured on Zen 4 with F16: the page makes memory 1.25 times as fast, and lines nothing beside 8 KB
/// of activations, but 1.15 times beside 16 KB and 1.3 times beside 32 KB. Lines brought into the
/// first-level cache, at any distance, are slower than none.
#[inline(always)]
pub fn follow(at: *const u8, step: usize) {
    const PAGE: usize = 4096;
    /// Bytes ahead. From 8 KB on it gets slower.
    const AHEAD: usize = 6 << 10;
    const LINE: usize = 64;
    if at.addr() % PAGE < step {
        let next = at.wrapping_add(PAGE - at.addr() % PAGE);
        // SAFETY: a prefetch of any address is harmless, and every x86-64 processor has it.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(next.cast()) }
    }
    let line = |i: usize| {
        let ahead = at.wrapping_add(AHEAD + LINE * i);
        // SAFETY: as above.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(ahead.cast()) }
    };
    (0..step / LINE).for_each(line);
    if at.addr() % LINE + step % LINE >= LINE {
        line(step / LINE);
    }
}

/// Whether this processor reads memory faster in several streams than in one that it is helped to
/// [`follow`].
///
/// Those of Intel fetch ahead by themselves in every page that is being read, while hints wait for the
/// same few buffers as loads: on Ice Lake eight streams without hints are 1.25 times as fast as one with
/// hints. On Zen 4 several streams are slower than one.
pub fn several_streams() -> bool {
    static INTEL: LazyLock<bool> = LazyLock::new(|| {
        let vendor = __cpuid(0);
        let name = [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes);
        name.as_flattened() == b"GenuineIntel"
    });
    *INTEL
}

const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

/// A window of eight from `8 - n` has `n` lanes set.
static LANE_MASKS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

impl Avx2 {
    /// # Safety
    /// The processor has AVX2, FMA and F16C, and the caller is compiled with them.
    #[inline(always)]
    pub unsafe fn new() -> Self {
        Self(())
    }
}

impl Avx512<false> {
    /// # Safety
    /// The processor has AVX-512 F, BW, DQ and VL, and the caller is compiled with them.
    #[inline(always)]
    pub unsafe fn new() -> Self {
        Self(())
    }
}

/// Calls intrinsics that only need the features proven by `self`.
macro_rules! vector {
    ($body:expr) => {
        // SAFETY: values of these types exist only below this file's `run_` functions, whose callers
        // have checked the processor, and below callers of `new`, who promise the same; slices are
        // checked to be long enough before their pointers
        // are used.
        unsafe { $body }
    };
}

#[inline(always)]
fn avx2_mask(n: usize) -> __m256i {
    let window = &LANE_MASKS[8 - n..16 - n];
    vector!(_mm256_loadu_si256(window.as_ptr().cast()))
}

impl Simd for Avx2 {
    type V = __m256;
    type Sum = [__m256d; 2];
    type Ints = __m256i;
    type Codes = __m256i;
    const CODE_BIAS: i32 = 0;
    const LANES: usize = 8;
    const TILE_ROWS: usize = 6;

    #[inline(always)]
    fn splat(self, x: f32) -> __m256 {
        vector!(_mm256_set1_ps(x))
    }

    #[inline(always)]
    fn load(self, x: &[f32]) -> __m256 {
        assert!(x.len() >= 8);
        vector!(_mm256_loadu_ps(x.as_ptr()))
    }

    #[inline(always)]
    fn load_partial(self, x: &[f32]) -> __m256 {
        vector!(_mm256_maskload_ps(x.as_ptr(), avx2_mask(x.len())))
    }

    #[inline(always)]
    fn store(self, v: __m256, x: &mut [f32]) {
        assert!(x.len() >= 8);
        vector!(_mm256_storeu_ps(x.as_mut_ptr(), v))
    }

    #[inline(always)]
    fn store_partial(self, v: __m256, x: &mut [f32]) {
        vector!(_mm256_maskstore_ps(x.as_mut_ptr(), avx2_mask(x.len()), v))
    }

    #[inline(always)]
    fn load_f16(self, x: &[u16]) -> __m256 {
        assert!(x.len() >= 8);
        vector!(_mm256_cvtph_ps(_mm_loadu_si128(x.as_ptr().cast())))
    }

    #[inline(always)]
    fn load_f32_bytes(self, x: &[u8]) -> __m256 {
        assert!(x.len() >= 32);
        vector!(_mm256_loadu_ps(x.as_ptr().cast()))
    }

    #[inline(always)]
    fn load_f16_bytes(self, x: &[u8]) -> __m256 {
        assert!(x.len() >= 16);
        vector!(_mm256_cvtph_ps(_mm_loadu_si128(x.as_ptr().cast())))
    }

    #[inline(always)]
    fn load_bf16_bytes(self, x: &[u8]) -> __m256 {
        assert!(x.len() >= 16);
        vector!({
            let wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(x.as_ptr().cast()));
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide))
        })
    }

    #[inline(always)]
    fn store_f16(self, v: __m256, x: &mut [u16]) {
        assert!(x.len() >= 8);
        vector!(_mm_storeu_si128(
            x.as_mut_ptr().cast(),
            _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(v)
        ))
    }

    #[inline(always)]
    fn load_bf16(self, x: &[u16]) -> __m256 {
        assert!(x.len() >= 8);
        vector!({
            let upper = _mm256_cvtepu16_epi32(_mm_loadu_si128(x.as_ptr().cast()));
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(upper))
        })
    }

    #[inline(always)]
    fn load_i8(self, x: &[u8]) -> __m256 {
        assert!(x.len() >= 8);
        vector!(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(x.as_ptr().cast()))))
    }

    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        vector!(_mm256_add_ps(a, b))
    }

    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        vector!(_mm256_sub_ps(a, b))
    }

    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        vector!(_mm256_mul_ps(a, b))
    }

    #[inline(always)]
    fn div(self, a: __m256, b: __m256) -> __m256 {
        vector!(_mm256_div_ps(a, b))
    }

    #[inline(always)]
    fn mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        vector!(_mm256_fmadd_ps(a, b, c))
    }

    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        vector!(_mm256_max_ps(a, b))
    }

    #[inline(always)]
    fn min(self, a: __m256, b: __m256) -> __m256 {
        vector!(_mm256_min_ps(a, b))
    }

    #[inline(always)]
    fn round(self, v: __m256) -> __m256 {
        vector!(_mm256_round_ps::<NEAREST>(v))
    }

    #[inline(always)]
    fn scale2(self, v: __m256, n: __m256) -> __m256 {
        vector!({
            let bias = _mm256_set1_epi32(127);
            let power = |n| _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(n, bias)));
            let n = _mm256_cvtps_epi32(n);
            let half = _mm256_srai_epi32::<1>(n);
            _mm256_mul_ps(_mm256_mul_ps(v, power(half)), power(_mm256_sub_epi32(n, half)))
        })
    }

    #[inline(always)]
    fn select_lt(self, a: __m256, b: __m256, x: __m256, y: __m256) -> __m256 {
        vector!(_mm256_blendv_ps(y, x, _mm256_cmp_ps::<_CMP_LT_OQ>(a, b)))
    }

    #[inline(always)]
    fn swap_pairs(self, v: __m256) -> __m256 {
        vector!(_mm256_permute_ps::<0b10_11_00_01>(v))
    }

    #[inline(always)]
    fn reduce_add(self, v: __m256) -> f32 {
        vector!({
            let v = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let v = _mm_add_ps(v, _mm_movehl_ps(v, v));
            _mm_cvtss_f32(_mm_add_ss(v, _mm_movehdup_ps(v)))
        })
    }

    #[inline(always)]
    fn reduce_max(self, v: __m256) -> f32 {
        vector!({
            let v = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let v = _mm_max_ps(v, _mm_movehl_ps(v, v));
            _mm_cvtss_f32(_mm_max_ss(v, _mm_movehdup_ps(v)))
        })
    }

    #[inline(always)]
    fn sum_zero(self) -> Self::Sum {
        vector!([_mm256_setzero_pd(); 2])
    }

    #[inline(always)]
    fn sum_squares(self, [low, high]: Self::Sum, v: __m256) -> Self::Sum {
        vector!({
            let a = _mm256_cvtps_pd(_mm256_castps256_ps128(v));
            let b = _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(v));
            [_mm256_fmadd_pd(a, a, low), _mm256_fmadd_pd(b, b, high)]
        })
    }

    #[inline(always)]
    fn sum_values(self, [low, high]: Self::Sum, v: __m256) -> Self::Sum {
        vector!({
            let a = _mm256_cvtps_pd(_mm256_castps256_ps128(v));
            let b = _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(v));
            [_mm256_add_pd(a, low), _mm256_add_pd(b, high)]
        })
    }

    #[inline(always)]
    fn sum_total(self, [low, high]: Self::Sum) -> f64 {
        vector!({
            let v = _mm256_add_pd(low, high);
            let v = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd::<1>(v));
            _mm_cvtsd_f64(_mm_add_sd(v, _mm_unpackhi_pd(v, v)))
        })
    }

    #[inline(always)]
    fn follow(self, x: &[u8]) {
        follow(x.as_ptr(), x.len());
    }

    #[inline(always)]
    fn several_streams(self) -> bool {
        several_streams()
    }

    #[inline(always)]
    fn splat_int(self, x: i32) -> __m256i {
        vector!(_mm256_set1_epi32(x))
    }

    #[inline(always)]
    fn int_to_float(self, v: __m256i) -> __m256 {
        vector!(_mm256_cvtepi32_ps(v))
    }

    #[inline(always)]
    fn load_codes(self, x: &[u8]) -> __m256i {
        assert!(x.len() >= 32);
        vector!(_mm256_xor_si256(_mm256_loadu_si256(x.as_ptr().cast()), _mm256_set1_epi8(-128)))
    }

    #[inline(always)]
    fn dot4(self, sum: __m256i, codes: __m256i, x: i32) -> __m256i {
        vector!({
            let x = _mm256_set1_epi32(x);
            // Two products of magnitudes of 127 · 127 fit in 16 bits.
            let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(x), _mm256_sign_epi8(codes, x));
            _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        })
    }

    #[inline(always)]
    fn prefetch(self, at: *const u8) {
        vector!(_mm_prefetch::<_MM_HINT_T1>(at.cast()))
    }

    #[inline(always)]
    fn outline<K: Kernel>(self, kernel: K) -> K::Output {
        vector!(run_avx2(kernel))
    }
}

#[inline(always)]
fn avx512_mask(n: usize) -> __mmask16 {
    assert!(n < 16);
    (1 << n) - 1
}

impl<const VNNI: bool> Simd for Avx512<VNNI> {
    type V = __m512;
    type Sum = [__m512d; 2];
    type Ints = __m512i;
    type Codes = __m512i;
    // The instruction takes unsigned codes.
    const CODE_BIAS: i32 = if VNNI { 128 } else { 0 };
    const LANES: usize = 16;
    const TILE_ROWS: usize = 6;

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        vector!(_mm512_set1_ps(x))
    }

    #[inline(always)]
    fn load(self, x: &[f32]) -> __m512 {
        assert!(x.len() >= 16);
        vector!(_mm512_loadu_ps(x.as_ptr()))
    }

    #[inline(always)]
    fn load_partial(self, x: &[f32]) -> __m512 {
        vector!(_mm512_maskz_loadu_ps(avx512_mask(x.len()), x.as_ptr()))
    }

    #[inline(always)]
    fn store(self, v: __m512, x: &mut [f32]) {
        assert!(x.len() >= 16);
        vector!(_mm512_storeu_ps(x.as_mut_ptr(), v))
    }

    #[inline(always)]
    fn store_partial(self, v: __m512, x: &mut [f32]) {
        vector!(_mm512_mask_storeu_ps(x.as_mut_ptr(), avx512_mask(x.len()), v))
    }

    #[inline(always)]
    fn load_f16(self, x: &[u16]) -> __m512 {
        assert!(x.len() >= 16);
        vector!(_mm512_cvtph_ps(_mm256_loadu_si256(x.as_ptr().cast())))
    }

    #[inline(always)]
    fn load_f32_bytes(self, x: &[u8]) -> __m512 {
        assert!(x.len() >= 64);
        vector!(_mm512_loadu_ps(x.as_ptr().cast()))
    }

    #[inline(always)]
    fn load_f16_bytes(self, x: &[u8]) -> __m512 {
        assert!(x.len() >= 32);
        vector!(_mm512_cvtph_ps(_mm256_loadu_si256(x.as_ptr().cast())))
    }

    #[inline(always)]
    fn load_bf16_bytes(self, x: &[u8]) -> __m512 {
        assert!(x.len() >= 32);
        vector!({
            let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(x.as_ptr().cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
        })
    }

    #[inline(always)]
    fn store_f16(self, v: __m512, x: &mut [u16]) {
        assert!(x.len() >= 16);
        vector!(_mm256_storeu_si256(x.as_mut_ptr().cast(), _mm512_cvtps_ph::<NEAREST>(v)))
    }

    #[inline(always)]
    fn load_bf16(self, x: &[u16]) -> __m512 {
        assert!(x.len() >= 16);
        vector!({
            let upper = _mm512_cvtepu16_epi32(_mm256_loadu_si256(x.as_ptr().cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(upper))
        })
    }

    #[inline(always)]
    fn load_i8(self, x: &[u8]) -> __m512 {
        assert!(x.len() >= 16);
        vector!(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(x.as_ptr().cast()))))
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        vector!(_mm512_add_ps(a, b))
    }

    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        vector!(_mm512_sub_ps(a, b))
    }

    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        vector!(_mm512_mul_ps(a, b))
    }

    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        vector!(_mm512_div_ps(a, b))
    }

    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        vector!(_mm512_fmadd_ps(a, b, c))
    }

    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        vector!(_mm512_max_ps(a, b))
    }

    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        vector!(_mm512_min_ps(a, b))
    }

    #[inline(always)]
    fn round(self, v: __m512) -> __m512 {
        vector!(_mm512_roundscale_ps::<NEAREST>(v))
    }

    #[inline(always)]
    fn scale2(self, v: __m512, n: __m512) -> __m512 {
        vector!(_mm512_scalef_ps(v, n))
    }

    #[inline(always)]
    fn select_lt(self, a: __m512, b: __m512, x: __m512, y: __m512) -> __m512 {
        vector!(_mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b), y, x))
    }

    #[inline(always)]
    fn swap_pairs(self, v: __m512) -> __m512 {
        vector!(_mm512_permute_ps::<0b10_11_00_01>(v))
    }

    #[inline(always)]
    fn reduce_add(self, v: __m512) -> f32 {
        let high = vector!(_mm512_extractf32x8_ps::<1>(v));
        Avx2(()).reduce_add(vector!(_mm256_add_ps(_mm512_castps512_ps256(v), high)))
    }

    #[inline(always)]
    fn reduce_max(self, v: __m512) -> f32 {
        let high = vector!(_mm512_extractf32x8_ps::<1>(v));
        Avx2(()).reduce_max(vector!(_mm256_max_ps(_mm512_castps512_ps256(v), high)))
    }

    #[inline(always)]
    fn sum_zero(self) -> Self::Sum {
        vector!([_mm512_setzero_pd(); 2])
    }

    #[inline(always)]
    fn sum_squares(self, [low, high]: Self::Sum, v: __m512) -> Self::Sum {
        vector!({
            let a = _mm512_cvtps_pd(_mm512_castps512_ps256(v));
            let b = _mm512_cvtps_pd(_mm512_extractf32x8_ps::<1>(v));
            [_mm512_fmadd_pd(a, a, low), _mm512_fmadd_pd(b, b, high)]
        })
    }

    #[inline(always)]
    fn sum_values(self, [low, high]: Self::Sum, v: __m512) -> Self::Sum {
        vector!({
            let a = _mm512_cvtps_pd(_mm512_castps512_ps256(v));
            let b = _mm512_cvtps_pd(_mm512_extractf32x8_ps::<1>(v));
            [_mm512_add_pd(a, low), _mm512_add_pd(b, high)]
        })
    }

    #[inline(always)]
    fn sum_total(self, [low, high]: Self::Sum) -> f64 {
        vector!({
            let v = _mm512_add_pd(low, high);
            let v = _mm256_add_pd(_mm512_castpd512_pd256(v), _mm512_extractf64x4_pd::<1>(v));
            let v = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd::<1>(v));
            _mm_cvtsd_f64(_mm_add_sd(v, _mm_unpackhi_pd(v, v)))
        })
    }

    #[inline(always)]
    fn follow(self, x: &[u8]) {
        follow(x.as_ptr(), x.len());
    }

    #[inline(always)]
    fn several_streams(self) -> bool {
        several_streams()
    }

    #[inline(always)]
    fn splat_int(self, x: i32) -> __m512i {
        vector!(_mm512_set1_epi32(x))
    }

    #[inline(always)]
    fn int_to_float(self, v: __m512i) -> __m512 {
        vector!(_mm512_cvtepi32_ps(v))
    }

    #[inline(always)]
    fn load_codes(self, x: &[u8]) -> __m512i {
        assert!(x.len() >= 64);
        let codes = vector!(_mm512_loadu_si512(x.as_ptr().cast()));
        if VNNI { codes } else { vector!(_mm512_xor_si512(codes, _mm512_set1_epi8(-128))) }
    }

    #[inline(always)]
    fn dot4(self, sum: __m512i, codes: __m512i, x: i32) -> __m512i {
        vector!({
            let x = _mm512_set1_epi32(x);
            if VNNI {
                return _mm512_dpbusd_epi32(sum, codes, x);
            }
            let negative = _mm512_movepi8_mask(x);
            let codes = _mm512_mask_sub_epi8(codes, negative, _mm512_setzero_si512(), codes);
            // Two products of magnitudes of 127 · 127 fit in 16 bits.
            let pairs = _mm512_maddubs_epi16(_mm512_abs_epi8(x), codes);
            _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)))
        })
    }

    #[inline(always)]
    fn prefetch(self, at: *const u8) {
        vector!(_mm_prefetch::<_MM_HINT_T1>(at.cast()))
    }

    #[inline(always)]
    fn outline<K: Kernel>(self, kernel: K) -> K::Output {
        vector!(if VNNI && K::MULTIPLIES_CODES {
            run_avx512_vnni(kernel)
        } else {
            run_avx512(kernel)
        })
    }
}
