//! The dispatcher's memory on the disk: jobs, attempts, poison and deletions, in SQLite.
//!
//! The dispatcher stays the single owner of state; it tells the journal of every change, and a
//! start reads it back. One thread owns the file, so that a slow disk stalls no loop. Changes go
//! there in order and are committed in batches. Only two things are waited for: that a job is
//! accepted, before anybody is told so; and that everything is written, before the program ends.
//!
//! What cannot be written (a full disk) is refused where somebody waits for it, and otherwise
//! kept and tried again, the latest state of each job once, until there is room. While the files
//! are not those that a start would open ([`JournalState::Lost`]) nothing is written at all.

pub(crate) mod database;
pub(crate) mod files;
pub(crate) mod loss;
pub(crate) mod rows;
pub(crate) mod schema;
pub(crate) mod writer;

use crate::policy::job::JobId;
use crate::store::clock::Clock;
use crate::store::error::StateError;
use crate::store::set_aside::SetAside;
use database::Store;
pub(crate) use files::FileProblem;
use loss::Contents;
pub(crate) use loss::Loss;
pub use rows::JobRow;
use rusqlite::ErrorCode;
use std::collections::HashSet;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use thiserror::Error;
use tokio::sync::{oneshot, watch};
use writer::{WriteRequest, Writer};

/// Name of the file in the state folder.
pub const FILE: &str = "journal.db";

/// Why the journal cannot be used.
#[derive(Debug, Error)]
pub enum JournalError {
    /// A later version of this program wrote it.
    #[error(
        "{} is of version {version}, which a newer bodyscript wrote; start that one, or choose \
         another state_dir", path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// It contradicts itself.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The first fault.
        what: String,
    },
    /// It was lost, and what it explained cannot be set aside either.
    #[error(transparent)]
    SetAside(#[from] StateError),
    /// Its files cannot be looked at.
    #[error("cannot inspect {}: {source}", path.display())]
    Look {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Its files are not those that a next start would open.
    #[error("{0} while the service was running")]
    Lost(#[from] FileProblem),
    /// A step failed.
    #[error("{} cannot be {what}: {source}", path.display())]
    Step {
        /// What was to happen.
        what: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why it did not.
        source: rusqlite::Error,
    },
    /// Its thread cannot be started.
    #[error("cannot start the thread of the journal: {0}")]
    Thread(#[source] io::Error),
    /// Its thread is gone.
    #[error("the journal is closed")]
    Closed,
}

impl JournalError {
    fn new(what: &'static str, path: &Path, source: rusqlite::Error) -> Self {
        Self::Step { what, path: path.to_owned(), source }
    }

    /// Whether the disk is full or takes no writes.
    pub fn is_disk_full(&self) -> bool {
        // EDQUOT and EROFS reach us as I/O errors (sqlite3 os_unix.c tells ENOSPC alone apart).
        matches!(self, Self::Step { source, .. } if matches!(
            source.sqlite_error_code(),
            Some(ErrorCode::DiskFull | ErrorCode::ReadOnly | ErrorCode::SystemIoFailure)
        ))
    }

    /// Whether the content of the file is at fault.
    fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } => true,
            Self::Step { source, .. } => match source {
                rusqlite::Error::SqliteFailure(error, _) => {
                    matches!(error.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
                }
                // A row or a table that is not as this program writes them.
                _ => true,
            },
            Self::Newer { .. }
            | Self::SetAside(_)
            | Self::Look { .. }
            | Self::Lost(_)
            | Self::Thread(_)
            | Self::Closed => false,
        }
    }
}

/// Whether something can be promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JournalState {
    /// Everything is written.
    Writable,
    /// There is something that could not be written yet.
    Failing,
    /// The files were removed, replaced or written to by somebody else.
    Lost,
}

/// What was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A job and everything of it.
    Job,
    /// The video of a job.
    Upload,
}

impl What {
    const fn name(self) -> &'static str {
        match self {
            Self::Job => "job",
            Self::Upload => "upload",
        }
    }

    const fn is_whole_job(self) -> bool {
        matches!(self, Self::Job)
    }
}

/// One thing to remember.
#[derive(Debug)]
pub enum Entry {
    /// A job as it is now.
    Job(Box<JobRow>),
    /// Something of a job is to go.
    Removed {
        /// Whose.
        job: JobId,
        /// What.
        what: What,
        /// Why.
        why: &'static str,
    },
    /// How often a content ended its workers; 0 forgives it.
    Poison {
        /// The content.
        sha256: String,
        /// How often.
        deaths: u32,
    },
    /// Nothing but what came before.
    Nothing,
}

/// What an earlier run left, and the journal to go on with.
#[derive(Debug)]
pub struct Past {
    /// Where to write.
    pub journal: Journal,
    /// What time it is.
    pub clock: Clock,
    /// Every job, in the order in which they were accepted.
    pub jobs: Vec<JobRow>,
    /// How often a content ended its workers, oldest first.
    pub poison: Vec<(String, u32)>,
    /// Jobs of which everything was to be removed, whose files may be there still.
    pub removed: HashSet<JobId>,
    /// How the journal was lost, if it was, whole or in part, and what was set aside for it.
    pub lost: Option<(Loss, SetAside)>,
}

impl Past {
    /// No past, and nothing to be remembered: for a program that ends with its jobs.
    pub fn none() -> Self {
        Self {
            journal: Journal { requests: None, state: watch::channel(JournalState::Writable).1 },
            clock: Clock::resume(None),
            jobs: Vec::new(),
            poison: Vec::new(),
            removed: HashSet::new(),
            lost: None,
        }
    }
}

/// The way to the journal.
#[derive(Debug, Clone)]
pub struct Journal {
    requests: Option<Sender<WriteRequest>>,
    state: watch::Receiver<JournalState>,
}

impl Journal {
    /// Opens the journal in this folder. Where it was lost, everything that only it could explain
    /// is set aside, and a new one is begun.
    /// The thread ends, and can be joined, once every handle is dropped and all is written.
    ///
    /// # Errors
    /// When there is no journal to be had here: the operator's to mend.
    pub fn open(folder: &Path) -> Result<(Past, JoinHandle<()>), JournalError> {
        let path = folder.join(FILE);
        let (mut store, contents, lost) = match Store::find(&path)? {
            Ok((store, contents)) => {
                // Before it says that it is in use, from which on nothing is missed any more.
                let lost = loss::set_aside_forgotten(folder, &contents)?;
                (store, contents, lost)
            }
            Err(loss) => {
                let aside = loss::set_aside(folder, &loss)?;
                (Store::create(&path)?, Contents::default(), aside.map(|aside| (loss, aside)))
            }
        };
        let clock = Clock::resume(contents.clock.as_ref());
        let state = match store.begin(&clock) {
            Ok(()) => JournalState::Writable,
            // Tried again, and nothing is taken meanwhile.
            Err(error) if error.is_disk_full() => {
                tracing::error!(%error, "cannot write the journal");
                JournalState::Failing
            }
            Err(error) => return Err(error),
        };
        let (told, state) = watch::channel(state);
        let (requests, inbox) = channel();
        let writer = Writer::new(store, clock.clone(), told);
        let thread = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || writer.keep(&inbox))
            .map_err(JournalError::Thread)?;
        let journal = Self { requests: Some(requests), state };
        let Contents { jobs, poison, removed, .. } = contents;
        Ok((Past { journal, clock, jobs, poison, removed, lost }, thread))
    }

    /// Remembers something, as soon as may be.
    pub fn note(&self, entry: Entry) {
        if let Some(requests) = &self.requests
            && requests.send(WriteRequest { entry, done: None }).is_err()
        {
            tracing::error!("the thread of the journal has ended");
        }
    }

    /// Remembers something, in the order of the calls; ready when it is on the disk.
    ///
    /// # Errors
    /// When it is not. An [`Entry::Job`] is then forgotten, anything else still tried again.
    pub fn commit(
        &self,
        entry: Entry,
    ) -> impl Future<Output = Result<(), Arc<JournalError>>> + use<> {
        let (done, answer) = oneshot::channel();
        let sent = match &self.requests {
            Some(requests) => requests.send(WriteRequest { entry, done: Some(done) }).is_ok(),
            None => done.send(Ok(())).is_ok(),
        };
        async move {
            let closed = || Arc::new(JournalError::Closed);
            if sent { answer.await.map_err(|_| closed())? } else { Err(closed()) }
        }
    }

    /// How it is, in the word of its thread.
    pub fn state(&self) -> JournalState {
        *self.state.borrow()
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod loss_tests;
