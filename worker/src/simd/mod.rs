//! Which vector instructions the processor has, and how code is run with them. All of the worker's
//! unsafe code for speed is in this folder.
//!
//! Loops in safe Rust become vector code by [`vectorized`]: the compiler makes it for each
//! instruction set, and the best that the processor has is run.

pub mod peak;
pub mod vector;

use std::sync::OnceLock;

/// Environment variable that names the instruction set to use, for tests and measurements.
pub const VARIABLE: &str = "BODYSCRIPT_SIMD";

/// An instruction set, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// What every processor of the architecture has.
    Portable,
    /// AVX2, FMA and F16C: vectors of 8 floats.
    Avx2,
    /// AVX-512 F, BW, DQ and VL: vectors of 16 floats.
    Avx512,
}

impl Isa {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Portable, Self::Avx2, Self::Avx512];

    /// The best that this processor has, or the one that [`VARIABLE`] names, if it has that.
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

    /// What [`VARIABLE`] calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// Whether this processor has it.
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

/// Runs safe code that the compiler has made for the chosen instruction set. Only what is inlined
/// into `work` is made so: mark the loops `#[inline(always)]`. The compiler does not inline a large
/// closure; for that there is [`Work`].
#[inline]
pub fn vectorized<R>(work: impl FnOnce() -> R) -> R {
    vectorized_for(Isa::chosen(), work)
}

/// The same for a given instruction set, or for the chosen one if the processor lacks it.
#[inline]
#[allow(unsafe_code, reason = "functions for instructions that not every processor has")]
pub fn vectorized_for<R>(isa: Isa, work: impl FnOnce() -> R) -> R {
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the processor has just been asked for these features.
        Isa::Avx512 if isa.is_available() => unsafe { for_avx512(work) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the processor has just been asked for these features.
        Isa::Avx2 if isa.is_available() => unsafe { for_avx2(work) },
        _ => work(),
    }
}

/// Work of any size for [`vectorized_work`].
pub trait Work {
    /// What comes of it.
    type Output;

    /// Does it. To be marked `#[inline(always)]`, as all that it calls; closures given to others
    /// (`map`, `from_fn`) may not be inlined.
    fn run(self) -> Self::Output;
}

/// As [`vectorized`], for work whose code is inlined whatever its size.
#[inline]
pub fn vectorized_work<W: Work>(work: W) -> W::Output {
    vector::run(Isa::chosen(), WithoutVectors(work))
}

/// Work in plain loops, of which the compiler makes the vectors.
struct WithoutVectors<W>(W);

impl<W: Work> vector::Work for WithoutVectors<W> {
    type Output = W::Output;

    #[inline(always)]
    fn work<S: vector::Vectors>(self, _: S) -> W::Output {
        self.0.run()
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
fn for_avx512<R>(work: impl FnOnce() -> R) -> R {
    work()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
fn for_avx2<R>(work: impl FnOnce() -> R) -> R {
    work()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_instruction_set_is_there_and_all_give_the_same() {
        assert!(Isa::chosen().is_available());
        let numbers: Vec<u32> = (0..1000).collect();
        for isa in Isa::ALL {
            assert_eq!(vectorized_for(isa, || numbers.iter().sum::<u32>()), 499_500, "{isa:?}");
        }
    }
}
