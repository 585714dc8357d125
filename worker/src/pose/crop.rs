//! Cuts a rotated square out of a picture and scales it to a model's input.
//!
//! Bilinear, with the corners of the square on the corners of the input (no half-pixel shift),
//! positions in 1/32 pixel and results in whole grey levels: the sampling the models' reference
//! pipeline uses (OpenCV's fixed-point warp), so that crops agree to the last bit or nearly so.

use super::roi::Roi;
use crate::picture::Picture;

/// What lies outside the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Border {
    /// Black.
    Zero,
    /// The nearest pixel of the picture.
    Replicate,
}

/// The range of values a model expects for grey levels 0 to 255.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// Value of grey level 0.
    pub min: f32,
    /// Value of grey level 255.
    pub max: f32,
}

/// Binary digits of a position's fraction.
const FRACTION_BITS: u32 = 5;
const FRACTION_ONE: i64 = 1 << FRACTION_BITS;
/// Binary digits of a weight: a product of two fractions.
const WEIGHT_BITS: u32 = 2 * FRACTION_BITS;

/// Fills `planes` (`3 x side x side`: red, green, blue) with the square.
pub fn crop(picture: &Picture, roi: &Roi, border: Border, range: Range, planes: &mut [f32]) {
    let pixels = planes.len() / 3;
    let side = pixels.isqrt();
    debug_assert_eq!(side * side * 3, planes.len());
    let levels = levels(range);
    let (sin, cos) = f64::from(roi.rotation).sin_cos();
    let step = f64::from(roi.side) / side as f64;
    let half = f64::from(roi.side) / 2.0;
    let origin_x = f64::from(roi.center_x) - half * (cos - sin);
    let origin_y = f64::from(roi.center_y) - half * (sin + cos);
    let (red, rest) = planes.split_at_mut(pixels);
    let (green, blue) = rest.split_at_mut(pixels);
    for row in 0..side {
        let (down_x, down_y) = (-sin * step * row as f64, cos * step * row as f64);
        for column in 0..side {
            let x = origin_x + down_x + cos * step * column as f64;
            let y = origin_y + down_y + sin * step * column as f64;
            let [r, g, b] = sample(picture, fixed(x), fixed(y), border);
            let at = row * side + column;
            red[at] = levels[usize::from(r)];
            green[at] = levels[usize::from(g)];
            blue[at] = levels[usize::from(b)];
        }
    }
}

fn levels(range: Range) -> [f32; 256] {
    let scale = (range.max - range.min) / 255.0;
    std::array::from_fn(|level| level as f32 * scale + range.min)
}

/// A position in 1/32 pixel. Regions far outside the picture saturate instead of overflowing.
fn fixed(position: f64) -> i64 {
    (position.clamp(-1e6, 1e6) * FRACTION_ONE as f64).round_ties_even() as i64
}

fn sample(picture: &Picture, x: i64, y: i64, border: Border) -> [u8; 3] {
    let (left, top) = (x >> FRACTION_BITS, y >> FRACTION_BITS);
    let (fx, fy) = ((x & (FRACTION_ONE - 1)) as u32, (y & (FRACTION_ONE - 1)) as u32);
    let one = FRACTION_ONE as u32;
    let weights = [(one - fx) * (one - fy), fx * (one - fy), (one - fx) * fy, fx * fy];
    let (width, height) = (i64::from(picture.width), i64::from(picture.height));
    let corners = if left >= 0 && top >= 0 && left + 1 < width && top + 1 < height {
        let stride = picture.width as usize * 3;
        let at = top as usize * stride + left as usize * 3;
        let (upper, lower) = (&picture.rgb[at..at + 6], &picture.rgb[at + stride..at + stride + 6]);
        [
            [upper[0], upper[1], upper[2]],
            [upper[3], upper[4], upper[5]],
            [lower[0], lower[1], lower[2]],
            [lower[3], lower[4], lower[5]],
        ]
    } else {
        [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(dx, dy)| pixel(picture, left + dx, top + dy, border))
    };
    std::array::from_fn(|channel| {
        let sum: u32 = (0..4).map(|i| weights[i] * u32::from(corners[i][channel])).sum();
        ((sum + (1 << (WEIGHT_BITS - 1))) >> WEIGHT_BITS) as u8
    })
}

fn pixel(picture: &Picture, x: i64, y: i64, border: Border) -> [u8; 3] {
    let (width, height) = (i64::from(picture.width), i64::from(picture.height));
    let inside = (0..width).contains(&x) && (0..height).contains(&y);
    if !inside && border == Border::Zero {
        return [0; 3];
    }
    let (x, y) = (x.clamp(0, width - 1) as usize, y.clamp(0, height - 1) as usize);
    let at = (y * width as usize + x) * 3;
    [picture.rgb[at], picture.rgb[at + 1], picture.rgb[at + 2]]
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: Range = Range { min: 0.0, max: 1.0 };
    /// What one grey level is worth in that range; multiplying rounds differently from dividing.
    const LEVEL: f32 = 1.0 / 255.0;

    fn gradient(width: u32, height: u32) -> Picture {
        let mut picture = Picture::new(width, height);
        for y in 0..height {
            for x in 0..width {
                let at = ((y * width + x) * 3) as usize;
                picture.rgb[at] = x as u8;
                picture.rgb[at + 1] = y as u8;
                picture.rgb[at + 2] = 255;
            }
        }
        picture
    }

    fn cropped(picture: &Picture, roi: Roi, border: Border, side: usize) -> Vec<f32> {
        let mut planes = vec![0.0; 3 * side * side];
        crop(picture, &roi, border, UNIT, &mut planes);
        planes
    }

    #[test]
    fn the_same_size_is_the_same_picture() {
        let picture = gradient(16, 16);
        let planes = cropped(&picture, Roi::letterbox(16, 16), Border::Zero, 16);
        for (at, value) in planes[..256].iter().enumerate() {
            assert_eq!(*value, (at % 16) as f32 * LEVEL);
        }
    }

    #[test]
    fn half_a_turn_mirrors_both_ways() {
        let picture = gradient(16, 16);
        let roi = Roi { rotation: std::f32::consts::PI, ..Roi::letterbox(16, 16) };
        let planes = cropped(&picture, roi, Border::Replicate, 16);
        // The corner of the crop lies on the far corner of the picture, one past its last pixel.
        assert_eq!(planes[0], 15.0 * LEVEL);
        assert_eq!(planes[17], 15.0 * LEVEL);
        assert_eq!(planes[2 * 16 + 2], 14.0 * LEVEL);
    }

    #[test]
    fn borders_are_black_or_the_edge() {
        let picture = gradient(16, 8);
        let roi = Roi::letterbox(16, 8);
        let blue = 2 * 256;
        let zero = cropped(&picture, roi, Border::Zero, 16);
        assert_eq!((zero[blue], zero[blue + 8 * 16]), (0.0, 1.0));
        let edge = cropped(&picture, roi, Border::Replicate, 16);
        assert_eq!((edge[blue], edge[256]), (1.0, 0.0));
    }

    #[test]
    fn positions_between_pixels_are_interpolated() {
        let picture = gradient(16, 16);
        let roi = Roi { center_x: 4.0, center_y: 4.0, side: 4.0, rotation: 0.0 };
        let planes = cropped(&picture, roi, Border::Zero, 8);
        // 2, 2.5, 3 ... with the half rounded up to a whole level.
        assert_eq!(planes[..3].to_vec(), [2.0, 3.0, 3.0].map(|v| v * LEVEL).to_vec());
    }
}
