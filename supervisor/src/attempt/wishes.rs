//! What is wanted of an attempt from outside: the job, if it comes later than the worker, and an
//! end before its time. Read by `drive` alone.

use super::{Order, Stop};
use std::convert::Infallible;
use std::future::pending;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

/// The ways in which the supervisor learns what is wanted of an attempt.
#[derive(Debug)]
pub(super) struct Wishes {
    order: oneshot::Receiver<Order>,
    stop: oneshot::Receiver<Stop>,
    lost_interest: oneshot::Receiver<Infallible>,
}

/// What is wanted.
#[derive(Debug)]
pub(super) enum Wish {
    /// That it does this job.
    Work(Order),
    /// That it ends.
    Stop(Stop),
}

impl Wishes {
    /// `lost_interest` ends when the caller no longer waits.
    pub(super) const fn new(
        order: oneshot::Receiver<Order>,
        stop: oneshot::Receiver<Stop>,
        lost_interest: oneshot::Receiver<Infallible>,
    ) -> Self {
        Self { order, stop, lost_interest }
    }

    /// What is known when the worker is born. That there will be no job is heard only once: here,
    /// or as the next wish.
    pub(super) fn at_birth(&mut self) -> Option<Wish> {
        match self.order.try_recv() {
            Ok(order) => Some(Wish::Work(order)),
            Err(TryRecvError::Closed) => Some(Wish::Stop(Stop::Cancelled)),
            Err(TryRecvError::Empty) => None,
        }
    }

    /// The next wish; waits for ever where there will be none.
    pub(super) async fn next(&mut self) -> Wish {
        loop {
            tokio::select! {
                order = &mut self.order, if !self.order.is_terminated() => {
                    // Without a sender there will never be a job for it.
                    return order.map_or(Wish::Stop(Stop::Cancelled), Wish::Work);
                }
                stop = &mut self.stop, if !self.stop.is_terminated() => {
                    if let Ok(stop) = stop {
                        return Wish::Stop(stop);
                    }
                }
                _ = &mut self.lost_interest, if !self.lost_interest.is_terminated() => {
                    return Wish::Stop(Stop::Shutdown);
                }
                else => pending().await,
            }
        }
    }
}
