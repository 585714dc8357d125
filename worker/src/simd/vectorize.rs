//! Compiles safe loops for each instruction set and runs the best version that the processor has.

use super::isa::Isa;
use super::vector;

/// Runs safe code compiled for the chosen instruction set. This holds only for what is inlined into
/// `work`: mark the loops `#[inline(always)]`. The compiler does not inline a large closure; use
/// [`Kernel`] for that.
#[inline]
pub(crate) fn vectorized<R>(work: impl FnOnce() -> R) -> R {
    vectorized_for(Isa::chosen(), work)
}

/// The same for a given instruction set, or for the chosen one if the processor lacks it.
#[inline]
#[allow(unsafe_code, reason = "functions for instructions that not every processor has")]
pub(crate) fn vectorized_for<R>(isa: Isa, work: impl FnOnce() -> R) -> R {
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: these features have just been detected.
        Isa::Avx512 if isa.is_available() => unsafe { for_avx512(work) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: these features have just been detected.
        Isa::Avx2 if isa.is_available() => unsafe { for_avx2(work) },
        _ => work(),
    }
}

/// Code of any size for [`vectorized_kernel`].
pub(crate) trait Kernel {
    /// The result.
    type Output;

    /// Runs it. To be marked `#[inline(always)]`, like all functions it calls; closures passed to
    /// other functions (`map`, `from_fn`) may not be inlined.
    fn run(self) -> Self::Output;
}

/// As [`vectorized`], for code that is inlined whatever its size.
#[inline]
pub(crate) fn vectorized_kernel<K: Kernel>(kernel: K) -> K::Output {
    vector::run(Isa::chosen(), AutoVectorized(kernel))
}

/// Plain loops that the compiler vectorizes.
struct AutoVectorized<K>(K);

impl<K: Kernel> vector::VectorKernel for AutoVectorized<K> {
    type Output = K::Output;

    #[inline(always)]
    fn run<S: vector::Vectors>(self, _: S) -> K::Output {
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
    fn the_chosen_instruction_set_is_available_and_all_give_the_same_result() {
        assert!(Isa::chosen().is_available());
        let numbers: Vec<u32> = (0..1000).collect();
        for isa in Isa::ALL {
            assert_eq!(vectorized_for(isa, || numbers.iter().sum::<u32>()), 499_500, "{isa:?}");
        }
    }
}
