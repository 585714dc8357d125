//! Retries of failed jobs by an operator, and the videos that are kept for them.
//!
//! Part of the dispatcher's loop. The video of a failed job is kept as long as the job, but at most
//! `queue_max` of them, and none while disk space is low.

use crate::dispatcher::Retried;
use crate::dispatcher::state::State;
use crate::policy::client::ClientAddress;
use crate::policy::job::{JobEvent, JobId, JobState};
use crate::store::RemovedPart;
use tokio::sync::oneshot;

impl State {
    /// Retries a failed job and clears the crash count of its content.
    pub(crate) fn retry(&mut self, id: JobId, reply: oneshot::Sender<Option<Retried>>) {
        let response = match self.jobs.get(id).map(|job| job.state()) {
            None => None,
            Some(JobState::Failed { .. }) if !self.jobs.retains_video(id) => {
                Some(Retried::WithoutVideo)
            }
            Some(JobState::Failed { .. }) => {
                self.requeue_failed(id);
                self.status(id).map(Retried::Now)
            }
            Some(_) => self.status(id).map(Retried::NotFailed),
        };
        let _ = reply.send(response);
    }

    fn requeue_failed(&mut self, id: JobId) {
        let Some(execution) = self.jobs.get(id).map(|job| job.upload.execution()) else { return };
        self.clear_content(&execution);
        let memory_bytes_max = self.config.worker_memory_bytes_max;
        self.change(id, JobEvent::Retried { memory_bytes_max });
        // Operators are programs on this host.
        self.scheduler.enqueue(id, ClientAddress::ThisHost);
        self.reject_without_model();
        self.notify_queue();
    }

    /// Deletes kept videos of failed jobs, oldest first, until `kept_max` are left.
    pub(crate) fn discard_videos_beyond(&mut self, kept_max: usize, why: &'static str) {
        while let Some(id) = self.jobs.pop_retained_video(kept_max) {
            if self.journal.is_shared() {
                self.settle_discard(id, why);
            } else {
                drop(self.deletion.delete(id, RemovedPart::Upload, why));
            }
        }
    }
}
