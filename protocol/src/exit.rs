//! The exit status of a worker, as a contract: fixed numbers, one meaning each.
//!
//! The status repeats in one byte what the last message said in full, and stands in for it when
//! the message could not be sent. Numbers below 64 are left to shells and runtimes (a Rust panic
//! ends with 101, which means [`WorkerExit::Panic`]).

use thiserror::Error;

/// Why a worker exited by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum WorkerExit {
    /// All artefacts are complete and `Done` was sent.
    Done = 0,
    /// The video is at fault; `Failed` said how.
    BadInput = 64,
    /// A model file is missing, altered or unusable.
    Model = 65,
    /// The sandbox could not be closed as required.
    Sandbox = 66,
    /// The supervisor broke the protocol or speaks another version of it.
    Protocol = 67,
    /// An artefact could not be written.
    Output = 68,
    /// The media framework failed in a way that is not the video's fault.
    Media = 69,
    /// The supervisor asked for the end.
    Cancelled = 70,
    /// The supervisor's end of the pipe closed.
    Orphaned = 71,
    /// An allocation was refused: the memory limit of the process was reached.
    Memory = 72,
    /// A bug in the worker.
    Panic = 101,
}

/// A number that is no worker's exit status.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{0} is not an exit status of a worker")]
pub struct UnknownExit(pub i32);

impl WorkerExit {
    /// Every status there is, in the order of its number.
    pub const ALL: [Self; 11] = [
        Self::Done,
        Self::BadInput,
        Self::Model,
        Self::Sandbox,
        Self::Protocol,
        Self::Output,
        Self::Media,
        Self::Cancelled,
        Self::Orphaned,
        Self::Memory,
        Self::Panic,
    ];

    /// The number the operating system sees.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl TryFrom<i32> for WorkerExit {
    type Error = UnknownExit;

    fn try_from(code: i32) -> Result<Self, UnknownExit> {
        Self::ALL.into_iter().find(|exit| i32::from(exit.code()) == code).ok_or(UnknownExit(code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_survives_the_trip_through_the_operating_system() {
        for exit in WorkerExit::ALL {
            assert_eq!(WorkerExit::try_from(i32::from(exit.code())), Ok(exit));
        }
    }

    #[test]
    fn unknown_statuses_are_refused() {
        for code in [1, 2, 63, 100, 126, 127, 137, 255, -1] {
            assert_eq!(WorkerExit::try_from(code), Err(UnknownExit(code)));
        }
    }
}
