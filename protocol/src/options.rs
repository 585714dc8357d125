//! The options of one upload. Part of
//! [`crate::message::Start`]; parsed by the supervisor, the same way for a form and for the
//! command line.

use crate::formats::Formats;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use thiserror::Error;

/// Largest number of people followed at a time.
pub const PEOPLE_MAX: u32 = 5;
/// Largest interval between processed frames, in frames.
pub const INTERVAL_FRAMES_MAX: u32 = 1000;
/// Lowest rate at which frames are processed, in thousandths of a frame per second.
pub const FPS_MILLI_MIN: u32 = 100;
/// Highest rate at which frames are processed, in thousandths of a frame per second.
pub const FPS_MILLI_MAX: u32 = 240_000;

/// The options of one video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Options {
    /// How poses are detected.
    pub mode: Mode,
    /// Which frames are processed.
    pub sampling: Sampling,
    /// How many people are followed at a time at most, from 1 to [`PEOPLE_MAX`].
    pub people_max: u32,
    /// Whether the movement of a tracked person is smoothed.
    pub smoothing: Smoothing,
    /// What is written. A worker goes by [`crate::message::Start::artefacts`], which its
    /// descriptors follow; here it outlives a restart of the service with the rest.
    #[serde(default)]
    pub formats: Formats,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            sampling: Sampling::default(),
            people_max: 1,
            smoothing: Smoothing::default(),
            formats: Formats::default(),
        }
    }
}

/// How poses are detected in the frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Follow the person from frame to frame; detect again only when the track is lost.
    #[default]
    Track,
    /// Each frame alone, best of 3 pictures.
    UltraFast,
    /// Each frame alone, best of 6 pictures.
    Fast,
    /// Each frame alone, 3 to 7 pictures depending on their scores.
    Smart,
    /// Each frame alone, best of all 10 pictures.
    Quality,
    /// Each frame alone, as it is.
    Static,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 6] =
        [Self::Track, Self::UltraFast, Self::Fast, Self::Smart, Self::Quality, Self::Static];

    /// The name used in the API, on the command line and in metadata.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Track => "track",
            Self::UltraFast => "ultra_fast",
            Self::Fast => "fast",
            Self::Smart => "smart",
            Self::Quality => "quality",
            Self::Static => "static",
        }
    }
}

impl FromStr for Mode {
    type Err = UnknownMode;

    fn from_str(name: &str) -> Result<Self, UnknownMode> {
        Self::ALL.into_iter().find(|mode| mode.name() == name).ok_or(UnknownMode)
    }
}

/// A name of no mode.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("expected track, ultra_fast, fast, smart, quality or static")]
pub struct UnknownMode;

/// Which frames of a video are processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Sampling {
    /// The first and every n-th after it; 1 is every frame.
    Interval(NonZeroU32),
    /// By presentation time, so many a second: the first frame at or after each tick.
    Rate(FrameRate),
}

impl Sampling {
    /// Every frame.
    pub const EVERY: Self = Self::Interval(NonZeroU32::MIN);

    /// Every n-th frame, if there is such an interval.
    pub fn every(frames: u32) -> Option<Self> {
        let frames = NonZeroU32::new(frames).filter(|n| n.get() <= INTERVAL_FRAMES_MAX)?;
        Some(Self::Interval(frames))
    }

    /// The interval in frames, if it is one.
    pub const fn interval(self) -> Option<u32> {
        match self {
            Self::Interval(frames) => Some(frames.get()),
            Self::Rate(_) => None,
        }
    }

    /// The rate in frames per second, if it is one.
    pub fn fps(self) -> Option<f64> {
        match self {
            Self::Interval(_) => None,
            Self::Rate(rate) => Some(rate.per_second()),
        }
    }
}

impl Default for Sampling {
    fn default() -> Self {
        Self::EVERY
    }
}

/// Frames per second, to a thousandth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FrameRate {
    milli: NonZeroU32,
}

impl FrameRate {
    /// So many thousandths of a frame per second, if that is within the limits.
    pub fn from_milli(milli: u32) -> Option<Self> {
        let is_possible = (FPS_MILLI_MIN..=FPS_MILLI_MAX).contains(&milli);
        NonZeroU32::new(milli).filter(|_| is_possible).map(|milli| Self { milli })
    }

    /// In thousandths of a frame per second.
    pub const fn milli(self) -> u32 {
        self.milli.get()
    }

    /// In frames per second.
    pub fn per_second(self) -> f64 {
        f64::from(self.milli.get()) / 1000.0
    }
}

impl fmt::Display for FrameRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.per_second().fmt(f)
    }
}

impl FromStr for FrameRate {
    type Err = NotAFrameRate;

    fn from_str(text: &str) -> Result<Self, NotAFrameRate> {
        let per_second: f64 = text.parse().map_err(|_| NotAFrameRate)?;
        // A float that is no number or out of range becomes 0 or the largest: both refused.
        Self::from_milli((per_second * 1000.0).round() as u32).ok_or(NotAFrameRate)
    }
}

/// A text that is not a valid frame rate.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("expected a number of frames per second from 0.1 to 240, such as 10 or 12.5")]
pub struct NotAFrameRate;

/// Whether the movement of a tracked person is smoothed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Smoothing {
    /// Jitter is filtered; fast movement is still followed.
    #[default]
    On,
    /// The models' output, unfiltered.
    Off,
}

impl Smoothing {
    /// Both.
    pub const ALL: [Self; 2] = [Self::On, Self::Off];

    /// The name used in the API, on the command line and in metadata.
    pub const fn name(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
        }
    }
}

impl FromStr for Smoothing {
    type Err = UnknownSmoothing;

    fn from_str(name: &str) -> Result<Self, UnknownSmoothing> {
        Self::ALL.into_iter().find(|it| it.name() == name).ok_or(UnknownSmoothing)
    }
}

/// A name other than `on` and `off`.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("expected on or off")]
pub struct UnknownSmoothing;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_rates_have_three_decimals_and_limits() {
        let milli = |text: &str| text.parse().map(FrameRate::milli);
        assert_eq!(milli("29.97"), Ok(29_970));
        assert_eq!(milli("0.1"), Ok(FPS_MILLI_MIN));
        assert_eq!(milli("240"), Ok(FPS_MILLI_MAX));
        for wrong in ["0.099", "240.001", "0", "-5", "NaN", "inf", "1e99", "", "10 fps"] {
            assert_eq!(milli(wrong), Err(NotAFrameRate), "{wrong}");
        }
        assert_eq!("12.5".parse::<FrameRate>().expect("a rate").to_string(), "12.5");
    }

    #[test]
    fn intervals_have_limits() {
        assert_eq!(Sampling::every(0), None);
        assert_eq!(Sampling::every(1), Some(Sampling::EVERY));
        assert_eq!(Sampling::every(INTERVAL_FRAMES_MAX).and_then(Sampling::interval), Some(1000));
        assert_eq!(Sampling::every(INTERVAL_FRAMES_MAX + 1), None);
    }

    #[test]
    fn names_are_read_back() {
        assert!(Mode::ALL.iter().all(|mode| mode.name().parse() == Ok(*mode)));
        assert!(Smoothing::ALL.iter().all(|it| it.name().parse() == Ok(*it)));
        assert_eq!("Track".parse::<Mode>(), Err(UnknownMode));
        assert_eq!("yes".parse::<Smoothing>(), Err(UnknownSmoothing));
    }
}
