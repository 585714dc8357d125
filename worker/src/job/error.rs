//! Every error that can end a run early, and the fault and exit status each maps to.

use crate::inference::ModelError;
use crate::ipc::{ChannelError, JobFilesError, NotInherited};
use crate::output::OutputError;
use crate::sandbox::SandboxError;
use crate::video::VideoError;
use bodyscript_protocol::exit::WorkerExit;
use bodyscript_protocol::fault::Fault;
use thiserror::Error;

/// Why a run ended early.
#[derive(Debug, Error)]
pub enum WorkerError {
    /// The channel to the supervisor failed.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// A descriptor is missing.
    #[error(transparent)]
    Inherited(#[from] NotInherited),
    /// The files of the job were not received.
    #[error(transparent)]
    JobFiles(#[from] JobFilesError),
    /// The sandbox could not be closed.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// A model failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The video or the media framework failed.
    #[error(transparent)]
    Video(#[from] VideoError),
    /// An artefact could not be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The supervisor cancelled the job.
    #[error("cancelled")]
    Cancelled,
}

impl WorkerError {
    /// The fault reported to the supervisor.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Channel(error) => error.fault(),
            Self::Inherited(error) => error.fault(),
            Self::JobFiles(error) => error.fault(),
            Self::Sandbox(error) => error.fault(),
            Self::Model(error) => error.fault(),
            Self::Video(error) => error.fault(),
            Self::Output(error) => error.fault(),
            Self::Cancelled => Fault::Cancelled,
        }
    }

    /// The exit status for this error.
    pub fn exit(&self) -> WorkerExit {
        match self {
            Self::Channel(ChannelError::Closed) => WorkerExit::Orphaned,
            error => error.fault().exit(),
        }
    }
}
