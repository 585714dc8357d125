//! Which part of a video is processed: by the file's own times, and which area of the picture.

use super::{Crop, Filter, LowPass, Options, Thousandths};
use std::time::Duration;
use thiserror::Error;

/// Latest time that can be chosen, in seconds: a day.
pub const TIME_S_MAX: u32 = 86_400;

/// A part of a video: the frames from `start` on and before `end`, and an area of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Part {
    /// Time of the first frame at the earliest.
    pub start: Duration,
    /// The end, unless it is that of the video.
    pub end: Option<Duration>,
    /// The area, unless it is the whole picture.
    pub crop: Option<Crop>,
}

impl Part {
    /// Whether it is the whole video.
    pub fn is_whole(&self) -> bool {
        *self == Self::default()
    }

    /// The size of its pictures, if the whole ones have this size.
    pub fn picture_size(&self, whole: [u32; 2]) -> [u32; 2] {
        self.crop.map_or(whole, |crop| crop.pixels(whole).size())
    }

    /// Where it ends at the latest if it may last so long.
    pub fn end_max(&self, length_max: Duration) -> Duration {
        let limit = self.start + length_max;
        self.end.map_or(limit, |end| end.min(limit))
    }
}

/// Options that are valid alone but not together.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Contradiction {
    /// The part has no length.
    #[error("a number of seconds above `start`, which is {start}")]
    EndNotAfterStart {
        /// The start.
        start: Thousandths,
    },
    /// The filter that it is part of is not chosen.
    #[error("butterworth, which is the default; savitzky_golay requires `filter=offline`")]
    LowPassWithoutFilter,
}

impl Contradiction {
    /// The option that cannot have its value because of another. The text of the error is what it accepts.
    pub const fn option(&self) -> &'static str {
        match self {
            Self::EndNotAfterStart { .. } => "end",
            Self::LowPassWithoutFilter => "low_pass",
        }
    }
}

impl Options {
    /// The part that is processed.
    pub fn part(&self) -> Part {
        let start = self.start.unwrap_or_default().seconds();
        Part { start, end: self.end.map(Thousandths::seconds), crop: self.crop }
    }

    /// When what the file shows at this time happened in life, if both begin at zero.
    pub fn time_in_life(&self, source: Duration) -> Duration {
        let one = u128::from(Thousandths::ONE.get());
        let nanoseconds = source.as_nanos() * one / u128::from(self.slow_motion.get().max(1));
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }

    /// Checks the options against each other.
    ///
    /// # Errors
    /// Two of them contradict each other.
    pub fn check(&self) -> Result<(), Contradiction> {
        let start = self.start.unwrap_or_default();
        if self.end.is_some_and(|end| end <= start) {
            return Err(Contradiction::EndNotAfterStart { start });
        }
        if self.low_pass != LowPass::default() && self.filter != Filter::Offline {
            return Err(Contradiction::LowPassWithoutFilter);
        }
        Ok(())
    }
}

/// A time in the file, within the limits.
pub(super) fn time(text: &str) -> Option<Option<Thousandths>> {
    let time: Thousandths = text.parse().ok()?;
    (time.to_f64() <= f64::from(TIME_S_MAX)).then_some(Some(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(start: Option<u32>, end: Option<u32>) -> Options {
        let [start, end] = [start, end].map(|time| time.map(Thousandths::new));
        Options { start, end, ..Options::default() }
    }

    #[test]
    fn a_part_has_a_length() {
        for (start, end) in [(None, None), (Some(9), None), (None, Some(1)), (Some(1), Some(2))] {
            assert_eq!(options(start, end).check(), Ok(()));
        }
        for (start, end) in [(None, 0), (Some(2500), 2500), (Some(2500), 1)] {
            let refused = options(start, Some(end)).check().expect_err("without a length");
            assert_eq!(refused.option(), "end");
        }
        let refused = options(Some(2500), Some(1)).check().expect_err("without a length");
        assert_eq!(refused.to_string(), "a number of seconds above `start`, which is 2.5");
    }

    #[test]
    fn only_the_filter_that_knows_all_frames_has_a_choice_of_low_passes() {
        let options = |filter| {
            Options { filter, low_pass: LowPass::SavitzkyGolay, ..Options::default() }.check()
        };
        assert_eq!(options(Filter::Offline), Ok(()));
        for filter in [Filter::None, Filter::Live] {
            assert_eq!(options(filter).map_err(|it| it.option()), Err("low_pass"));
        }
    }

    #[test]
    fn life_is_as_many_times_faster() {
        let at = |slow_motion, ms| {
            let slow_motion = Thousandths::new(slow_motion);
            let options = Options { slow_motion, ..Options::default() };
            options.time_in_life(Duration::from_millis(ms)).as_micros()
        };
        assert_eq!([at(1000, 1234), at(8000, 1000), at(2500, 1)], [1_234_000, 125_000, 400]);
        let longest = Options::default().time_in_life(Duration::MAX);
        assert_eq!(longest, Duration::from_nanos(u64::MAX));
    }

    #[test]
    fn a_limit_on_the_length_counts_from_the_start() {
        let (second, limit) = (Duration::from_secs(1), Duration::from_secs(10));
        assert_eq!(options(None, None).part().end_max(limit), limit);
        assert_eq!(options(Some(60_000), None).part().end_max(limit), 70 * second);
        assert_eq!(options(Some(60_000), Some(61_000)).part().end_max(limit), 61 * second);
        assert_eq!(options(Some(60_000), Some(99_000)).part().end_max(limit), 70 * second);
    }
}
