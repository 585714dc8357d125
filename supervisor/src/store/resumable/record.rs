//! The state of a resumable upload, and why it could not be used.

use crate::store::clock::Moment;
use crate::store::error::StateError;
use crate::store::journal::JournalError;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The state of one upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ResumableRecord {
    /// Its size when complete, in bytes.
    pub length: u64,
    /// Number of bytes that count.
    pub offset: u64,
    /// The metadata sent by the client, unchanged.
    pub metadata: String,
    /// When it was created.
    pub created: Moment,
    /// Whether it has become a job, which may have been removed since.
    #[serde(skip)]
    pub is_submitted: bool,
}

impl ResumableRecord {
    /// Whether all bytes have arrived.
    pub(crate) const fn is_complete(&self) -> bool {
        self.offset == self.length
    }
}

/// Why an upload could not be used.
#[derive(Debug, Error)]
pub(crate) enum ResumableError {
    /// The state folder or the shared store failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// The shared journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Another host was faster.
    #[error("another host has added bytes: the upload is at byte {offset}")]
    Moved {
        /// Number of bytes that count now.
        offset: u64,
    },
    /// Another host has removed it.
    #[error("another host has removed the upload")]
    Gone,
}
