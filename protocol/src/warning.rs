//! What a run that succeeded left out or had to assume, as data: a stable code and a sentence.
//!
//! A new warning is a variant and a row of [`WARNINGS`]. As with faults, a worker sends numbers and the
//! receiving side has the words.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One kind of warning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warning {
    /// Only the part within the limit on the duration was processed.
    Trimmed,
    /// The file ends before its stated end, or cannot be read any further.
    Truncated,
    /// Some frames are damaged, or were lost.
    Damaged,
    /// The size of the pictures changes within the video.
    SizeChanged,
    /// The file has no usable times.
    TimesEstimated,
    /// The sound is not in the results.
    SoundDropped,
    /// The frames beyond those that C3D can number are not in pose.c3d.
    C3dShortened,
    /// Nobody was seen well enough to be measured, so there are no positions in metres.
    MetresUnknown,
    /// The person comes nearer or goes away, which positions in metres do not follow.
    DepthChanges,
}

/// The words of one warning.
#[derive(Debug, Serialize)]
pub struct WarningRow {
    /// Its kind.
    #[serde(skip)]
    pub warning: Warning,
    /// The stable code.
    pub code: &'static str,
    /// One sentence for users.
    pub sentence: &'static str,
}

const fn row(warning: Warning, code: &'static str, sentence: &'static str) -> WarningRow {
    WarningRow { warning, code, sentence }
}

/// Every warning, in the order in which they are shown.
pub static WARNINGS: [WarningRow; 9] = [
    row(
        Warning::Trimmed,
        "video_trimmed",
        "The video is longer than the limit, so only its beginning was processed.",
    ),
    row(
        Warning::Truncated,
        "video_truncated",
        "The file ends before the end of the video, so the rest is missing from the results.",
    ),
    row(
        Warning::Damaged,
        "video_damaged",
        "Parts of the video are damaged, so poses can be wrong or missing there.",
    ),
    row(
        Warning::SizeChanged,
        "picture_size_changed",
        "The frame size changes within the video, so later frames were scaled to the first size.",
    ),
    row(
        Warning::TimesEstimated,
        "times_estimated",
        "The file has no usable frame times, so they were derived from its frame rate.",
    ),
    row(
        Warning::SoundDropped,
        "sound_dropped",
        "The sound could not be used, so the result video has none.",
    ),
    row(
        Warning::C3dShortened,
        "c3d_shortened",
        "The C3D file has only the first 65,535 frames, the most that this format can number.",
    ),
    row(
        Warning::MetresUnknown,
        "metres_unknown",
        "Person 0 was not seen long enough to be measured, so there are no positions in metres.",
    ),
    row(
        Warning::DepthChanges,
        "depth_changes",
        "The person comes nearer to the camera or goes away, so positions in metres are wrong there.",
    ),
];

/// A set of warnings.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Warnings(u16);

/// The number has a bit that stands for no warning.
#[derive(Debug, thiserror::Error)]
#[error("an unknown warning")]
pub struct UnknownWarning;

impl Warnings {
    /// No warning.
    pub const NONE: Self = Self(0);

    /// Adds a warning.
    pub const fn insert(&mut self, warning: Warning) {
        self.0 |= bit(warning);
    }

    /// Whether the warning is in the set.
    pub const fn contains(self, warning: Warning) -> bool {
        self.0 & bit(warning) != 0
    }

    /// The warnings with their words, in the order of [`WARNINGS`].
    pub fn iter(self) -> impl Iterator<Item = &'static WarningRow> {
        WARNINGS.iter().filter(move |row| self.contains(row.warning))
    }
}

const fn bit(warning: Warning) -> u16 {
    1 << warning as u16
}

impl FromIterator<Warning> for Warnings {
    fn from_iter<I: IntoIterator<Item = Warning>>(warnings: I) -> Self {
        warnings.into_iter().fold(Self::NONE, |mut all, warning| {
            all.insert(warning);
            all
        })
    }
}

impl fmt::Debug for Warnings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|row| row.warning)).finish()
    }
}

impl From<Warnings> for u16 {
    fn from(warnings: Warnings) -> Self {
        warnings.0
    }
}

impl TryFrom<u16> for Warnings {
    type Error = UnknownWarning;

    fn try_from(bits: u16) -> Result<Self, UnknownWarning> {
        let known = WARNINGS.iter().fold(0, |all, row| all | bit(row.warning));
        if bits & !known == 0 { Ok(Self(bits)) } else { Err(UnknownWarning) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_the_words_of_its_warnings_only() {
        let warnings: Warnings = [Warning::SoundDropped, Warning::Trimmed].into_iter().collect();
        let codes: Vec<_> = warnings.iter().map(|row| row.code).collect();
        assert_eq!(codes, ["video_trimmed", "sound_dropped"]);
        assert_eq!(Warnings::NONE.iter().count(), 0);
    }

    #[test]
    fn every_row_has_its_own_warning_and_code() {
        for (index, row) in WARNINGS.iter().enumerate() {
            assert_eq!(row.warning as usize, index);
            assert_eq!(WARNINGS.iter().filter(|other| other.code == row.code).count(), 1);
            assert!(row.sentence.ends_with('.'));
        }
    }

    #[test]
    fn unknown_bits_are_refused() {
        assert!(Warnings::try_from(0b1_1111_1111).is_ok());
        assert!(Warnings::try_from(0b10_0000_0000).is_err());
    }
}
