//! Counts crashes by content, and fails the jobs whose content has crashed too many workers.
//!
//! Part of the dispatcher's loop; `policy::poison` decides how many crashes are allowed.

use crate::dispatcher::state::State;
use crate::policy::job::{JobError, JobEvent, JobId};
use crate::runner::attempt::exit_report::{ExitReason, ExitReport};
use crate::store::JournalEntry;

impl State {
    /// Records the end of an attempt for its content. A worker that never became ready has not read
    /// the video.
    pub(crate) fn record_poison(&mut self, execution: &str, exit_report: &ExitReport) {
        let ExitReport { end, evidence, .. } = exit_report;
        if *end == ExitReason::Done {
            self.clear_poison(execution);
        } else if end.is_fatal()
            && evidence.sandbox.is_some()
            && let Some(crashes) = self.poison.record_crash(execution)
        {
            self.journal.append(JournalEntry::Poison { execution: execution.into(), crashes });
        }
    }

    fn clear_poison(&mut self, execution: &str) {
        if self.poison.clear(execution) {
            self.journal.append(JournalEntry::Poison { execution: execution.into(), crashes: 0 });
        }
    }

    /// Clears the crash counts of the content of this execution.
    pub(crate) fn clear_content(&mut self, execution: &str) {
        for execution in self.poison.executions_of(execution) {
            self.clear_poison(&execution);
        }
    }

    /// Fails the queued jobs whose content has reached the limit of crashes.
    pub(crate) fn reject_poisoned(&mut self) {
        let is_poisoned = |id: &JobId| {
            let job = self.jobs.get(*id);
            job.is_some_and(|job| self.poison.is_poisoned(&job.upload.execution()))
        };
        let poisoned: Vec<_> = self.scheduler.queue().iter().filter(is_poisoned).collect();
        for id in &poisoned {
            self.scheduler.dequeue(*id);
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
