//! Tells the supervisor now and then how far the video was read on the way to the chosen part, so that a long
//! way there does not look like a worker that hangs. Called by `run`.

use bodyscript_protocol::message::Skipped;
use std::time::{Duration, Instant};

/// Shortest time between two reports.
const INTERVAL: Duration = Duration::from_millis(250);

/// When and what was reported last.
#[derive(Debug)]
pub(super) struct SkipReport {
    reported_at: Instant,
    until_ms: u32,
}

impl SkipReport {
    /// Before the first frame.
    pub(super) fn new(now: Instant) -> Self {
        Self { reported_at: now, until_ms: 0 }
    }

    /// The report that is due once a frame at this time is reached, if any.
    pub(super) fn reached(&mut self, pts: Duration, now: Instant) -> Option<Skipped> {
        let until_ms = u32::try_from(pts.as_millis()).ok().filter(|ms| *ms > self.until_ms)?;
        if now.duration_since(self.reported_at) < INTERVAL {
            return None;
        }
        *self = Self { reported_at: now, until_ms };
        Some(Skipped { until_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_rise_and_keep_their_distance() {
        let start = Instant::now();
        let mut report = SkipReport::new(start);
        let mut at = |pts_ms, elapsed_ms| {
            let [pts, elapsed] = [pts_ms, elapsed_ms].map(Duration::from_millis);
            report.reached(pts, start + elapsed).map(|skipped| skipped.until_ms)
        };
        assert_eq!(at(40, 249), None, "too early");
        assert_eq!(at(0, 300), None, "nothing was skipped");
        assert_eq!(at(80, 300), Some(80));
        assert_eq!(at(120, 500), None, "too early");
        assert_eq!(at(160, 550), Some(160));
        assert_eq!(at(160, 900), None, "no further");
    }
}
