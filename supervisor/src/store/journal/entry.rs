//! What can be written to a journal.

use crate::policy::job::JobId;
use crate::store::journal::{JobRow, JournalError};
use std::sync::Arc;
use tokio::sync::oneshot;

/// What was removed of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemovedPart {
    /// The job and all its files.
    Job,
    /// Its video.
    Upload,
}

impl RemovedPart {
    /// The name in the journal and in the log.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Job => "job",
            Self::Upload => "upload",
        }
    }
}

/// One change to be written.
#[derive(Debug)]
pub enum JournalEntry {
    /// The current state of a job.
    Job(Box<JobRow>),
    /// The removal of a job or of its video.
    Removed {
        /// The job.
        job: JobId,
        /// What was removed.
        part: RemovedPart,
        /// The reason.
        why: &'static str,
    },
    /// How many workers an execution has crashed; 0 removes it from the poison list.
    Poison {
        /// The content of the video and the options.
        execution: String,
        /// The number of crashes.
        crashes: u32,
    },
    /// No change; it is written once all entries before it are.
    Flush,
}

/// An entry, and the caller that waits until it is written.
#[derive(Debug)]
pub(crate) struct WriteRequest {
    pub(crate) entry: JournalEntry,
    pub(crate) done: Option<oneshot::Sender<Result<(), Arc<JournalError>>>>,
}
