//! Contrast-limited adaptive histogram equalisation (Zuiderveld, "Contrast Limited Adaptive
//! Histogram Equalization", Graphics Gems IV, 1994) of the lightness in CIE L*a*b*, the colours
//! staying as they are.

use super::filter::reflected;
use crate::picture::Picture;

/// Tiles along each side.
const TILES: usize = 8;
/// How many times its even share a level may have before the rest is cut off and spread.
const CLIP: f32 = 3.0;
/// Entries of the table from linear light to grey levels.
const GAMMA_STEPS: usize = 4095;

/// XYZ of linear sRGB (IEC 61966-2-1), each row divided by the white point D65.
const TO_XYZ: [[f32; 3]; 3] = [
    [0.433_953, 0.376_219, 0.189_828],
    [0.212_671, 0.715_16, 0.072_169],
    [0.017_758, 0.109_477, 0.872_766],
];
/// Its inverse.
const FROM_XYZ: [[f32; 3]; 3] = [
    [3.079_933, -1.537_15, -0.542_782],
    [-0.921_235, 1.875_992, 0.045_244],
    [0.052_891, -0.204_043, 1.151_152],
];

/// How lightness changes in one tile.
type Levels = [u8; 256];

/// Evens out the contrast.
pub(super) fn apply(picture: &Picture, into: &mut Picture) {
    let tables = Tables::new();
    let lightness: Vec<u8> =
        picture.rgb.chunks_exact(3).map(|pixel| tables.lightness(pixel)).collect();
    let (width, height) = (picture.width as usize, picture.height as usize);
    let tile = [width.div_ceil(TILES), height.div_ceil(TILES)];
    let tiles = tiles(&lightness, [width, height], tile);
    let columns: Vec<Between> = (0..width).map(|x| Between::of(x, tile[0])).collect();
    for y in 0..height {
        let rows = Between::of(y, tile[1]);
        for (x, columns) in columns.iter().enumerate() {
            let at = y * width + x;
            let level = usize::from(lightness[at]);
            let of = |row: usize, column: usize| f32::from(tiles[row * TILES + column][level]);
            let blend = |row| {
                let [left, right] = columns.tiles.map(|column| of(row, column));
                left + columns.share * (right - left)
            };
            let [upper, lower] = rows.tiles.map(blend);
            let wanted = upper + rows.share * (lower - upper);
            tables.relight(&picture.rgb[at * 3..][..3], wanted, &mut into.rgb[at * 3..][..3]);
        }
    }
}

/// The two tiles whose middles a pixel lies between, and how near it is to the second.
struct Between {
    tiles: [usize; 2],
    share: f32,
}

impl Between {
    fn of(at: usize, tile: usize) -> Self {
        let position = at as f32 / tile as f32 - 0.5;
        let first = position.floor();
        let tiles = [first, first + 1.0].map(|n| n.clamp(0.0, (TILES - 1) as f32) as usize);
        Self { tiles, share: position - first }
    }
}

fn tiles(lightness: &[u8], [width, height]: [usize; 2], [across, down]: [usize; 2]) -> Vec<Levels> {
    let area = across * down;
    let place = |n: usize| (n / TILES * down, n % TILES * across);
    (0..TILES * TILES)
        .map(|n| {
            let (top, left) = place(n);
            let mut histogram = [0_u32; 256];
            for y in top..top + down {
                let row = reflected(y as i64, height as i64) * width;
                for x in left..left + across {
                    let column = reflected(x as i64, width as i64);
                    histogram[usize::from(lightness[row + column])] += 1;
                }
            }
            clip(&mut histogram, ((CLIP * area as f32 / 256.0) as u32).max(1));
            cumulate(&histogram, area)
        })
        .collect()
}

/// Cuts off what is above the limit and gives every level its share of it.
fn clip(histogram: &mut [u32; 256], limit: u32) {
    let mut excess = 0;
    for count in histogram.iter_mut() {
        excess += count.saturating_sub(limit);
        *count = (*count).min(limit);
    }
    let (each, rest) = (excess / 256, excess % 256);
    histogram.iter_mut().for_each(|count| *count += each);
    if let Some(step) = 256_u32.checked_div(rest) {
        let step = step.max(1) as usize;
        histogram.iter_mut().step_by(step).take(rest as usize).for_each(|count| *count += 1);
    }
}

fn cumulate(histogram: &[u32; 256], area: usize) -> Levels {
    let mut sum = 0;
    histogram.map(|count| {
        sum += count;
        (sum as f32 * 255.0 / area as f32).round_ties_even() as u8
    })
}

/// From grey levels to linear light and back.
struct Tables {
    linear: [f32; 256],
    levels: Vec<u8>,
}

impl Tables {
    fn new() -> Self {
        let linear = |value: f32| {
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        let level = |light: f32| {
            let value = if light <= 0.003_130_8 {
                12.92 * light
            } else {
                1.055 * light.powf(1.0 / 2.4) - 0.055
            };
            (value * 255.0).round() as u8
        };
        Self {
            linear: std::array::from_fn(|value| linear(value as f32 / 255.0)),
            // By the square root of the light, so that dark levels are as far apart as bright ones.
            levels: (0..=GAMMA_STEPS)
                .map(|step| level((step as f32 / GAMMA_STEPS as f32).powi(2)))
                .collect(),
        }
    }

    fn xyz(&self, pixel: &[u8]) -> [f32; 3] {
        let rgb = [0, 1, 2].map(|channel| self.linear[usize::from(pixel[channel])]);
        TO_XYZ.map(|row| dot(row, rgb))
    }

    /// L* from 0 to 100 as a level from 0 to 255.
    fn lightness(&self, pixel: &[u8]) -> u8 {
        let [_, y, _] = self.xyz(pixel);
        ((116.0 * root(y) - 16.0) * 2.55).round() as u8
    }

    /// The same colour at another lightness, given as a level.
    fn relight(&self, from: &[u8], level: f32, to: &mut [u8]) {
        let [x, y, z] = self.xyz(from).map(root);
        let wanted = (level / 2.55 + 16.0) / 116.0;
        // a* and b* are differences of these roots: moving all three keeps them.
        let xyz = [x, y, z].map(|value| cube(value + wanted - y));
        for (to, row) in to.iter_mut().zip(FROM_XYZ) {
            let light = dot(row, xyz).clamp(0.0, 1.0).sqrt();
            *to = self.levels[(light * GAMMA_STEPS as f32).round() as usize];
        }
    }
}

fn dot(a: [f32; 3], b: [f32; 3]) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// The cube root of CIE L*a*b*, straight near zero.
fn root(value: f32) -> f32 {
    if value > 0.008_856 { value.cbrt() } else { 7.787 * value + 16.0 / 116.0 }
}

fn cube(root: f32) -> f32 {
    if root > 0.206_893 { root.powi(3) } else { (root - 16.0 / 116.0) / 7.787 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_survive_when_lightness_does_not_change() {
        let tables = Tables::new();
        for pixel in [[0, 0, 0], [255, 255, 255], [200, 30, 60], [10, 90, 20], [128, 128, 128]] {
            let [_, y, _] = tables.xyz(&pixel);
            let mut same = [0; 3];
            tables.relight(&pixel, (116.0 * root(y) - 16.0) * 2.55, &mut same);
            for (a, b) in pixel.iter().zip(same) {
                assert!(a.abs_diff(b) <= 1, "{pixel:?} became {same:?}");
            }
        }
    }

    #[test]
    fn lightness_is_that_of_cie() {
        let tables = Tables::new();
        // L* of sRGB middle grey is 53.6, of pure green 87.7.
        assert_eq!(tables.lightness(&[128, 128, 128]), (53.585_f32 * 2.55).round() as u8);
        assert_eq!(tables.lightness(&[0, 255, 0]), (87.735_f32 * 2.55).round() as u8);
    }

    #[test]
    fn weak_contrast_grows_but_not_beyond_the_limit() {
        let mut picture = Picture::new(128, 128);
        for (at, pixel) in picture.rgb.chunks_exact_mut(3).enumerate() {
            pixel.fill(100 + (at % 128 / 4 % 8) as u8);
        }
        let mut into = Picture::new(128, 128);
        apply(&picture, &mut into);
        let range = |picture: &Picture| {
            let levels = || picture.rgb.iter().copied();
            levels().max().unwrap_or(0) - levels().min().unwrap_or(0)
        };
        assert_eq!(range(&picture), 7);
        assert!((9..60).contains(&range(&into)), "{}", range(&into));
    }

    #[test]
    fn what_is_cut_off_is_spread_over_all_levels() {
        let mut histogram = [0; 256];
        histogram[7] = 1000;
        clip(&mut histogram, 3);
        assert_eq!(histogram.iter().sum::<u32>(), 1000);
        assert!(histogram.iter().all(|count| (3..=8).contains(count)), "{histogram:?}");
    }
}
