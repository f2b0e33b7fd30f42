//! The features of processors that levels need, and those that this one has.

use std::sync::OnceLock;

use super::Isa;

/// Features of this architecture by name, and whether this processor has them.
pub fn features() -> impl Iterator<Item = (&'static str, bool)> {
    macro_rules! features {
        ($detected:ident: $($name:tt)*) => { [$(($name, std::arch::$detected!($name))),*] };
    }
    #[cfg(target_arch = "x86_64")]
    let features = features!(is_x86_feature_detected:
        "avx" "avx2" "fma" "f16c" "bmi2" "avxvnni" "avxvnniint8" "avx512f" "avx512bw" "avx512dq"
        "avx512vl" "avx512vnni" "avx512vbmi" "avx512bf16" "avx512fp16" "gfni");
    #[cfg(target_arch = "aarch64")]
    let features = features!(is_aarch64_feature_detected:
        "neon" "dotprod" "i8mm" "fp16" "bf16" "sve" "sve2");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let features = [];
    features.into_iter()
}

impl Isa {
    /// The architecture that has the level, as Rust calls it; `None` for any.
    pub fn architecture(self) -> Option<&'static str> {
        match self {
            Isa::Scalar => None,
            Isa::Avx2
            | Isa::AvxVnni
            | Isa::Avx512
            | Isa::Avx512Vnni
            | Isa::Avx512Vbmi
            | Isa::Avx512Bf16 => Some("x86_64"),
            Isa::Neon | Isa::Dotprod | Isa::I8mm => Some("aarch64"),
        }
    }

    /// The features that the level needs. To be tested, [`Isa::AvxVnni`] can do with those of
    /// [`Isa::Avx512Vnni`], too, but not in release builds: who has these needs no other.
    pub fn needs(self) -> &'static [&'static str] {
        match self {
            Isa::Scalar => &[],
            Isa::Avx2 => &["avx2", "fma", "f16c"],
            Isa::AvxVnni => &["avx2", "fma", "f16c", "avxvnni"],
            Isa::Avx512 => &["avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512dq", "avx512vl"],
            Isa::Avx512Vnni => &[
                "avx2",
                "fma",
                "f16c",
                "bmi2",
                "avx512f",
                "avx512bw",
                "avx512dq",
                "avx512vl",
                "avx512vnni",
            ],
            Isa::Avx512Vbmi => &[
                "avx2",
                "fma",
                "f16c",
                "bmi2",
                "gfni",
                "avx512f",
                "avx512bw",
                "avx512dq",
                "avx512vl",
                "avx512vnni",
                "avx512vbmi",
            ],
            Isa::Avx512Bf16 => &[
                "avx2",
                "fma",
                "f16c",
                "bmi2",
                "gfni",
                "avx512f",
                "avx512bw",
                "avx512dq",
                "avx512vl",
                "avx512vnni",
                "avx512vbmi",
                "avx512bf16",
            ],
            Isa::Neon => &["neon"],
            Isa::Dotprod => &["neon", "dotprod"],
            Isa::I8mm => &["neon", "dotprod", "i8mm"],
        }
    }

    /// The features that the level needs and this processor lacks.
    pub fn missing(self) -> Vec<&'static str> {
        if cfg!(debug_assertions) && self == Isa::AvxVnni && Isa::Avx512Vnni.missing().is_empty() {
            return Vec::new();
        }
        let has = |name: &str| features().any(|(feature, has)| feature == name && has);
        self.needs().iter().copied().filter(|name| !has(name)).collect()
    }

    /// Whether this processor can run the level.
    pub fn is_available(self) -> bool {
        static AVAILABLE: OnceLock<[bool; Isa::ALL.len()]> = OnceLock::new();
        let here = |architecture| architecture == std::env::consts::ARCH;
        let available = |isa: Isa| isa.architecture().is_none_or(here) && isa.missing().is_empty();
        // Every product asks.
        AVAILABLE.get_or_init(|| Isa::ALL.map(available))[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_levels_are_in_the_order_of_their_declaration() {
        assert!(Isa::ALL.iter().enumerate().all(|(at, isa)| *isa as usize == at));
    }

    #[test]
    fn levels_need_known_features() {
        let known: Vec<&str> = features().map(|(name, _)| name).collect();
        for isa in Isa::ALL {
            if isa.architecture() == Some(std::env::consts::ARCH) {
                assert!(isa.needs().iter().all(|name| known.contains(name)), "{isa}");
            } else if isa != Isa::Scalar {
                assert!(!isa.is_available() && !isa.missing().is_empty(), "{isa}");
            }
        }
    }
}
