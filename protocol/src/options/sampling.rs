//! Which frames of a video are processed.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::str::FromStr;
use thiserror::Error;

/// Largest interval between processed frames, in frames.
pub const INTERVAL_FRAMES_MAX: u32 = 1000;
/// Lowest rate at which frames are processed, in thousandths of a frame per second.
pub const FPS_MILLI_MIN: u32 = 100;
/// Highest rate at which frames are processed, in thousandths of a frame per second.
pub const FPS_MILLI_MAX: u32 = 240_000;

/// Which frames of a video are processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Sampling {
    /// The first of the video and every n-th after it; 1 is every frame.
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

    /// How many of these consecutive frames are processed at least and at most.
    pub fn processed(self, first_frame: u32, frames: u32) -> RangeInclusive<u32> {
        match self {
            Self::Interval(interval) => {
                let before = |frame: u32| frame.div_ceil(interval.get());
                let processed = before(first_frame.saturating_add(frames)) - before(first_frame);
                processed..=processed
            }
            Self::Rate(_) => 0..=frames,
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
    fn intervals_count_from_the_first_frame_of_the_video() {
        let every_third = Sampling::every(3).expect("an interval");
        for (first_frame, frames, processed) in
            [(0, 0, 0), (0, 7, 3), (3, 3, 1), (4, 2, 0), (4, 3, 1), (u32::MAX, 9, 0)]
        {
            let found = every_third.processed(first_frame, frames);
            assert_eq!(found, processed..=processed, "{frames} from {first_frame} on");
        }
        let rate = Sampling::Rate("10".parse().expect("a rate"));
        assert_eq!(rate.processed(5, 7), 0..=7);
    }

    #[test]
    fn intervals_have_limits() {
        assert_eq!(Sampling::every(0), None);
        assert_eq!(Sampling::every(1), Some(Sampling::EVERY));
        assert_eq!(Sampling::every(INTERVAL_FRAMES_MAX).and_then(Sampling::interval), Some(1000));
        assert_eq!(Sampling::every(INTERVAL_FRAMES_MAX + 1), None);
    }
}
