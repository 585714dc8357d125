//! Pixels of a picture in RGB, whatever its format: single ones, and ones interpolated from four
//! where positions lie between pixels. Called by `pose::crop`, once a row, and by
//! `pose::appearance`.

use super::colour::Conversion;
use super::planes::{Picture, SLACK};
use crate::simd::{Isa, vectorized_for};

/// Bits of a position's fraction.
const FRACTION_BITS: u32 = 5;
/// One pixel, in the unit of positions.
pub(crate) const ONE: i32 = 1 << FRACTION_BITS;
/// Bits of a weight: a product of two fractions.
const WEIGHT_BITS: u32 = 2 * FRACTION_BITS;
/// Positions that are sampled together.
const BLOCK: usize = 32;

/// Positions in a picture, in 1/32 pixel, all between its first and last pixel.
#[derive(Debug, Clone, Copy)]
pub struct Positions<'a> {
    /// From the left.
    pub x: &'a [i32],
    /// From the top; as many.
    pub y: &'a [i32],
}

/// Levels of red, green and blue.
pub type Levels<'a> = [&'a mut [u8]; 3];

/// A picture whose pixels can be read in RGB.
pub trait Pixels {
    /// Columns and rows.
    fn size(&self) -> [usize; 2];

    /// Red, green and blue of one pixel.
    fn pixel(&self, x: usize, y: usize) -> [u8; 3];

    /// Interpolates at each position between the four pixels around it, in whole levels. `isa` is
    /// the instruction set used; it does not change the result.
    fn sample(&self, isa: Isa, at: Positions<'_>, into: Levels<'_>) {
        let _ = isa;
        let [columns, rows] = self.size();
        let [red, green, blue] = into;
        for (i, (x, y)) in at.x.iter().zip(at.y).enumerate() {
            let ([left, right], fx) = around(*x, columns);
            let ([top, bottom], fy) = around(*y, rows);
            let corners = [(left, top), (right, top), (left, bottom), (right, bottom)];
            let levels = blend(corners.map(|(x, y)| self.pixel(x, y)), [fx, fy]);
            [red[i], green[i], blue[i]] = levels;
        }
    }
}

/// The two indices below `size` that a position lies between, and its distance from the first.
fn around(position: i32, size: usize) -> ([usize; 2], u32) {
    let first = (position >> FRACTION_BITS) as usize;
    ([first, (first + 1).min(size - 1)], (position & (ONE - 1)) as u32)
}

/// Interpolates between four corners (upper left, upper right, lower left, lower right).
pub(crate) fn blend(corners: [[u8; 3]; 4], [fx, fy]: [u32; 2]) -> [u8; 3] {
    let one = ONE as u32;
    let weights = [(one - fx) * (one - fy), fx * (one - fy), (one - fx) * fy, fx * fy];
    std::array::from_fn(|channel| {
        let sum: u32 = (0..4).map(|i| weights[i] * u32::from(corners[i][channel])).sum();
        ((sum + (1 << (WEIGHT_BITS - 1))) >> WEIGHT_BITS) as u8
    })
}

impl Pixels for Picture {
    fn size(&self) -> [usize; 2] {
        self.layout.plane_size(0)
    }

    fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        let ([columns, _], [chroma_columns, _]) =
            (self.layout.plane_size(0), self.layout.plane_size(1));
        let ([luma, u, v], [across, down]) = (self.planes(), self.layout.subsampling.shifts());
        let at = (y >> down) * chroma_columns + (x >> across);
        Conversion::of(self.layout.range).rgb([luma[y * columns + x], u[at], v[at]])
    }

    fn sample(&self, isa: Isa, at: Positions<'_>, into: Levels<'_>) {
        let planes = Planes::of(self);
        vectorized_for(
            isa,
            #[inline(always)]
            || {
                let [red, green, blue] = into;
                let colours = red.chunks_mut(BLOCK).zip(green.chunks_mut(BLOCK));
                let colours = colours.zip(blue.chunks_mut(BLOCK));
                let blocks = at.x.chunks(BLOCK).zip(at.y.chunks(BLOCK)).zip(colours);
                for ((x, y), ((red, green), blue)) in blocks {
                    planes.sample_block([x, y], [red, green, blue]);
                }
            },
        );
    }
}

/// The planes of a picture in one slice.
struct Planes<'a> {
    samples: &'a [u8],
    /// Columns and rows of luma less one, and columns of chroma.
    last: [i32; 2],
    columns: u32,
    chroma_columns: u32,
    /// Offset of each kind of chroma.
    chroma: [u32; 2],
    shifts: [u32; 2],
    conversion: Conversion,
}

/// The samples read for a block of positions: for each, the pairs of samples in the row above it
/// and in the row below, of luma and both kinds of chroma.
struct Gathered {
    upper: [[u16; BLOCK]; 3],
    lower: [[u16; BLOCK]; 3],
}

impl<'a> Planes<'a> {
    fn of(picture: &'a Picture) -> Self {
        let layout = picture.layout;
        let [columns, rows] = layout.plane_size(0);
        let [chroma_columns, _] = layout.plane_size(1);
        let (luma, chroma) = (layout.plane_len(0) as u32, layout.plane_len(1) as u32);
        debug_assert_eq!(picture.samples.len(), (luma + 2 * chroma) as usize + SLACK);
        Self {
            samples: &picture.samples,
            last: [columns as i32 - 1, rows as i32 - 1],
            columns: columns as u32,
            chroma_columns: chroma_columns as u32,
            chroma: [luma, luma + chroma],
            shifts: layout.subsampling.shifts(),
            conversion: Conversion::of(layout.range),
        }
    }

    #[inline(always)]
    fn sample_block(&self, [x, y]: [&[i32]; 2], into: Levels<'_>) {
        let (mut at_x, mut at_y) = ([0; BLOCK], [0; BLOCK]);
        at_x[..x.len()].copy_from_slice(x);
        at_y[..y.len()].copy_from_slice(y);
        let gathered = self.gather(&at_x, &at_y);
        let levels = self.blend_block(&at_x, &at_y, &gathered);
        for (into, levels) in into.into_iter().zip(&levels) {
            into.copy_from_slice(&levels[..into.len()]);
        }
    }

    #[inline(always)]
    fn gather(&self, x: &[i32; BLOCK], y: &[i32; BLOCK]) -> Gathered {
        let [across, down] = self.shifts;
        let (mut luma, mut chroma) = ([[0_u32; BLOCK]; 2], [[0_u32; BLOCK]; 2]);
        for i in 0..BLOCK {
            let left = (x[i] >> FRACTION_BITS) as u32;
            let top = y[i] >> FRACTION_BITS;
            for (k, row) in [top, (top + 1).min(self.last[1])].into_iter().enumerate() {
                luma[k][i] = row as u32 * self.columns + left;
                chroma[k][i] = (row as u32 >> down) * self.chroma_columns + (left >> across);
            }
        }
        let mut gathered = Gathered { upper: [[0; BLOCK]; 3], lower: [[0; BLOCK]; 3] };
        let [u, v] = self.chroma;
        let (of_u, of_v) = (&self.samples[u as usize..], &self.samples[v as usize..]);
        for i in 0..BLOCK {
            for (k, rows) in [&mut gathered.upper, &mut gathered.lower].into_iter().enumerate() {
                rows[0][i] = pair(self.samples, luma[k][i]);
                rows[1][i] = pair(of_u, chroma[k][i]);
                rows[2][i] = pair(of_v, chroma[k][i]);
            }
        }
        gathered
    }

    #[inline(always)]
    fn blend_block(
        &self,
        x: &[i32; BLOCK],
        y: &[i32; BLOCK],
        gathered: &Gathered,
    ) -> [[u8; BLOCK]; 3] {
        let upper = self.blend_row(x, &gathered.upper);
        let lower = self.blend_row(x, &gathered.lower);
        let mut levels = [[0; BLOCK]; 3];
        for channel in 0..3 {
            let (upper, lower, levels) = (&upper[channel], &lower[channel], &mut levels[channel]);
            for i in 0..BLOCK {
                let fy = y[i] & (ONE - 1);
                let sum = i32::from(upper[i]) * (ONE - fy) + i32::from(lower[i]) * fy;
                levels[i] = ((sum + (1 << (WEIGHT_BITS - 1))) >> WEIGHT_BITS) as u8;
            }
        }
        levels
    }

    /// Interpolates horizontally between pairs of pixels, in red, green and blue.
    #[inline(always)]
    fn blend_row(&self, x: &[i32; BLOCK], [luma, u, v]: &[[u16; BLOCK]; 3]) -> [[i16; BLOCK]; 3] {
        let mut mixed = [[0; BLOCK]; 3];
        // A pair of pixels shares one chroma sample where the left one's column is even, unless
        // chroma is not subsampled.
        let own = if self.shifts[0] == 0 { 1 } else { 0 };
        let [red, green, blue] = &mut mixed;
        for i in 0..BLOCK {
            let fx = (x[i] & (ONE - 1)) as i16;
            let has_second = ((x[i] >> FRACTION_BITS) as u16 & 1) | own;
            let second = |pair: u16| if has_second == 1 { pair >> 8 } else { pair & 255 };
            let left = [luma[i] & 255, u[i] & 255, v[i] & 255].map(|sample| sample as i16);
            let right = [luma[i] >> 8, second(u[i]), second(v[i])].map(|sample| sample as i16);
            let (left, right) = (self.conversion.levels(left), self.conversion.levels(right));
            red[i] = left[0] * (ONE as i16 - fx) + right[0] * fx;
            green[i] = left[1] * (ONE as i16 - fx) + right[1] * fx;
            blue[i] = left[2] * (ONE as i16 - fx) + right[2] * fx;
        }
        mixed
    }
}

/// Two adjacent samples, the first one in the low byte.
#[inline(always)]
fn pair(samples: &[u8], at: u32) -> u16 {
    let at = at as usize;
    // In this order one bounds check covers both.
    let second = samples[at + 1];
    u16::from_le_bytes([samples[at], second])
}
