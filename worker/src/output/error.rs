//! The error of an artefact that cannot be written.

use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::fault::Fault;
use thiserror::Error;

/// An artefact could not be written.
#[derive(Debug, Error)]
#[error("cannot write {file}: {source}")]
pub struct OutputError {
    file: &'static str,
    source: std::io::Error,
}

impl OutputError {
    /// Adds the artefact to an I/O error.
    pub fn of(artefact: Artefact) -> impl Fn(std::io::Error) -> Self {
        move |source| Self { file: artefact.file_name(), source }
    }

    /// The fault reported to the supervisor.
    pub const fn fault(&self) -> Fault {
        Fault::Output
    }
}
