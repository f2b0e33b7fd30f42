//! Which instruction sets this processor has.

use std::fmt;

/// Name of the environment variable that lowers the level, for tests and comparisons.
pub const ENV: &str = "LLAMAFILE_ISA";

/// A level of instruction sets that kernels are written for. Each level includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isa {
    /// Portable code.
    Scalar,
    /// AVX2, FMA and F16C.
    Avx2,
    /// AVX-512 F, BW, DQ and VL.
    Avx512,
    /// AVX-512 with the 8-bit dot products (VNNI).
    Avx512Vnni,
}

impl Isa {
    /// Every level, lowest first.
    pub const ALL: [Isa; 4] = [Isa::Scalar, Isa::Avx2, Isa::Avx512, Isa::Avx512Vnni];

    /// The best level of this processor.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("f16c");
            let avx512 = avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            if avx512 && is_x86_feature_detected!("avx512vnni") {
                return Isa::Avx512Vnni;
            }
            if avx512 {
                return Isa::Avx512;
            }
            if avx2 {
                return Isa::Avx2;
            }
        }
        Isa::Scalar
    }

    /// The levels that this processor can run, lowest first.
    pub fn available() -> impl Iterator<Item = Isa> {
        let best = Isa::detect();
        Isa::ALL.into_iter().filter(move |&isa| isa <= best)
    }

    /// The level to use: the best of this processor, or a lower one if [`ENV`] names it.
    ///
    /// The error is a message for people: the variable names no level, or one that this processor
    /// lacks.
    pub fn from_env() -> Result<Self, String> {
        match std::env::var(ENV) {
            Ok(name) => Isa::choose(&name, Isa::detect()),
            Err(_) => Ok(Isa::detect()),
        }
    }

    fn choose(name: &str, best: Isa) -> Result<Self, String> {
        let known = || Isa::ALL.map(Isa::name).join(", ");
        let plain = name.to_ascii_lowercase().replace(['-', '_'], "");
        let Some(isa) = Isa::ALL.into_iter().find(|isa| isa.name().replace('-', "") == plain)
        else {
            return Err(format!("{ENV}={name} is not an instruction set; choose from {}", known()));
        };
        if isa > best {
            return Err(format!("{ENV}={name} is more than this processor has ({best})"));
        }
        Ok(isa)
    }

    /// Name for people, for example `avx512-vnni`.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Scalar => "scalar",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
            Isa::Avx512Vnni => "avx512-vnni",
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
    fn levels_are_chosen_by_name_up_to_the_best() {
        assert_eq!(Isa::choose("avx512vnni", Isa::Avx512Vnni), Ok(Isa::Avx512Vnni));
        assert_eq!(Isa::choose("AVX512-VNNI", Isa::Avx512Vnni), Ok(Isa::Avx512Vnni));
        assert_eq!(Isa::choose("scalar", Isa::Avx512), Ok(Isa::Scalar));
        assert!(Isa::choose("avx512", Isa::Avx2).unwrap_err().contains("avx2"));
        assert!(Isa::choose("sse9", Isa::Avx2).unwrap_err().contains("avx512-vnni"));
    }

    #[test]
    fn scalar_is_always_available() {
        assert_eq!(Isa::available().next(), Some(Isa::Scalar));
        assert_eq!(Isa::available().last(), Some(Isa::detect()));
    }
}
