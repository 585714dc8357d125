//! Stops the dispatcher from hammering at a host that cannot start workers. Pure.
//!
//! After [`FAILURES_MAX`] failures in a row no attempt starts for a while, and `/readyz` says so;
//! then one is let through at a time, and the first that comes to life resets it: all that wait
//! may go at once. Each pause is about as long as the trouble before it, up to [`PAUSE_MAX`].

use std::time::Duration;
use tokio::time::Instant;

/// Failures in a row that open the breaker.
pub(crate) const FAILURES_MAX: u32 = 3;

/// First pause; each further failure doubles it.
const PAUSE_MIN: Duration = Duration::from_millis(500);

/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Counts failures to start workers.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    failures: u32,
    paused_until: Option<Instant>,
}

impl Breaker {
    /// A worker could not be started. Of those that were on their way together the first counts:
    /// what befell one befell all.
    pub(crate) fn failed(&mut self, now: Instant) {
        if self.paused_until.is_some_and(|until| now < until) {
            return;
        }
        self.failures = self.failures.saturating_add(1);
        // Even a single failure is followed by a short pause: the next try would be too soon.
        let doublings = self.failures.saturating_sub(1).min(16);
        self.paused_until = Some(now + (PAUSE_MIN * (1 << doublings)).min(PAUSE_MAX));
    }

    /// A worker came to life.
    pub(crate) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// How many attempts may run at once now.
    pub(crate) fn attempts_max(&self, workers: usize, now: Instant) -> usize {
        match self.paused_until {
            Some(until) if now < until => 0,
            _ if self.is_open() => 1,
            _ => workers,
        }
    }

    /// Whether starting workers counts as broken.
    pub(crate) fn is_open(&self) -> bool {
        self.failures >= FAILURES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_pauses_tries_one_and_recovers() {
        let start = Instant::now();
        let mut breaker = Breaker::default();
        let last = start + PAUSE_MAX * FAILURES_MAX;
        for failure in 1..=FAILURES_MAX {
            assert!(!breaker.is_open(), "after {} failures", failure - 1);
            breaker.failed(start + PAUSE_MAX * failure);
        }
        assert!(breaker.is_open());
        assert_eq!(breaker.attempts_max(4, last), 0);
        assert_eq!(breaker.attempts_max(4, last + PAUSE_MIN * 4), 1);
        breaker.succeeded();
        assert!(!breaker.is_open());
        assert_eq!(breaker.attempts_max(4, start), 4);
    }

    #[test]
    fn those_that_failed_together_count_once() {
        let start = Instant::now();
        let mut breaker = Breaker::default();
        for millis in 0..100 {
            breaker.failed(start + Duration::from_millis(millis));
        }
        assert!(!breaker.is_open());
        assert_eq!(breaker.attempts_max(4, start + PAUSE_MIN), 4, "the first pause is over");
    }

    #[test]
    fn the_pause_never_outgrows_its_limit() {
        let mut now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..1000 {
            breaker.failed(now);
            now += PAUSE_MAX;
        }
        assert_eq!(breaker.attempts_max(4, now), 1);
    }
}
