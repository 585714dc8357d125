//! Circuit breaker: pauses starts of workers while the host cannot start any. Pure.
//!
//! After [`FAILURES_MAX`] failures in a row the breaker is open and `/readyz` reports it. After
//! each pause one attempt is allowed; the first worker that becomes ready closes the breaker.
//! Pauses double up to [`PAUSE_MAX`].

use std::time::Duration;
use tokio::time::Instant;

/// Failures in a row that open the breaker.
pub(crate) const FAILURES_MAX: u32 = 3;

/// First pause; each further failure doubles it.
const PAUSE_MIN: Duration = Duration::from_millis(500);

/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Counts failed starts of workers.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    failures: u32,
    paused_until: Option<Instant>,
}

impl Breaker {
    /// Records a failed start. Failures during a pause are not counted: they belong to workers that
    /// were started together with the first one and share its cause.
    pub(crate) fn failed(&mut self, now: Instant) {
        if self.paused_until.is_some_and(|until| now < until) {
            return;
        }
        self.failures = self.failures.saturating_add(1);
        // A single failure is followed by a short pause as well, so that retries are not immediate.
        let doublings = self.failures.saturating_sub(1).min(16);
        self.paused_until = Some(now + (PAUSE_MIN * (1 << doublings)).min(PAUSE_MAX));
    }

    /// Records a worker that became ready.
    pub(crate) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// How many attempts may run concurrently now.
    pub(crate) fn attempts_max(&self, workers: usize, now: Instant) -> usize {
        match self.paused_until {
            Some(until) if now < until => 0,
            _ if self.is_open() => 1,
            _ => workers,
        }
    }

    /// Whether so many starts failed in a row that the service is not ready.
    pub(crate) fn is_open(&self) -> bool {
        self.failures >= FAILURES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_repeated_failures_allows_one_attempt_and_closes_on_success() {
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
    fn failures_during_a_pause_count_once() {
        let start = Instant::now();
        let mut breaker = Breaker::default();
        for millis in 0..100 {
            breaker.failed(start + Duration::from_millis(millis));
        }
        assert!(!breaker.is_open());
        assert_eq!(breaker.attempts_max(4, start + PAUSE_MIN), 4, "the first pause is over");
    }

    #[test]
    fn the_pause_is_limited() {
        let mut now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..1000 {
            breaker.failed(now);
            now += PAUSE_MAX;
        }
        assert_eq!(breaker.attempts_max(4, now), 1);
    }
}
