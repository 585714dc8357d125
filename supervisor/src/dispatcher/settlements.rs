//! The changes of jobs that a shared journal has not answered yet.
//!
//! Owned by the dispatcher's loop; [`crate::dispatcher::settlement`] sends them and handles the answers.

use crate::dispatcher::RemoveReply;
use crate::dispatcher::running::Waiters;
use crate::policy::job::{JobId, Revision};
use crate::policy::queue::Place;
use crate::store::{AttemptFolder, JobRow, JournalError};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long a service that stops waits for the journal.
const CLOSE_WITHIN: Duration = Duration::from_secs(8);

/// A change that the journal has written or refused.
pub(crate) struct Settled {
    pub(crate) id: JobId,
    pub(crate) change: Change,
    pub(crate) written: Result<(), Arc<JournalError>>,
}

pub(crate) enum Change {
    /// The job in its new state.
    State { row: Box<JobRow>, place: Option<Place>, shared: Option<SharedResults> },
    /// The end of the claim of a lost host, which has this revision.
    Takeover { revision: Revision },
    /// That the video of a failed job is to be removed, as this revision.
    Video { revision: Revision, why: &'static str },
    /// The removal of the job.
    Removal { why: &'static str, reply: Option<RemoveReply> },
}

/// Results in the store that hosts share.
pub(crate) struct SharedResults {
    pub(crate) folder: Arc<AttemptFolder>,
    pub(crate) claim: u32,
}

/// The changes that the journal has not answered yet.
#[derive(Default)]
pub(crate) struct Settlements {
    pub(crate) tasks: JoinSet<Settled>,
    /// The jobs whose state changes, and who waits for that.
    pub(crate) waiters: HashMap<JobId, Waiters>,
    /// Since when the service waits for nothing else.
    closing: Option<Instant>,
}

impl Settlements {
    /// Whether a service that stops has to wait for one.
    pub(crate) fn are_awaited(&mut self, is_closing: bool) -> bool {
        let since = is_closing.then(|| *self.closing.get_or_insert_with(Instant::now));
        !self.tasks.is_empty() && since.is_none_or(|since| since.elapsed() < CLOSE_WITHIN)
    }

    /// Waits for the next; none if there is none.
    pub(crate) async fn next(&mut self) -> Option<Settled> {
        match self.tasks.join_next().await? {
            Ok(settled) => Some(settled),
            Err(error) => {
                tracing::error!(%error, "a change of a job failed: internal error");
                None
            }
        }
    }

    /// Who waits for the change of a job, if it is being changed.
    pub(crate) fn waiters(&mut self, id: JobId) -> Option<&mut Waiters> {
        self.waiters.get_mut(&id)
    }
}
