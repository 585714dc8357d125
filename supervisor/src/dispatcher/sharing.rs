//! Follows what other hosts change in a shared journal, and takes over the jobs of lost hosts.
//!
//! Part of the dispatcher's loop. Every host has all jobs and the whole queue; which host starts a job is decided by the
//! journal, which accepts one start.

use crate::dispatcher::running::Waiters;
use crate::dispatcher::state::State;
use crate::policy::host::HostId;
use crate::policy::job::{JobError, JobEvent, JobId, JobState, Revision};
use crate::store::{JobRequest, JobRow, JournalEntry, JournalEvent, RemovedPart, SharingHost};
use std::collections::HashSet;

/// How many hosts may be lost while they process a job; it fails with the last of them.
const LOST_HOSTS_MAX: u32 = 8;

/// Why a job of a lost host is queued again.
const HOST_LOST: &str = "The host that processed the video was lost.";

impl State {
    pub(crate) fn on_journal_event(&mut self, event: JournalEvent) {
        match event {
            JournalEvent::Job { row, request, refused } => {
                let id = row.job.id;
                self.take_correction(*row, refused.unwrap_or(Revision::NONE));
                if let Some(request) = request {
                    self.carry_out(id, request);
                }
            }
            JournalEvent::Removed(id) => self.forget(id),
            JournalEvent::Poison { execution, crashes } => {
                self.poison.set(&execution, crashes);
                if self.poison.is_poisoned(&execution) {
                    self.reject_poisoned();
                }
            }
            JournalEvent::Progress { job, document } => self.on_progress(job, &document),
            JournalEvent::All(ids) => self.forget_others(&ids.into_iter().collect()),
            JournalEvent::Hosts(hosts) => self.on_hosts(hosts),
            JournalEvent::Renamed(host) => self.rename(host),
        }
    }

    /// Takes a job as the journal has it, unless it is known. What is not written yet may have as many changes; then the
    /// journal will refuse it.
    pub(crate) fn take_newer(&mut self, row: JobRow) {
        let known = self.jobs.get(row.job.id).map(|job| job.revision.number());
        if known.is_none_or(|known| known < row.job.revision.number()) {
            self.take(row);
        }
    }

    /// Takes a job as the journal has it in place of a refused revision, unless a newer one is known.
    pub(crate) fn take_correction(&mut self, row: JobRow, refused: Revision) {
        if self.jobs.get(row.job.id).is_some_and(|job| job.revision == refused) {
            self.take(row);
        } else {
            self.take_newer(row);
        }
    }

    /// Takes a job as the journal has it. An attempt of this host that the journal does not know as the present one is
    /// stopped: its results would be refused.
    pub(crate) fn take(&mut self, row: JobRow) {
        let (id, host, claim) = (row.job.id, row.job.host, row.job.claims);
        let is_ours = host == Some(self.host);
        if let Some(running) =
            self.scheduler.running_mut(id).filter(|running| !is_ours || running.claim != claim)
        {
            tracing::warn!(job = %id, "an attempt is stopped: another host has changed its job");
            running.fence();
        }
        let is_final = row.job.state().is_final();
        self.remote_live.remove(&id);
        self.jobs.replace(row);
        self.follow_state(id);
        if is_final {
            self.files.remove_local_upload(id);
        }
        if let Some(waiters) = self.remote_waiters.remove(&id) {
            if is_final {
                self.notify_waiters(id, waiters);
            } else {
                self.remote_waiters.insert(id, waiters);
            }
        }
    }

    /// Queues a job that waits, and takes one that does not out of the queue.
    pub(crate) fn follow_state(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(id) else { return };
        let client = job.client;
        let is_busy =
            self.scheduler.running().get(id).is_some() || self.settlements.waiters(id).is_some();
        let is_queued = self.scheduler.queue().position(id).is_some();
        match job.state() {
            JobState::Pending { .. } if !is_queued && !is_busy => match self.places.remove(&id) {
                Some(place) => self.scheduler.requeue(place, id),
                None => self.scheduler.enqueue(id, client),
            },
            JobState::Pending { .. } => {}
            JobState::Processing { .. } => {
                if let Some(place) = self.scheduler.queue_mut().start(id) {
                    self.places.insert(id, place);
                }
            }
            _ => {
                self.scheduler.dequeue(id);
                self.places.remove(&id);
            }
        }
        self.notify_queue();
    }

    /// Forgets a job that is no longer in the journal.
    pub(crate) fn forget(&mut self, id: JobId) {
        if let Some(running) = self.scheduler.running_mut(id) {
            running.fence();
        }
        self.scheduler.dequeue(id);
        self.places.remove(&id);
        self.remote_live.remove(&id);
        if self.jobs.remove(id).is_some() {
            self.files.remove_local(id);
            self.notify_queue();
        }
        if let Some(waiters) = self.remote_waiters.remove(&id) {
            for reply in waiters.remove {
                let _ = reply.send(Ok(true));
            }
            for reply in waiters.cancel {
                let _ = reply.send(None);
            }
        }
    }

    fn forget_others(&mut self, known: &HashSet<JobId>) {
        let others: Vec<_> =
            self.jobs.iter().map(|job| job.id).filter(|id| !known.contains(id)).collect();
        for id in others {
            self.forget(id);
        }
    }

    /// Does what another host asks of the one that processes a job. If that was lost, any host does it.
    fn carry_out(&mut self, id: JobId, request: JobRequest) {
        let Some(job) = self.jobs.get(id) else { return };
        let is_pending = matches!(job.state(), JobState::Pending { .. });
        let is_here = self.scheduler.running().get(id).is_some();
        if !is_pending && !is_here {
            return;
        }
        match request {
            JobRequest::Cancel => self.cancel(id, tokio::sync::oneshot::channel().0),
            JobRequest::Remove => self.remove(id, tokio::sync::oneshot::channel().0),
        }
    }

    /// Asks the host that processes a job; the waiters are answered once it has done so.
    pub(crate) fn ask_host(&mut self, id: JobId, request: JobRequest) -> &mut Waiters {
        self.journal.append(JournalEntry::Request { job: id, request });
        self.remote_waiters.entry(id).or_default()
    }

    fn on_hosts(&mut self, hosts: Vec<SharingHost>) {
        let budget = hosts.iter().map(|host| host.memory_budget_bytes).max();
        let budget = budget.unwrap_or(0).max(self.config.memory_budget_bytes);
        // With a higher cap no host could start it.
        for id in self.scheduler.queue().iter() {
            if let Some(job) = self.jobs.get_mut(id) {
                job.lower_cap(budget);
            }
        }
        let is_there =
            |host: &HostId| hosts.iter().any(|there| there.id == *host) || *host == self.host;
        let lost =
            self.jobs.processing().filter(|job| job.host.is_none_or(|host| !is_there(&host)));
        let lost: Vec<_> = lost.map(|job| job.id).collect();
        for id in lost {
            if self.settlements.waiters(id).is_none() {
                self.take_over(id);
            }
        }
    }

    /// Queues a job again whose host is lost.
    fn take_over(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        let JobState::Processing { memory_bytes_max, .. } = *job.state() else { return };
        job.lost_hosts += 1;
        let lost_hosts = job.lost_hosts;
        tracing::warn!(job = %id, lost_hosts, "taken over from a lost host");
        let event = if lost_hosts < LOST_HOSTS_MAX {
            JobEvent::Requeued { memory_bytes_max, reason: HOST_LOST.into() }
        } else {
            JobEvent::Failed(JobError {
                code: "host_lost".into(),
                sentence: format!(
                    "{lost_hosts} hosts were lost while they processed the video. Contact the operator."
                ),
            })
        };
        self.remote_live.remove(&id);
        if let Some(row) = self.apply(id, event) {
            self.settle_takeover(row);
        }
        self.discard_excess_videos();
        self.follow_state(id);
    }

    /// Goes on as another host: its attempts are its own still, unless others have taken them over.
    fn rename(&mut self, host: HostId) {
        let before = std::mem::replace(&mut self.host, host);
        let own: Vec<_> = self
            .jobs
            .processing()
            .filter(|job| job.host == Some(before))
            .map(|job| job.id)
            .collect();
        for id in own {
            if let Some(job) = self.jobs.get_mut(id) {
                job.move_to(host);
            }
            if let Some(row) = self.jobs.row(id) {
                self.journal.append(JournalEntry::Job(Box::new(row)));
            }
        }
    }

    /// Removes an expired job.
    pub(crate) fn expire(&mut self, id: JobId, why: &'static str) {
        let Some(job) = self.jobs.remove(id) else { return };
        if self.journal.is_shared() {
            self.settle_removal((id, job.revision), why, None);
        } else {
            drop(self.deletion.delete(id, RemovedPart::Job, why));
        }
    }
}
