//! Content that ended its workers: told by attempts, held against the jobs that bring it again.
//!
//! Part of the dispatcher's loop; what is counted and how often it may be is `poison`'s.

use super::desk::Desk;
use super::shift::Ending;
use crate::job::{Event, JobError, JobId};
use crate::journal::Entry;
use crate::worker::obituary::End;

impl Desk {
    /// Whose turn it is: the head of the queue, unless as many workers are on its content as may
    /// be lost to it. Then whoever comes next brings other content.
    pub(super) fn next_in_turn(&self) -> Option<JobId> {
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
    pub(super) fn learn_of_content(&mut self, sha256: &str, ending: &Ending) {
        if ending.end == End::Done {
            self.forgive(sha256);
        } else if ending.end.is_fatal()
            && ending.sandbox.is_some()
            && let Some(deaths) = self.poison.died(sha256)
        {
            self.journal.note(Entry::Poison { sha256: sha256.into(), deaths });
        }
    }

    /// Forgets what is held against this content.
    pub(super) fn forgive(&mut self, sha256: &str) {
        if self.poison.forgive(sha256) {
            self.journal.note(Entry::Poison { sha256: sha256.into(), deaths: 0 });
        }
    }

    /// Fails the waiting jobs whose content is not to be executed any more.
    pub(super) fn turn_away_spent(&mut self) {
        let is_spent = |id: &JobId| {
            let entry = self.jobs.get(id);
            entry.is_some_and(|entry| self.poison.is_spent(&entry.job.upload.sha256))
        };
        let spent: Vec<_> = self.queue.iter().filter(is_spent).collect();
        for id in &spent {
            self.queue.remove(*id);
            self.change(*id, Event::Failed(known_to_fail()));
        }
        if !spent.is_empty() {
            self.queue_moved();
        }
    }
}

fn known_to_fail() -> JobError {
    JobError {
        code: "known_to_fail".into(),
        sentence: "This very video ended its worker twice before, so it is not tried again; \
                   re-encode it with another program, or ask the operator to allow another try."
            .into(),
    }
}
