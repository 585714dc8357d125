//! Counts of the attempts that are over, for whoever scrapes the service.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use std::time::Duration;

/// How an attempt ended: one of the names of [`crate::runner::attempt::exit_report::ExitReason`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct EndLabel {
    end: &'static str,
}

/// Since the service began. Clones count together.
#[derive(Debug, Clone)]
pub(crate) struct AttemptCounters {
    /// Attempts by their ends.
    pub ends: Family<EndLabel, Counter>,
    /// How long they took, from birth to reaping.
    pub seconds: Histogram,
}

impl Default for AttemptCounters {
    fn default() -> Self {
        // From a quarter of a second to about nine minutes.
        let seconds = Histogram::new(exponential_buckets(0.25, 2.0, 12));
        Self { ends: Family::default(), seconds }
    }
}

impl AttemptCounters {
    /// Counts one.
    pub(crate) fn count(&self, end: &'static str, wall: Duration) {
        self.ends.get_or_create(&EndLabel { end }).inc();
        self.seconds.observe(wall.as_secs_f64());
    }
}
