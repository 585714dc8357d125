//! Processing of pixels in blocks of a constant length, and the reflection of positions beyond the
//! edges. Called by the enhancements.

use crate::simd::{Kernel, vectorized_kernel};

/// Red, green and blue of one pixel.
pub(super) type Pixel = [u8; 3];

/// Pixels that are processed together: several vectors of any instruction set.
pub(super) const BLOCK: usize = 64;

/// One number for each pixel of a block.
pub(super) type Lane = [f32; BLOCK];

/// The pixels of a row or of a picture.
pub(super) fn pixels(rgb: &[u8]) -> &[Pixel] {
    rgb.as_chunks().0
}

/// The same, mutable.
pub(super) fn pixels_mut(rgb: &mut [u8]) -> &mut [Pixel] {
    rgb.as_chunks_mut().0
}

/// Computes a block of results from a block of pixels and a value for each pixel.
pub(super) trait BlockKernel {
    /// The value for each pixel.
    type Extra: Copy + Default;
    /// The result for each pixel.
    type To: Copy + Default;

    /// Computes the block. To be marked `#[inline(always)]`.
    fn run(&self, from: &[Pixel; BLOCK], extra: &[Self::Extra; BLOCK], to: &mut [Self::To; BLOCK]);
}

/// Processes all pixels, vectorized. The last block is padded.
pub(super) fn by_block<W: BlockKernel>(
    kernel: &W,
    from: &[Pixel],
    extra: &[W::Extra],
    to: &mut [W::To],
) {
    vectorized_kernel(Blocks { kernel, from, extra, to });
}

struct Blocks<'a, W: BlockKernel> {
    kernel: &'a W,
    from: &'a [Pixel],
    extra: &'a [W::Extra],
    to: &'a mut [W::To],
}

impl<W: BlockKernel> Kernel for Blocks<'_, W> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let (from, from_rest) = self.from.as_chunks();
        let (extra, extra_rest) = self.extra.as_chunks();
        let (to, to_rest) = self.to.as_chunks_mut();
        for ((from, extra), to) in from.iter().zip(extra).zip(to) {
            self.kernel.run(from, extra, to);
        }
        if !to_rest.is_empty() {
            let mut last = [W::To::default(); BLOCK];
            self.kernel.run(&padded(from_rest), &padded(extra_rest), &mut last);
            to_rest.copy_from_slice(&last[..to_rest.len()]);
        }
    }
}

#[inline(always)]
fn padded<T: Copy + Default>(rest: &[T]) -> [T; BLOCK] {
    let mut block = [T::default(); BLOCK];
    block[..rest.len()].copy_from_slice(rest);
    block
}

/// Splits a block into red, green and blue.
#[inline(always)]
pub(super) fn split(pixels: &[Pixel; BLOCK]) -> [Lane; 3] {
    let mut lanes = [[0.0; BLOCK]; 3];
    for i in 0..BLOCK {
        lanes[0][i] = f32::from(pixels[i][0]);
        lanes[1][i] = f32::from(pixels[i][1]);
        lanes[2][i] = f32::from(pixels[i][2]);
    }
    lanes
}

/// Rounds a number from 0 to 255 to the nearest integer, ties to even.
#[inline(always)]
pub(super) fn nearest(value: f32) -> u8 {
    // The sum has no bits for a fraction: its lowest bits are the integer.
    const NO_FRACTION: f32 = 12_582_912.0;
    (value + NO_FRACTION).to_bits() as u8
}

/// The value of a polynomial, its highest coefficient first.
#[inline(always)]
pub(super) fn polynomial<const N: usize>(coefficients: [f32; N], x: f32) -> f32 {
    let mut value = coefficients[0];
    for coefficient in &coefficients[1..] {
        value = value * x + coefficient;
    }
    value
}

/// Maps a position beyond the edge into the picture by reflection, without repeating the outermost
/// pixel.
pub(super) fn reflected(at: i64, size: usize) -> usize {
    let size = size as i64;
    let period = (2 * (size - 1)).max(1);
    let within = at.rem_euclid(period);
    within.min(period - within).min(size - 1) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_beyond_the_edges_are_reflected() {
        let seen: Vec<usize> = (-3..7).map(|at| reflected(at, 4)).collect();
        assert_eq!(seen, [3, 2, 1, 0, 1, 2, 3, 2, 1, 0]);
        assert_eq!(reflected(-2, 1), 0);
    }

    #[test]
    fn numbers_are_rounded_to_nearest_with_ties_to_even() {
        let values = [0.0, 0.49, 0.5, 0.51, 1.5, 2.5, 254.5, 254.51, 255.0];
        assert_eq!(values.map(nearest), [0, 0, 0, 1, 2, 2, 254, 255, 255]);
    }

    struct Sum;

    impl BlockKernel for Sum {
        type Extra = u8;
        type To = u32;

        #[inline(always)]
        fn run(&self, from: &[Pixel; BLOCK], extra: &[u8; BLOCK], to: &mut [u32; BLOCK]) {
            for i in 0..BLOCK {
                to[i] = u32::from(from[i][2]) + u32::from(extra[i]);
            }
        }
    }

    #[test]
    fn every_pixel_is_processed_at_any_length() {
        for length in [0, 1, BLOCK - 1, BLOCK, 2 * BLOCK + 5] {
            let extra: Vec<u8> = (0..length as u8).collect();
            let from: Vec<Pixel> = extra.iter().map(|level| [0, 0, *level]).collect();
            let mut to = vec![0; length];
            by_block(&Sum, &from, &extra, &mut to);
            assert!(to.iter().zip(0..).all(|(to, at)| *to == 2 * at), "{length}");
        }
    }
}
