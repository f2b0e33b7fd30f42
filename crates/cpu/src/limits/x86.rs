//! Loops over the registers of x86-64. There are as many accumulators as hide the latency.

use std::arch::x86_64::*;
use std::hint::black_box;

use super::Loop;
use crate::isa::Isa;

pub(super) fn int8(isa: Isa) -> Option<Loop> {
    match isa {
        Isa::Avx512Bf16 | Isa::Avx512Vbmi | Isa::Avx512Vnni => {
            Some(Loop { run: dpbusd_512, operations: 16 * 128 })
        }
        Isa::AvxVnni => {
            let run = if Isa::Avx512Vnni.is_available() { dpbusd_256 } else { dpbusd_avx };
            Some(Loop { run, operations: 12 * 64 })
        }
        Isa::Avx512 => Some(Loop { run: maddubs_512, operations: 16 * 128 }),
        Isa::Avx2 => Some(Loop { run: maddubs_256, operations: 12 * 64 }),
        _ => None,
    }
}

pub(super) fn f32(isa: Isa) -> Option<Loop> {
    match isa {
        Isa::Avx512Bf16 | Isa::Avx512Vbmi | Isa::Avx512Vnni | Isa::Avx512 => {
            Some(Loop { run: fma_512, operations: 16 * 32 })
        }
        Isa::AvxVnni | Isa::Avx2 => Some(Loop { run: fma_256, operations: 12 * 16 }),
        _ => None,
    }
}

#[target_feature(enable = "avx512f,avx512vnni")]
fn dpbusd_512(rounds: usize) {
    let mut acc = [_mm512_setzero_si512(); 16];
    let (a, b) = (black_box(_mm512_set1_epi8(3)), black_box(_mm512_set1_epi8(5)));
    for _ in 0..rounds {
        for acc in &mut acc {
            *acc = _mm512_dpbusd_epi32(*acc, a, b);
        }
    }
    black_box(acc);
}

#[target_feature(enable = "avx512vl,avx512vnni")]
fn dpbusd_256(rounds: usize) {
    let mut acc = [_mm256_setzero_si256(); 12];
    let (a, b) = (black_box(_mm256_set1_epi8(3)), black_box(_mm256_set1_epi8(5)));
    for _ in 0..rounds {
        for acc in &mut acc {
            *acc = _mm256_dpbusd_epi32(*acc, a, b);
        }
    }
    black_box(acc);
}

/// [`dpbusd_256`] for processors without AVX-512.
#[target_feature(enable = "avx2,avxvnni")]
fn dpbusd_avx(rounds: usize) {
    let mut acc = [_mm256_setzero_si256(); 12];
    let (a, b) = (black_box(_mm256_set1_epi8(3)), black_box(_mm256_set1_epi8(5)));
    for _ in 0..rounds {
        for acc in &mut acc {
            *acc = _mm256_dpbusd_avx_epi32(*acc, a, b);
        }
    }
    black_box(acc);
}

/// Products depend on the sums, or they would be computed once.
#[target_feature(enable = "avx512f,avx512bw")]
fn maddubs_512(rounds: usize) {
    let mut acc = [_mm512_setzero_si512(); 16];
    let (a, ones) = (black_box(_mm512_set1_epi8(3)), black_box(_mm512_set1_epi16(1)));
    for _ in 0..rounds {
        for acc in &mut acc {
            let pairs = _mm512_maddubs_epi16(*acc, a);
            *acc = _mm512_add_epi32(*acc, _mm512_madd_epi16(pairs, ones));
        }
    }
    black_box(acc);
}

/// As [`maddubs_512`].
#[target_feature(enable = "avx2")]
fn maddubs_256(rounds: usize) {
    let mut acc = [_mm256_setzero_si256(); 12];
    let (a, ones) = (black_box(_mm256_set1_epi8(3)), black_box(_mm256_set1_epi16(1)));
    for _ in 0..rounds {
        for acc in &mut acc {
            let pairs = _mm256_maddubs_epi16(*acc, a);
            *acc = _mm256_add_epi32(*acc, _mm256_madd_epi16(pairs, ones));
        }
    }
    black_box(acc);
}

#[target_feature(enable = "avx512f")]
fn fma_512(rounds: usize) {
    let mut acc = [_mm512_setzero_ps(); 16];
    let (a, b) = (black_box(_mm512_set1_ps(0.5)), black_box(_mm512_set1_ps(0.25)));
    for _ in 0..rounds {
        for acc in &mut acc {
            *acc = _mm512_fmadd_ps(*acc, a, b);
        }
    }
    black_box(acc);
}

#[target_feature(enable = "avx2,fma")]
fn fma_256(rounds: usize) {
    let mut acc = [_mm256_setzero_ps(); 12];
    let (a, b) = (black_box(_mm256_set1_ps(0.5)), black_box(_mm256_set1_ps(0.25)));
    for _ in 0..rounds {
        for acc in &mut acc {
            *acc = _mm256_fmadd_ps(*acc, a, b);
        }
    }
    black_box(acc);
}
