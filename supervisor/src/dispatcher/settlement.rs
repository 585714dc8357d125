//! Changes of a job that are real only once a shared journal has them: the end of an attempt, a cancellation, a removal.
//!
//! Part of the dispatcher's loop. Another host may have changed the job meanwhile; then the journal refuses the change,
//! the job is as that host made it, and what was to be published is removed. What clients still wait for is tried again.

use crate::dispatcher::attempt_task::{FinishedAttempt, Start};
use crate::dispatcher::deletion_retry::retry_until_done;
use crate::dispatcher::running::{Running, Waiters};
use crate::dispatcher::settlements::{Change, Settled, SharedResults};
use crate::dispatcher::state::State;
use crate::dispatcher::{Cancelled, JournalUnreachable, RemoveReply};
use crate::policy::job::{Job, JobEvent, JobId, JobState, Revision};
use crate::policy::queue::Place;
use crate::store::{AttemptFolder, JobRow, JournalEntry, JournalError, RemovedPart, blocking};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Changes that are sent to the journal.
impl State {
    /// Starts a job; resolves, in a shared journal, once that has the start.
    pub(crate) fn begin(&mut self, id: JobId) -> Option<Start> {
        if !self.journal.is_shared() {
            self.change(id, JobEvent::Started);
            return None;
        }
        let row = self.apply(id, JobEvent::Started)?;
        let written = self.journal.commit(JournalEntry::Job(Box::new(row)));
        let counters = self.counters.sharing.clone();
        Some(Box::pin(async move {
            let written = written.await;
            match written.as_ref().map_err(|error| &**error) {
                Ok(()) => counters.claims.inc(),
                Err(JournalError::Superseded(_)) => counters.claims_refused.inc(),
                Err(_) => 0,
            };
            written
        }))
    }

    /// Sends the end of an attempt, recorded in this job.
    pub(crate) fn settle_attempt(
        &mut self,
        job: Job,
        event: JobEvent,
        running: Running,
        shared: Option<Arc<AttemptFolder>>,
    ) {
        let Running { claim, place, waiters, .. } = running;
        let shared = shared.map(|folder| SharedResults { folder, claim });
        self.settle(job, event, Some(place), shared, waiters.unwrap_or_default());
    }

    /// Sends the cancellation of a queued job.
    pub(crate) fn settle_cancellation(
        &mut self,
        job: Job,
        waiter: oneshot::Sender<Option<Cancelled>>,
    ) {
        let waiters = Waiters { cancel: vec![waiter], ..Waiters::default() };
        self.settle(job, JobEvent::Cancelled, None, None, waiters);
    }

    fn settle(
        &mut self,
        mut job: Job,
        event: JobEvent,
        place: Option<Place>,
        shared: Option<SharedResults>,
        waiters: Waiters,
    ) {
        let id = job.id;
        if let Err(error) = job.apply(event, self.clock.wall()) {
            tracing::error!(job = %id, %error, "illegal change of state");
            return;
        }
        job.host = None;
        let ended = job.state().is_final().then(|| self.clock.now());
        let row = Box::new(JobRow { job, ended });
        self.settlements.waiters.insert(id, waiters);
        let written = self.journal.commit(JournalEntry::Job(row.clone()));
        let change = Change::State { row, place, shared };
        self.settlements.tasks.spawn(async move { Settled { id, change, written: written.await } });
    }

    /// Sends that a job of a lost host waits again, or has failed. Every host does so; the journal takes one.
    pub(crate) fn settle_takeover(&mut self, row: JobRow) {
        let (id, revision) = (row.job.id, row.job.revision);
        let written = self.journal.commit(JournalEntry::Job(Box::new(row)));
        let change = Change::Takeover { revision };
        self.settlements.tasks.spawn(async move { Settled { id, change, written: written.await } });
    }

    /// Sends that the video of a failed job is to be removed. Every host does so; the journal takes one, and none if
    /// the job is queued again.
    pub(crate) fn settle_discard(&mut self, id: JobId, why: &'static str) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        job.discard_video();
        let revision = job.revision;
        let Some(row) = self.jobs.row(id) else { return };
        let written = self.journal.commit(JournalEntry::Job(Box::new(row)));
        let change = Change::Video { revision, why };
        self.settlements.tasks.spawn(async move { Settled { id, change, written: written.await } });
    }

    /// Sends the removal of a job that no worker processes, if it is still at this revision: another host may have
    /// queued it again.
    pub(crate) fn settle_removal(
        &mut self,
        (id, known): (JobId, Revision),
        why: &'static str,
        reply: Option<RemoveReply>,
    ) {
        let (part, known) = (RemovedPart::Job, Some(known));
        let entry = JournalEntry::Removed { job: id, part, why, known };
        let written = self.journal.commit(entry);
        let change = Change::Removal { why, reply };
        self.settlements.tasks.spawn(async move { Settled { id, change, written: written.await } });
    }
}

/// Answers of the journal.
impl State {
    pub(crate) fn on_settled(&mut self, Settled { id, change, written }: Settled) {
        match change {
            Change::State { row, place, shared } => {
                let waiters = self.settlements.waiters.remove(&id).unwrap_or_default();
                match written {
                    Ok(()) => self.take_settled(*row, place, shared),
                    Err(error) => {
                        let is_end_of_attempt = place.is_some();
                        if is_end_of_attempt && matches!(*error, JournalError::Superseded(_)) {
                            self.counters.sharing.ends_refused.inc();
                        }
                        self.on_refused_change(&row, &error, shared);
                    }
                }
                self.repeat_for(id, waiters);
            }
            Change::Takeover { revision } => match written {
                Ok(()) => {
                    self.counters.sharing.takeovers.inc();
                }
                Err(error) => self.correct(id, &error, revision),
            },
            Change::Video { revision, why } => match written {
                Ok(()) => drop(self.deletion.delete_files(id, RemovedPart::Upload, why)),
                Err(error) => self.correct(id, &error, revision),
            },
            Change::Removal { why, reply } => self.on_settled_removal(id, why, reply, &written),
        }
    }

    fn take_settled(&mut self, row: JobRow, place: Option<Place>, shared: Option<SharedResults>) {
        let id = row.job.id;
        self.log_change(&row.job);
        let is_requeued = matches!(row.job.state(), JobState::Pending { .. });
        self.jobs.replace(row);
        if let Some(SharedResults { folder, claim }) = shared {
            if claim > 1 {
                let files = self.files.clone();
                let discard = move || {
                    let files = files.clone();
                    async move { files.discard_other_results(id, claim).await }
                };
                tokio::spawn(retry_until_done(id, discard));
            }
            // What cannot be kept here is fetched when it is asked for.
            tokio::spawn(blocking(move || folder.publish().or_else(|_| folder.discard())));
        }
        if let Some(place) = place.filter(|_| is_requeued) {
            self.scheduler.requeue(place, id);
        }
        self.discard_unneeded_video(id);
        self.notify_queue();
    }

    fn on_refused_change(
        &mut self,
        row: &JobRow,
        error: &JournalError,
        shared: Option<SharedResults>,
    ) {
        let id = row.job.id;
        tracing::warn!(job = %id, %error, "the end of an attempt is refused");
        // After another error, such as at a stop in an outage, the journal may have the end nevertheless.
        if let Some(SharedResults { folder, claim }) = shared
            && matches!(error, JournalError::Superseded(_))
        {
            self.discard_shared(id, claim, Some(folder));
        }
        self.correct(id, error, row.job.replaced);
    }

    /// Removes what an attempt has shared, completely or in part.
    fn discard_shared(&self, id: JobId, claim: u32, folder: Option<Arc<AttemptFolder>>) {
        let files = self.files.clone();
        let discard = move || {
            let (files, folder) = (files.clone(), folder.clone());
            async move {
                if let Some(folder) = folder {
                    blocking(move || folder.discard()).await?;
                }
                files.discard_results(id, claim).await
            }
        };
        tokio::spawn(retry_until_done(id, discard));
    }

    /// Whether the journal, as far as it is known, has this claim of this host as the present one.
    pub(crate) fn is_own(&self, job: &Job, claim: u32) -> bool {
        let is_processing = matches!(job.state(), JobState::Processing { .. });
        is_processing && job.host == Some(self.host) && job.claims == claim
    }

    /// Drops the end of an attempt that has become worthless.
    pub(crate) fn drop_attempt(
        &mut self,
        id: JobId,
        running: Running,
        finished: Option<Box<FinishedAttempt>>,
    ) {
        tracing::warn!(job = %id, "the end of an attempt is refused: another host has changed the job");
        self.counters.sharing.ends_refused.inc();
        if let Some(finished) = finished.filter(|finished| finished.has_claim) {
            self.discard_shared(id, running.claim, finished.shared);
        }
        self.discard_late_copies(id);
        self.follow_state(id);
        if let Some(waiters) = running.waiters {
            self.repeat_for(id, waiters);
        }
    }

    /// Removes the copies of a job that has ended elsewhere: its attempt here may have fetched the video after this host
    /// was told of the end.
    fn discard_late_copies(&self, id: JobId) {
        match self.jobs.get(id).map(|job| job.state().is_final()) {
            None => self.files.remove_local(id),
            Some(true) => self.files.remove_local_upload(id),
            Some(false) => {}
        }
    }

    /// A job whose start the journal has refused.
    pub(crate) fn on_refused_start(&mut self, id: JobId, running: Running, error: &JournalError) {
        tracing::info!(job = %id, %error, "the start of an attempt is refused");
        self.places.insert(id, running.place);
        let refused = self.jobs.get(id).filter(|job| self.is_own(job, running.claim));
        let refused = refused.map_or(Revision::NONE, |job| job.revision);
        self.correct(id, error, refused);
        if let Some(waiters) = running.waiters {
            self.repeat_for(id, waiters);
        }
    }

    fn on_settled_removal(
        &mut self,
        id: JobId,
        why: &'static str,
        reply: Option<RemoveReply>,
        written: &Result<(), Arc<JournalError>>,
    ) {
        match written.as_ref().map_err(|error| &**error) {
            Ok(()) => {
                self.forget(id);
                let removed = self.deletion.delete_files(id, RemovedPart::Job, why);
                tokio::spawn(async move {
                    let _ = removed.await;
                    reply.map(|reply| reply.send(Ok(true)))
                });
            }
            // By another host.
            Err(JournalError::Superseded(None)) => {
                self.forget(id);
                let _ = reply.map(|reply| reply.send(Ok(true)));
            }
            Err(error) => {
                self.correct(id, error, Revision::NONE);
                match (reply, error) {
                    (Some(reply), JournalError::Superseded(_)) => self.remove(id, reply),
                    // It is removed once the journal answers.
                    (Some(reply), _) => drop(reply.send(Err(JournalUnreachable))),
                    (None, _) => {}
                }
            }
        }
    }

    /// Takes the job as the refusal has it: a change of the job at this revision, or to it, was refused.
    fn correct(&mut self, id: JobId, error: &JournalError, refused: Revision) {
        match error {
            JournalError::Superseded(Some(row)) => self.take_correction((**row).clone(), refused),
            JournalError::Superseded(None) => self.forget(id),
            _ => self.follow_state(id),
        }
    }

    /// Does again what clients wait for, with the job as it is now.
    fn repeat_for(&mut self, id: JobId, waiters: Waiters) {
        for reply in waiters.cancel {
            self.cancel(id, reply);
        }
        for reply in waiters.remove {
            self.remove(id, reply);
        }
    }
}
