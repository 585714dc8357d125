//! The picture enhancements that the modes `ultra_fast`, `fast`, `smart` and `quality` try: a
//! person that is not detected in the original may be detected in a brighter or smoother picture.
//! Called by `frame_search`; pure.
//!
//! Each equals its counterpart in OpenCV, with the same constants and borders, so that a strategy's
//! name keeps its meaning for users.

mod bilateral;
mod clahe;
mod filter;
mod histogram;
mod lab;
mod pixels;
mod tone;

use super::landmarks::PoseEstimate;
use crate::picture::RgbPicture;
use tone::Gain;

/// A change of a picture, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enhancement {
    /// No change.
    Original,
    /// Contrast evened out tile by tile (CLAHE) in the lightness of CIE L*a*b*.
    Clahe,
    /// Left and right exchanged; the pose is mirrored back.
    Mirrored,
    /// 1.5 times as bright, plus 30.
    Bright,
    /// Gaussian blur over 5 x 5 pixels.
    Gaussian,
    /// The lower half twice as bright, plus 40: legs in the shade.
    LowerEnhanced,
    /// Twice as bright, plus 50.
    VeryBright,
    /// Sharpened over 3 x 3 pixels.
    Sharpened,
    /// Contrast evened out over the whole picture, in its luma.
    HistEq,
    /// Blur that keeps edges: 9 pixels across, 75 grey levels, 75 pixels.
    Bilateral,
}

impl Enhancement {
    /// All of them, in the order in which `quality` tries them.
    pub const ALL: [Self; 10] = [
        Self::Original,
        Self::Clahe,
        Self::Mirrored,
        Self::Bright,
        Self::Gaussian,
        Self::LowerEnhanced,
        Self::VeryBright,
        Self::Sharpened,
        Self::HistEq,
        Self::Bilateral,
    ];

    /// Its name in the `strategy` column.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::Clahe => "clahe",
            Self::Mirrored => "mirrored",
            Self::Bright => "bright",
            Self::Gaussian => "gaussian",
            Self::LowerEnhanced => "lower_enhanced",
            Self::VeryBright => "very_bright",
            Self::Sharpened => "sharpened",
            Self::HistEq => "hist_eq",
            Self::Bilateral => "bilateral",
        }
    }

    /// Converts a pose from the enhanced picture to the original.
    pub(super) fn undo(self, estimate: PoseEstimate, width: u32) -> PoseEstimate {
        match self {
            Self::Mirrored => estimate.mirrored(width as f32),
            _ => estimate,
        }
    }
}

/// Computes enhanced pictures, reusing its memory.
#[derive(Debug, Default)]
pub struct Enhancer {
    picture: RgbPicture,
    /// Lightness or luma of each pixel, where an enhancement uses it.
    levels: Vec<u8>,
}

impl Enhancer {
    /// Bytes for each pixel of a picture.
    pub(super) const BYTES_PER_PIXEL: usize = 4;

    /// The enhanced picture.
    pub fn apply<'a>(
        &'a mut self,
        picture: &'a RgbPicture,
        enhancement: Enhancement,
    ) -> &'a RgbPicture {
        let Self { picture: into, levels } = self;
        into.resize(picture.width, picture.height);
        let (bright, very_bright) =
            (Gain { halves: 3, offset: 30 }, Gain { halves: 4, offset: 50 });
        let shade = Gain { halves: 4, offset: 40 };
        match enhancement {
            Enhancement::Original => return picture,
            Enhancement::Clahe => clahe::apply(picture, into, levels),
            Enhancement::Mirrored => tone::mirror(picture, into),
            Enhancement::Bright => tone::brighten(picture, into, bright, 0),
            Enhancement::VeryBright => tone::brighten(picture, into, very_bright, 0),
            Enhancement::LowerEnhanced => {
                tone::brighten(picture, into, shade, picture.height / 2);
            }
            Enhancement::HistEq => tone::equalize(picture, into, levels),
            Enhancement::Gaussian => filter::gaussian(picture, into),
            Enhancement::Sharpened => filter::sharpen(picture, into),
            Enhancement::Bilateral => bilateral::apply(picture, into),
        }
        into
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(width: u32, height: u32) -> RgbPicture {
        let mut picture = RgbPicture::new(width, height);
        for (at, pixel) in picture.rgb.chunks_exact_mut(3).enumerate() {
            pixel.copy_from_slice(&[(at % 251) as u8, (at / 7 % 249) as u8, (at / 3 % 241) as u8]);
        }
        picture
    }

    #[test]
    fn names_are_distinct_and_only_the_original_leaves_the_picture_unchanged() {
        let picture = ramp(40, 30);
        let mut enhancer = Enhancer::default();
        let mut names = std::collections::BTreeSet::new();
        for enhancement in Enhancement::ALL {
            let is_same = *enhancer.apply(&picture, enhancement) == picture;
            assert_eq!(is_same, enhancement == Enhancement::Original, "{enhancement:?}");
            names.insert(enhancement.name());
        }
        assert_eq!(names.len(), Enhancement::ALL.len());
    }

    #[test]
    fn an_enhancer_can_be_reused_for_pictures_of_any_size() {
        let mut enhancer = Enhancer::default();
        for (width, height) in [(64, 33), (1, 1), (1, 9), (9, 1), (2, 3), (17, 15), (130, 9)] {
            let picture = ramp(width, height);
            for enhancement in Enhancement::ALL {
                let fresh = Enhancer::default().apply(&picture, enhancement).clone();
                assert_eq!((fresh.width, fresh.height), (width, height), "{enhancement:?}");
                assert_eq!(*enhancer.apply(&picture, enhancement), fresh, "{enhancement:?}");
            }
        }
    }

    /// A picture and OpenCV's enhancements of it, by name; written by `opencv.py`.
    fn reference() -> std::collections::BTreeMap<&'static str, RgbPicture> {
        let line = |line: &'static str| {
            let (name, hex) = line.split_once(' ').expect("a name and a picture");
            let byte = |at: usize| u8::from_str_radix(&hex[2 * at..][..2], 16).expect("digits");
            let rgb: Vec<u8> = (0..hex.len() / 2).map(byte).collect();
            (name, RgbPicture { width: 16, height: 16, rgb })
        };
        include_str!("opencv.txt").lines().map(line).collect()
    }

    fn sampled(picture: &RgbPicture, side: u32, at: impl Fn(u32) -> usize) -> RgbPicture {
        let mut sampled = RgbPicture::new(side, side);
        for y in 0..side {
            for x in 0..side {
                let from = (at(y) * picture.width as usize + at(x)) * 3;
                let to = x as usize * 3;
                sampled.row_mut(y)[to..to + 3].copy_from_slice(&picture.rgb[from..from + 3]);
            }
        }
        sampled
    }

    fn enlarged(picture: &RgbPicture) -> RgbPicture {
        sampled(picture, 128, |at| at as usize / 8)
    }

    fn every_eighth(picture: &RgbPicture) -> RgbPicture {
        sampled(picture, 16, |at| at as usize * 8)
    }

    #[test]
    fn enhanced_pictures_equal_opencvs() {
        let reference = reference();
        let mut enhancer = Enhancer::default();
        for enhancement in Enhancement::ALL {
            let (original, name) = (&reference["original"], enhancement.name());
            let found = match enhancement {
                // Enlarged, so that tiles have enough pixels for a histogram.
                Enhancement::Clahe => {
                    every_eighth(enhancer.apply(&enlarged(original), enhancement))
                }
                _ => enhancer.apply(original, enhancement).clone(),
            };
            let difference = |(a, b): (&u8, &u8)| f64::from(a.abs_diff(*b));
            let differences: Vec<f64> =
                found.rgb.iter().zip(&reference[name].rgb).map(difference).collect();
            let most = differences.iter().copied().fold(0.0, f64::max);
            let mean = differences.iter().sum::<f64>() / differences.len() as f64;
            // OpenCV rounds colours to 8 bits on the way through L*a*b* and YUV, and weighs by a table.
            let (most_max, mean_max) = match enhancement {
                Enhancement::Clahe => (6.0, 0.8),
                Enhancement::HistEq => (1.0, 0.5),
                Enhancement::Bilateral => (1.0, 0.01),
                _ => (0.0, 0.0),
            };
            println!("{name}: at most {most}, {mean:.4} in the mean");
            assert!(most <= most_max && mean <= mean_max, "{name}: {most}, {mean}");
        }
    }
}
