//! Retries of failed jobs by an operator, and the videos that are kept for them.
//!
//! Part of the dispatcher's loop. The video of a failed job is kept as long as the job, but at most
//! `queue_max` of them, and none while disk space is low.

use crate::dispatcher::Retried;
use crate::dispatcher::state::State;
use crate::policy::job::{JobEvent, JobId, JobState};
use crate::store::journal::What;
use tokio::sync::oneshot;

impl State {
    /// Retries a failed job and clears the crash count of its content.
    pub(crate) fn retry(&mut self, id: JobId, reply: oneshot::Sender<Option<Retried>>) {
        let response = match self.jobs.get(&id).map(|entry| entry.job.state()) {
            None => None,
            Some(JobState::Failed { .. }) if !self.retained_videos.contains(&id) => {
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
        let Some(entry) = self.jobs.get_mut(&id) else { return };
        entry.job.reset_executions();
        entry.ended = None;
        let sha256 = entry.job.upload.sha256.clone();
        self.clear_poison(&sha256);
        self.retained_videos.retain(|retained| *retained != id);
        self.ended.retain(|(_, ended)| *ended != id);
        let memory_bytes_max = self.config.worker_memory_bytes_max;
        self.change(id, JobEvent::Retried { memory_bytes_max });
        self.queue.readmit(id);
        self.notify_queue();
    }

    /// Keeps the video of a job that has just failed.
    pub(crate) fn retain_video(&mut self, id: JobId) {
        self.retained_videos.push_back(id);
        self.discard_videos_beyond(self.config.queue_max, "limit of failed jobs reached");
    }

    /// Deletes kept videos, oldest first, until `kept_max` are left.
    pub(crate) fn discard_videos_beyond(&mut self, kept_max: usize, why: &'static str) {
        while self.retained_videos.len() > kept_max {
            let Some(id) = self.retained_videos.pop_front() else { return };
            drop(self.delete(id, What::Upload, why));
        }
    }
}
