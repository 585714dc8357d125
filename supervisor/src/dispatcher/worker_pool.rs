//! Workers that are started before there is a job for them: the models loaded, the sandbox closed,
//! the cap of each reserved in the budget.
//!
//! Part of the dispatcher's loop. A worker that stands by gets one job, like any other, and is
//! never in the way of one: it is let go where a job needs its memory, where the host is short of
//! it, and at every reload.

use crate::dispatcher::RunningAttempt;
use crate::dispatcher::breaker::Breaker;
use crate::runner::attempt::exit_report::Stop;
use crate::runner::attempt::{Assignment, Live};
use serde::Serialize;
use std::future::pending;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// How long a job has the processors to itself before the worker that it took is replaced. The
/// start of the next one takes about as much of them as a short job, which is over by then.
const REPLACED_AFTER: Duration = Duration::from_millis(100);

/// A worker that waits for a job, as operators see it.
#[derive(Debug, Clone, Copy, Serialize, utoipa::ToSchema)]
pub(crate) struct Standby {
    /// Its process id, once it is born.
    pub pid: Option<i32>,
    /// Whether it has loaded the models and closed its sandbox.
    pub is_ready: bool,
    /// Resident memory, in bytes.
    pub rss_bytes: u64,
    /// Its cap, in bytes.
    pub cap_bytes: u64,
}

/// A worker without a job, and the lines to it.
pub(crate) struct PooledWorker {
    pub(crate) assignment: oneshot::Sender<Assignment>,
    pub(crate) live: watch::Receiver<Live>,
    pub(crate) stop: oneshot::Sender<Stop>,
    pub(crate) memory_bytes_max: u64,
    /// Whether it was set going before there was a job for it.
    pub(crate) is_standby: bool,
    /// Its life. It is born when this is awaited for the first time.
    pub(crate) attempt: RunningAttempt,
}

/// The workers that wait for a job.
#[derive(Default)]
pub(crate) struct WorkerPool {
    waiting: Vec<PooledWorker>,
    /// When a job last took one.
    hired: Option<Instant>,
    /// Those that were let go, with the caps that are free once they are gone.
    leaving: JoinSet<u64>,
    leaving_bytes: u64,
    /// Pauses after deaths without a job. Apart from the breaker of the jobs, which no rehearsal
    /// holds up.
    breaker: Breaker,
}

impl WorkerPool {
    /// How many wait.
    pub(crate) const fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing is left, of those that were let go neither.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.leaving.is_empty()
    }

    /// Memory promised to them, in bytes.
    pub(crate) fn reserved_bytes(&self) -> u64 {
        self.waiting_bytes() + self.leaving_bytes
    }

    fn waiting_bytes(&self) -> u64 {
        self.waiting.iter().map(|hand| hand.memory_bytes_max).sum()
    }

    /// Those that wait, as others see them.
    pub(crate) fn list(&self) -> Vec<Standby> {
        let seen = |hand: &PooledWorker| {
            let live = hand.live.borrow();
            let rss_bytes = live.rss_bytes;
            Standby {
                pid: live.pid,
                is_ready: is_ready(hand),
                rss_bytes,
                cap_bytes: hand.memory_bytes_max,
            }
        };
        self.waiting.iter().map(seen).collect()
    }

    /// The worker with this cap that waits for the longest. One that is not ready yet may fail
    /// or hang in its rehearsal, and is no sooner than a new one: it is left alone.
    pub(crate) fn checkout(&mut self, memory_bytes_max: u64) -> Option<PooledWorker> {
        let fits = |hand: &PooledWorker| {
            hand.memory_bytes_max == memory_bytes_max && is_ready(hand) && !is_over(hand)
        };
        let place = self.waiting.iter().position(fits)?;
        self.hired = Some(Instant::now());
        Some(self.waiting.remove(place))
    }

    pub(crate) fn may_be_replaced(&self) -> bool {
        self.hired.is_none_or(|hired| hired.elapsed() >= REPLACED_AFTER)
    }

    /// Lets go as many as it takes to free so much memory, or all. Those that leave already count.
    pub(crate) fn release_memory(&mut self, bytes: u64) {
        while self.leaving_bytes < bytes {
            let Some(hand) = self.waiting.pop() else { return };
            self.release(hand);
        }
    }

    /// Lets all of them go.
    pub(crate) fn release_all(&mut self) {
        self.release_memory(u64::MAX);
    }

    fn release(
        &mut self,
        PooledWorker { assignment, attempt, memory_bytes_max, .. }: PooledWorker,
    ) {
        // A worker that can never get a job ends.
        drop(assignment);
        self.leaving_bytes += memory_bytes_max;
        self.leaving.spawn(async move {
            attempt.await;
            memory_bytes_max
        });
    }

    /// Adds a worker that was not started for a job, and starts it.
    pub(crate) fn add(&mut self, worker: PooledWorker) {
        let attempt = start_in_background(worker.attempt);
        self.waiting.push(PooledWorker { attempt, is_standby: true, ..worker });
    }

    /// Whether the pause after failed starts allows one more worker in the pool.
    pub(crate) fn may_grow(&self, workers: usize, now: Instant) -> bool {
        self.breaker.attempts_max(workers, now) > self.len()
    }

    /// Removes workers that have exited; whether one has become ready since the last call.
    pub(crate) fn poll(&mut self) -> bool {
        let Self { waiting, breaker, .. } = self;
        let mut became_ready = false;
        waiting.retain_mut(|worker| {
            if is_over(worker) {
                // The pause is for one that exits again and again.
                breaker.failed(Instant::now());
                return false;
            }
            let is_news = worker.live.has_changed().unwrap_or(false);
            if is_news && worker.live.borrow_and_update().sandbox.is_some() {
                breaker.succeeded();
                became_ready = true;
            }
            true
        });
        became_ready
    }

    /// Waits until one that was let go is gone; none where there is none.
    pub(crate) async fn gone(&mut self) -> Option<()> {
        let bytes = self.leaving.join_next().await?.unwrap_or_else(|error| {
            std::panic::resume_unwind(error.into_panic());
        });
        self.leaving_bytes -= bytes;
        Some(())
    }
}

fn is_ready(hand: &PooledWorker) -> bool {
    hand.live.borrow().sandbox.is_some()
}

fn is_over(hand: &PooledWorker) -> bool {
    hand.live.has_changed().is_err()
}

/// Has it live without being awaited. It still ends if nobody is interested any more.
fn start_in_background(attempt: RunningAttempt) -> RunningAttempt {
    let task = AbortOnDropHandle::new(tokio::spawn(attempt));
    Box::pin(async move {
        match task.await.map_err(JoinError::try_into_panic) {
            Ok(exit_report) => exit_report,
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            // The runtime ends, and with it whoever waits for this.
            Err(Err(_)) => pending().await,
        }
    })
}
