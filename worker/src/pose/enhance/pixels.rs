//! Pixels taken apart and put together again, in blocks whose length the compiler knows, and what
//! stands for pixels beyond the edges. Called by the enhancements.

use crate::simd::{Work, vectorized_work};

/// Red, green and blue of one pixel.
pub(super) type Pixel = [u8; 3];

/// Pixels that are worked on together: several vectors of any instruction set.
pub(super) const BLOCK: usize = 64;

/// One number for each pixel of a block.
pub(super) type Lane = [f32; BLOCK];

/// The pixels of a row or of a picture.
pub(super) fn pixels(rgb: &[u8]) -> &[Pixel] {
    rgb.as_chunks().0
}

/// The same, to write.
pub(super) fn pixels_mut(rgb: &mut [u8]) -> &mut [Pixel] {
    rgb.as_chunks_mut().0
}

/// What is done to a block: something comes of pixels and of what lies beside them.
pub(super) trait BlockWork {
    /// What is beside each pixel.
    type Beside: Copy + Default;
    /// What becomes of each.
    type To: Copy + Default;

    /// Does it. To be marked `#[inline(always)]`.
    fn run(
        &self,
        from: &[Pixel; BLOCK],
        beside: &[Self::Beside; BLOCK],
        to: &mut [Self::To; BLOCK],
    );
}

/// Works on all pixels, in vectors. The last block is filled up.
pub(super) fn by_block<W: BlockWork>(
    work: &W,
    from: &[Pixel],
    beside: &[W::Beside],
    to: &mut [W::To],
) {
    vectorized_work(Blocks { work, from, beside, to });
}

struct Blocks<'a, W: BlockWork> {
    work: &'a W,
    from: &'a [Pixel],
    beside: &'a [W::Beside],
    to: &'a mut [W::To],
}

impl<W: BlockWork> Work for Blocks<'_, W> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let (from, from_rest) = self.from.as_chunks();
        let (beside, beside_rest) = self.beside.as_chunks();
        let (to, to_rest) = self.to.as_chunks_mut();
        for ((from, beside), to) in from.iter().zip(beside).zip(to) {
            self.work.run(from, beside, to);
        }
        if !to_rest.is_empty() {
            let mut last = [W::To::default(); BLOCK];
            self.work.run(&filled_up(from_rest), &filled_up(beside_rest), &mut last);
            to_rest.copy_from_slice(&last[..to_rest.len()]);
        }
    }
}

#[inline(always)]
fn filled_up<T: Copy + Default>(rest: &[T]) -> [T; BLOCK] {
    let mut block = [T::default(); BLOCK];
    block[..rest.len()].copy_from_slice(rest);
    block
}

/// Red, green and blue of a block apart.
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

/// The nearest whole number of one from 0 to 255, the even one of two.
#[inline(always)]
pub(super) fn nearest(value: f32) -> u8 {
    // The sum has no room for a fraction: its lowest bits are the whole number.
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

/// The pixel that stands for one beyond the edge: the picture goes on as its own mirror image, the
/// outermost pixel not repeated.
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
    fn the_picture_goes_on_as_its_mirror_image() {
        let seen: Vec<usize> = (-3..7).map(|at| reflected(at, 4)).collect();
        assert_eq!(seen, [3, 2, 1, 0, 1, 2, 3, 2, 1, 0]);
        assert_eq!(reflected(-2, 1), 0);
    }

    #[test]
    fn numbers_are_rounded_to_the_nearest_and_of_two_to_the_even_one() {
        let values = [0.0, 0.49, 0.5, 0.51, 1.5, 2.5, 254.5, 254.51, 255.0];
        assert_eq!(values.map(nearest), [0, 0, 0, 1, 2, 2, 254, 255, 255]);
    }

    struct Sum;

    impl BlockWork for Sum {
        type Beside = u8;
        type To = u32;

        #[inline(always)]
        fn run(&self, from: &[Pixel; BLOCK], beside: &[u8; BLOCK], to: &mut [u32; BLOCK]) {
            for i in 0..BLOCK {
                to[i] = u32::from(from[i][2]) + u32::from(beside[i]);
            }
        }
    }

    #[test]
    fn every_pixel_comes_back_in_its_place_whatever_the_length() {
        for length in [0, 1, BLOCK - 1, BLOCK, 2 * BLOCK + 5] {
            let beside: Vec<u8> = (0..length as u8).collect();
            let from: Vec<Pixel> = beside.iter().map(|level| [0, 0, *level]).collect();
            let mut to = vec![0; length];
            by_block(&Sum, &from, &beside, &mut to);
            assert!(to.iter().zip(0..).all(|(to, at)| *to == 2 * at), "{length}");
        }
    }
}
