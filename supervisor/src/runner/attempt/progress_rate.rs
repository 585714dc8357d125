//! The frame rate of a worker, and the time its job will still take. Pure.
//!
//! Measured from the first progress message, so that starting and probing do not count. An estimate
//! needs enough frames and time: none is better than a wrong one.

use std::time::{Duration, Instant};

/// Fewest frames for an estimate.
const FRAMES_MIN: u32 = 5;

/// Shortest time for an estimate.
const TIME_MIN: Duration = Duration::from_millis(500);

/// The frame rate of one attempt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProgressRate {
    /// Time and frame count of the first progress message.
    first: Option<(Instant, u32)>,
}

impl ProgressRate {
    /// Records a progress message received at `now`.
    pub fn received(&mut self, frames_done: u32, now: Instant) {
        self.first.get_or_insert((now, frames_done));
    }

    /// The estimated time for the rest of `frames_total`, if it is known at `now`. It grows while
    /// the worker makes no progress.
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
    fn an_estimate_needs_enough_frames_and_time_and_grows_during_a_pause() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut rate = ProgressRate::default();
        assert_eq!(rate.time_left(0, 100, at(9000)), None, "no progress message");
        rate.received(1, start);
        rate.received(4, at(400));
        assert_eq!(rate.time_left(5, 101, at(600)), None, "too few frames");
        assert_eq!(rate.time_left(11, 101, at(499)), None, "too little time");
        assert_eq!(rate.time_left(11, 101, at(1000)), Some(Duration::from_secs(9)));
        assert_eq!(rate.time_left(11, 101, at(2000)), Some(Duration::from_secs(18)));
        assert_eq!(rate.time_left(101, 101, at(9000)), Some(Duration::ZERO));
        assert_eq!(
            rate.time_left(120, 101, at(9000)),
            Some(Duration::ZERO),
            "more frames than expected"
        );
    }
}
