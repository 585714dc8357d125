//! Counts of the attempts that are over, for whoever scrapes the service.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use std::time::Duration;

/// How an attempt ended: one of the names of [`crate::worker::obituary::End`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct EndLabel {
    end: &'static str,
}

/// Since the service began. Clones count together.
#[derive(Debug, Clone)]
pub struct Tally {
    /// Attempts by their ends.
    pub ends: Family<EndLabel, Counter>,
    /// How long they took, from birth to reaping.
    pub seconds: Histogram,
}

impl Default for Tally {
    fn default() -> Self {
        // From a quarter of a second to about nine minutes.
        let seconds = Histogram::new(exponential_buckets(0.25, 2.0, 12));
        Self { ends: Family::default(), seconds }
    }
}

impl Tally {
    /// Counts one.
    pub(super) fn count(&self, end: &'static str, wall: Duration) {
        self.ends.get_or_create(&EndLabel { end }).inc();
        self.seconds.observe(wall.as_secs_f64());
    }
}
