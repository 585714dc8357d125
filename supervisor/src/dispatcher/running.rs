//! The attempts in progress: what is known of each, how to stop it, and who waits for its end.
//!
//! Owned by the scheduler. A worker's memory counts as reserved until its attempt has ended.

use crate::dispatcher::attempt_task::AttemptResult;
use crate::dispatcher::{Cancelled, RemoveReply};
use crate::policy::job::JobId;
use crate::policy::queue::Place;
use crate::runner::attempt::exit_report::Stop;
use crate::runner::attempt::{CapRequest, Live, PoseLog};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};
use tokio::sync::{oneshot, watch};
use tokio::task::{self, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// An attempt in progress.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) live: watch::Receiver<Live>,
    /// The poses found so far, once there is a file for them.
    pub(crate) poses: Arc<OnceLock<PoseLog>>,
    pub(crate) stop: Option<oneshot::Sender<Stop>>,
    pub(crate) memory_bytes_max: u64,
    /// The number of this start of the job.
    pub(crate) claim: u32,
    /// The place of the job in the queue, should it be queued again.
    pub(crate) place: Place,
    /// Ends the wait for a shared store that does not take the results.
    pub(crate) give_up: CancellationToken,
    /// When the other hosts were last told of its progress.
    pub(crate) told_at: Option<Instant>,
    /// Set once a cancellation or removal waits for the attempt to end.
    pub(crate) waiters: Option<Waiters>,
}

/// Callers that wait for the end of an attempt.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    pub(crate) cancel: Vec<oneshot::Sender<Option<Cancelled>>>,
    pub(crate) remove: Vec<RemoveReply>,
}

/// An attempt that has ended; an error is a bug in its task.
#[derive(Debug)]
pub(crate) struct AttemptExit {
    pub(crate) id: JobId,
    pub(crate) running: Running,
    pub(crate) result: Result<AttemptResult, JoinError>,
}

/// What happens to a worker.
#[derive(Debug)]
pub(crate) enum WorkerEvent {
    /// It is gone; it ran an attempt.
    AttemptExit(Box<AttemptExit>),
    /// It is gone; it was a standby worker.
    StandbyExit,
    /// Its video needs a higher memory cap.
    CapRequest(CapRequest),
}

/// All attempts in progress.
#[derive(Debug, Default)]
pub(crate) struct RunningAttempts {
    by_job: BTreeMap<JobId, Running>,
    tasks: JoinSet<AttemptResult>,
    jobs: HashMap<task::Id, JobId>,
}

impl Running {
    pub(crate) fn send_stop(&mut self, why: Stop) {
        self.give_up.cancel();
        if let Some(stop) = self.stop.take() {
            // An error means that the attempt has just ended by itself.
            let _ = stop.send(why);
        }
    }

    /// Stops an attempt whose results would be refused.
    pub(crate) fn fence(&mut self) {
        self.send_stop(Stop::Operator);
    }

    /// Stops the attempt for good and returns its waiters, so that the caller can add one.
    pub(crate) fn end(&mut self, why: Stop) -> &mut Waiters {
        self.send_stop(why);
        self.waiters.get_or_insert_default()
    }
}

impl RunningAttempts {
    /// Starts the task of an attempt.
    pub(crate) fn spawn(
        &mut self,
        id: JobId,
        running: Running,
        work: impl Future<Output = AttemptResult> + Send + 'static,
    ) {
        let task = self.tasks.spawn(work);
        self.jobs.insert(task.id(), id);
        self.by_job.insert(id, running);
    }

    /// Waits until an attempt has ended; none if there is none.
    pub(crate) async fn next_exit(&mut self) -> Option<AttemptExit> {
        let (task, result) = match self.tasks.join_next_with_id().await? {
            Ok((task, finished)) => (task, Ok(finished)),
            Err(error) => (error.id(), Err(error)),
        };
        let id = self.jobs.remove(&task)?;
        let running = self.by_job.remove(&id)?;
        Some(AttemptExit { id, running, result })
    }

    pub(crate) fn get(&self, id: JobId) -> Option<&Running> {
        self.by_job.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: JobId) -> Option<&mut Running> {
        self.by_job.get_mut(&id)
    }

    /// The attempts by the ids of their jobs.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (JobId, &Running)> {
        self.by_job.iter().map(|(id, running)| (*id, running))
    }

    /// The same, to be changed.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (JobId, &mut Running)> {
        self.by_job.iter_mut().map(|(id, running)| (*id, running))
    }

    /// Number of attempts.
    pub(crate) fn len(&self) -> usize {
        self.by_job.len()
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_job.is_empty()
    }

    /// Memory reserved by their workers, in bytes.
    pub(crate) fn reserved_bytes(&self) -> u64 {
        self.by_job.values().map(|running| running.memory_bytes_max).sum()
    }
}
