//! What somebody who watches the service wants of the jobs: those under way, those whose turn is
//! next and the latest ends.
//!
//! Its cost does not grow with the jobs that are remembered.

use crate::dispatcher::state::State;
use crate::dispatcher::status::Status;
use crate::policy::job::JobId;

/// Waiting jobs that are shown; how many there are is told by [`crate::dispatcher::Counts`].
const PENDING_MAX: usize = 100;

/// Jobs worth watching.
#[derive(Debug)]
pub(crate) struct Recent {
    /// With a worker, oldest first.
    pub processing: Vec<Status>,
    /// In the queue, next first; of many the first.
    pub pending: Vec<Status>,
    /// Over, latest end first.
    pub ended: Vec<Status>,
}

impl State {
    pub(crate) fn recent(&self, ended_max: usize) -> Recent {
        let statuses = |ids: Vec<JobId>| ids.into_iter().filter_map(|id| self.status(id)).collect();
        let mut processing: Vec<Status> = statuses(self.running.keys().copied().collect());
        processing.sort_by_key(|status| (status.started_at, status.created_at));
        Recent {
            processing,
            pending: statuses(self.queue.iter().take(PENDING_MAX).collect()),
            ended: statuses(self.ended.iter().rev().take(ended_max).map(|(_, id)| *id).collect()),
        }
    }
}
