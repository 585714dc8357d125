//! The operations with AVX-512 and with AVX2. All unsafe code is single instructions, each of a
//! feature that the type's value proves, on a reference to a whole vector.

#![allow(unsafe_code)]

use super::lanes::{HalfBytes, LANES, Lanes, LanesBytes, VectorKernel, Vectors};
use std::arch::x86_64::{
    __m128i, __m256, __m512, _MM_HINT_T0, _mm_loadu_si128, _mm_prefetch, _mm256_add_ps,
    _mm256_cvtph_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_max_ps,
    _mm256_min_ps, _mm256_set1_ps, _mm256_storeu_ps, _mm512_add_ps, _mm512_cvtph_ps,
    _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_max_ps, _mm512_min_ps, _mm512_set1_ps,
    _mm512_storeu_ps,
};

/// Registers of sixteen floats.
#[derive(Clone, Copy)]
pub(super) struct Avx512(());

/// Pairs of registers of eight floats.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn run_avx512<K: VectorKernel>(kernel: K) -> K::Output {
    kernel.run(Avx512(()))
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn run_avx2<K: VectorKernel>(kernel: K) -> K::Output {
    kernel.run(Avx2(()))
}

impl Vectors for Avx512 {
    type V = __m512;
    const TILE_WIDTH: usize = 3;
    const TILE_ROWS: [usize; 3] = [12, 12, 8];

    #[inline(always)]
    fn splat(self, value: f32) -> __m512 {
        // SAFETY: `self` is proof of AVX-512.
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    fn load(self, from: &Lanes) -> __m512 {
        // SAFETY: `self` is proof of AVX-512, and the reference is to 64 bytes.
        unsafe { _mm512_loadu_ps(from.as_ptr()) }
    }

    #[inline(always)]
    fn load_bytes(self, from: &LanesBytes) -> __m512 {
        // SAFETY: `self` is proof of AVX-512, and the reference is to 64 bytes.
        unsafe { _mm512_loadu_ps(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn load_half(self, from: &HalfBytes) -> __m512 {
        // SAFETY: `self` is proof of AVX-512, and the reference is to 32 bytes.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.as_ptr().cast())) }
    }

    #[inline(always)]
    fn store(self, vector: __m512, to: &mut Lanes) {
        // SAFETY: `self` is proof of AVX-512, and the reference is to 64 bytes.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), vector) }
    }

    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: `self` is proof of AVX-512.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` is proof of AVX-512.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn clip(self, a: __m512) -> __m512 {
        // SAFETY: `self` is proof of AVX-512.
        unsafe { _mm512_min_ps(_mm512_max_ps(a, _mm512_set1_ps(0.0)), _mm512_set1_ps(6.0)) }
    }

    #[inline(always)]
    fn prefetch<T>(self, address: &T) {
        // SAFETY: a hint, for an address that may be read.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(address).cast()) }
    }
}

/// Applies an expression to both registers. Not a closure: the compiler would not inline its body
/// here, where the instructions are enabled.
macro_rules! both {
    ($half:ident => $one:expr) => {
        [
            {
                const $half: usize = 0;
                // SAFETY: a value of `Avx2` is proof of AVX2, FMA and F16C, and references to
                // vectors are to the bytes of both registers.
                unsafe { $one }
            },
            {
                const $half: usize = 1;
                // SAFETY: as above.
                unsafe { $one }
            },
        ]
    };
}

/// Floats of one register.
const HALF: usize = LANES / 2;

impl Vectors for Avx2 {
    type V = [__m256; 2];
    const TILE_WIDTH: usize = 1;
    const TILE_ROWS: [usize; 3] = [6, 1, 1];

    #[inline(always)]
    fn splat(self, value: f32) -> [__m256; 2] {
        // SAFETY: `self` is proof of AVX2.
        let register = unsafe { _mm256_set1_ps(value) };
        [register, register]
    }

    #[inline(always)]
    fn load(self, from: &Lanes) -> [__m256; 2] {
        both!(N => _mm256_loadu_ps(from.as_ptr().add(N * HALF)))
    }

    #[inline(always)]
    fn load_bytes(self, from: &LanesBytes) -> [__m256; 2] {
        both!(N => _mm256_loadu_ps(from.as_ptr().cast::<f32>().add(N * HALF)))
    }

    #[inline(always)]
    fn load_half(self, from: &HalfBytes) -> [__m256; 2] {
        both!(N => _mm256_cvtph_ps(_mm_loadu_si128(from.as_ptr().cast::<__m128i>().add(N))))
    }

    #[inline(always)]
    fn store(self, vector: [__m256; 2], to: &mut Lanes) {
        both!(N => _mm256_storeu_ps(to.as_mut_ptr().add(N * HALF), vector[N]));
    }

    #[inline(always)]
    fn mul_add(self, a: [__m256; 2], b: [__m256; 2], c: [__m256; 2]) -> [__m256; 2] {
        both!(N => _mm256_fmadd_ps(a[N], b[N], c[N]))
    }

    #[inline(always)]
    fn add(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        both!(N => _mm256_add_ps(a[N], b[N]))
    }

    #[inline(always)]
    fn clip(self, a: [__m256; 2]) -> [__m256; 2] {
        both!(N => {
            _mm256_min_ps(_mm256_max_ps(a[N], _mm256_set1_ps(0.0)), _mm256_set1_ps(6.0))
        })
    }

    #[inline(always)]
    fn prefetch<T>(self, address: &T) {
        // SAFETY: a hint, for an address that may be read.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(address).cast()) }
    }
}
