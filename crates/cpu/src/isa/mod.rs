//! Which instruction sets this processor has.

#[cfg(target_arch = "aarch64")]
pub(crate) mod aarch64;
mod features;

use std::fmt;

pub use features::features;

/// Name of the environment variable that lowers the level, for tests and comparisons.
pub const ENV: &str = "LLAMAFILE_ISA";

/// A level of instruction sets that kernels are written for, each better than those before it of the
/// same architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Isa {
    /// Portable code.
    Scalar,
    /// x86-64: AVX2, FMA and F16C.
    Avx2,
    /// x86-64: AVX2 with the 8-bit dot products in 256-bit registers (AVX-VNNI).
    AvxVnni,
    /// x86-64: AVX-512 F, BW, DQ and VL.
    Avx512,
    /// x86-64: AVX-512 with the 8-bit dot products (VNNI).
    Avx512Vnni,
    /// x86-64: AVX-512 with VNNI, lookups of bytes (VBMI) and GFNI.
    Avx512Vbmi,
    /// x86-64: AVX-512 with all of these and products of pairs of BF16 values.
    Avx512Bf16,
    /// 64-bit ARM: NEON, which all have.
    Neon,
    /// 64-bit ARM: NEON with 8-bit dot products.
    Dotprod,
    /// 64-bit ARM: NEON with 8-bit dot and matrix products.
    I8mm,
}

impl Isa {
    /// Every level, each architecture's lowest first.
    pub const ALL: [Isa; 10] = [
        Isa::Scalar,
        Isa::Avx2,
        Isa::AvxVnni,
        Isa::Avx512,
        Isa::Avx512Vnni,
        Isa::Avx512Vbmi,
        Isa::Avx512Bf16,
        Isa::Neon,
        Isa::Dotprod,
        Isa::I8mm,
    ];

    /// The levels that this processor can run, lowest first.
    pub fn available() -> impl Iterator<Item = Isa> {
        Isa::ALL.into_iter().filter(|isa| isa.is_available())
    }

    /// The best level of this processor.
    pub fn detect() -> Self {
        Isa::available().last().unwrap_or(Isa::Scalar)
    }

    /// The level to use: the best of this processor, or a lower one if [`ENV`] names it.
    ///
    /// The error is a message for people: the variable names no level, or one that this processor
    /// lacks.
    pub fn from_env() -> Result<Self, String> {
        match std::env::var(ENV) {
            Ok(name) => Isa::choose(&name, &Isa::available().collect::<Vec<_>>()),
            Err(_) => Ok(Isa::detect()),
        }
    }

    fn choose(name: &str, available: &[Isa]) -> Result<Self, String> {
        let names =
            |levels: &[Isa]| levels.iter().map(|isa| isa.name()).collect::<Vec<_>>().join(", ");
        let plain = name.to_ascii_lowercase().replace(['-', '_'], "");
        let Some(isa) = Isa::ALL.into_iter().find(|isa| isa.name().replace('-', "") == plain)
        else {
            let known = names(&Isa::ALL);
            return Err(format!("{ENV}={name} is not an instruction set; choose from {known}"));
        };
        if !available.contains(&isa) {
            let has = names(available);
            return Err(format!("{ENV}={name} is not among what this processor has: {has}"));
        }
        Ok(isa)
    }

    /// Name for people, for example `avx512-vnni`.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Scalar => "scalar",
            Isa::Avx2 => "avx2",
            Isa::AvxVnni => "avx-vnni",
            Isa::Avx512 => "avx512",
            Isa::Avx512Vnni => "avx512-vnni",
            Isa::Avx512Vbmi => "avx512-vbmi",
            Isa::Avx512Bf16 => "avx512-bf16",
            Isa::Neon => "neon",
            Isa::Dotprod => "dotprod",
            Isa::I8mm => "i8mm",
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_chosen_by_name_among_the_available() {
        let x86 = [Isa::Scalar, Isa::Avx2, Isa::Avx512, Isa::Avx512Vnni];
        assert_eq!(Isa::choose("avx512vnni", &x86), Ok(Isa::Avx512Vnni));
        assert_eq!(Isa::choose("AVX512-VNNI", &x86), Ok(Isa::Avx512Vnni));
        assert_eq!(Isa::choose("scalar", &x86), Ok(Isa::Scalar));
        assert!(Isa::choose("avx512", &x86[..2]).unwrap_err().contains("avx2"));
        assert!(Isa::choose("neon", &x86).unwrap_err().contains("avx512-vnni"));
        assert!(Isa::choose("sse9", &x86).unwrap_err().contains("i8mm"));
    }

    #[test]
    fn scalar_is_always_available() {
        assert_eq!(Isa::available().next(), Some(Isa::Scalar));
        assert_eq!(Isa::available().last(), Some(Isa::detect()));
    }
}
