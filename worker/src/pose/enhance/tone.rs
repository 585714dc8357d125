//! Enhancements of single pixels, and by histogram.

use super::histogram::{self, LEVELS};
use super::pixels::{BLOCK, BlockKernel, Pixel, by_block, pixels, pixels_mut};
use crate::picture::RgbPicture;
use crate::simd::vectorized;

/// Weights of red, green and blue in luma (BT.601), of 2^14.
const LUMA: [u32; 3] = [4899, 9617, 1868];

/// Exchanges left and right.
pub(super) fn mirror(picture: &RgbPicture, into: &mut RgbPicture) {
    for y in 0..picture.height {
        let from = pixels(picture.row(y)).iter().rev();
        pixels_mut(into.row_mut(y)).iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    }
}

/// A change of brightness.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gain {
    /// The factor, in halves, so that no fraction is lost.
    pub(super) halves: u16,
    /// The offset, in levels.
    pub(super) offset: u16,
}

/// Brightens from this row down; the rows above are unchanged.
pub(super) fn brighten(picture: &RgbPicture, into: &mut RgbPicture, gain: Gain, from_row: u32) {
    let untouched = picture.width as usize * 3 * from_row as usize;
    into.rgb[..untouched].copy_from_slice(&picture.rgb[..untouched]);
    vectorized(|| gain.apply(&picture.rgb[untouched..], &mut into.rgb[untouched..]));
}

impl Gain {
    #[inline(always)]
    fn apply(self, from: &[u8], to: &mut [u8]) {
        for (to, from) in to.iter_mut().zip(from) {
            let halves = u16::from(*from) * self.halves + 2 * self.offset;
            // Rounded to nearest, ties to even.
            let level = (halves + (halves >> 1 & 1)) >> 1;
            *to = level.min(255) as u8;
        }
    }
}

/// Equalises the histogram of the luma; colour differences are unchanged.
pub(super) fn equalize(picture: &RgbPicture, into: &mut RgbPicture, luma: &mut Vec<u8>) {
    let from = pixels(&picture.rgb);
    luma.resize(from.len(), 0);
    by_block(&Luma, from, &vec![(); from.len()], luma);
    let changes = changes(&histogram::of([luma.as_slice()]));
    let to = pixels_mut(&mut into.rgb);
    by_block(&changes, from, luma, to);
}

/// The luma of each pixel.
struct Luma;

impl BlockKernel for Luma {
    type Extra = ();
    type To = u8;

    #[inline(always)]
    fn run(&self, from: &[Pixel; BLOCK], _: &[(); BLOCK], luma: &mut [u8; BLOCK]) {
        for i in 0..BLOCK {
            let [red, green, blue] = from[i];
            let red = LUMA[0] * u32::from(red);
            let green = LUMA[1] * u32::from(green);
            let blue = LUMA[2] * u32::from(blue);
            luma[i] = ((red + green + blue + (1 << 13)) >> 14) as u8;
        }
    }
}

/// The change of each level of luma.
struct Changes([i16; LEVELS]);

impl BlockKernel for Changes {
    type Extra = u8;
    type To = Pixel;

    #[inline(always)]
    fn run(&self, from: &[Pixel; BLOCK], luma: &[u8; BLOCK], to: &mut [Pixel; BLOCK]) {
        let mut changes = [0; BLOCK];
        for i in 0..BLOCK {
            changes[i] = self.0[usize::from(luma[i])];
        }
        for i in 0..BLOCK {
            let [red, green, blue] = from[i];
            to[i] = [add(red, changes[i]), add(green, changes[i]), add(blue, changes[i])];
        }
    }
}

#[inline(always)]
fn add(level: u8, change: i16) -> u8 {
    (i16::from(level) + change).clamp(0, 255) as u8
}

/// Maps each level to its rank among the pixels, the darkest to 0.
fn changes(histogram: &[u32; LEVELS]) -> Changes {
    let total: u32 = histogram.iter().sum();
    let darkest = histogram.iter().copied().find(|count| *count > 0).unwrap_or(0);
    if total == darkest {
        return Changes([0; LEVELS]);
    }
    let scale = 255.0 / (total - darkest) as f32;
    let mut rank = 0_u32;
    Changes(std::array::from_fn(|level| {
        rank += histogram[level];
        let target = (rank.saturating_sub(darkest) as f32 * scale).round_ties_even();
        target as i16 - level as i16
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(width: u32, levels: &[u8]) -> RgbPicture {
        let rgb: Vec<u8> = levels.iter().flat_map(|level| [*level; 3]).collect();
        RgbPicture { width, height: levels.len() as u32 / width, rgb }
    }

    fn levels(picture: &RgbPicture) -> Vec<u8> {
        picture.rgb.iter().step_by(3).copied().collect()
    }

    #[test]
    fn brightening_saturates_and_starts_at_the_given_row() {
        let picture = grey(1, &[0, 1, 3, 10, 100, 200]);
        let mut into = picture.clone();
        // 31.5 and 34.5, each to the even level.
        brighten(&picture, &mut into, Gain { halves: 3, offset: 30 }, 0);
        assert_eq!(levels(&into), [30, 32, 34, 45, 180, 255]);
        brighten(&picture, &mut into, Gain { halves: 4, offset: 40 }, 4);
        assert_eq!(levels(&into), [0, 1, 3, 10, 240, 255]);
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
    fn equalising_uses_the_whole_range_and_keeps_a_uniform_picture() {
        let (mut into, mut luma) = (grey(4, &[0; 4]), Vec::new());
        equalize(&grey(4, &[100, 101, 102, 103]), &mut into, &mut luma);
        assert_eq!(levels(&into), [0, 85, 170, 255]);
        equalize(&grey(4, &[77; 4]), &mut into, &mut luma);
        assert_eq!(levels(&into), [77; 4]);
    }
}
