//! The picture enhancements that the modes `ultra_fast`, `fast`, `smart` and `quality` try: a
//! person who is not seen in the picture as it is may be seen in a brighter or calmer one. Called
//! by `best`; pure.
//!
//! Each is defined as its counterpart in OpenCV, with the same constants and borders, so that a
//! strategy's name means what it has meant to users before.

mod clahe;
mod filter;
mod tone;

use super::landmarks::Found;
use crate::picture::Picture;

/// A way to change a picture, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enhancement {
    /// As it is.
    Original,
    /// Contrast evened out tile by tile (CLAHE) in the lightness of CIE L*a*b*.
    Clahe,
    /// Left and right exchanged; what is found is exchanged back.
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

    /// What the `strategy` column calls it.
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

    /// The enhanced picture. `into` keeps its allocation.
    pub fn apply(self, picture: &Picture, into: &mut Picture) {
        into.resize(picture.width, picture.height);
        match self {
            Self::Original => into.rgb.copy_from_slice(&picture.rgb),
            Self::Clahe => clahe::apply(picture, into),
            Self::Mirrored => tone::mirror(picture, into),
            Self::Bright => tone::brighten(picture, into, (1.5, 30.0), 0),
            Self::VeryBright => tone::brighten(picture, into, (2.0, 50.0), 0),
            Self::LowerEnhanced => {
                tone::brighten(picture, into, (2.0, 40.0), picture.height / 2);
            }
            Self::HistEq => tone::equalize(picture, into),
            Self::Gaussian => filter::gaussian(picture, into),
            Self::Sharpened => filter::sharpen(picture, into),
            Self::Bilateral => filter::bilateral(picture, into),
        }
    }

    /// What was found in the enhanced picture, as it lies in the original.
    pub fn undo(self, found: Found, width: u32) -> Found {
        match self {
            Self::Mirrored => found.mirrored(width as f32),
            _ => found,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(width: u32, height: u32) -> Picture {
        let mut picture = Picture::new(width, height);
        for (at, pixel) in picture.rgb.chunks_exact_mut(3).enumerate() {
            pixel.copy_from_slice(&[(at % 251) as u8, (at / 7 % 249) as u8, (at / 3 % 241) as u8]);
        }
        picture
    }

    #[test]
    fn names_are_distinct_and_only_the_original_leaves_the_picture_as_it_is() {
        let picture = ramp(40, 30);
        let mut into = Picture::default();
        let mut names = std::collections::BTreeSet::new();
        for enhancement in Enhancement::ALL {
            enhancement.apply(&picture, &mut into);
            assert_eq!(into.rgb.len(), picture.rgb.len());
            assert_eq!(into == picture, enhancement == Enhancement::Original, "{enhancement:?}");
            names.insert(enhancement.name());
        }
        assert_eq!(names.len(), Enhancement::ALL.len());
    }

    #[test]
    fn pictures_of_any_size_are_taken() {
        let mut into = Picture::default();
        for (width, height) in [(1, 1), (1, 9), (9, 1), (2, 3), (17, 15), (64, 33)] {
            let picture = ramp(width, height);
            for enhancement in Enhancement::ALL {
                enhancement.apply(&picture, &mut into);
                assert_eq!((into.width, into.height), (width, height), "{enhancement:?}");
            }
        }
    }
}
