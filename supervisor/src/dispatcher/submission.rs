//! Admission and submission of uploads: a ticket reserves a place, the journal commits the job,
//! and the job is queued. A repeated request with the same idempotency key returns the same job.
//!
//! Part of the dispatcher's loop. A job exists only once the journal has committed it.

use crate::dispatcher::mode::Mode;
use crate::dispatcher::state::{State, StoredUpload, SubmitReply};
use crate::dispatcher::status::Status;
use crate::dispatcher::{SubmitError, Ticket};
use crate::policy::admission::{self, Admitted, Capacity, Refusal, Request};
use crate::policy::client::ClientAddress;
use crate::policy::job::{Job, JobId, Upload};
use crate::policy::open_upload::OpenUpload;
use crate::runner::containment::own_memory::own_rss_bytes;
use crate::store::{JobRow, JournalEntry, JournalError, JournalState};
use tokio::time::Instant;

impl State {
    /// Reserves a place for an upload. `disk_free_bytes` was measured just before.
    pub(crate) fn admit(
        &mut self,
        request: &Request,
        disk_free_bytes: u64,
        now: Instant,
    ) -> Result<Ticket, Refusal> {
        let Admitted = admission::decide(&self.capacity(request, disk_free_bytes, now), request)?;
        let bytes_max = request.bytes_max(self.config.upload_bytes_max);
        let rate = self.config.http.body_rate_bytes_per_s_min;
        let upload = OpenUpload::new(request.client, bytes_max, rate, now);
        self.uploads.add(&upload);
        Ok(Ticket::new(upload))
    }

    pub(crate) fn capacity(
        &self,
        request: &Request,
        disk_free_bytes: u64,
        now: Instant,
    ) -> Capacity {
        let journal = self.journal.state();
        let queue = self.scheduler.queue();
        let places_of = |client| {
            let uploads = self.uploads.places(now).filter(|other| *other == client);
            uploads.count() + queue.len_of(client)
        };
        Capacity {
            is_open: self.scheduler.mode() != Mode::Closing,
            is_paused: self.scheduler.mode() == Mode::Paused,
            journal_is_lost: journal == JournalState::Lost,
            journal_is_reachable: journal != JournalState::Unreachable,
            memory_is_short: self.pressure.memory,
            queue_len: queue.len(),
            uploads: self.uploads.places(now).count(),
            places_of_client: match request.client {
                // Programs on this host may send for many people.
                ClientAddress::ThisHost => None,
                client @ ClientAddress::Remote(_) => Some(places_of(client)),
            },
            upload_bytes_left: self.uploads.bytes_left(),
            queue_max: self.config.queue_max,
            workers: self.config.slots(),
            service_time: self.durations.service_time(),
            upload_bytes_max: self.config.upload_bytes_max,
            disk_takes_writes: journal != JournalState::Failing
                && !self.files.folder().refuses_writes(),
            store_is_reachable: self.files.is_reachable(),
            disk_free_bytes,
            disk_free_bytes_min: self.config.disk_free_bytes_min,
        }
    }

    /// Has the journal write the job; [`State::on_upload_stored`] continues. A repeated request,
    /// known by its idempotency key, is answered with the job of the first one.
    pub(crate) fn submit(&mut self, id: JobId, upload: Upload, ticket: Ticket, reply: SubmitReply) {
        if let Some(key) = &upload.idempotency_key {
            if let Some(earlier) = self.jobs.job_of_key(key) {
                self.repeat(self.repeated(earlier, &upload), reply);
                self.deletion.delete_upload(id);
                return;
            }
            self.jobs.reserve_key(key.clone(), id);
        }
        let mut job = Job::new(id, upload, self.config.worker_memory_bytes_max, self.clock.wall());
        job.origin = ticket.origin.clone();
        job.client = ticket.upload().client();
        job.is_repeatable = ticket.is_repeatable();
        let journal = self.journal.clone();
        self.submissions.spawn(async move {
            let row = JobRow { job: job.clone(), ended: None };
            let written = journal.commit(JournalEntry::Job(Box::new(row))).await;
            StoredUpload { job, ticket, reply, written }
        });
    }

    /// The reply to a request with the idempotency key of an earlier one.
    fn repeated(&self, earlier: JobId, upload: &Upload) -> Result<Status, SubmitError> {
        let job = self.jobs.get(earlier).ok_or(SubmitError::KeyBusy)?;
        if !job.upload.is_same_request(upload) {
            return Err(SubmitError::KeyReused);
        }
        tracing::info!(job = %earlier, "repeated request");
        self.status(earlier).ok_or(SubmitError::KeyBusy)
    }

    /// Repeats the reply once the journal is known to be writable.
    fn repeat(&self, response: Result<Status, SubmitError>, reply: SubmitReply) {
        let journal = self.journal.clone();
        tokio::spawn(async move {
            let written = journal.commit(JournalEntry::Flush).await;
            let _ = reply.send(written.map_err(|error| SubmitError::from(&*error)).and(response));
        });
    }

    /// Queues a job that the journal has committed; refuses one that it has not.
    pub(crate) fn on_upload_stored(&mut self, stored: StoredUpload) {
        // The place is reserved until this returns.
        let StoredUpload { job, ticket: _ticket, reply, written } = stored;
        let id = job.id;
        if let Err(error) = written {
            tracing::error!(job = %id, %error, "job not accepted");
            if let Some(key) = &job.upload.idempotency_key {
                self.jobs.release_key(key, id);
            }
            // Another host may need the upload if the outcome is not known.
            if !(job.is_repeatable && matches!(*error, JournalError::Unreachable)) {
                self.deletion.delete_upload(id);
            }
            if let JournalError::KeyTaken(row) = &*error {
                self.take_newer((**row).clone());
                self.repeat(self.repeated(row.job.id, &job.upload), reply);
                return;
            }
            let _ = reply.send(Err(SubmitError::from(&*error)));
            return;
        }
        tracing::info!(
            job = %id,
            // Logged as text, so that it is quoted: a name may look like further fields.
            filename = job.upload.filename.as_str(),
            bytes = job.upload.bytes,
            sha256 = job.upload.sha256,
            mode = job.upload.options.mode.name(),
            supervisor_rss_bytes = own_rss_bytes(),
            request_id = job.origin.request_id(),
            trace_id = job.origin.trace_id(),
            "accepted"
        );
        let is_poisoned = self.poison.is_poisoned(&job.upload.execution());
        // A shared journal may have told of it already.
        if self.jobs.get(id).is_none() {
            self.scheduler.enqueue(id, job.client);
            self.jobs.insert(job);
            self.notify_queue();
        }
        let _ = reply.send(self.status(id).ok_or(SubmitError::Unwritten));
        if is_poisoned {
            self.reject_poisoned();
        }
    }
}
