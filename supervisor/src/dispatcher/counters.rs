//! Counters since the start of the service, for `/metrics`: finished attempts, and what became of claims in a journal
//! that hosts share.

use crate::runner::attempt::exit_report::ExitReason;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use std::time::Duration;

/// How an attempt ended: one of the names of [`ExitReason`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct EndLabel {
    end: &'static str,
}

/// Counters since the service started. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct AttemptCounters {
    /// Finished attempts by end.
    pub ends: Family<EndLabel, Counter>,
    /// Wall time of attempts, from spawn to reaping.
    pub seconds: Histogram,
    /// What happens in a journal that hosts share.
    pub sharing: SharingCounters,
}

/// Counters of this host in a journal that hosts share; zero without one. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharingCounters {
    /// Jobs started, as the journal has them.
    pub claims: Counter,
    /// Starts that the journal has refused.
    pub claims_refused: Counter,
    /// Jobs of lost hosts that were queued again.
    pub takeovers: Counter,
    /// Ends of attempts that the journal has refused.
    pub ends_refused: Counter,
}

impl Default for AttemptCounters {
    fn default() -> Self {
        // From a quarter of a second to about nine minutes.
        let seconds = Histogram::new(exponential_buckets(0.25, 2.0, 12));
        // Every end is there from the start: Prometheus sees no increase in a counter that begins at 1.
        let ends = Family::default();
        for end in ExitReason::NAMES {
            let _: Counter = ends.get_or_create_owned(&EndLabel { end });
        }
        Self { ends, seconds, sharing: SharingCounters::default() }
    }
}

impl AttemptCounters {
    /// Counts one finished attempt.
    pub(crate) fn count(&self, end: &'static str, wall: Duration) {
        self.ends.get_or_create(&EndLabel { end }).inc();
        self.seconds.observe(wall.as_secs_f64());
    }
}
