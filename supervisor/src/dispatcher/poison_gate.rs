//! Content that ended its workers: told by attempts, held against the jobs that bring it again.
//!
//! Part of the dispatcher's loop; what is counted and how often it may be is `poison`'s.

use crate::dispatcher::attempt_task::FinishedAttempt;
use crate::dispatcher::state::State;
use crate::policy::job::{JobError, JobEvent, JobId};
use crate::runner::attempt::exit_report::ExitReason;
use crate::store::journal::Entry;

impl State {
    /// Whose turn it is: the head of the queue, unless as many workers are on its content as may
    /// be lost to it. Then whoever comes next brings other content.
    pub(crate) fn next_job(&self) -> Option<JobId> {
        self.queue.iter().find(|id| {
            self.jobs.get(id).is_none_or(|entry| {
                let sha256 = &entry.job.upload.sha256;
                self.poison.allows(sha256, self.under_way(sha256))
            })
        })
    }

    /// How many workers are on this content.
    fn under_way(&self, sha256: &str) -> u32 {
        let jobs = self.running.keys().filter_map(|id| self.jobs.get(id));
        jobs.filter(|entry| entry.job.upload.sha256 == sha256).count() as u32
    }

    /// Remembers what an attempt says of its content. A worker that was never ready has not
    /// touched it.
    pub(crate) fn record_poison(&mut self, sha256: &str, finished: &FinishedAttempt) {
        if finished.end == ExitReason::Done {
            self.forgive(sha256);
        } else if finished.end.is_fatal()
            && finished.sandbox.is_some()
            && let Some(deaths) = self.poison.died(sha256)
        {
            self.journal.note(Entry::Poison { sha256: sha256.into(), deaths });
        }
    }

    /// Forgets what is held against this content.
    pub(crate) fn forgive(&mut self, sha256: &str) {
        if self.poison.forgive(sha256) {
            self.journal.note(Entry::Poison { sha256: sha256.into(), deaths: 0 });
        }
    }

    /// Fails the waiting jobs whose content is not to be executed any more.
    pub(crate) fn reject_poisoned(&mut self) {
        let is_poisoned = |id: &JobId| {
            let entry = self.jobs.get(id);
            entry.is_some_and(|entry| self.poison.is_poisoned(&entry.job.upload.sha256))
        };
        let spent: Vec<_> = self.queue.iter().filter(is_poisoned).collect();
        for id in &spent {
            self.queue.remove(*id);
            self.change(*id, JobEvent::Failed(known_to_fail()));
        }
        if !spent.is_empty() {
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
