//! Vectors of sixteen floats, by the instruction set: the few operations that the networks need.
//! Code written for [`Vectors`] is compiled once for each and run by [`run`].
//!
//! A value of a type that implements [`Vectors`] is proof that the processor has its instructions:
//! only [`run`] makes one. Memory is read and written through references to whole vectors alone,
//! so that the compiler's bounds checks hold for all of it.

#[cfg(target_arch = "x86_64")]
mod x86;

use super::Isa;

/// Floats in a vector.
pub const LANES: usize = 16;
/// A vector in memory.
pub type Lanes = [f32; LANES];
/// A vector in memory as stored: little-endian floats.
pub type LanesBytes = [u8; 4 * LANES];
/// The same in half precision (IEEE 754 binary16).
pub type HalfBytes = [u8; 2 * LANES];

/// The operations of one instruction set.
pub trait Vectors: Copy {
    /// A vector in registers.
    type V: Copy;
    /// Most vectors side by side in one tile of a matrix product.
    const TILE_WIDTH: usize;
    /// Most rows of a tile of one, two and three vectors, so that its sums stay in registers.
    const TILE_ROWS: [usize; 3];

    /// The same number in all lanes.
    fn splat(self, value: f32) -> Self::V;
    /// Reads a vector.
    fn load(self, from: &Lanes) -> Self::V;
    /// Reads a stored vector.
    fn load_bytes(self, from: &LanesBytes) -> Self::V;
    /// Reads a stored vector in half precision; exact.
    fn load_half(self, from: &HalfBytes) -> Self::V;
    /// Writes a vector.
    fn store(self, vector: Self::V, to: &mut Lanes);
    /// `a * b + c`.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `a + b`.
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// Within 0 to 6.
    fn clip(self, a: Self::V) -> Self::V;
    /// Has the memory begin to bring what will be read soon.
    #[inline(always)]
    fn prefetch<T>(self, _soon_read: &T) {}
}

/// Work that is done in vectors of any kind.
pub trait Work {
    /// What comes of it.
    type Output;
    /// Does it. To be marked `#[inline(always)]`, with all that it calls.
    fn work<S: Vectors>(self, vectors: S) -> Self::Output;
}

/// Does the work with this instruction set, or with plain code if the processor lacks it.
#[inline]
#[allow(unsafe_code, reason = "functions for instructions that not every processor has")]
pub fn run<W: Work>(isa: Isa, work: W) -> W::Output {
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the processor has just been asked for these features.
        Isa::Avx512 if isa.is_available() => unsafe { x86::run_avx512(work) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the processor has just been asked for these features.
        Isa::Avx2 if isa.is_available() => unsafe { x86::run_avx2(work) },
        _ => work.work(Portable(())),
    }
}

/// Arrays, which every processor has.
#[derive(Debug, Clone, Copy)]
struct Portable(());

impl Vectors for Portable {
    type V = Lanes;
    const TILE_WIDTH: usize = 1;
    const TILE_ROWS: [usize; 3] = [6, 1, 1];

    #[inline(always)]
    fn splat(self, value: f32) -> Lanes {
        [value; LANES]
    }

    #[inline(always)]
    fn load(self, from: &Lanes) -> Lanes {
        *from
    }

    #[inline(always)]
    fn load_bytes(self, from: &LanesBytes) -> Lanes {
        let mut lanes = [0.0; LANES];
        for (lane, bytes) in lanes.iter_mut().zip(from.as_chunks::<4>().0) {
            *lane = f32::from_le_bytes(*bytes);
        }
        lanes
    }

    #[inline(always)]
    fn load_half(self, from: &HalfBytes) -> Lanes {
        let mut lanes = [0.0; LANES];
        for (lane, bytes) in lanes.iter_mut().zip(from.as_chunks::<2>().0) {
            *lane = widened(u16::from_le_bytes(*bytes));
        }
        lanes
    }

    #[inline(always)]
    fn store(self, vector: Lanes, to: &mut Lanes) {
        *to = vector;
    }

    #[inline(always)]
    fn mul_add(self, a: Lanes, b: Lanes, mut c: Lanes) -> Lanes {
        for lane in 0..LANES {
            // Not fused: without the instruction that is a call for each number.
            c[lane] += a[lane] * b[lane];
        }
        c
    }

    #[inline(always)]
    fn add(self, mut a: Lanes, b: Lanes) -> Lanes {
        for lane in 0..LANES {
            a[lane] += b[lane];
        }
        a
    }

    #[inline(always)]
    fn clip(self, mut a: Lanes) -> Lanes {
        for lane in &mut a {
            *lane = lane.clamp(0.0, 6.0);
        }
        a
    }
}

/// A finite number in half precision as a float.
#[inline(always)]
pub fn widened(half: u16) -> f32 {
    // The exponent's bias grows by 112; a product does that for numbers below the normal ones too.
    const BIAS: f32 = f32::from_bits((127 + 112) << 23);
    let magnitude = f32::from_bits(u32::from(half & 0x7fff) << 13) * BIAS;
    f32::from_bits(magnitude.to_bits() | u32::from(half & 0x8000) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every operation on one set of numbers, as plain arrays.
    struct All<'a> {
        a: &'a Lanes,
        b: &'a Lanes,
        half: &'a HalfBytes,
    }

    impl Work for All<'_> {
        type Output = [Lanes; 6];

        #[inline(always)]
        fn work<S: Vectors>(self, s: S) -> [Lanes; 6] {
            let bytes: Vec<u8> = self.b.iter().flat_map(|value| value.to_le_bytes()).collect();
            let b = s.load_bytes(bytes.first_chunk().expect("sixteen floats"));
            let a = s.load(self.a);
            let results =
                [s.splat(self.a[3]), b, s.load_half(self.half), s.mul_add(a, b, a), s.add(a, b)];
            let mut plain = [[f32::NAN; LANES]; 6];
            for (vector, to) in results.into_iter().zip(&mut plain) {
                s.store(vector, to);
            }
            s.store(s.clip(a), &mut plain[5]);
            plain
        }
    }

    proptest! {
        #[test]
        fn all_instruction_sets_compute_the_same(
            a: [i16; LANES],
            b: [i16; LANES],
            half in proptest::array::uniform16(0_u16..0x7c00),
            negative: u16,
        ) {
            // Small whole eighths, whose products and sums are exact, fused or not.
            let [a, b] = [a, b].map(|numbers| numbers.map(|number| f32::from(number / 64) / 8.0));
            let half: Vec<u8> = (0..LANES)
                .flat_map(|lane| (half[lane] | (negative >> lane & 1) << 15).to_le_bytes())
                .collect();
            let half = half.first_chunk().expect("sixteen halves");
            let plain = run(Isa::Portable, All { a: &a, b: &b, half });
            for lane in 0..LANES {
                prop_assert_eq!(plain[0][lane], a[3]);
                prop_assert_eq!(plain[1][lane], b[lane]);
                prop_assert_eq!(plain[3][lane], a[lane] * b[lane] + a[lane]);
                prop_assert_eq!(plain[4][lane], a[lane] + b[lane]);
                prop_assert_eq!(plain[5][lane], a[lane].clamp(0.0, 6.0));
            }
            for isa in Isa::ALL {
                let found = run(isa, All { a: &a, b: &b, half });
                prop_assert_eq!(found, plain, "{:?}", isa);
            }
        }
    }

    /// A page that may be used, between two that may not.
    #[allow(unsafe_code)]
    fn page() -> &'static mut [u8] {
        let size = page_size();
        // SAFETY: a new mapping, of which nobody else knows.
        let whole = unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            libc::mmap(std::ptr::null_mut(), 3 * size, libc::PROT_NONE, flags, -1, 0)
        };
        assert_ne!(whole, libc::MAP_FAILED);
        let middle = whole.wrapping_byte_add(size);
        // SAFETY: the middle page of that mapping.
        let opened = unsafe { libc::mprotect(middle, size, libc::PROT_READ | libc::PROT_WRITE) };
        assert_eq!(opened, 0);
        // SAFETY: it is mapped for good, may be read and written, and is nobody else's.
        unsafe { std::slice::from_raw_parts_mut(middle.cast(), size) }
    }

    fn page_size() -> usize {
        nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)
            .expect("known")
            .map_or(4096, |size| size as usize)
    }

    /// Reads and writes at the very beginning and the very end of the page.
    struct AtTheEdges<'a>(&'a mut [u8]);

    impl Work for AtTheEdges<'_> {
        type Output = ();

        #[inline(always)]
        fn work<S: Vectors>(self, s: S) {
            let halves =
                [self.0.first_chunk(), self.0.last_chunk()].map(|it| s.load_half(it.unwrap()));
            let whole =
                [self.0.first_chunk(), self.0.last_chunk()].map(|it| s.load_bytes(it.unwrap()));
            let sum = s.add(s.add(halves[0], halves[1]), s.add(whole[0], whole[1]));
            let (before, numbers, after) = bytes_as_floats(self.0);
            assert!(before == 0 && after == 0, "a page begins and ends with whole floats");
            let loaded =
                [numbers.first_chunk(), numbers.last_chunk()].map(|it| s.load(it.unwrap()));
            s.store(s.add(sum, loaded[0]), numbers.first_chunk_mut().unwrap());
            s.store(s.add(sum, loaded[1]), numbers.last_chunk_mut().unwrap());
        }
    }

    #[allow(unsafe_code)]
    fn bytes_as_floats(bytes: &mut [u8]) -> (usize, &mut [f32], usize) {
        // SAFETY: any four bytes are a float.
        let (before, numbers, after) = unsafe { bytes.align_to_mut() };
        (before.len(), numbers, after.len())
    }

    #[test]
    fn no_instruction_reaches_beyond_its_reference() {
        let page = page();
        for isa in Isa::ALL {
            run(isa, AtTheEdges(page));
        }
    }

    #[test]
    fn numbers_in_half_precision_are_widened_exactly() {
        for (half, value) in [
            (0x0000, 0.0),
            (0x0001, 2_f32.powi(-24)),
            (0x03ff, 1023.0 * 2_f32.powi(-24)),
            (0x0400, 2_f32.powi(-14)),
            (0x3c00, 1.0),
            (0xc500, -5.0),
            (0x7bff, 65504.0),
        ] {
            assert_eq!(widened(half), value);
        }
    }
}
