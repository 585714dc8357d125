//! The errors of what a run writes.

use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::fault::Fault;
use std::io;
use thiserror::Error;

/// Something could not be written.
#[derive(Debug, Error)]
pub enum OutputError {
    /// An artefact could not be written.
    #[error("cannot write {file}: {source}")]
    Artefact {
        /// Its name.
        file: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// The poses of the first pass could not be written or read back.
    #[error("cannot record the poses: {0}")]
    Recording(#[source] io::Error),
}

impl OutputError {
    /// Adds the artefact to an I/O error.
    pub fn of(artefact: Artefact) -> impl Fn(io::Error) -> Self {
        move |source| Self::Artefact { file: artefact.file_name(), source }
    }

    /// The fault reported to the supervisor.
    pub const fn fault(&self) -> Fault {
        Fault::Output
    }
}
