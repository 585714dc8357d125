//! Enhancements that look at one pixel at a time, or at how often each level occurs.

use crate::picture::Picture;

/// Weights of red, green and blue in luma (BT.601), of 2^14.
const LUMA: [u32; 3] = [4899, 9617, 1868];

/// Exchanges left and right.
pub(super) fn mirror(picture: &Picture, into: &mut Picture) {
    for y in 0..picture.height {
        let from = picture.row(y).chunks_exact(3).rev();
        for (to, from) in into.row_mut(y).chunks_exact_mut(3).zip(from) {
            to.copy_from_slice(from);
        }
    }
}

/// Multiplies and adds, from this row down; above it the picture stays as it is.
pub(super) fn brighten(
    picture: &Picture,
    into: &mut Picture,
    (factor, more): (f32, f32),
    from_row: u32,
) {
    let levels: [u8; 256] =
        std::array::from_fn(|level| (level as f32 * factor + more).round_ties_even() as u8);
    let untouched = picture.width as usize * 3 * from_row as usize;
    into.rgb[..untouched].copy_from_slice(&picture.rgb[..untouched]);
    for (to, from) in into.rgb[untouched..].iter_mut().zip(&picture.rgb[untouched..]) {
        *to = levels[usize::from(*from)];
    }
}

/// Spreads the luma so that all levels are used about equally often; the colour differences stay.
pub(super) fn equalize(picture: &Picture, into: &mut Picture) {
    let mut histogram = [0_u32; 256];
    for pixel in picture.rgb.chunks_exact(3) {
        histogram[usize::from(luma(pixel))] += 1;
    }
    let levels = spread(&histogram);
    for (to, from) in into.rgb.chunks_exact_mut(3).zip(picture.rgb.chunks_exact(3)) {
        let old = luma(from);
        let change = i16::from(levels[usize::from(old)]) - i16::from(old);
        for (to, from) in to.iter_mut().zip(from) {
            *to = (i16::from(*from) + change).clamp(0, 255) as u8;
        }
    }
}

/// The level that each level becomes: its rank among the pixels, the darkest becoming 0.
fn spread(histogram: &[u32; 256]) -> [u8; 256] {
    let total: u32 = histogram.iter().sum();
    let darkest = histogram.iter().copied().find(|count| *count > 0).unwrap_or(0);
    if total == darkest {
        return std::array::from_fn(|level| level as u8);
    }
    let scale = 255.0 / (total - darkest) as f32;
    let mut rank = 0_u32;
    histogram.map(|count| {
        rank += count;
        (rank.saturating_sub(darkest) as f32 * scale).round_ties_even() as u8
    })
}

fn luma(pixel: &[u8]) -> u8 {
    let sum: u32 = pixel.iter().zip(LUMA).map(|(value, weight)| u32::from(*value) * weight).sum();
    ((sum + (1 << 13)) >> 14) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(width: u32, levels: &[u8]) -> Picture {
        let rgb: Vec<u8> = levels.iter().flat_map(|level| [*level; 3]).collect();
        Picture { width, height: levels.len() as u32 / width, rgb }
    }

    fn levels(picture: &Picture) -> Vec<u8> {
        picture.rgb.iter().step_by(3).copied().collect()
    }

    #[test]
    fn brightening_saturates_and_starts_where_it_is_told_to() {
        let picture = grey(1, &[0, 10, 100, 200]);
        let mut into = picture.clone();
        brighten(&picture, &mut into, (1.5, 30.0), 0);
        assert_eq!(levels(&into), [30, 45, 180, 255]);
        brighten(&picture, &mut into, (2.0, 40.0), 2);
        assert_eq!(levels(&into), [0, 10, 240, 255]);
    }

    #[test]
    fn mirroring_twice_changes_nothing() {
        let picture = grey(3, &[1, 2, 3, 4, 5, 6]);
        let (mut once, mut twice) = (picture.clone(), picture.clone());
        mirror(&picture, &mut once);
        assert_eq!(levels(&once), [3, 2, 1, 6, 5, 4]);
        mirror(&once, &mut twice);
        assert_eq!(twice, picture);
    }

    #[test]
    fn equalising_uses_the_whole_range_and_leaves_a_plain_picture_alone() {
        let mut into = grey(4, &[0; 4]);
        equalize(&grey(4, &[100, 101, 102, 103]), &mut into);
        assert_eq!(levels(&into), [0, 85, 170, 255]);
        equalize(&grey(4, &[77; 4]), &mut into);
        assert_eq!(levels(&into), [77; 4]);
    }
}
