//! What can be written to a journal, and what a journal that hosts share tells of their changes.

use crate::policy::host::HostId;
use crate::policy::job::{Job, JobId, Revision};
use crate::store::clock::Moment;
use crate::store::journal::JournalError;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::oneshot;

/// A job as stored in the journal.
#[derive(Debug, Clone)]
pub struct JobRow {
    /// The job.
    pub job: Job,
    /// When it ended, on the service's clock.
    pub ended: Option<Moment>,
}

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
        /// The change of the job up to which it is removed; whatever has changed, if there is none. Only in a journal
        /// that hosts share.
        known: Option<Revision>,
    },
    /// How many workers an execution has crashed; 0 removes it from the poison list.
    Poison {
        /// The content of the video and the options.
        execution: String,
        /// The number of crashes.
        crashes: u32,
    },
    /// What the host that processes the job is to do. Only in a journal that hosts share.
    Request {
        /// The job.
        job: JobId,
        /// What to do.
        request: JobRequest,
    },
    /// The progress of the attempt of a job, which need not be written. Only in a journal that hosts share.
    Progress {
        /// The job.
        job: JobId,
        /// JSON, of which the journal knows nothing.
        document: String,
    },
    /// The webhook of a job that this host delivers; none once it is delivered. Only in a journal that hosts share.
    Webhook {
        /// The job.
        job: JobId,
        /// The webhook.
        record: Option<WebhookRecord>,
    },
    /// No change: the answer is an error with the job as it is now. Only in a journal that hosts share.
    Look {
        /// The job.
        job: JobId,
    },
    /// No change; it is written once all entries before it are.
    Flush,
}

/// A webhook that is not delivered yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookRecord {
    /// Where to.
    pub(crate) url: String,
    /// How often it was tried.
    pub(crate) tries: usize,
}

/// What a host asks of the one that processes a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobRequest {
    /// To cancel it.
    Cancel,
    /// To cancel and remove it.
    Remove,
}

impl JobRequest {
    const ALL: [Self; 2] = [Self::Cancel, Self::Remove];

    /// The name in the journal.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Remove => "remove",
        }
    }

    /// The request of this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|request| request.name() == name)
    }
}

/// What a journal that hosts share tells of a change, its own included.
#[derive(Debug)]
pub(crate) enum JournalEvent {
    /// A job as it is now, and what the host that processes it is to do.
    Job {
        /// The job.
        row: Box<JobRow>,
        /// What to do.
        request: Option<JobRequest>,
        /// A revision of this host that was refused, because the job is as it is here.
        refused: Option<Revision>,
    },
    /// A job was removed.
    Removed(JobId),
    /// How many workers an execution has crashed.
    Poison {
        /// The content of the video and the options.
        execution: String,
        /// The number of crashes.
        crashes: u32,
    },
    /// What another host has told with [`JournalEntry::Progress`].
    Progress {
        /// The job.
        job: JobId,
        /// What it has told.
        document: String,
    },
    /// All jobs there are: changes may have been missed.
    All(Vec<JobId>),
    /// The hosts that are there, after all changes of jobs that were told before.
    Hosts(Vec<SharingHost>),
    /// The other hosts took this one for lost; it goes on as another.
    Renamed(HostId),
}

/// A host that shares the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SharingHost {
    /// Its present run.
    pub id: HostId,
    /// Its name.
    pub name: String,
    /// The memory of all its workers together, in bytes.
    pub memory_budget_bytes: u64,
    /// The version of its program.
    pub version: String,
    /// When this run started, on the clock of the database.
    pub started_at: Timestamp,
}

/// An entry, and the caller that waits until it is written.
#[derive(Debug)]
pub(crate) struct WriteRequest {
    pub(crate) entry: JournalEntry,
    pub(crate) done: Option<oneshot::Sender<Result<(), Arc<JournalError>>>>,
}

impl WriteRequest {
    /// Answers the waiting caller.
    pub(crate) fn answer(self, result: Result<(), Arc<JournalError>>) {
        if let Some(done) = self.done {
            // The caller may be gone.
            let _ = done.send(result);
        }
    }
}
