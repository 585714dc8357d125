//! Standby workers, started before there is a job for them: the models are loaded, the sandbox is
//! locked down, and the cap of each is reserved in the budget.
//!
//! Part of the dispatcher's loop. A standby worker processes one job, like any other worker. It is
//! released when a job needs its memory, when the host is low on memory, and at every reload.

use crate::dispatcher::RunningAttempt;
use crate::dispatcher::attempt_task::WorkerHandle;
use crate::dispatcher::breaker::Breaker;
use crate::runner::attempt::exit_report::Stop;
use bodyscript_protocol::options::LandmarkModel;
use serde::Serialize;
use std::future::pending;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// Delay before a standby worker that has taken a job is replaced. The start of a worker needs
/// about as much processor time as a short job, which has ended by then.
const REPLACED_AFTER: Duration = Duration::from_millis(100);

/// A standby worker, for operators.
#[derive(Debug, Clone, Copy, Serialize, utoipa::ToSchema)]
pub(crate) struct Standby {
    /// Process id, once it is spawned.
    pub pid: Option<i32>,
    /// Whether it has loaded the models and locked down its sandbox.
    pub is_ready: bool,
    /// Resident memory in bytes.
    pub rss_bytes: u64,
    /// Memory cap in bytes.
    pub cap_bytes: u64,
}

/// A worker without a job, and the channels to it.
pub(crate) struct PooledWorker {
    pub(crate) handle: WorkerHandle,
    pub(crate) stop: oneshot::Sender<Stop>,
    pub(crate) memory_bytes_max: u64,
}

/// The standby workers.
#[derive(Default)]
pub(crate) struct WorkerPool {
    idle: Vec<PooledWorker>,
    /// When a job last took a worker.
    last_checkout: Option<Instant>,
    /// Released workers that have not exited yet, with their caps.
    released: JoinSet<u64>,
    released_bytes: u64,
    /// Pauses starts after standby workers exit. Separate from the breaker of the jobs, which
    /// failed warm-ups must not delay.
    breaker: Breaker,
}

impl WorkerPool {
    /// Number of standby workers.
    pub(crate) const fn len(&self) -> usize {
        self.idle.len()
    }

    /// Whether neither standby nor released workers are left.
    pub(crate) fn is_empty(&self) -> bool {
        self.idle.is_empty() && self.released.is_empty()
    }

    /// Memory reserved by standby and released workers, in bytes.
    pub(crate) fn reserved_bytes(&self) -> u64 {
        let idle_bytes: u64 = self.idle.iter().map(|worker| worker.memory_bytes_max).sum();
        idle_bytes + self.released_bytes
    }

    /// The standby workers, for operators.
    pub(crate) fn list(&self) -> Vec<Standby> {
        let standby = |worker: &PooledWorker| {
            let live = worker.handle.live.borrow();
            let rss_bytes = live.rss_bytes;
            Standby {
                pid: live.pid,
                is_ready: is_ready(worker),
                rss_bytes,
                cap_bytes: worker.memory_bytes_max,
            }
        };
        self.idle.iter().map(standby).collect()
    }

    /// Takes the oldest ready worker with this cap, for a job with the default model: all of them have that
    /// loaded. One that is not ready is left: its warm-up may fail, and it would not be ready sooner than a new
    /// worker.
    pub(crate) fn checkout(
        &mut self,
        memory_bytes_max: u64,
        model: LandmarkModel,
    ) -> Option<PooledWorker> {
        if model != LandmarkModel::default() {
            return None;
        }
        let fits = |worker: &PooledWorker| {
            worker.memory_bytes_max == memory_bytes_max && is_ready(worker) && !is_over(worker)
        };
        let index = self.idle.iter().position(fits)?;
        self.last_checkout = Some(Instant::now());
        Some(self.idle.remove(index))
    }

    pub(crate) fn may_be_replaced(&self) -> bool {
        self.last_checkout.is_none_or(|last| last.elapsed() >= REPLACED_AFTER)
    }

    /// Releases workers until this much memory will be free; counts those already released.
    pub(crate) fn release_memory(&mut self, bytes: u64) {
        while self.released_bytes < bytes {
            let Some(worker) = self.idle.pop() else { return };
            self.release(worker);
        }
    }

    /// Releases all workers.
    pub(crate) fn release_all(&mut self) {
        self.release_memory(u64::MAX);
    }

    fn release(&mut self, PooledWorker { handle, memory_bytes_max, .. }: PooledWorker) {
        let WorkerHandle { assignment, attempt, .. } = handle;
        // Closing the channel makes a worker without a job exit.
        drop(assignment);
        self.released_bytes += memory_bytes_max;
        self.released.spawn(async move {
            attempt.await;
            memory_bytes_max
        });
    }

    /// Adds a standby worker and starts it.
    pub(crate) fn add(&mut self, worker: PooledWorker) {
        let PooledWorker { handle, stop, memory_bytes_max } = worker;
        let attempt = start_in_background(handle.attempt);
        let handle = WorkerHandle { attempt, is_standby: true, ..handle };
        self.idle.push(PooledWorker { handle, stop, memory_bytes_max });
    }

    /// Whether the pause after failed starts allows one more worker in the pool.
    pub(crate) fn may_grow(&self, workers: usize, now: Instant) -> bool {
        self.breaker.attempts_max(workers, now) > self.len()
    }

    /// Removes workers that have exited; returns whether one has become ready since the last call.
    pub(crate) fn poll(&mut self) -> bool {
        let Self { idle, breaker, .. } = self;
        let mut became_ready = false;
        idle.retain_mut(|worker| {
            if is_over(worker) {
                // Exits count as failures, so that repeated ones are followed by a pause.
                breaker.failed(Instant::now());
                return false;
            }
            let live = &mut worker.handle.live;
            if live.has_changed().unwrap_or(false) && live.borrow_and_update().sandbox.is_some() {
                breaker.succeeded();
                became_ready = true;
            }
            true
        });
        became_ready
    }

    /// Waits until a released worker has exited; `None` if there is none.
    pub(crate) async fn next_exited(&mut self) -> Option<()> {
        let bytes = self.released.join_next().await?.unwrap_or_else(|error| {
            std::panic::resume_unwind(error.into_panic());
        });
        self.released_bytes -= bytes;
        Some(())
    }
}

fn is_ready(worker: &PooledWorker) -> bool {
    worker.handle.live.borrow().sandbox.is_some()
}

fn is_over(worker: &PooledWorker) -> bool {
    worker.handle.live.has_changed().is_err()
}

/// Runs the attempt as a task; it is aborted when the returned future is dropped.
fn start_in_background(attempt: RunningAttempt) -> RunningAttempt {
    let task = AbortOnDropHandle::new(tokio::spawn(attempt));
    Box::pin(async move {
        match task.await.map_err(JoinError::try_into_panic) {
            Ok(exit_report) => exit_report,
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            // The task was aborted because the runtime is shutting down.
            Err(Err(_)) => pending().await,
        }
    })
}
