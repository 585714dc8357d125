//! What is wanted of an attempt from outside: the job, if it comes later than the worker, and an
//! end before its time. Read by `drive` alone.

use crate::runner::attempt::{Assignment, Stop};
use std::convert::Infallible;
use std::future::pending;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

/// The ways in which the supervisor learns what is wanted of an attempt.
#[derive(Debug)]
pub(crate) struct Control {
    assignment: oneshot::Receiver<Assignment>,
    stop: oneshot::Receiver<Stop>,
    lost_interest: oneshot::Receiver<Infallible>,
}

/// What is wanted.
#[derive(Debug)]
pub(crate) enum ControlEvent {
    /// That it does this job.
    Work(Assignment),
    /// That it ends.
    Stop(Stop),
}

impl Control {
    /// `lost_interest` ends when the caller no longer waits.
    pub(crate) const fn new(
        assignment: oneshot::Receiver<Assignment>,
        stop: oneshot::Receiver<Stop>,
        lost_interest: oneshot::Receiver<Infallible>,
    ) -> Self {
        Self { assignment, stop, lost_interest }
    }

    /// What is known when the worker is born. That there will be no job is heard only once: here,
    /// or as the next wish.
    pub(crate) fn at_birth(&mut self) -> Option<ControlEvent> {
        match self.assignment.try_recv() {
            Ok(assignment) => Some(ControlEvent::Work(assignment)),
            Err(TryRecvError::Closed) => Some(ControlEvent::Stop(Stop::Cancelled)),
            Err(TryRecvError::Empty) => None,
        }
    }

    /// The next wish; waits for ever where there will be none.
    pub(crate) async fn next(&mut self) -> ControlEvent {
        loop {
            tokio::select! {
                assignment = &mut self.assignment, if !self.assignment.is_terminated() => {
                    // Without a sender there will never be a job for it.
                    return assignment.map_or(ControlEvent::Stop(Stop::Cancelled), ControlEvent::Work);
                }
                stop = &mut self.stop, if !self.stop.is_terminated() => {
                    if let Ok(stop) = stop {
                        return ControlEvent::Stop(stop);
                    }
                }
                _ = &mut self.lost_interest, if !self.lost_interest.is_terminated() => {
                    return ControlEvent::Stop(Stop::Shutdown);
                }
                else => pending().await,
            }
        }
    }
}
