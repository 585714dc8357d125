//! Why `bodyscript run` could not begin. What happens to single videos is an outcome instead.

use crate::cli::batch::error::BatchError;
use crate::dispatcher::{DispatcherStopped, SubmitError};
use crate::policy::admission::Refusal;
use crate::runner::factory::WorkerFactoryError;
use crate::runner::models::ModelNotInstalled;
use crate::store::StateError;
use std::io;
use thiserror::Error;

/// Why nothing could be processed.
#[derive(Debug, Error)]
pub enum RunError {
    /// The videos, or the output folder.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// Standard input cannot be read.
    #[error("cannot read standard input: {0}")]
    StandardInput(#[source] io::Error),
    /// Workers cannot be started.
    #[error("cannot start workers: {0}")]
    WorkerFactory(#[from] WorkerFactoryError),
    /// The landmark model is not installed.
    #[error(transparent)]
    Model(#[from] ModelNotInstalled),
    /// The working folder cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// A job was not admitted.
    #[error("cannot process the videos: {}", remedy(.0))]
    Refused(Refusal),
    /// A job was not accepted.
    #[error(transparent)]
    SubmitError(#[from] SubmitError),
    /// The dispatcher has stopped.
    #[error(transparent)]
    DispatcherStopped(#[from] DispatcherStopped),
    /// The signal handlers could not be installed.
    #[error("cannot listen for signals: {0}")]
    Signals(#[source] io::Error),
}

const fn remedy(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::DiskFull => {
            "less than `disk_free_bytes_min` is free in the output folder; free up space, or lower \
             the limit"
        }
        Refusal::DiskRefuses => "the output folder is not writable; choose another folder",
        Refusal::MemoryShort { .. } => "the host is low on memory; try again later",
        // These cannot occur: the queue has a place for every video, and the limits do not apply.
        Refusal::Closing
        | Refusal::Paused
        | Refusal::StoreUnreachable
        | Refusal::JournalUnreachable
        | Refusal::JournalLost
        | Refusal::QueueFull { .. }
        | Refusal::TooLarge { .. } => "the command is stopping",
    }
}
