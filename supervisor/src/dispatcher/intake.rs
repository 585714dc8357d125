//! How jobs come in: a place is asked for, the upload arrives, the journal has it, it waits. A
//! client that does not know whether its upload arrived sends it again with the same key.
//!
//! Part of the dispatcher's loop. A job exists for the rest of the service only once the journal
//! has committed it.

use super::desk::{Desk, Entry, Opening};
use super::{NotTaken, Ticket};
use crate::admission::{self, Admitted, Capacity, Refusal, Request};
use crate::clock;
use crate::job::{Job, JobId, Upload};
use crate::journal::{self, JournalError, JournalState, Remembered};
use crate::memory::own_rss_bytes;
use crate::origin::Origin;
use crate::status::Status;
use std::sync::Arc;
use tokio::sync::{oneshot, watch};

/// Who waits to hear that a job is taken.
pub(super) type Taken = oneshot::Sender<Result<Status, NotTaken>>;

/// A job on its way through the journal.
pub(super) struct Arrival {
    job: Job,
    /// Holds its place until it stands in the queue.
    _ticket: Ticket,
    reply: Taken,
    written: Result<(), Arc<JournalError>>,
}

impl Desk {
    pub(super) fn admit(&self, request: &Request) -> Result<Ticket, Refusal> {
        let journal = self.journal.state();
        let capacity = Capacity {
            is_open: self.opening == Opening::Open,
            journal_is_lost: journal == JournalState::Lost,
            memory_is_short: self.pressure.memory,
            queue_len: self.queue.len(),
            uploads: self.uploads(),
            queue_max: self.config.queue_max,
            workers: self.config.slots(),
            service_time: self.tempo.service_time(),
            upload_bytes_max: self.config.upload_bytes_max,
            disk_takes_writes: journal == JournalState::Writable && !self.state.is_in_doubt(),
            disk_free_bytes: self.state.free_bytes().unwrap_or(0),
            disk_free_bytes_min: self.config.disk_free_bytes_min,
        };
        let Admitted = admission::decide(&capacity, request)?;
        Ok(Ticket { _place: self.uploads.clone(), origin: Origin::NONE })
    }

    /// Uploads under way.
    pub(super) fn uploads(&self) -> usize {
        Arc::strong_count(&self.uploads) - 1
    }

    /// Has the journal write a job down; what follows is for [`Desk::take_in`]. A request that
    /// was made before, by its key, gets the job it became.
    pub(super) fn submit(&mut self, id: JobId, upload: Upload, ticket: Ticket, reply: Taken) {
        if let Some(key) = &upload.idempotency_key {
            if let Some(before) = self.keys.get(key) {
                self.repeat(self.repeated(*before, &upload), reply);
                self.remove_upload(id);
                return;
            }
            self.keys.insert(key.clone(), id);
        }
        let mut job = Job::new(id, upload, self.config.worker_memory_bytes_max, clock::wall());
        job.origin = ticket.origin.clone();
        let journal = self.journal.clone();
        self.arrivals.spawn(async move {
            let remembered = Remembered { job: job.clone(), ended: None };
            let written = journal.commit(journal::Entry::Job(Box::new(remembered))).await;
            Arrival { job, _ticket: ticket, reply, written }
        });
    }

    /// The answer to a request whose key an earlier one had.
    fn repeated(&self, before: JobId, upload: &Upload) -> Result<Status, NotTaken> {
        let entry = self.jobs.get(&before).ok_or(NotTaken::KeyBusy)?;
        if !entry.job.upload.is_same_request(upload) {
            return Err(NotTaken::KeyReused);
        }
        tracing::info!(job = %before, "the same request again");
        self.status(before).ok_or(NotTaken::KeyBusy)
    }

    /// Promises once more what was promised, if it still holds.
    fn repeat(&self, answer: Result<Status, NotTaken>, reply: Taken) {
        let journal = self.journal.clone();
        tokio::spawn(async move {
            let written = journal.commit(journal::Entry::Nothing).await;
            let _ = reply.send(written.map_err(|error| NotTaken::from(&*error)).and(answer));
        });
    }

    /// Takes in a job that is written down, or turns it away if it is not.
    pub(super) fn take_in(&mut self, arrival: Arrival) {
        let Arrival { job, reply, written, .. } = arrival;
        let id = job.id;
        if let Err(error) = written {
            tracing::error!(job = %id, %error, "not accepted");
            if let Some(key) = &job.upload.idempotency_key {
                self.keys.remove(key);
            }
            self.remove_upload(id);
            let _ = reply.send(Err(NotTaken::from(&*error)));
            return;
        }
        tracing::info!(
            job = %id,
            // As text, so that it is quoted: a name may look like fields of its own.
            filename = job.upload.filename.as_str(),
            bytes = job.upload.bytes,
            sha256 = job.upload.sha256,
            mode = job.upload.options.mode.name(),
            supervisor_rss_bytes = own_rss_bytes(),
            request_id = job.origin.request_id(),
            trace_id = job.origin.trace_id(),
            "accepted"
        );
        if self.queue.push(id).is_err() {
            tracing::error!(job = %id, "an upload with a ticket found the queue full");
            self.queue.send_back(id);
        }
        let (changes, _) = watch::channel(0);
        let status = Status::of(&job, self.place(id), self.queue.len(), None);
        let is_spent = self.poison.is_spent(&job.upload.sha256);
        self.jobs.insert(id, Entry { job, changes, ended: None });
        self.queue_moved();
        let _ = reply.send(Ok(status));
        if is_spent {
            self.turn_away_spent();
        }
    }
}
