//! Cancellation and removal of jobs by request. A running job is answered once its worker is reaped.
//!
//! Part of the dispatcher's loop.

use crate::dispatcher::running::Waiters;
use crate::dispatcher::state::State;
use crate::dispatcher::status::Status;
use crate::dispatcher::{Cancelled, RemoveReply};
use crate::policy::job::{JobEvent, JobId, JobState};
use crate::store::{JobRequest, JournalEntry, RemovedPart};
use tokio::sync::oneshot;

impl State {
    pub(crate) fn cancel(&mut self, id: JobId, reply: oneshot::Sender<Option<Cancelled>>) {
        if let Some(waiters) = self.scheduler.end(id) {
            waiters.cancel.push(reply);
            return;
        }
        if self.journal.is_shared() {
            return self.cancel_shared(id, reply);
        }
        if self.scheduler.dequeue(id) {
            self.change(id, JobEvent::Cancelled);
            self.notify_queue();
        }
        self.answer_cancelled(id, vec![reply]);
    }

    /// Cancels a job that may be on another host.
    fn cancel_shared(&mut self, id: JobId, reply: oneshot::Sender<Option<Cancelled>>) {
        if let Some(waiters) = self.settlements.waiters(id) {
            waiters.cancel.push(reply);
            return;
        }
        match self.jobs.get(id).map(|job| (job.clone(), job.state().clone())) {
            Some((_, JobState::Processing { .. })) => {
                self.ask_host(id, JobRequest::Cancel).cancel.push(reply);
            }
            Some((job, JobState::Pending { .. })) => {
                self.scheduler.dequeue(id);
                self.settle_cancellation(job, reply);
                self.notify_queue();
            }
            _ => self.answer_cancelled(id, vec![reply]),
        }
    }

    /// Replies that a job is cancelled, once the journal has it and no restart can requeue it.
    fn answer_cancelled(&self, id: JobId, replies: Vec<oneshot::Sender<Option<Cancelled>>>) {
        let response = self.status(id);
        let journal = self.journal.clone();
        tokio::spawn(async move {
            // A failed write is retried by the journal; the client need not wait for that.
            let _ = journal.commit(JournalEntry::Flush).await;
            for reply in replies {
                let _ = reply.send(response.clone().map(cancelled));
            }
        });
    }

    /// Removes a job; a running one after its worker has been reaped.
    pub(crate) fn remove(&mut self, id: JobId, reply: RemoveReply) {
        if let Some(waiters) = self.scheduler.end(id) {
            waiters.remove.push(reply);
            return;
        }
        if self.journal.is_shared() {
            return self.remove_shared(id, reply);
        }
        if self.scheduler.dequeue(id) {
            self.notify_queue();
        }
        if self.jobs.remove(id).is_none() {
            let _ = reply.send(Ok(false));
            return;
        }
        let deleted = self.deletion.delete(id, RemovedPart::Job, "by request");
        tokio::spawn(async move {
            let _ = deleted.await;
            let _ = reply.send(Ok(true));
        });
    }

    /// Removes a job that may be on another host.
    fn remove_shared(&mut self, id: JobId, reply: RemoveReply) {
        if let Some(waiters) = self.settlements.waiters(id) {
            waiters.remove.push(reply);
            return;
        }
        match self.jobs.get(id).map(|job| (job.revision, job.state())) {
            None => drop(reply.send(Ok(false))),
            Some((_, JobState::Processing { .. })) => {
                self.ask_host(id, JobRequest::Remove).remove.push(reply);
            }
            Some((known, _)) => {
                self.scheduler.dequeue(id);
                self.settle_removal((id, known), "by request", Some(reply));
                self.notify_queue();
            }
        }
    }

    /// Replies to the callers that wait for the end of an attempt.
    pub(crate) fn notify_waiters(&mut self, id: JobId, waiters: Waiters) {
        self.answer_cancelled(id, waiters.cancel);
        for reply in waiters.remove {
            self.remove(id, reply);
        }
    }
}

/// The reply to a cancellation of a job that is over.
fn cancelled(status: Status) -> Cancelled {
    if status.status == "cancelled" { Cancelled::Now(status) } else { Cancelled::TooLate(status) }
}
