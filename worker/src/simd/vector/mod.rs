//! Vectors of sixteen floats, by the instruction set. Code written for [`Vectors`] is compiled once
//! for each and executed by [`run`].
//!
//! A value of a type that implements [`Vectors`] is proof that the processor has its instructions:
//! only [`run`] creates one. Memory is read and written through references to whole vectors alone,
//! so that the compiler's bounds checks apply to all of it.

mod lanes;
mod portable;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use lanes::{HalfBytes, LANES, Lanes, LanesBytes, VectorKernel, Vectors, widened};

use super::isa::Isa;

/// Runs a kernel with this instruction set, or with portable code if the processor lacks it.
#[inline]
#[allow(unsafe_code, reason = "functions for instructions that not every processor has")]
pub(crate) fn run<K: VectorKernel>(isa: Isa, kernel: K) -> K::Output {
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: these features have just been detected.
        Isa::Avx512 if isa.is_available() => unsafe { x86::run_avx512(kernel) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: these features have just been detected.
        Isa::Avx2 if isa.is_available() => unsafe { x86::run_avx2(kernel) },
        _ => portable::run(kernel),
    }
}
