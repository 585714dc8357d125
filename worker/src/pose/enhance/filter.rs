//! Enhancements by convolution. Beyond its edges the picture is extended by reflection.
//!
//! Columns are summed first, row by row into a buffer that extends beyond both edges; then the sums
//! along the row need no special case at the edges.

use super::pixels::reflected;
use crate::picture::RgbPicture;
use crate::simd::vectorized;

/// Blurs over 5 x 5 pixels with binomial weights, the usual approximation of a Gaussian.
pub(super) fn gaussian(picture: &RgbPicture, into: &mut RgbPicture) {
    let mut sums = Sums::new(picture.width, 2);
    for y in 0..picture.height {
        let rows = std::array::from_fn(|i| sums.row(picture, y, i));
        vectorized(|| add_five(rows, sums.inside()));
        sums.reflect();
        vectorized(|| blur(&sums.all, into.row_mut(y)));
    }
}

#[inline(always)]
fn add_five([a, b, c, d, e]: [&[u8]; 5], sums: &mut [u16]) {
    for (((((sum, a), b), c), d), e) in sums.iter_mut().zip(a).zip(b).zip(c).zip(d).zip(e) {
        *sum = weighted([*a, *b, *c, *d, *e].map(u16::from));
    }
}

#[inline(always)]
fn blur(sums: &[u16], to: &mut [u8]) {
    let [a, b, c, d, e] = std::array::from_fn(|i| &sums[3 * i..][..to.len()]);
    for (((((to, a), b), c), d), e) in to.iter_mut().zip(a).zip(b).zip(c).zip(d).zip(e) {
        // 255 * 256 + 128 fits.
        *to = ((weighted([*a, *b, *c, *d, *e]) + 128) >> 8) as u8;
    }
}

/// The sum with the weights 1, 4, 6, 4, 1: sixteen times the mean.
#[inline(always)]
fn weighted([a, b, c, d, e]: [u16; 5]) -> u16 {
    a + e + 4 * (b + d) + 6 * c
}

/// Nine times each pixel less its eight neighbours.
pub(super) fn sharpen(picture: &RgbPicture, into: &mut RgbPicture) {
    let mut sums = Sums::new(picture.width, 1);
    for y in 0..picture.height {
        let rows = std::array::from_fn(|i| sums.row(picture, y, i));
        vectorized(|| add_three(rows, sums.inside()));
        sums.reflect();
        vectorized(|| contrast(&sums.all, picture.row(y), into.row_mut(y)));
    }
}

#[inline(always)]
fn add_three([a, b, c]: [&[u8]; 3], sums: &mut [u16]) {
    for (((sum, a), b), c) in sums.iter_mut().zip(a).zip(b).zip(c) {
        *sum = u16::from(*a) + u16::from(*b) + u16::from(*c);
    }
}

#[inline(always)]
fn contrast(sums: &[u16], from: &[u8], to: &mut [u8]) {
    let [a, b, c] = std::array::from_fn(|i| &sums[3 * i..][..to.len()]);
    for ((((to, from), a), b), c) in to.iter_mut().zip(from).zip(a).zip(b).zip(c) {
        // The pixel itself is one of the nine.
        *to = (10 * u16::from(*from)).saturating_sub(a + b + c).min(255) as u8;
    }
}

/// One sum for each byte of a row, and of some pixels beyond both ends.
struct Sums {
    all: Vec<u16>,
    /// Pixels beyond each end; also the rows read on either side.
    reach: usize,
    width: usize,
}

impl Sums {
    fn new(width: u32, reach: usize) -> Self {
        let width = width as usize;
        Self { all: vec![0; (width + 2 * reach) * 3], reach, width }
    }

    /// The row `i` of those around row `y`.
    fn row<'a>(&self, picture: &'a RgbPicture, y: u32, i: usize) -> &'a [u8] {
        let at = i64::from(y) + i as i64 - self.reach as i64;
        picture.row(reflected(at, picture.height as usize) as u32)
    }

    fn inside(&mut self) -> &mut [u16] {
        &mut self.all[3 * self.reach..][..3 * self.width]
    }

    /// Fills in the sums beyond the ends.
    fn reflect(&mut self) {
        let (reach, width) = (self.reach as i64, self.width as i64);
        for at in (-reach..0).chain(width..width + reach) {
            let from = 3 * (reflected(at, self.width) + self.reach);
            self.all.copy_within(from..from + 3, 3 * (at + reach) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot(level: u8, around: u8) -> RgbPicture {
        let mut picture = RgbPicture::new(9, 9);
        picture.rgb.fill(around);
        picture.row_mut(4)[12..15].fill(level);
        picture
    }

    fn filtered(filter: fn(&RgbPicture, &mut RgbPicture), picture: &RgbPicture) -> RgbPicture {
        let mut into = RgbPicture::new(picture.width, picture.height);
        filter(picture, &mut into);
        into
    }

    #[test]
    fn the_gaussian_spreads_a_dot_and_sharpening_amplifies_it() {
        let blurred = filtered(gaussian, &dot(160, 0));
        // 160 * 6 * 6 / 256, and 160 * 6 * 4 / 256 beside it.
        assert_eq!((blurred.row(4)[12], blurred.row(4)[15]), (23, 15));
        let sharp = filtered(sharpen, &dot(110, 100));
        assert_eq!((sharp.row(4)[12], sharp.row(4)[15], sharp.row(0)[0]), (190, 90, 100));
    }

    #[test]
    fn sums_of_the_brightest_pixels_do_not_overflow() {
        let white = dot(255, 255);
        assert_eq!(filtered(gaussian, &white), white);
        assert_eq!(filtered(sharpen, &white), white);
    }
}
