//! How long one attempt takes, learnt from those that are over.
//!
//! Whatever the end was: a job that waits waits for failures as long as for successes.

use std::time::Duration;

/// What one attempt is taken to need before any was measured.
const GUESS: Duration = Duration::from_secs(10);

/// A running mean in which the past fades.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AttemptDurations {
    mean: Option<Duration>,
}

impl AttemptDurations {
    /// Takes note of an attempt that ended of itself.
    pub(crate) fn learn(&mut self, wall: Duration) {
        self.mean = Some(self.mean.map_or(wall, |mean| (mean * 7 + wall * 3) / 10));
    }

    /// What an attempt takes, guessed if need be.
    pub(crate) fn service_time(self) -> Duration {
        self.mean.unwrap_or(GUESS)
    }

    /// How long it will be until a job is over that is `position`th in the queue (from 1) before
    /// so many workers, all busy. Nothing is told from a guess.
    pub(crate) fn time_left(self, position: usize, workers: usize) -> Option<Duration> {
        let turns = position.div_ceil(workers.max(1)) + 1;
        Some(self.mean?.saturating_mul(turns.try_into().unwrap_or(u32::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_measurement_replaces_the_guess_and_later_ones_move_it() {
        let s = Duration::from_secs;
        let mut durations = AttemptDurations::default();
        assert_eq!((durations.service_time(), durations.time_left(1, 1)), (GUESS, None));
        durations.learn(s(20));
        assert_eq!(durations.service_time(), s(20));
        durations.learn(s(30));
        assert_eq!(durations.service_time(), s(23));
        assert_eq!(durations.time_left(1, 2), Some(s(46)), "the one under way, and its own");
        assert_eq!(durations.time_left(3, 2), Some(s(69)));
    }
}
