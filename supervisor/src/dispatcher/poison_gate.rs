//! Counts crashes by content, and fails or holds back jobs whose content has crashed workers.
//!
//! Part of the dispatcher's loop; `policy::poison` decides how many crashes are allowed.

use crate::dispatcher::attempt_task::FinishedAttempt;
use crate::dispatcher::state::State;
use crate::policy::job::{JobError, JobEvent, JobId};
use crate::runner::attempt::exit_report::ExitReason;
use crate::store::journal::Entry;

impl State {
    /// The first job in the queue whose content may be run by one more worker: each worker that
    /// already runs the same content may crash, and together they must not exceed the limit.
    pub(crate) fn next_job(&self) -> Option<JobId> {
        self.queue.iter().find(|id| {
            self.jobs.get(id).is_none_or(|entry| {
                let sha256 = &entry.job.upload.sha256;
                self.poison.allows(sha256, self.running_on(sha256))
            })
        })
    }

    /// Number of workers that process this content.
    fn running_on(&self, sha256: &str) -> u32 {
        let jobs = self.running.keys().filter_map(|id| self.jobs.get(id));
        jobs.filter(|entry| entry.job.upload.sha256 == sha256).count() as u32
    }

    /// Records the end of an attempt for its content. A worker that never became ready has not read
    /// the video.
    pub(crate) fn record_poison(&mut self, sha256: &str, finished: &FinishedAttempt) {
        if finished.end == ExitReason::Done {
            self.clear_poison(sha256);
        } else if finished.end.is_fatal()
            && finished.sandbox.is_some()
            && let Some(deaths) = self.poison.record_crash(sha256)
        {
            self.journal.note(Entry::Poison { sha256: sha256.into(), deaths });
        }
    }

    /// Clears the crash count of this content.
    pub(crate) fn clear_poison(&mut self, sha256: &str) {
        if self.poison.clear(sha256) {
            self.journal.note(Entry::Poison { sha256: sha256.into(), deaths: 0 });
        }
    }

    /// Fails the queued jobs whose content has reached the limit of crashes.
    pub(crate) fn reject_poisoned(&mut self) {
        let is_poisoned = |id: &JobId| {
            let entry = self.jobs.get(id);
            entry.is_some_and(|entry| self.poison.is_poisoned(&entry.job.upload.sha256))
        };
        let poisoned: Vec<_> = self.queue.iter().filter(is_poisoned).collect();
        for id in &poisoned {
            self.queue.remove(*id);
            self.change(*id, JobEvent::Failed(known_to_fail()));
        }
        if !poisoned.is_empty() {
            self.notify_queue();
        }
    }
}

fn known_to_fail() -> JobError {
    JobError {
        code: "known_to_fail".into(),
        sentence: "This video crashed its worker twice before, so it is not retried. \
                   Re-encode it with another program, or ask the operator to retry the job."
            .into(),
    }
}
