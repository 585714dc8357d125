//! Which part of a video is processed: by the file's own times, and which area of the picture.

use super::{Crop, Options, Thousandths};
use std::time::Duration;

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
