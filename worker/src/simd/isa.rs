//! The instruction sets, and which one is used.

use std::sync::OnceLock;

/// Environment variable that selects the instruction set, for tests and measurements.
pub const VARIABLE: &str = "BODYSCRIPT_SIMD";

/// An instruction set, in ascending order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// The baseline of the architecture.
    Portable,
    /// AVX2, FMA and F16C: vectors of 8 floats.
    Avx2,
    /// AVX-512 F, BW, DQ and VL: vectors of 16 floats.
    Avx512,
}

impl Isa {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Portable, Self::Avx2, Self::Avx512];

    /// The best that this processor has, or the one that [`VARIABLE`] names, if available.
    pub fn chosen() -> Self {
        static CHOSEN: OnceLock<Isa> = OnceLock::new();
        *CHOSEN.get_or_init(|| {
            let best = Self::ALL.into_iter().rev().find(|isa| isa.is_available());
            let best = best.unwrap_or(Self::Portable);
            let named = std::env::var(VARIABLE).ok();
            let named = Self::ALL.into_iter().find(|isa| named.as_deref() == Some(isa.name()));
            named.filter(|isa| isa.is_available()).unwrap_or(best)
        })
    }

    /// Its name in [`VARIABLE`].
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// Whether this processor supports it.
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("fma")
                    && is_x86_feature_detected!("f16c")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                Self::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }
}
