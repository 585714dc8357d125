//! Another try at a failed job, by an operator's leave; and the videos that are kept for it.
//!
//! Part of the dispatcher's loop. The video of a failed job stays as long as the job is
//! remembered, but never more of them than may wait, and none while the disk is short.

use crate::dispatcher::Retried;
use crate::dispatcher::state::State;
use crate::policy::job::{JobEvent, JobId, JobState};
use crate::store::journal::What;
use tokio::sync::oneshot;

impl State {
    /// Has a failed job tried again, as if it and its content had never failed.
    pub(crate) fn retry(&mut self, id: JobId, reply: oneshot::Sender<Option<Retried>>) {
        let answer = match self.jobs.get(&id).map(|entry| entry.job.state()) {
            None => None,
            Some(JobState::Failed { .. }) if !self.retained_videos.contains(&id) => {
                Some(Retried::WithoutVideo)
            }
            Some(JobState::Failed { .. }) => {
                self.begin_anew(id);
                self.status(id).map(Retried::Now)
            }
            Some(_) => self.status(id).map(Retried::NotFailed),
        };
        let _ = reply.send(answer);
    }

    fn begin_anew(&mut self, id: JobId) {
        let Some(entry) = self.jobs.get_mut(&id) else { return };
        entry.job.absolve();
        entry.ended = None;
        let sha256 = entry.job.upload.sha256.clone();
        self.forgive(&sha256);
        self.retained_videos.retain(|retained_videos| *retained_videos != id);
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

    /// Removes kept videos, oldest first, until so many are left.
    pub(crate) fn discard_videos_beyond(&mut self, kept_max: usize, why: &'static str) {
        while self.retained_videos.len() > kept_max {
            let Some(id) = self.retained_videos.pop_front() else { return };
            drop(self.delete(id, What::Upload, why));
        }
    }
}
