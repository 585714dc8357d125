//! Everything that can end a run early, and what each is to the supervisor.

use crate::channel::ChannelError;
use crate::handover::HandoverError;
use crate::inference::ModelError;
use crate::inherited::NotInherited;
use crate::output::OutputError;
use crate::sandbox::SandboxError;
use crate::video::VideoError;
use bodyscript_protocol::exit::WorkerExit;
use bodyscript_protocol::fault::Fault;
use thiserror::Error;

/// Why a run ended early.
#[derive(Debug, Error)]
pub enum WorkerError {
    /// The conversation broke.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// A descriptor is missing.
    #[error(transparent)]
    Inherited(#[from] NotInherited),
    /// The files of the job did not come.
    #[error(transparent)]
    Handover(#[from] HandoverError),
    /// The sandbox could not be closed.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// A model failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The video, or the framework under it.
    #[error(transparent)]
    Video(#[from] VideoError),
    /// An artefact could not be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The supervisor asked for it.
    #[error("cancelled")]
    Cancelled,
}

impl WorkerError {
    /// What the supervisor is told.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Channel(error) => error.fault(),
            Self::Inherited(error) => error.fault(),
            Self::Handover(error) => error.fault(),
            Self::Sandbox(error) => error.fault(),
            Self::Model(error) => error.fault(),
            Self::Video(error) => error.fault(),
            Self::Output(error) => error.fault(),
            Self::Cancelled => Fault::Cancelled,
        }
    }

    /// The exit status that says the same.
    pub fn exit(&self) -> WorkerExit {
        match self {
            Self::Channel(ChannelError::Closed) => WorkerExit::Orphaned,
            error => error.fault().exit(),
        }
    }
}
