//! Notices that the supervisor itself did not run for a while: it was stopped, suspended or starved of the processor.
//! What a worker did meanwhile is still in its pipes, so its deadlines must not be judged by that time.

use super::Drive;
use std::time::Duration;
use tokio::time::Instant;

/// Longest time between two events of an attempt, of which there are several in a second.
const GAP_MAX: Duration = Duration::from_secs(1);

/// When the supervisor was last seen to run.
#[derive(Debug)]
pub(super) struct LapseWatch {
    seen: Instant,
}

impl LapseWatch {
    pub(super) fn new(now: Instant) -> Self {
        Self { seen: now }
    }

    /// To be called at every event: how long the supervisor did not run before it, if it did not.
    pub(super) fn check(&mut self, now: Instant) -> Option<Duration> {
        let gap = now.saturating_duration_since(self.seen);
        self.seen = now;
        (gap > GAP_MAX).then_some(gap)
    }
}

/// A later moment, or one far in the future if the clock cannot represent it.
pub(super) fn after(moment: Instant, delay: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(365 * 86_400);
    moment.checked_add(delay).unwrap_or(moment + FAR)
}

impl Drive {
    /// Moves all deadlines by the time in which the supervisor did not run.
    pub(super) fn postpone_after_lapse(&mut self) {
        let Some(lapse) = self.lapse_watch.check(Instant::now()) else { return };
        tracing::warn!(
            pid = self.pid.as_raw(),
            ?lapse,
            "the supervisor did not run; deadlines are postponed"
        );
        self.lapsed += lapse;
        self.spawned_at += lapse;
        self.assigned_at = self.assigned_at.map(|moment| moment + lapse);
        self.finished_at = self.finished_at.map(|moment| moment + lapse);
        self.stage = self.stage.map(|(stage, due)| (stage, after(due, lapse)));
        self.conversation.postpone(lapse);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_long_gaps_are_lapses_and_each_is_reported_once() {
        let start = Instant::now();
        let mut watch = LapseWatch::new(start);
        assert_eq!(watch.check(start + GAP_MAX), None);
        let later = start + GAP_MAX + Duration::from_secs(7);
        assert_eq!(watch.check(later), Some(Duration::from_secs(7)));
        assert_eq!(watch.check(later), None);
    }
}
