//! Cancellation, removal and expiry of jobs, with their files.
//!
//! Part of the dispatcher's loop. A removal is written to the journal before the files are
//! deleted: a crash in between leaves files without a job, which the next start deletes, and never
//! a job without files. If the journal cannot be written the files are deleted anyway, because
//! they may be what fills the disk.

use crate::dispatcher::Cancelled;
use crate::dispatcher::deletion_retry::retry_until_done;
use crate::dispatcher::scheduler::cancelled;
use crate::dispatcher::state::State;
use crate::policy::job::{JobEvent, JobId};
use crate::policy::retention_rules::RetentionPeriods;
use crate::runner::attempt::exit_report::Stop;
use crate::store::failpoint;
use crate::store::journal::{Entry, What};
use crate::store::retention::{ENDED_KEPT_MAX, Pressure};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};

/// Jobs that expire in one sweep, which blocks the loop; the next sweep continues.
const SWEPT_MAX: usize = 1000;

impl State {
    pub(crate) fn cancel(&mut self, id: JobId, reply: oneshot::Sender<Option<Cancelled>>) {
        if let Some(running) = self.running.get_mut(&id) {
            running.end(Stop::Cancelled).cancel.push(reply);
            return;
        }
        if self.queue.remove(id) {
            self.change(id, JobEvent::Cancelled);
            self.notify_queue();
        }
        self.answer_cancelled(id, vec![reply]);
    }

    /// Replies that a job is cancelled, once the journal has it and no restart can requeue it.
    pub(crate) fn answer_cancelled(
        &self,
        id: JobId,
        replies: Vec<oneshot::Sender<Option<Cancelled>>>,
    ) {
        let response = self.status(id);
        let journal = self.journal.clone();
        tokio::spawn(async move {
            // A failed write is retried by the journal; the client need not wait for that.
            let _ = journal.commit(Entry::Nothing).await;
            for reply in replies {
                let _ = reply.send(response.clone().map(cancelled));
            }
        });
    }

    /// Removes a job; a running one after its worker has been reaped.
    pub(crate) fn remove(&mut self, id: JobId, reply: oneshot::Sender<bool>) {
        if let Some(running) = self.running.get_mut(&id) {
            running.end(Stop::Cancelled).remove.push(reply);
            return;
        }
        if self.queue.remove(id) {
            self.notify_queue();
        }
        if !self.forget(id) {
            let _ = reply.send(false);
            return;
        }
        self.ended.retain(|(_, ended)| *ended != id);
        let deleted = self.delete(id, What::Job, "by request");
        tokio::spawn(async move {
            let _ = deleted.await;
            let _ = reply.send(true);
        });
    }

    /// Removes expired jobs, oldest first.
    pub(crate) fn sweep(&mut self) {
        let state = self.state.clone();
        spawn_blocking(move || state.test_writes());
        self.pressure = Pressure::measure(&self.state, self.config.disk_free_bytes_min);
        if self.pressure.disk {
            self.discard_videos_beyond(0, "low disk space");
        }
        let periods = RetentionPeriods {
            normal: self.config.result_ttl,
            under_pressure: self.config.pressure_ttl,
        };
        let now = self.clock.now();
        for _ in 0..SWEPT_MAX {
            let Some((ended, id)) = self.ended.front().copied() else { return };
            let why = match () {
                () if periods.has_expired(now.since(ended), false) => "expired",
                () if periods.has_expired(now.since(ended), self.pressure.is_short()) => {
                    "low memory or disk space"
                }
                () if self.ended.len() > ENDED_KEPT_MAX => "limit of jobs reached",
                () => return,
            };
            self.ended.pop_front();
            self.forget(id);
            drop(self.delete(id, What::Job, why));
        }
    }

    /// Drops a job from memory but not its files; false if there is none.
    fn forget(&mut self, id: JobId) -> bool {
        let Some(entry) = self.jobs.remove(&id) else { return false };
        if let Some(key) = &entry.job.upload.idempotency_key {
            self.keys.remove(key);
        }
        self.retained_videos.retain(|retained| *retained != id);
        true
    }

    /// Deletes files of a job; the task ends after the first try.
    pub(crate) fn delete(&self, id: JobId, what: What, why: &'static str) -> JoinHandle<()> {
        tracing::info!(job = %id, ?what, why, "removed");
        // Sent to the journal before this returns, ahead of a new job with the same key.
        let written = self.journal.commit(Entry::Removed { job: id, what, why });
        let state = self.state.clone();
        tokio::spawn(async move {
            let _ = written.await;
            failpoint::reach("removal_committed");
            let remove = move || match what {
                What::Job => state.remove(id),
                What::Upload => state.remove_leftovers(id),
            };
            retry_until_done(id, remove).await;
            failpoint::reach("removal_done");
        })
    }

    /// Deletes an upload that did not become a job. Without a retry: a resumable upload may be
    /// submitted again, and a late retry would delete it then.
    pub(crate) fn remove_upload(&self, id: JobId) {
        let state = self.state.clone();
        spawn_blocking(move || {
            if let Err(error) = state.remove_upload(id) {
                tracing::error!(job = %id, %error, "cannot delete an upload before the next start");
            }
        });
    }
}
