//! Blur that keeps edges: the pixels around each one are averaged, with lower weights for different
//! colours (Tomasi and Manduchi, "Bilateral Filtering for Gray and Color Images", 1998).
//!
//! ```text
//! weight = exp(-(colour / 75)^2 / 2) * exp(-(distance / 75)^2 / 2)
//! ```
//!
//! `colour` being the sum of the differences of the three channels.

use super::pixels::{BLOCK, Lane, nearest, pixels, pixels_mut, polynomial, reflected};
use crate::picture::RgbPicture;
use crate::simd::{Kernel, vectorized_kernel};

/// Radius of the circle of pixels that are averaged.
const REACH: usize = 4;
/// Rows that are read for one row.
const ROWS: usize = 2 * REACH + 1;
/// Difference in colour at which a pixel's weight has fallen to 0.6, in grey levels.
const LEVELS: f32 = 75.0;
/// Distance at which it has, in pixels.
const PX: f32 = 75.0;

/// Two to the power of -0.5 to 0.5, to 0.01 %.
const POWER: [f32; 4] = [0.055_171_32, 0.242_611_12, 0.693_261_1, 0.999_928_1];

/// Applies the filter.
pub(super) fn apply(picture: &RgbPicture, into: &mut RgbPicture) {
    let taps = taps();
    let mut rows = Rows::new(picture);
    for y in 0..picture.height as usize {
        rows.advance(picture, y);
        vectorized_kernel(Row { around: rows.around(y), taps: &taps, to: into.row_mut(y as u32) });
    }
}

/// One of the averaged pixels.
struct Tap {
    /// Its row.
    row: usize,
    /// Its column, from the leftmost.
    column: usize,
    /// Logarithm to the base of 2 of its weight.
    weight: f32,
}

fn taps() -> Vec<Tap> {
    (0..ROWS)
        .flat_map(|row| (0..ROWS).map(move |column| (row, column)))
        .map(|(row, column)| {
            (row, column, row.abs_diff(REACH).pow(2) + column.abs_diff(REACH).pow(2))
        })
        .filter(|(.., square)| *square <= REACH * REACH)
        .map(|(row, column, square)| Tap { row, column, weight: log_weight(PX) * square as f32 })
        .collect()
}

/// The factor from the square of a difference to the logarithm of its weight.
fn log_weight(sigma: f32) -> f32 {
    -0.5 * std::f32::consts::LOG2_E / (sigma * sigma)
}

/// The channels of a row, extended by reflection at both ends.
type Channels = [Vec<f32>; 3];

/// The rows around the current one, each at its number modulo [`ROWS`].
struct Rows {
    rows: [Channels; ROWS],
    height: usize,
    loaded: usize,
}

impl Rows {
    fn new(picture: &RgbPicture) -> Self {
        let length = (picture.width as usize).next_multiple_of(BLOCK) + 2 * REACH;
        let row = || std::array::from_fn(|_| vec![0.0; length]);
        Self { rows: std::array::from_fn(|_| row()), height: picture.height as usize, loaded: 0 }
    }

    /// Loads the rows that row `y` needs.
    fn advance(&mut self, picture: &RgbPicture, y: usize) {
        while self.loaded < self.height.min(y + REACH + 1) {
            let row = &mut self.rows[self.loaded % ROWS];
            load(pixels(picture.row(self.loaded as u32)), row);
            self.loaded += 1;
        }
    }

    fn around(&self, y: usize) -> [&Channels; ROWS] {
        std::array::from_fn(|i| {
            let at = y as i64 + i as i64 - REACH as i64;
            &self.rows[reflected(at, self.height) % ROWS]
        })
    }
}

fn load(from: &[[u8; 3]], to: &mut Channels) {
    let (width, reach) = (from.len(), REACH as i64);
    let [red, green, blue] = to;
    let inside = red[REACH..].iter_mut().zip(&mut green[REACH..]).zip(&mut blue[REACH..]);
    for (pixel, ((red, green), blue)) in from.iter().zip(inside) {
        [*red, *green, *blue] = pixel.map(f32::from);
    }
    for at in (-reach..0).chain(width as i64..width as i64 + reach) {
        let pixel = from[reflected(at, width)].map(f32::from);
        to.iter_mut().zip(pixel).for_each(|(to, value)| to[(at + reach) as usize] = value);
    }
}

/// One row, and its input.
struct Row<'a> {
    around: [&'a Channels; ROWS],
    taps: &'a [Tap],
    to: &'a mut [u8],
}

impl Kernel for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (n, to) in pixels_mut(self.to).chunks_mut(BLOCK).enumerate() {
            let centre = block(self.around[REACH], n * BLOCK + REACH);
            let mut sums = [[0.0; BLOCK]; 4];
            for tap in self.taps {
                let there = block(self.around[tap.row], n * BLOCK + tap.column);
                add(centre, there, tap.weight, &mut sums);
            }
            let mut means = [[0; 3]; BLOCK];
            for i in 0..BLOCK {
                let total = sums[3][i];
                means[i] = [
                    nearest(sums[0][i] / total),
                    nearest(sums[1][i] / total),
                    nearest(sums[2][i] / total),
                ];
            }
            to.copy_from_slice(&means[..to.len()]);
        }
    }
}

/// A block of a row; rows are padded to whole blocks.
#[inline(always)]
fn block([red, green, blue]: &Channels, at: usize) -> [&Lane; 3] {
    let [red, green, blue] = [&red[at..], &green[at..], &blue[at..]];
    match (red.first_chunk(), green.first_chunk(), blue.first_chunk()) {
        (Some(red), Some(green), Some(blue)) => [red, green, blue],
        _ => [&[0.0; BLOCK]; 3],
    }
}

/// Adds one of the pixels around each pixel of a block.
#[inline(always)]
fn add(centre: [&Lane; 3], there: [&Lane; 3], weight: f32, sums: &mut [Lane; 4]) {
    let by_colour = log_weight(LEVELS);
    for i in 0..BLOCK {
        let [red, green, blue] = [there[0][i], there[1][i], there[2][i]];
        let distance =
            (red - centre[0][i]).abs() + (green - centre[1][i]).abs() + (blue - centre[2][i]).abs();
        let weight = power_of_two(distance * distance * by_colour + weight);
        sums[0][i] += weight * red;
        sums[1][i] += weight * green;
        sums[2][i] += weight * blue;
        sums[3][i] += weight;
    }
}

/// Two to the power of a number from -126 to 126.
#[inline(always)]
fn power_of_two(exponent: f32) -> f32 {
    // The sum has no bits for a fraction: its lowest bits are the nearest integer.
    const NO_FRACTION: f32 = 12_582_912.0;
    let whole = exponent + NO_FRACTION;
    let fraction = polynomial(POWER, exponent - (whole - NO_FRACTION));
    f32::from_bits(fraction.to_bits().wrapping_add(whole.to_bits() << 23))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered(picture: &RgbPicture) -> RgbPicture {
        let mut into = RgbPicture::new(picture.width, picture.height);
        apply(picture, &mut into);
        into
    }

    #[test]
    fn noise_is_removed_and_edges_are_kept() {
        let mut noise = RgbPicture::new(9, 9);
        noise.rgb.fill(100);
        noise.row_mut(4)[12..15].fill(110);
        let calm = filtered(&noise);
        assert!(calm.row(4)[12] <= 101, "{}", calm.row(4)[12]);
        let mut edge = RgbPicture::new(9, 9);
        for y in 0..9 {
            edge.row_mut(y)[12..].fill(255);
        }
        let kept = filtered(&edge);
        assert_eq!((kept.row(4)[9], kept.row(4)[12]), (0, 255));
    }

    #[test]
    fn powers_are_accurate_for_all_differences() {
        for difference in 0..=3 * 255 {
            let exponent = (difference * difference) as f32 * log_weight(LEVELS);
            let (power, exact) = (power_of_two(exponent), f64::from(exponent).exp2());
            let error = (f64::from(power) / exact - 1.0).abs();
            assert!(error < 1e-4, "{difference}: {power} is not {exact}");
        }
    }

    #[test]
    fn all_pixels_in_the_circle_are_averaged() {
        assert_eq!(taps().len(), 49);
        assert!(taps().iter().all(|tap| tap.weight <= 0.0 && tap.weight > 17.0 * log_weight(PX)));
    }
}
