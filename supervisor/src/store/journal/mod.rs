//! The journal: jobs, attempts, poison and deletions, in SQLite on disk ([`crate::store::journal::sqlite`]) or in
//! PostgreSQL, which hosts share ([`crate::store::journal::postgres`]).
//!
//! The dispatcher owns the state; it sends every change to the journal, and a start reads it back. Changes are written
//! in order. Callers wait for two things: that a job is accepted, before the client gets a response; and that
//! everything is written, before the program exits. In a shared journal they also wait for what another host may
//! have made impossible meanwhile; then the change is refused ([`JournalError::Superseded`]).

mod entry;
mod postgres;
mod sqlite;
mod stored_job;
mod view;

use crate::policy::host::HostId;
use crate::policy::job::JobId;
use crate::store::clock::Clock;
use crate::store::error::StateError;
use crate::store::set_aside::SetAside;
pub(crate) use entry::{
    JobRequest, JournalEvent, RemovedPart, SharingHost, WebhookRecord, WriteRequest,
};
pub use entry::{JobRow, JournalEntry};
pub(crate) use postgres::{
    Creation, DatabaseError, Inspected, NewPart, NewUpload, SharedJournalConfig, TablesSeen,
    UploadTable, inspect,
};
pub use sqlite::FILE;
pub(crate) use sqlite::{FileProblem, Loss, read_row_of_lines};
use std::collections::HashSet;
use std::error::Error;
use std::fmt::Debug;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::{oneshot, watch};
pub(crate) use view::{SeenHost, SharedView};

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A newer version of this program wrote it.
    #[error(
        "{} is of version {version}, which a newer bodyscript wrote; start that one, or choose \
         another state_dir", path.display()
    )]
    Newer {
        /// Its path.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// Its content is inconsistent.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// Its path.
        path: PathBuf,
        /// The first inconsistency.
        what: String,
    },
    /// It was lost, and the files that it explained cannot be set aside.
    #[error(transparent)]
    SetAside(#[from] StateError),
    /// Its files cannot be examined.
    #[error("cannot inspect {}: {source}", path.display())]
    Examine {
        /// Its path.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
    /// Its files are not those that the next start would open.
    #[error("{0} while the service was running")]
    Lost(#[from] FileProblem),
    /// A database operation failed.
    #[error("{} cannot be {what}: {source}", path.display())]
    Step {
        /// The operation.
        what: &'static str,
        /// The path of the database.
        path: PathBuf,
        /// What the error means.
        fault: StepFault,
        /// The error of the engine.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The database that hosts share cannot be used.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The database that hosts share does not answer.
    #[error("the database of `journal_url` does not answer")]
    Unreachable,
    /// Another host has changed the job, which is as given here, or has removed it.
    #[error("another host has changed the job")]
    Superseded(Option<Box<JobRow>>),
    /// The idempotency key is that of this job, which another host has accepted.
    #[error("another host has accepted a job with this idempotency key")]
    KeyTaken(Box<JobRow>),
    /// Its thread cannot be started.
    #[error("cannot start the thread of the journal: {0}")]
    Thread(#[source] io::Error),
    /// Its thread has ended.
    #[error("the journal is closed")]
    Closed,
}

/// What the error of an engine means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepFault {
    /// The disk is full or refuses writes.
    DiskFull,
    /// The content is not what this program writes.
    Damage,
    /// Anything else.
    Other,
}

impl JournalError {
    /// Whether the disk is full or refuses writes.
    pub const fn is_disk_full(&self) -> bool {
        matches!(self, Self::Step { fault: StepFault::DiskFull, .. })
    }

    /// Whether the database that hosts share is the cause, and may answer later.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable => true,
            Self::Database(error) => error.may_pass(),
            _ => false,
        }
    }

    /// Whether the database that hosts share may answer later without an operator, so that a start waits for it.
    pub(crate) fn may_pass_at_start(&self) -> bool {
        match self {
            Self::Database(error) => error.may_pass() && !error.needs_operator(),
            _ => false,
        }
    }

    /// Whether the content of the database is at fault.
    const fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Step { fault: StepFault::Damage, .. })
    }
}

/// Whether the journal can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JournalState {
    /// Everything is written.
    Writable,
    /// Some entries could not be written yet.
    Failing,
    /// The files were removed, replaced or modified by another process.
    Lost,
    /// The database that hosts share does not answer.
    Unreachable,
}

/// What an earlier run wrote, and the journal of this run.
#[derive(Debug)]
pub struct OpenedJournal {
    /// The journal of this run.
    pub journal: Journal,
    /// The service's clock.
    pub clock: Clock,
    /// All jobs, in the order of acceptance.
    pub jobs: Vec<JobRow>,
    /// Contents with fatal ends and their number, oldest first.
    pub poison: Vec<(String, u32)>,
    /// Removed jobs, whose files may still exist.
    pub removed: HashSet<JobId>,
    /// How the journal was lost, completely or in part, and what was set aside for it.
    pub lost: Option<(Loss, SetAside)>,
    /// This run of the service, among those that share the journal.
    pub(crate) host: HostId,
    /// What other hosts change; nothing if there are none.
    pub(crate) events: UnboundedReceiver<JournalEvent>,
    /// Webhooks that this host delivers in place of a lost one, or of its own last run; nothing if there are no hosts.
    pub(crate) webhooks: UnboundedReceiver<(JobId, WebhookRecord)>,
}

impl OpenedJournal {
    /// Nothing from an earlier run, and a journal that drops everything: for a program that exits
    /// with its jobs.
    pub fn without_journal() -> Self {
        Self {
            journal: Journal::with_engine(NoEngine),
            clock: Clock::resume(None),
            jobs: Vec::new(),
            poison: Vec::new(),
            removed: HashSet::new(),
            lost: None,
            host: HostId::ALONE,
            events: closed(),
            webhooks: closed(),
        }
    }
}

/// What other hosts tell, if there are none.
pub(crate) fn closed<T>() -> UnboundedReceiver<T> {
    unbounded_channel().1
}

/// Keeps the entries of a journal.
pub(crate) trait Engine: Debug + Send + Sync {
    /// Takes an entry; entries are written in the order of the calls. If the engine has ended, the
    /// request is dropped.
    fn write(&self, request: WriteRequest);
}

/// Drops everything.
#[derive(Debug)]
struct NoEngine;

impl Engine for NoEngine {
    fn write(&self, request: WriteRequest) {
        request.answer(Ok(()));
    }
}

/// A handle to the journal.
#[derive(Debug, Clone)]
pub struct Journal {
    engine: Arc<dyn Engine>,
    state: watch::Receiver<JournalState>,
    /// What was last seen of other hosts; none if there are none.
    view: Option<watch::Receiver<SharedView>>,
}

impl Journal {
    /// A journal kept by an engine that always writes.
    pub(crate) fn with_engine(engine: impl Engine + 'static) -> Self {
        let state = watch::channel(JournalState::Writable).1;
        Self { engine: Arc::new(engine), state, view: None }
    }

    /// Whether other hosts change it too.
    pub(crate) const fn is_shared(&self) -> bool {
        self.view.is_some()
    }

    /// What this host has last seen of the journal and the hosts that share it; none if it is not shared.
    pub(crate) fn view(&self) -> Option<SharedView> {
        self.view.as_ref().map(|view| view.borrow().clone())
    }

    /// Sends a change to be written, without waiting.
    pub fn append(&self, entry: JournalEntry) {
        self.engine.write(WriteRequest { entry, done: None });
    }

    /// Sends a change to be written; resolves when it is on the disk. Changes keep the order of the
    /// calls.
    ///
    /// # Errors
    /// If it was not written. A [`JournalEntry::Job`] is then dropped, anything else is still
    /// retried.
    pub fn commit(
        &self,
        entry: JournalEntry,
    ) -> impl Future<Output = Result<(), Arc<JournalError>>> + use<> {
        let (done, answer) = oneshot::channel();
        self.engine.write(WriteRequest { entry, done: Some(done) });
        async move { answer.await.unwrap_or_else(|_| Err(Arc::new(JournalError::Closed))) }
    }

    /// Whether the journal can be relied on, as last published by its engine.
    pub fn state(&self) -> JournalState {
        *self.state.borrow()
    }
}
