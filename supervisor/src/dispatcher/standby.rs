//! Workers that are started before there is a job for them: the models loaded, the sandbox closed,
//! the cap of each reserved in the budget.
//!
//! Part of the dispatcher's loop. A worker that stands by gets one job, like any other, and is
//! never in the way of one: it is let go where a job needs its memory, where the host is short of
//! it, and at every reload.

use super::RunningAttempt;
use super::breaker::Breaker;
use super::desk::{Desk, Opening};
use crate::attempt::{Birth, Lines, Live, Order, Stop};
use serde::Serialize;
use std::future::pending;
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinError, JoinSet};
use tokio_util::task::AbortOnDropHandle;

/// How long a job has the processors to itself before the worker that it took is replaced. The
/// start of the next one takes about as much of them as a short job, which is over by then.
const REPLACED_AFTER: Duration = Duration::from_millis(100);

/// A worker that waits for a job, as operators see it.
#[derive(Debug, Clone, Copy, Serialize, utoipa::ToSchema)]
pub struct Standby {
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
pub(super) struct Hand {
    pub(super) order: oneshot::Sender<Order>,
    pub(super) live: watch::Receiver<Live>,
    pub(super) stop: oneshot::Sender<Stop>,
    pub(super) memory_bytes_max: u64,
    /// Whether it was set going before there was a job for it.
    pub(super) is_standby: bool,
    /// Its life. It is born when this is awaited for the first time.
    pub(super) attempt: RunningAttempt,
}

/// The workers that wait for a job.
#[derive(Default)]
pub(super) struct Standbys {
    waiting: Vec<Hand>,
    /// When a job last took one.
    hired: Option<Instant>,
    /// Those that were let go, with the caps that are free once they are gone.
    leaving: JoinSet<u64>,
    leaving_bytes: u64,
    /// Pauses after deaths without a job. Apart from the breaker of the jobs, which no rehearsal
    /// holds up.
    breaker: Breaker,
}

impl Standbys {
    /// How many wait.
    pub(super) const fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing is left, of those that were let go neither.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.leaving.is_empty()
    }

    /// Memory promised to them, in bytes.
    pub(super) fn reserved_bytes(&self) -> u64 {
        self.waiting_bytes() + self.leaving_bytes
    }

    fn waiting_bytes(&self) -> u64 {
        self.waiting.iter().map(|hand| hand.memory_bytes_max).sum()
    }

    /// Those that wait, as others see them.
    pub(super) fn list(&self) -> Vec<Standby> {
        let seen = |hand: &Hand| {
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
    pub(super) fn hire(&mut self, memory_bytes_max: u64) -> Option<Hand> {
        let fits = |hand: &Hand| {
            hand.memory_bytes_max == memory_bytes_max && is_ready(hand) && !is_over(hand)
        };
        let place = self.waiting.iter().position(fits)?;
        self.hired = Some(Instant::now());
        Some(self.waiting.remove(place))
    }

    fn may_be_replaced(&self) -> bool {
        self.hired.is_none_or(|hired| hired.elapsed() >= REPLACED_AFTER)
    }

    /// Lets go as many as it takes to free so much memory, or all. Those that leave already count.
    pub(super) fn give_back(&mut self, bytes: u64) {
        while self.leaving_bytes < bytes {
            let Some(hand) = self.waiting.pop() else { return };
            self.let_go(hand);
        }
    }

    /// Lets all of them go.
    pub(super) fn dismiss(&mut self) {
        self.give_back(u64::MAX);
    }

    fn let_go(&mut self, Hand { order, attempt, memory_bytes_max, .. }: Hand) {
        // A worker that can never get a job ends.
        drop(order);
        self.leaving_bytes += memory_bytes_max;
        self.leaving.spawn(async move {
            attempt.await;
            memory_bytes_max
        });
    }

    /// Waits until one that was let go is gone; none where there is none.
    pub(super) async fn gone(&mut self) -> Option<()> {
        let bytes = self.leaving.join_next().await?.unwrap_or_else(|error| {
            std::panic::resume_unwind(error.into_panic());
        });
        self.leaving_bytes -= bytes;
        Some(())
    }
}

fn is_ready(hand: &Hand) -> bool {
    hand.live.borrow().sandbox.is_some()
}

fn is_over(hand: &Hand) -> bool {
    hand.live.has_changed().is_err()
}

impl Desk {
    /// A worker that is not born yet.
    pub(super) fn recruit(&self, name: String, memory_bytes_max: u64) -> Hand {
        let deadlines = self.config.deadlines;
        self.employ(Birth { name, memory_bytes_max, deadlines, warms_up: false })
    }

    fn employ(&self, birth: Birth) -> Hand {
        let (order, ordered) = oneshot::channel();
        let (live, watched) = watch::channel(Live::default());
        let (stop, stopped) = oneshot::channel();
        let memory_bytes_max = birth.memory_bytes_max;
        let attempt = (self.runner)(birth, Lines { order: ordered, live, stop: stopped });
        Hand { order, live: watched, stop, memory_bytes_max, is_standby: false, attempt }
    }

    /// Has as many workers stand by as there are to be, while nothing else wants their memory.
    pub(super) fn stand_by(&mut self) {
        if self.pressure.memory {
            self.standbys.dismiss();
        }
        let memory_bytes_max = self.config.worker_memory_bytes_max;
        while self.opening == Opening::Open
            && !self.pressure.memory
            && self.queue.is_empty()
            && (self.running.is_empty() || self.standbys.may_be_replaced())
            && self.standbys.len() < self.config.standby
            && self.may_start_another(Instant::now())
            && self.reserved_bytes() + memory_bytes_max <= self.config.memory_budget_bytes
        {
            let hand = self.employ(Birth {
                name: "standby".into(),
                memory_bytes_max,
                deadlines: self.config.deadlines,
                warms_up: true,
            });
            let attempt = set_going(hand.attempt);
            self.standbys.waiting.push(Hand { attempt, is_standby: true, ..hand });
        }
    }

    fn may_start_another(&self, now: Instant) -> bool {
        let breakers = [&self.breaker, &self.standbys.breaker];
        let most = |breaker: &Breaker| breaker.attempts_max(self.config.workers, now);
        breakers.into_iter().all(|breaker| most(breaker) > self.standbys.len())
    }

    /// Notices who has become ready, and who has died without having been asked to.
    pub(super) fn look_after_standbys(&mut self) {
        let Standbys { waiting, breaker, .. } = &mut self.standbys;
        waiting.retain_mut(|hand| {
            if is_over(hand) {
                // The pause is for one that dies again and again.
                breaker.failed(Instant::now());
                return false;
            }
            let is_news = hand.live.has_changed().unwrap_or(false);
            if is_news && hand.live.borrow_and_update().sandbox.is_some() {
                breaker.succeeded();
                self.breaker.succeeded();
            }
            true
        });
    }
}

/// Has it live without being awaited. It still ends if nobody is interested any more.
fn set_going(attempt: RunningAttempt) -> RunningAttempt {
    let task = AbortOnDropHandle::new(tokio::spawn(attempt));
    Box::pin(async move {
        match task.await.map_err(JoinError::try_into_panic) {
            Ok(obituary) => obituary,
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            // The runtime ends, and with it whoever waits for this.
            Err(Err(_)) => pending().await,
        }
    })
}
