//! Estimates the duration of an attempt from the attempts that have ended.
//!
//! Failed attempts count like successful ones: queued jobs wait for both.

use std::time::Duration;

/// Assumed duration of an attempt before one was measured.
const ASSUMED: Duration = Duration::from_secs(10);

/// Exponentially weighted mean of the durations.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AttemptDurations {
    mean: Option<Duration>,
}

impl AttemptDurations {
    /// Adds the duration of an attempt that was not stopped from outside.
    pub(crate) fn learn(&mut self, wall: Duration) {
        self.mean = Some(self.mean.map_or(wall, |mean| (mean * 7 + wall * 3) / 10));
    }

    /// Mean duration of an attempt; the assumed one before the first measurement.
    pub(crate) fn service_time(self) -> Duration {
        self.mean.unwrap_or(ASSUMED)
    }

    /// Estimated time until the job at `position` in the queue (from 1) ends, with all `workers`
    /// busy. `None` before the first measurement.
    pub(crate) fn time_left(self, position: usize, workers: usize) -> Option<Duration> {
        let rounds = position.div_ceil(workers.max(1)) + 1;
        Some(self.mean?.saturating_mul(rounds.try_into().unwrap_or(u32::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_measurement_replaces_the_assumption_and_later_ones_adjust_the_mean() {
        let s = Duration::from_secs;
        let mut durations = AttemptDurations::default();
        assert_eq!((durations.service_time(), durations.time_left(1, 1)), (ASSUMED, None));
        durations.learn(s(20));
        assert_eq!(durations.service_time(), s(20));
        durations.learn(s(30));
        assert_eq!(durations.service_time(), s(23));
        assert_eq!(durations.time_left(1, 2), Some(s(46)), "the running job and its own");
        assert_eq!(durations.time_left(3, 2), Some(s(69)));
    }
}
