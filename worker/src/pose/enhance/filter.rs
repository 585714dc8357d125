//! Enhancements that look at the pixels around each one. Beyond its edges the picture is taken to
//! go on as its own mirror image, the outermost pixel not repeated.

use crate::picture::Picture;

/// Binomial weights, the usual stand-in for a Gaussian over five pixels; of 16.
const GAUSSIAN: [u32; 5] = [1, 4, 6, 4, 1];
/// Pixels to each side that the bilateral filter looks at, in a circle.
const BILATERAL_REACH: i64 = 4;
/// Difference in colour at which a pixel's weight has fallen to 0.6, in grey levels.
const BILATERAL_LEVELS: f32 = 75.0;
/// Distance at which it has, in pixels.
const BILATERAL_PX: f32 = 75.0;

/// Blurs over 5 x 5 pixels: first along the rows, then along the columns.
pub(super) fn gaussian(picture: &Picture, into: &mut Picture) {
    let (width, height) = (i64::from(picture.width), i64::from(picture.height));
    let stride = picture.width as usize * 3;
    let mut rows = vec![0_u16; picture.rgb.len()];
    for (sums, from) in rows.chunks_exact_mut(stride).zip(picture.rgb.chunks_exact(stride)) {
        for x in 0..width {
            let columns: [usize; 5] =
                std::array::from_fn(|i| reflected(x + i as i64 - 2, width) * 3);
            for channel in 0..3 {
                let taps = columns.map(|column| u32::from(from[column + channel]));
                sums[x as usize * 3 + channel] = weighted(taps) as u16;
            }
        }
    }
    for (y, to) in (0..height).zip(into.rgb.chunks_exact_mut(stride)) {
        let above: [&[u16]; 5] = std::array::from_fn(|i| {
            &rows[reflected(y + i as i64 - 2, height) * stride..][..stride]
        });
        for (at, to) in to.iter_mut().enumerate() {
            *to = ((weighted(above.map(|row| u32::from(row[at]))) + 128) >> 8) as u8;
        }
    }
}

fn weighted(taps: [u32; 5]) -> u32 {
    taps.iter().zip(GAUSSIAN).map(|(tap, weight)| tap * weight).sum()
}

/// Nine times each pixel less its eight neighbours.
pub(super) fn sharpen(picture: &Picture, into: &mut Picture) {
    let (width, height) = (i64::from(picture.width), i64::from(picture.height));
    for y in 0..height {
        let rows: [&[u8]; 3] =
            std::array::from_fn(|i| picture.row(reflected(y + i as i64 - 1, height) as u32));
        let to = into.row_mut(y as u32);
        for x in 0..width {
            let columns: [usize; 3] =
                std::array::from_fn(|i| reflected(x + i as i64 - 1, width) * 3);
            for channel in 0..3 {
                let all: i32 = rows
                    .iter()
                    .flat_map(|row| columns.map(|column| i32::from(row[column + channel])))
                    .sum();
                let centre = i32::from(rows[1][columns[1] + channel]);
                to[x as usize * 3 + channel] = (10 * centre - all).clamp(0, 255) as u8;
            }
        }
    }
}

/// Averages the pixels around each one, those of another colour weighing less (Tomasi and
/// Manduchi, "Bilateral Filtering for Gray and Color Images", 1998).
pub(super) fn bilateral(picture: &Picture, into: &mut Picture) {
    let fall = |distance: f32, sigma: f32| (-0.5 * (distance / sigma).powi(2)).exp();
    // The difference in colour is the sum over the channels.
    let by_colour: Vec<f32> =
        (0..=3 * 255).map(|levels| fall(levels as f32, BILATERAL_LEVELS)).collect();
    let reach = -BILATERAL_REACH..=BILATERAL_REACH;
    let around: Vec<(i64, i64, f32)> = reach
        .clone()
        .flat_map(|dy| reach.clone().map(move |dx| (dx, dy)))
        .filter(|(dx, dy)| dx * dx + dy * dy <= BILATERAL_REACH * BILATERAL_REACH)
        .map(|(dx, dy)| (dx, dy, fall(((dx * dx + dy * dy) as f32).sqrt(), BILATERAL_PX)))
        .collect();
    let (width, height) = (i64::from(picture.width), i64::from(picture.height));
    for y in 0..height {
        for x in 0..width {
            let centre = &picture.row(y as u32)[x as usize * 3..][..3];
            let (mut sum, mut total) = ([0.0_f32; 3], 0.0);
            for (dx, dy, near) in &around {
                let row = picture.row(reflected(y + dy, height) as u32);
                let pixel = &row[reflected(x + dx, width) * 3..][..3];
                let apart: usize =
                    pixel.iter().zip(centre).map(|(a, b)| usize::from(a.abs_diff(*b))).sum();
                let weight = near * by_colour[apart];
                total += weight;
                for (sum, value) in sum.iter_mut().zip(pixel) {
                    *sum += weight * f32::from(*value);
                }
            }
            let to = &mut into.row_mut(y as u32)[x as usize * 3..][..3];
            for (to, sum) in to.iter_mut().zip(sum) {
                *to = (sum / total).round_ties_even() as u8;
            }
        }
    }
}

/// The pixel that stands for one beyond the edge.
pub(super) fn reflected(at: i64, size: i64) -> usize {
    let period = (2 * (size - 1)).max(1);
    let within = at.rem_euclid(period);
    within.min(period - within).min(size - 1) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot(level: u8, around: u8) -> Picture {
        let mut picture = Picture::new(9, 9);
        picture.rgb.fill(around);
        picture.row_mut(4)[12..15].fill(level);
        picture
    }

    fn filtered(filter: fn(&Picture, &mut Picture), picture: &Picture) -> Picture {
        let mut into = Picture::new(picture.width, picture.height);
        filter(picture, &mut into);
        into
    }

    #[test]
    fn the_picture_goes_on_as_its_mirror_image() {
        let seen: Vec<usize> = (-3..7).map(|at| reflected(at, 4)).collect();
        assert_eq!(seen, [3, 2, 1, 0, 1, 2, 3, 2, 1, 0]);
        assert_eq!(reflected(-2, 1), 0);
    }

    #[test]
    fn a_dot_is_spread_by_the_gaussian_and_driven_out_by_sharpening() {
        let blurred = filtered(gaussian, &dot(160, 0));
        // 160 * 6 * 6 / 256, and 160 * 6 * 4 / 256 beside it.
        assert_eq!((blurred.row(4)[12], blurred.row(4)[15]), (23, 15));
        let sharp = filtered(sharpen, &dot(110, 100));
        assert_eq!((sharp.row(4)[12], sharp.row(4)[15], sharp.row(0)[0]), (190, 90, 100));
    }

    #[test]
    fn the_bilateral_filter_takes_noise_and_leaves_edges() {
        let noise = filtered(bilateral, &dot(110, 100));
        assert!(noise.row(4)[12] <= 101, "{}", noise.row(4)[12]);
        let mut edge = Picture::new(9, 9);
        for y in 0..9 {
            edge.row_mut(y)[12..].fill(255);
        }
        let kept = filtered(bilateral, &edge);
        assert_eq!((kept.row(4)[9], kept.row(4)[12]), (0, 255));
    }
}
