//! Cuts a rotated square out of a picture and scales it to a model's input.
//!
//! Bilinear, with the corners of the square on the corners of the input (no half-pixel shift),
//! positions in 1/32 pixel and results in whole grey levels: the sampling the models' reference
//! pipeline uses (OpenCV's fixed-point warp), so that crops agree to the last bit or nearly so.

use super::roi::Roi;
use crate::picture::{ONE, Pixels, Positions, blend};
use crate::simd::{Isa, vectorized_for};

/// The pixels outside the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Border {
    /// Black.
    Zero,
    /// The nearest pixel of the picture.
    Replicate,
}

/// The range of values a model expects for grey levels 0 to 255.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ValueRange {
    /// Value of grey level 0.
    pub min: f32,
    /// Value of grey level 255.
    pub max: f32,
}

/// Regions farther outside than this many pixels saturate instead of overflowing.
const POSITION_MAX: f64 = 1e6;
/// Added to a number below 2^31 this leaves it, rounded to the nearest (ties to even), in the low
/// bits: 1.5 * 2^52.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// Fills `planes` (`3 x side x side`: red, green, blue) with the square.
pub fn crop(
    picture: &dyn Pixels,
    roi: &Roi,
    border: Border,
    range: ValueRange,
    planes: &mut [f32],
) {
    crop_with(Isa::chosen(), picture, roi, (border, range), planes);
}

/// The same with a given instruction set.
fn crop_with(
    isa: Isa,
    picture: &dyn Pixels,
    roi: &Roi,
    (border, range): (Border, ValueRange),
    planes: &mut [f32],
) {
    let pixels = planes.len() / 3;
    let side = pixels.isqrt();
    debug_assert_eq!(side * side * 3, planes.len());
    let grid = Grid::new(roi, side);
    let (mut x, mut y) = (vec![0; side], vec![0; side]);
    let mut levels = [vec![0; side], vec![0; side], vec![0; side]];
    for row in 0..side {
        vectorized_for(
            isa,
            #[inline(always)]
            || grid.positions(row, [&mut x, &mut y]),
        );
        sample_row(isa, picture, border, [&mut x, &mut y], &mut levels);
        vectorized_for(
            isa,
            #[inline(always)]
            || {
                for (plane, levels) in planes.chunks_exact_mut(pixels).zip(&levels) {
                    range.apply(levels, &mut plane[row * side..][..side]);
                }
            },
        );
    }
}

impl ValueRange {
    #[inline(always)]
    fn apply(self, levels: &[u8], into: &mut [f32]) {
        let scale = (self.max - self.min) / 255.0;
        for (into, level) in into.iter_mut().zip(levels) {
            *into = f32::from(*level) * scale + self.min;
        }
    }
}

/// The positions of the crop's pixels in the picture.
struct Grid {
    origin: [f64; 2],
    /// From a column to the next, in x and y.
    across: [f64; 2],
    /// From a row to the next.
    down: [f64; 2],
}

impl Grid {
    fn new(roi: &Roi, side: usize) -> Self {
        let (sin, cos) = f64::from(roi.rotation).sin_cos();
        let step = f64::from(roi.side) / side as f64;
        let half = f64::from(roi.side) / 2.0;
        let origin_x = f64::from(roi.center_x) - half * (cos - sin);
        let origin_y = f64::from(roi.center_y) - half * (sin + cos);
        Self {
            origin: [origin_x, origin_y],
            across: [cos * step, sin * step],
            down: [-sin * step, cos * step],
        }
    }

    /// Positions of one row's pixels, in 1/32 pixel.
    #[inline(always)]
    fn positions(&self, row: usize, into: [&mut [i32]; 2]) {
        for (axis, into) in into.into_iter().enumerate() {
            let first = self.origin[axis] + self.down[axis] * row as f64;
            for (column, into) in into.iter_mut().enumerate() {
                let position = first + self.across[axis] * f64::from(column as u32);
                let position = position.clamp(-POSITION_MAX, POSITION_MAX) * f64::from(ONE);
                *into = (position + ROUNDER).to_bits() as i32;
            }
        }
    }
}

/// Samples one row of the crop. With [`Border::Replicate`], positions outside are moved to the edge.
fn sample_row(
    isa: Isa,
    picture: &dyn Pixels,
    border: Border,
    [x, y]: [&mut [i32]; 2],
    levels: &mut [Vec<u8>; 3],
) {
    let [x_max, y_max] = picture.size().map(|size| (size as i32 - 1) * ONE);
    if border == Border::Replicate {
        x.iter_mut().for_each(|x| *x = (*x).clamp(0, x_max));
        y.iter_mut().for_each(|y| *y = (*y).clamp(0, y_max));
    }
    // Positions are monotonic along a row, so that those inside are contiguous.
    let is_inside = |i: usize| (0..=x_max).contains(&x[i]) && (0..=y_max).contains(&y[i]);
    let start = (0..x.len()).find(|i| is_inside(*i)).unwrap_or(x.len());
    let end = (start..x.len()).rfind(|i| is_inside(*i)).map_or(start, |last| last + 1);
    for i in (0..start).chain(end..x.len()) {
        let pixel = blend_with_black(picture, [x[i], y[i]], [x_max, y_max]);
        for (levels, level) in levels.iter_mut().zip(pixel) {
            levels[i] = level;
        }
    }
    let at = Positions { x: &x[start..end], y: &y[start..end] };
    picture.sample(isa, at, levels.each_mut().map(|levels| &mut levels[start..end]));
}

/// The colour at a position outside: black, or at the very edge a blend with black.
fn blend_with_black(picture: &dyn Pixels, [x, y]: [i32; 2], [x_max, y_max]: [i32; 2]) -> [u8; 3] {
    if x <= -ONE || y <= -ONE || x >= x_max + ONE || y >= y_max + ONE {
        return [0; 3];
    }
    let corners = [(0, 0), (ONE, 0), (0, ONE), (ONE, ONE)].map(|(dx, dy)| {
        // Rounded down to a whole pixel.
        let (x, y) = ((x & -ONE) + dx, (y & -ONE) + dy);
        let inside = (0..=x_max).contains(&x) && (0..=y_max).contains(&y);
        if inside { picture.pixel((x / ONE) as usize, (y / ONE) as usize) } else { [0; 3] }
    });
    blend(corners, [x, y].map(|position| (position & (ONE - 1)) as u32))
}

#[cfg(test)]
mod tests;
