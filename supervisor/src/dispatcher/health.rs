//! State of the dispatcher for load balancers, operators and the service manager. Read-only.

use crate::dispatcher::mode::Mode;
use crate::dispatcher::report::{HostReport, seconds};
use crate::dispatcher::state::State;
use crate::dispatcher::{Counts, Health, SharedJournalReport};
use crate::policy::admission::{self, Refusal, Request};
use crate::policy::client::ClientAddress;
use crate::policy::job::JobState;
use crate::store::JournalState;
use std::collections::HashMap;
use tokio::time::Instant;

/// The reason of a service that stops, whether it still accepts uploads or not.
const STOPPING: &str = "the service is stopping";

impl State {
    pub(crate) fn health(&self, disk_free_bytes: u64) -> Health {
        let request = Request { client: ClientAddress::ThisHost, bytes: Some(0) };
        let is_leaving = self.scheduler.mode() == Mode::Leaving;
        let reason = match admission::decide(
            &self.capacity(&request, disk_free_bytes, Instant::now()),
            &request,
        ) {
            Err(Refusal::JournalLost) => Some("the journal was removed, replaced or truncated"),
            Err(Refusal::Paused) => Some("the host is paused"),
            Err(Refusal::DiskRefuses) => Some("the disk is not writable"),
            Err(Refusal::JournalUnreachable) => Some("the database of the journal does not answer"),
            Err(Refusal::StoreUnreachable) => {
                Some("the store of uploads and results does not answer")
            }
            _ if is_leaving => Some(STOPPING),
            _ if self.scheduler.cannot_start_workers() => Some("workers cannot be started"),
            Ok(_) => None,
            Err(Refusal::Closing) => Some(STOPPING),
            Err(Refusal::QueueFull { .. }) => Some("the queue is full"),
            Err(Refusal::MemoryShort { .. }) => Some("the host is low on memory"),
            Err(Refusal::DiskFull) => Some("the disk is full"),
            Err(Refusal::TooLarge { .. }) => None,
        };
        let mut jobs = Counts::default();
        for job in self.jobs.iter() {
            *match job.state() {
                JobState::Pending { .. } => &mut jobs.pending,
                JobState::Processing { .. } => &mut jobs.processing,
                JobState::Completed { .. } => &mut jobs.completed,
                JobState::Failed { .. } => &mut jobs.failed,
                JobState::Cancelled { .. } => &mut jobs.cancelled,
            } += 1;
        }
        let running = self.scheduler.running().iter();
        let running: u64 = running.map(|(_, running)| running.live.borrow().rss_bytes).sum();
        let standby = self.scheduler.standby();
        let pooled: u64 = standby.iter().map(|worker| worker.rss_bytes).sum();
        Health {
            is_ready: reason.is_none(),
            reason,
            workers: self.config.workers,
            standby,
            jobs,
            uploads: self.uploads.len(),
            reserved_bytes: self.scheduler.reserved_bytes(),
            budget_bytes: self.config.memory_budget_bytes,
            workers_rss_bytes: running + pooled,
            pressure: self.pressure,
            service_time_ms: self.durations.service_time().as_millis() as u64,
            shared_journal: self.shared_journal(),
        }
    }

    /// The journal that hosts share, and the hosts; none if this host has a journal of its own.
    fn shared_journal(&self) -> Option<SharedJournalReport> {
        let view = self.journal.view()?;
        let mut processing = HashMap::new();
        for host in self.jobs.processing().filter_map(|job| job.host) {
            *processing.entry(host).or_default() += 1;
        }
        let host = |seen| HostReport::of(seen, view.host, &processing);
        let sharing = &self.counters.sharing;
        Some(SharedJournalReport {
            host_name: view.host_name.clone(),
            host_id: view.host.to_string(),
            is_reachable: self.journal.state() != JournalState::Unreachable,
            latency_s: view.latency.map(seconds),
            store_latency_s: self.files.latency().map(seconds),
            claims: sharing.claims.get(),
            claims_refused: sharing.claims_refused.get(),
            takeovers: sharing.takeovers.get(),
            ends_refused: sharing.ends_refused.get(),
            hosts: view.hosts.iter().map(host).collect(),
        })
    }
}
