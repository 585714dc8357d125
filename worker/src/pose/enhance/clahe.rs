//! Contrast-limited adaptive histogram equalisation (Zuiderveld, "Contrast Limited Adaptive
//! Histogram Equalization", Graphics Gems IV, 1994) of the lightness in CIE L*a*b*; a* and b* are
//! unchanged.

use super::histogram::{self, LEVELS};
use super::lab::{Lightness, Relight};
use super::pixels::{by_block, pixels, pixels_mut, reflected};
use crate::picture::RgbPicture;
use crate::simd::vectorized;

/// Tiles along each side.
const TILES: usize = 8;
/// How many times the mean count a level may have before the excess is redistributed.
const CLIP: f32 = 3.0;

/// The new value of each level.
type Curve = [f32; LEVELS];

/// Equalises the contrast.
pub(super) fn apply(picture: &RgbPicture, into: &mut RgbPicture, lightness: &mut Vec<u8>) {
    let from = pixels(&picture.rgb);
    lightness.resize(from.len(), 0);
    by_block(&Lightness, from, &vec![(); from.len()], lightness);
    let (width, height) = (picture.width as usize, picture.height as usize);
    let tile = [width.div_ceil(TILES), height.div_ceil(TILES)];
    let curves = curves(lightness, [width, height], tile);
    let columns: Vec<Between> = (0..width).map(|x| Between::of(x, tile[0])).collect();
    let shares: Vec<f32> = columns.iter().map(|column| column.share).collect();
    let mut row = Row { curves: [[0.0; LEVELS]; TILES], target: vec![0.0; width] };
    for (y, levels) in lightness.chunks_exact(width).enumerate() {
        row.blend(&curves, Between::of(y, tile[1]));
        let mut done = 0;
        for columns in columns.chunk_by(|a, b| a.tiles == b.tiles) {
            let part = done..done + columns.len();
            row.look_up(columns[0].tiles, (&levels[part.clone()], &shares[part.clone()]), done);
            done = part.end;
        }
        let (from, to) = (picture.row(y as u32), into.row_mut(y as u32));
        by_block(&Relight, pixels(from), &row.target, pixels_mut(to));
    }
}

/// The two tiles whose centres a pixel lies between, and its position between them.
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

/// One row of pixels.
struct Row {
    /// Its curves, interpolated between two rows of tiles.
    curves: [Curve; TILES],
    /// The new lightness of each pixel.
    target: Vec<f32>,
}

impl Row {
    fn blend(
        &mut self,
        curves: &[[Curve; TILES]],
        Between { tiles: [upper, lower], share }: Between,
    ) {
        let (upper, lower) = (curves[upper].as_flattened(), curves[lower].as_flattened());
        let to = self.curves.as_flattened_mut();
        vectorized(|| {
            for ((to, upper), lower) in to.iter_mut().zip(upper).zip(lower) {
                *to = upper + share * (lower - upper);
            }
        });
    }

    /// Fills in the part that lies between these two tiles and begins at `from`.
    fn look_up(
        &mut self,
        [left, right]: [usize; 2],
        (levels, shares): (&[u8], &[f32]),
        from: usize,
    ) {
        let (left, right) = (&self.curves[left], &self.curves[right]);
        let target = &mut self.target[from..];
        vectorized(|| {
            for ((target, level), share) in target.iter_mut().zip(levels).zip(shares) {
                let [left, right] = [left[usize::from(*level)], right[usize::from(*level)]];
                *target = left + share * (right - left);
            }
        });
    }
}

/// The curve of each tile, row by row.
fn curves(lightness: &[u8], [width, height]: [usize; 2], tile: [usize; 2]) -> Vec<[Curve; TILES]> {
    let [across, down] = tile;
    let area = across * down;
    let limit = ((CLIP * area as f32 / LEVELS as f32) as u32).max(1);
    let mut wide = vec![0; across * TILES * down];
    (0..TILES)
        .map(|row| {
            for (y, to) in wide.chunks_exact_mut(across * TILES).enumerate() {
                let from =
                    &lightness[reflected((row * down + y) as i64, height) * width..][..width];
                let (inside, beyond) = to.split_at_mut(width);
                inside.copy_from_slice(from);
                for (x, to) in (width as i64..).zip(beyond) {
                    *to = from[reflected(x, width)];
                }
            }
            std::array::from_fn(|column| {
                let rows = wide.chunks_exact(across * TILES);
                let mut histogram =
                    histogram::of(rows.map(|row| &row[column * across..][..across]));
                clip(&mut histogram, limit);
                cumulate(&histogram, area)
            })
        })
        .collect()
}

/// Redistributes the excess above the limit evenly over all levels.
fn clip(histogram: &mut [u32; LEVELS], limit: u32) {
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

fn cumulate(histogram: &[u32; LEVELS], area: usize) -> Curve {
    let mut sum = 0;
    histogram.map(|count| {
        sum += count;
        (sum as f32 * 255.0 / area as f32).round_ties_even()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_contrast_is_amplified_up_to_the_limit() {
        let mut picture = RgbPicture::new(128, 128);
        for (at, pixel) in picture.rgb.chunks_exact_mut(3).enumerate() {
            pixel.fill(100 + (at % 128 / 4 % 8) as u8);
        }
        let mut into = RgbPicture::new(128, 128);
        apply(&picture, &mut into, &mut Vec::new());
        let range = |picture: &RgbPicture| {
            let levels = || picture.rgb.iter().copied();
            levels().max().unwrap_or(0) - levels().min().unwrap_or(0)
        };
        assert_eq!(range(&picture), 7);
        assert!((9..60).contains(&range(&into)), "{}", range(&into));
    }

    #[test]
    fn the_excess_is_redistributed_over_all_levels() {
        let mut histogram = [0; LEVELS];
        histogram[7] = 1000;
        clip(&mut histogram, 3);
        assert_eq!(histogram.iter().sum::<u32>(), 1000);
        assert!(histogram.iter().all(|count| (3..=8).contains(count)), "{histogram:?}");
    }
}
