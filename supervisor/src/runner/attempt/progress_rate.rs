//! How fast a worker goes, and how long it will still take. Pure.
//!
//! Measured from the first word on frames, so that starting and probing do not count, and told
//! only once enough frames passed to mean something: no time is better than a wrong one.

use std::time::{Duration, Instant};

/// Frames that must have passed.
const FRAMES_MIN: u32 = 5;

/// Time that must have passed.
const TIME_MIN: Duration = Duration::from_millis(500);

/// The pace of one attempt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProgressRate {
    /// When frames were first told, and how many.
    first: Option<(Instant, u32)>,
}

impl ProgressRate {
    /// Takes note of what a worker told at `now`.
    pub fn received(&mut self, frames_done: u32, now: Instant) {
        self.first.get_or_insert((now, frames_done));
    }

    /// How long the rest of `frames_total` will take, as far as can be told at `now`. A worker
    /// that stands still gets slower by it.
    pub fn time_left(&self, frames_done: u32, frames_total: u32, now: Instant) -> Option<Duration> {
        let (since, before) = self.first?;
        let (frames, time) = (frames_done.checked_sub(before)?, now.duration_since(since));
        let is_known = frames >= FRAMES_MIN && time >= TIME_MIN;
        is_known.then(|| time * frames_total.saturating_sub(frames_done) / frames)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_once_it_means_something_and_grows_with_a_pause() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut rate = ProgressRate::default();
        assert_eq!(rate.time_left(0, 100, at(9000)), None, "nothing was heard");
        rate.received(1, start);
        rate.received(4, at(400));
        assert_eq!(rate.time_left(5, 101, at(600)), None, "too few frames");
        assert_eq!(rate.time_left(11, 101, at(499)), None, "too little time");
        assert_eq!(rate.time_left(11, 101, at(1000)), Some(Duration::from_secs(9)));
        assert_eq!(rate.time_left(11, 101, at(2000)), Some(Duration::from_secs(18)));
        assert_eq!(rate.time_left(101, 101, at(9000)), Some(Duration::ZERO));
        assert_eq!(rate.time_left(120, 101, at(9000)), Some(Duration::ZERO), "more than was told");
    }
}
