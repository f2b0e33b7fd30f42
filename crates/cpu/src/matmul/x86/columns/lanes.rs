//! Registers with 32 bits of each of several rows.

use std::arch::x86_64::*;

/// The same 16 or 4 bytes of several rows, and what is done with them.
///
/// Methods are only called where the instructions are enabled that `new` of each kind names.
pub(in super::super) trait Lanes: Copy {
    /// How many rows.
    const ROWS: usize;
    /// 32 bits of each row.
    type Words: Copy;
    /// A number of each row.
    type Floats: Copy;

    /// 16 bytes of each row as four words; the rows are `stride` bytes apart.
    ///
    /// # Safety
    /// All these bytes may be read.
    unsafe fn quad(self, rows: *const u8, stride: usize) -> [Self::Words; 4];

    /// 4 bytes of each row.
    ///
    /// # Safety
    /// As [`Lanes::quad`].
    unsafe fn word(self, rows: *const u8, stride: usize) -> Self::Words;

    /// A number for each row from the byte there.
    ///
    /// # Safety
    /// As [`Lanes::quad`].
    unsafe fn of_bytes(self, rows: *const u8, stride: usize, value: fn(u8) -> f32) -> Self::Floats;

    /// The same word for all rows.
    fn splat(self, word: u32) -> Self::Words;
    fn and(self, a: Self::Words, b: Self::Words) -> Self::Words;
    fn or(self, a: Self::Words, b: Self::Words) -> Self::Words;
    fn xor(self, a: Self::Words, b: Self::Words) -> Self::Words;
    fn add(self, a: Self::Words, b: Self::Words) -> Self::Words;
    /// The low 32 bits of products.
    fn mul(self, a: Self::Words, b: Self::Words) -> Self::Words;
    /// Of 16 bits each: differences.
    fn sub16(self, a: Self::Words, b: Self::Words) -> Self::Words;
    /// Of 16 bits each: sums.
    fn add16(self, a: Self::Words, b: Self::Words) -> Self::Words;
    /// Of 16 bits each: the low half of products.
    fn mul16(self, a: Self::Words, b: Self::Words) -> Self::Words;
    fn shl(self, a: Self::Words, bits: u32) -> Self::Words;
    fn shr(self, a: Self::Words, bits: u32) -> Self::Words;
    /// With copies of the sign from above.
    fn shr_signed(self, a: Self::Words, bits: u32) -> Self::Words;
    /// The table's byte for each byte, which is less than 16.
    fn lookup(self, table: &[u8; 16], bytes: Self::Words) -> Self::Words;

    /// The half float in the low 16 bits.
    fn half(self, a: Self::Words) -> Self::Floats;
    /// Signed integers as numbers.
    fn float(self, a: Self::Words) -> Self::Floats;
    fn scale(self, a: Self::Floats, by: Self::Floats) -> Self::Floats;
    fn negate(self, a: Self::Floats) -> Self::Floats;

    /// # Safety
    /// There is room for the words of all rows.
    unsafe fn store(self, words: Self::Words, at: *mut u8);

    /// # Safety
    /// There is room for the numbers of all rows.
    unsafe fn store_floats(self, floats: Self::Floats, at: *mut f32);
}

/// 16 rows.
#[derive(Clone, Copy)]
pub(in super::super) struct Zmm(());

impl Zmm {
    /// # Safety
    /// Methods are only called where AVX-512 F, BW and DQ are enabled.
    #[inline(always)]
    pub(in super::super) unsafe fn new() -> Self {
        Self(())
    }
}

impl Lanes for Zmm {
    const ROWS: usize = 16;
    type Words = __m512i;
    type Floats = __m512;

    #[inline(always)]
    unsafe fn quad(self, rows: *const u8, stride: usize) -> [__m512i; 4] {
        // SAFETY: as asked.
        unsafe {
            // Row 4 l + i is in lane l of register i, where a masked broadcast takes no shuffle.
            let mut some = [_mm512_setzero_si512(); 4];
            let mut at = rows;
            for lane in 0..4 {
                for row in &mut some {
                    let bytes = _mm_loadu_si128(at.cast());
                    *row = _mm512_mask_broadcast_i32x4(*row, 0xf << (4 * lane), bytes);
                    at = at.wrapping_add(stride);
                }
            }
            let [a, b, c, d] = some;
            let (ab0, ab1) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
            let (cd0, cd1) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
            [
                _mm512_unpacklo_epi64(ab0, cd0),
                _mm512_unpackhi_epi64(ab0, cd0),
                _mm512_unpacklo_epi64(ab1, cd1),
                _mm512_unpackhi_epi64(ab1, cd1),
            ]
        }
    }

    #[inline(always)]
    unsafe fn word(self, rows: *const u8, stride: usize) -> __m512i {
        // SAFETY: as asked.
        unsafe {
            let mut words = [0; 16];
            for (r, word) in words.iter_mut().enumerate() {
                *word = rows.add(r * stride).cast::<i32>().read_unaligned();
            }
            _mm512_loadu_si512(words.as_ptr().cast())
        }
    }

    #[inline(always)]
    unsafe fn of_bytes(self, rows: *const u8, stride: usize, value: fn(u8) -> f32) -> __m512 {
        // SAFETY: as asked.
        unsafe {
            let mut floats = [0.0; 16];
            for (r, float) in floats.iter_mut().enumerate() {
                *float = value(rows.add(r * stride).read());
            }
            _mm512_loadu_ps(floats.as_ptr())
        }
    }

    #[inline(always)]
    fn splat(self, word: u32) -> __m512i {
        // SAFETY: see `new`, as for all that follow.
        unsafe { _mm512_set1_epi32(word.cast_signed()) }
    }

    #[inline(always)]
    fn and(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: see `new`.
        unsafe { _mm512_and_si512(a, b) }
    }

    #[inline(always)]
    fn or(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: see `new`.
        unsafe { _mm512_or_si512(a, b) }
    }

    #[inline(always)]
    fn xor(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: see `new`.
        unsafe { _mm512_xor_si512(a, b) }
    }

    #[inline(always)]
    fn add(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: see `new`.
        unsafe { _mm512_add_epi32(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: see `new`.
        unsafe { _mm512_mullo_epi32(a, b) }
    }

    #[inline(always)]
    fn sub16(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: see `new`.
        unsafe { _mm512_sub_epi16(a, b) }
    }

    #[inline(always)]
    fn add16(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: see `new`.
        unsafe { _mm512_add_epi16(a, b) }
    }

    #[inline(always)]
    fn mul16(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: see `new`.
        unsafe { _mm512_mullo_epi16(a, b) }
    }

    #[inline(always)]
    fn shl(self, a: __m512i, bits: u32) -> __m512i {
        // SAFETY: see `new`.
        unsafe { _mm512_sll_epi32(a, _mm_cvtsi32_si128(bits.cast_signed())) }
    }

    #[inline(always)]
    fn shr(self, a: __m512i, bits: u32) -> __m512i {
        // SAFETY: see `new`.
        unsafe { _mm512_srl_epi32(a, _mm_cvtsi32_si128(bits.cast_signed())) }
    }

    #[inline(always)]
    fn shr_signed(self, a: __m512i, bits: u32) -> __m512i {
        // SAFETY: see `new`.
        unsafe { _mm512_sra_epi32(a, _mm_cvtsi32_si128(bits.cast_signed())) }
    }

    #[inline(always)]
    fn lookup(self, table: &[u8; 16], bytes: __m512i) -> __m512i {
        // SAFETY: see `new`; the table is as long as what is loaded.
        unsafe {
            let table = _mm512_broadcast_i32x4(_mm_loadu_si128(table.as_ptr().cast()));
            _mm512_shuffle_epi8(table, bytes)
        }
    }

    #[inline(always)]
    fn half(self, a: __m512i) -> __m512 {
        // SAFETY: see `new`.
        unsafe { _mm512_cvtph_ps(_mm512_cvtepi32_epi16(a)) }
    }

    #[inline(always)]
    fn float(self, a: __m512i) -> __m512 {
        // SAFETY: see `new`.
        unsafe { _mm512_cvtepi32_ps(a) }
    }

    #[inline(always)]
    fn scale(self, a: __m512, by: __m512) -> __m512 {
        // SAFETY: see `new`.
        unsafe { _mm512_mul_ps(a, by) }
    }

    #[inline(always)]
    fn negate(self, a: __m512) -> __m512 {
        // SAFETY: see `new`.
        unsafe { _mm512_xor_ps(a, _mm512_set1_ps(-0.0)) }
    }

    #[inline(always)]
    unsafe fn store(self, words: __m512i, at: *mut u8) {
        // SAFETY: as asked.
        unsafe { _mm512_storeu_si512(at.cast(), words) }
    }

    #[inline(always)]
    unsafe fn store_floats(self, floats: __m512, at: *mut f32) {
        // SAFETY: as asked.
        unsafe { _mm512_storeu_ps(at, floats) }
    }
}

/// 8 rows.
#[derive(Clone, Copy)]
pub(in super::super) struct Ymm(());

impl Ymm {
    /// # Safety
    /// Methods are only called where AVX2 and F16C are enabled.
    #[inline(always)]
    pub(in super::super) unsafe fn new() -> Self {
        Self(())
    }
}

impl Lanes for Ymm {
    const ROWS: usize = 8;
    type Words = __m256i;
    type Floats = __m256;

    #[inline(always)]
    unsafe fn quad(self, rows: *const u8, stride: usize) -> [__m256i; 4] {
        // SAFETY: as asked.
        unsafe {
            // Row 4 l + i is in lane l of register i.
            let mut some = [_mm256_setzero_si256(); 4];
            for (i, row) in some.iter_mut().enumerate() {
                let (low, high) = (rows.add(i * stride), rows.add((4 + i) * stride));
                let low = _mm_loadu_si128(low.cast());
                *row = _mm256_set_m128i(_mm_loadu_si128(high.cast()), low);
            }
            let [a, b, c, d] = some;
            let (ab0, ab1) = (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
            let (cd0, cd1) = (_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
            [
                _mm256_unpacklo_epi64(ab0, cd0),
                _mm256_unpackhi_epi64(ab0, cd0),
                _mm256_unpacklo_epi64(ab1, cd1),
                _mm256_unpackhi_epi64(ab1, cd1),
            ]
        }
    }

    #[inline(always)]
    unsafe fn word(self, rows: *const u8, stride: usize) -> __m256i {
        // SAFETY: as asked.
        unsafe {
            let mut words = [0; 8];
            for (r, word) in words.iter_mut().enumerate() {
                *word = rows.add(r * stride).cast::<i32>().read_unaligned();
            }
            _mm256_loadu_si256(words.as_ptr().cast())
        }
    }

    #[inline(always)]
    unsafe fn of_bytes(self, rows: *const u8, stride: usize, value: fn(u8) -> f32) -> __m256 {
        // SAFETY: as asked.
        unsafe {
            let mut floats = [0.0; 8];
            for (r, float) in floats.iter_mut().enumerate() {
                *float = value(rows.add(r * stride).read());
            }
            _mm256_loadu_ps(floats.as_ptr())
        }
    }

    #[inline(always)]
    fn splat(self, word: u32) -> __m256i {
        // SAFETY: see `new`, as for all that follow.
        unsafe { _mm256_set1_epi32(word.cast_signed()) }
    }

    #[inline(always)]
    fn and(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: see `new`.
        unsafe { _mm256_and_si256(a, b) }
    }

    #[inline(always)]
    fn or(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: see `new`.
        unsafe { _mm256_or_si256(a, b) }
    }

    #[inline(always)]
    fn xor(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: see `new`.
        unsafe { _mm256_xor_si256(a, b) }
    }

    #[inline(always)]
    fn add(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: see `new`.
        unsafe { _mm256_add_epi32(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: see `new`.
        unsafe { _mm256_mullo_epi32(a, b) }
    }

    #[inline(always)]
    fn sub16(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: see `new`.
        unsafe { _mm256_sub_epi16(a, b) }
    }

    #[inline(always)]
    fn add16(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: see `new`.
        unsafe { _mm256_add_epi16(a, b) }
    }

    #[inline(always)]
    fn mul16(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: see `new`.
        unsafe { _mm256_mullo_epi16(a, b) }
    }

    #[inline(always)]
    fn shl(self, a: __m256i, bits: u32) -> __m256i {
        // SAFETY: see `new`.
        unsafe { _mm256_sll_epi32(a, _mm_cvtsi32_si128(bits.cast_signed())) }
    }

    #[inline(always)]
    fn shr(self, a: __m256i, bits: u32) -> __m256i {
        // SAFETY: see `new`.
        unsafe { _mm256_srl_epi32(a, _mm_cvtsi32_si128(bits.cast_signed())) }
    }

    #[inline(always)]
    fn shr_signed(self, a: __m256i, bits: u32) -> __m256i {
        // SAFETY: see `new`.
        unsafe { _mm256_sra_epi32(a, _mm_cvtsi32_si128(bits.cast_signed())) }
    }

    #[inline(always)]
    fn lookup(self, table: &[u8; 16], bytes: __m256i) -> __m256i {
        // SAFETY: see `new`; the table is as long as what is loaded.
        unsafe {
            let table = _mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast()));
            _mm256_shuffle_epi8(table, bytes)
        }
    }

    #[inline(always)]
    fn half(self, a: __m256i) -> __m256 {
        // SAFETY: see `new`.
        unsafe {
            let low = _mm256_and_si256(a, _mm256_set1_epi32(0xffff));
            let (first, second) = (_mm256_castsi256_si128(low), _mm256_extracti128_si256::<1>(low));
            _mm256_cvtph_ps(_mm_packus_epi32(first, second))
        }
    }

    #[inline(always)]
    fn float(self, a: __m256i) -> __m256 {
        // SAFETY: see `new`.
        unsafe { _mm256_cvtepi32_ps(a) }
    }

    #[inline(always)]
    fn scale(self, a: __m256, by: __m256) -> __m256 {
        // SAFETY: see `new`.
        unsafe { _mm256_mul_ps(a, by) }
    }

    #[inline(always)]
    fn negate(self, a: __m256) -> __m256 {
        // SAFETY: see `new`.
        unsafe { _mm256_xor_ps(a, _mm256_set1_ps(-0.0)) }
    }

    #[inline(always)]
    unsafe fn store(self, words: __m256i, at: *mut u8) {
        // SAFETY: as asked.
        unsafe { _mm256_storeu_si256(at.cast(), words) }
    }

    #[inline(always)]
    unsafe fn store_floats(self, floats: __m256, at: *mut f32) {
        // SAFETY: as asked.
        unsafe { _mm256_storeu_ps(at, floats) }
    }
}
