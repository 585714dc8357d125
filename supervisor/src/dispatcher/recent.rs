//! What somebody who watches the service wants of the jobs: those under way and the latest ends.
//!
//! Its cost does not grow with the jobs that are remembered but for one look at each.

use super::desk::Desk;
use crate::job::JobId;
use crate::status::Status;
use std::cmp::Reverse;

/// Jobs worth watching.
#[derive(Debug)]
pub struct Recent {
    /// With a worker, oldest first.
    pub processing: Vec<Status>,
    /// In the queue, next first.
    pub pending: Vec<Status>,
    /// Over, latest end first.
    pub ended: Vec<Status>,
}

impl Desk {
    pub(super) fn recent(&self, ended_max: usize) -> Recent {
        let statuses = |ids: Vec<JobId>| ids.into_iter().filter_map(|id| self.status(id)).collect();
        let mut ended: Vec<_> = self
            .jobs
            .iter()
            .filter_map(|(id, entry)| Some((entry.job.state().completed_at()?, *id)))
            .collect();
        ended.sort_unstable_by_key(|end| Reverse(*end));
        ended.truncate(ended_max);
        let mut processing: Vec<Status> = statuses(self.running.keys().copied().collect());
        processing.sort_by_key(|status| (status.started_at, status.created_at));
        Recent {
            processing,
            pending: statuses(self.queue.iter().collect()),
            ended: statuses(ended.into_iter().map(|(_, id)| id).collect()),
        }
    }
}
