//! What a host has last seen of the journal that it shares, for operators.
//!
//! The task of the journal publishes it each time it has read; the dispatcher reports it.

use crate::policy::host::HostId;
use crate::store::clock::uptime;
use crate::store::journal::SharingHost;
use std::time::Duration;

/// A shared journal as this host has last seen it.
#[derive(Debug, Clone)]
pub(crate) struct SharedView {
    /// The present run of this host.
    pub host: HostId,
    /// The name of this host.
    pub host_name: String,
    /// The duration of the last round trip to the database; none before the first.
    pub latency: Option<Duration>,
    /// All hosts, by name.
    pub hosts: Vec<SeenHost>,
}

/// A host, and its last sign.
#[derive(Debug, Clone)]
pub(crate) struct SeenHost {
    /// The host.
    pub host: SharingHost,
    /// The uptime of this host when the last beat of that one was first seen.
    pub beat_at: Duration,
}

impl SharedView {
    /// Before anything is read.
    pub(crate) fn blank(host: HostId, host_name: &str) -> Self {
        Self { host, host_name: host_name.to_owned(), latency: None, hosts: Vec::new() }
    }
}

impl SeenHost {
    /// How long ago the last beat was first seen here.
    pub(crate) fn beat_age(&self) -> Duration {
        uptime().saturating_sub(self.beat_at)
    }
}
