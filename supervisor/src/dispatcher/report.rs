//! The state of the dispatcher, and the journal and the hosts that share it, for operators. Values only.
//!
//! [`crate::dispatcher::health`] fills them in.

use crate::dispatcher::worker_pool::Standby;
use crate::policy::host::HostId;
use crate::store::{Pressure, SeenHost};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::HashMap;
use std::time::Duration;
use utoipa::ToSchema;

/// State of the dispatcher.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Health {
    /// Whether an upload would be admitted now, its size aside.
    pub is_ready: bool,
    /// The reason, if not.
    pub reason: Option<&'static str>,
    /// Maximum number of concurrent attempts.
    pub workers: usize,
    /// Standby workers.
    pub standby: Vec<Standby>,
    /// Jobs by state.
    pub jobs: Counts,
    /// Uploads in progress.
    pub uploads: usize,
    /// Sum of the caps of all workers.
    pub reserved_bytes: u64,
    /// Limit of that sum.
    pub budget_bytes: u64,
    /// Resident memory of all workers.
    pub workers_rss_bytes: u64,
    /// Low memory or disk space on the host.
    #[serde(skip)]
    pub pressure: Pressure,
    /// Measured mean duration of an attempt.
    pub service_time_ms: u64,
    /// The journal that hosts share; none if this host has its own.
    pub shared_journal: Option<SharedJournalReport>,
}

/// Jobs by state.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
pub(crate) struct Counts {
    /// Queued.
    pub pending: usize,
    /// Processed by a worker.
    pub processing: usize,
    /// Completed.
    pub completed: usize,
    /// Failed.
    pub failed: usize,
    /// Cancelled.
    pub cancelled: usize,
}

/// A journal that hosts share, as this host sees it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct SharedJournalReport {
    /// Name of this host.
    pub host_name: String,
    /// Id of the present run of this host.
    pub host_id: String,
    /// Whether the database of the journal answers.
    pub is_reachable: bool,
    /// Duration of the last round trip to the database, in seconds.
    pub latency_s: Option<f64>,
    /// Time that the store took to answer the last request, in seconds.
    pub store_latency_s: Option<f64>,
    /// Jobs that this host has claimed, that is started, since its service started.
    pub claims: u64,
    /// Claims of this host that were refused, mostly because another host was faster.
    pub claims_refused: u64,
    /// Jobs of lost hosts that this host has queued again.
    pub takeovers: u64,
    /// Ends of attempts of this host that were refused, because another host had taken over the job.
    pub ends_refused: u64,
    /// The hosts, by name.
    pub hosts: Vec<HostReport>,
}

/// A host that shares the journal.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct HostReport {
    /// Its name.
    pub name: String,
    /// Id of its present run.
    pub id: String,
    /// Whether it is the host that reports.
    pub is_this: bool,
    /// The version of its program.
    pub version: String,
    /// When its service started, on the clock of the database.
    #[schema(value_type = String)]
    pub started_at: Timestamp,
    /// Memory budget of its workers.
    pub memory_budget_bytes: u64,
    /// Number of jobs that it processes.
    pub processing: usize,
    /// Time since its last sign of life was seen here, in seconds.
    pub beat_age_s: f64,
}

impl HostReport {
    /// Reports a host; `processing` has the number of jobs of each that has any.
    pub(crate) fn of(seen: &SeenHost, this: HostId, processing: &HashMap<HostId, usize>) -> Self {
        let host = &seen.host;
        Self {
            name: host.name.clone(),
            id: host.id.to_string(),
            is_this: host.id == this,
            version: host.version.clone(),
            started_at: host.started_at,
            memory_budget_bytes: host.memory_budget_bytes,
            processing: processing.get(&host.id).copied().unwrap_or(0),
            beat_age_s: seconds(seen.beat_age()),
        }
    }
}

/// Seconds, to the microsecond.
pub(crate) fn seconds(time: Duration) -> f64 {
    time.as_micros() as f64 / 1e6
}
