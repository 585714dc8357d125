//! The jobs that the monitor shows: those in progress, the head of the queue and the latest ended.
//!
//! Its cost does not grow with the number of stored jobs.

use crate::dispatcher::state::State;
use crate::dispatcher::status::Status;
use crate::policy::job::JobId;

/// Maximum number of queued jobs shown; [`crate::dispatcher::Counts`] has the total.
const PENDING_MAX: usize = 100;

/// Jobs that the monitor shows.
#[derive(Debug)]
pub(crate) struct Recent {
    /// In progress, oldest first.
    pub processing: Vec<Status>,
    /// Queued, next first, at most [`PENDING_MAX`].
    pub pending: Vec<Status>,
    /// Ended, latest first.
    pub ended: Vec<Status>,
}

impl State {
    pub(crate) fn recent(&self, ended_max: usize) -> Recent {
        let statuses = |ids: Vec<JobId>| ids.into_iter().filter_map(|id| self.status(id)).collect();
        let mut processing: Vec<Status> =
            statuses(self.scheduler.running().iter().map(|(id, _)| id).collect());
        processing.sort_by_key(|status| (status.started_at, status.created_at));
        Recent {
            processing,
            pending: statuses(self.scheduler.queue().iter().take(PENDING_MAX).collect()),
            ended: statuses(self.jobs.latest_ended().take(ended_max).collect()),
        }
    }
}
