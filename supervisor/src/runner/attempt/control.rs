//! What the caller sends to an attempt: its job, if it comes later than the worker, and a stop.
//! Read by `drive` alone.

use crate::runner::attempt::{Assignment, Stop};
use std::convert::Infallible;
use std::future::pending;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

/// The receiving ends of the caller's channels.
#[derive(Debug)]
pub(crate) struct Control {
    assignment: oneshot::Receiver<Assignment>,
    stop: oneshot::Receiver<Stop>,
    caller_gone: oneshot::Receiver<Infallible>,
}

/// An instruction of the caller.
#[derive(Debug)]
pub(crate) enum ControlEvent {
    /// Run this job.
    Assign(Box<Assignment>),
    /// End the worker.
    Stop(Stop),
}

impl Control {
    /// `caller_gone` closes when the caller no longer waits.
    pub(crate) const fn new(
        assignment: oneshot::Receiver<Assignment>,
        stop: oneshot::Receiver<Stop>,
        caller_gone: oneshot::Receiver<Infallible>,
    ) -> Self {
        Self { assignment, stop, caller_gone }
    }

    /// What is known when the worker is spawned. A dropped assignment sender is reported once:
    /// here, or by [`Control::next`].
    pub(crate) fn initial_event(&mut self) -> Option<ControlEvent> {
        match self.assignment.try_recv() {
            Ok(assignment) => Some(ControlEvent::Assign(Box::new(assignment))),
            Err(TryRecvError::Closed) => Some(ControlEvent::Stop(Stop::Cancelled)),
            Err(TryRecvError::Empty) => None,
        }
    }

    /// The next event; waits forever if there can be none.
    pub(crate) async fn next(&mut self) -> ControlEvent {
        loop {
            tokio::select! {
                assignment = &mut self.assignment, if !self.assignment.is_terminated() => {
                    // Without a sender there will never be a job.
                    let none = ControlEvent::Stop(Stop::Cancelled);
                    return assignment.map(Box::new).map_or(none, ControlEvent::Assign);
                }
                stop = &mut self.stop, if !self.stop.is_terminated() => {
                    if let Ok(stop) = stop {
                        return ControlEvent::Stop(stop);
                    }
                }
                _ = &mut self.caller_gone, if !self.caller_gone.is_terminated() => {
                    return ControlEvent::Stop(Stop::Shutdown);
                }
                else => pending().await,
            }
        }
    }
}
