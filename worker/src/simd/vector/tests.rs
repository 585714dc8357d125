//! All instruction sets against each other, and the bounds of their memory accesses.

use super::*;
use proptest::prelude::*;

/// Every operation on one set of numbers, as plain arrays.
struct All<'a> {
    a: &'a Lanes,
    b: &'a Lanes,
    half: &'a HalfBytes,
}

impl VectorKernel for All<'_> {
    type Output = [Lanes; 6];

    #[inline(always)]
    fn run<S: Vectors>(self, s: S) -> [Lanes; 6] {
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
    fn all_instruction_sets_compute_the_same_results(
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

/// An accessible page between two inaccessible ones.
#[allow(unsafe_code)]
fn page() -> &'static mut [u8] {
    let size = page_size();
    // SAFETY: a new mapping that nothing else refers to.
    let whole = unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        libc::mmap(std::ptr::null_mut(), 3 * size, libc::PROT_NONE, flags, -1, 0)
    };
    assert_ne!(whole, libc::MAP_FAILED);
    let middle = whole.wrapping_byte_add(size);
    // SAFETY: the middle page of that mapping.
    let opened = unsafe { libc::mprotect(middle, size, libc::PROT_READ | libc::PROT_WRITE) };
    assert_eq!(opened, 0);
    // SAFETY: it stays mapped, is readable and writable, and has no other reference.
    unsafe { std::slice::from_raw_parts_mut(middle.cast(), size) }
}

fn page_size() -> usize {
    nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)
        .expect("known")
        .map_or(4096, |size| size as usize)
}

/// Reads and writes at the very beginning and the very end of the page.
struct AtTheEdges<'a>(&'a mut [u8]);

impl VectorKernel for AtTheEdges<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Vectors>(self, s: S) {
        let halves = [self.0.first_chunk(), self.0.last_chunk()].map(|it| s.load_half(it.unwrap()));
        let whole = [self.0.first_chunk(), self.0.last_chunk()].map(|it| s.load_bytes(it.unwrap()));
        let sum = s.add(s.add(halves[0], halves[1]), s.add(whole[0], whole[1]));
        let (before, numbers, after) = bytes_as_floats(self.0);
        assert!(before == 0 && after == 0, "a page begins and ends with whole floats");
        let loaded = [numbers.first_chunk(), numbers.last_chunk()].map(|it| s.load(it.unwrap()));
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
fn no_instruction_accesses_memory_beyond_its_reference() {
    let page = page();
    for isa in Isa::ALL {
        run(isa, AtTheEdges(page));
    }
}

#[test]
fn half_precision_numbers_are_converted_exactly() {
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
