//! The dispatcher's memory on the disk: jobs, attempts, poison and deletions, in SQLite.
//!
//! The dispatcher stays the single owner of state; it tells the journal of every change, and a
//! start reads it back. One thread owns the file, so that a slow disk stalls no loop. Changes go
//! there in order and are committed in batches. Only two things are waited for: that a job is
//! accepted, before anybody is told so; and that everything is written, before the program ends.
//!
//! What cannot be written (a full disk) is refused where somebody waits for it, and otherwise
//! kept and tried again, the latest state of each job once, until there is room.

mod damage;
mod rows;
mod schema;
mod store;

use crate::clock::Clock;
use crate::failpoint;
use crate::job::JobId;
use rusqlite::ErrorCode;
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use store::{Contents, Store};
use thiserror::Error;
use tokio::sync::oneshot;

pub use damage::SetAside;
pub use rows::Remembered;

/// Name of the file in the state folder.
pub const FILE: &str = "journal.db";

/// How often the clock is written down when nothing else is.
const CLOCK_PERIOD: Duration = Duration::from_secs(60);

/// Between two attempts to write what could not be written.
const RETRY_PERIOD: Duration = Duration::from_secs(1);

/// Most entries of one commit.
const BATCH_MAX: usize = 256;

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
    /// It is damaged, and cannot be set aside either.
    #[error("a damaged journal and its files cannot be moved to {}: {source}", path.display())]
    SetAside {
        /// Where to.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
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
    #[error("the journal's thread cannot be started: {0}")]
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
            Self::Newer { .. } | Self::SetAside { .. } | Self::Thread(_) | Self::Closed => false,
        }
    }
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
    Job(Box<Remembered>),
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

/// An entry, and who waits for it.
#[derive(Debug)]
struct Order {
    entry: Entry,
    done: Option<oneshot::Sender<Result<(), Arc<JournalError>>>>,
}

/// What an earlier run left, and the journal to go on with.
#[derive(Debug)]
pub struct Past {
    /// Where to write.
    pub journal: Journal,
    /// What time it is.
    pub clock: Clock,
    /// Every job, in the order in which they were accepted.
    pub jobs: Vec<Remembered>,
    /// How often a content ended its workers, oldest first.
    pub poison: Vec<(String, u32)>,
    /// What was done about a damaged journal.
    pub set_aside: Option<SetAside>,
}

impl Past {
    /// No past, and nothing to be remembered: for a program that ends with its jobs.
    pub fn none() -> Self {
        Self {
            journal: Journal { orders: None, is_failing: Arc::default() },
            clock: Clock::resume(None),
            jobs: Vec::new(),
            poison: Vec::new(),
            set_aside: None,
        }
    }
}

/// The way to the journal.
#[derive(Debug, Clone)]
pub struct Journal {
    orders: Option<Sender<Order>>,
    is_failing: Arc<AtomicBool>,
}

impl Journal {
    /// Opens the journal in this folder. A damaged one is set aside with the files it knew of.
    /// The thread ends, and can be joined, once every handle is dropped and all is written.
    ///
    /// # Errors
    /// When there is no journal to be had here: the operator's to mend.
    pub fn open(folder: &Path) -> Result<(Past, JoinHandle<()>), JournalError> {
        let path = folder.join(FILE);
        let opened = Store::open(&path).and_then(|store| Ok((store.read()?, store)));
        let ((contents, store), set_aside) = match opened {
            Ok(opened) => (opened, None),
            Err(error) if error.is_damage() => {
                let set_aside = damage::set_aside(folder, error)?;
                ((Contents::default(), Store::open(&path)?), Some(set_aside))
            }
            Err(error) => return Err(error),
        };
        let clock = Clock::resume(contents.clock.as_ref());
        let is_failing = Arc::new(AtomicBool::new(false));
        let (orders, inbox) = channel();
        let keeper = Keeper { store, clock: clock.clone(), is_failing: is_failing.clone() };
        let thread = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || keeper.keep(&inbox))
            .map_err(JournalError::Thread)?;
        let journal = Self { orders: Some(orders), is_failing };
        let Contents { jobs, poison, .. } = contents;
        Ok((Past { journal, clock, jobs, poison, set_aside }, thread))
    }

    /// Remembers something, as soon as may be.
    pub fn note(&self, entry: Entry) {
        if let Some(orders) = &self.orders
            && orders.send(Order { entry, done: None }).is_err()
        {
            tracing::error!("the journal's thread is gone");
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
        let sent = match &self.orders {
            Some(orders) => orders.send(Order { entry, done: Some(done) }).is_ok(),
            None => done.send(Ok(())).is_ok(),
        };
        async move {
            let closed = || Arc::new(JournalError::Closed);
            if sent { answer.await.map_err(|_| closed())? } else { Err(closed()) }
        }
    }

    /// Whether there is something that could not be written yet.
    pub fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }
}

/// The thread's side.
struct Keeper {
    store: Store,
    clock: Clock,
    is_failing: Arc<AtomicBool>,
}

impl Keeper {
    fn keep(mut self, inbox: &Receiver<Order>) {
        let mut unwritten = Vec::new();
        loop {
            let patience = if unwritten.is_empty() { CLOCK_PERIOD } else { RETRY_PERIOD };
            let first = match inbox.recv_timeout(patience) {
                Ok(order) => Some(order),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let batch = first.into_iter().chain(inbox.try_iter()).take(BATCH_MAX);
            unwritten = self.carry_out(unwritten.into_iter().chain(batch).collect());
        }
        let lost = self.carry_out(unwritten);
        if !lost.is_empty() {
            let entries = lost.len();
            tracing::error!(entries, "the journal ends without what could not be written");
        }
    }

    /// Writes a batch; gives back what could not be written and is to be tried again.
    fn carry_out(&mut self, batch: Vec<Order>) -> Vec<Order> {
        failpoint::reach("journal_uncommitted");
        let result = self.store.commit(batch.iter().map(|order| &order.entry), &self.clock);
        failpoint::reach("journal_committed");
        let unwritten = match result {
            Ok(()) => {
                batch.into_iter().for_each(|order| order.answer(Ok(())));
                Vec::new()
            }
            // One that cannot be written must not take the others with it.
            Err(_) if batch.len() > 1 => {
                batch.into_iter().flat_map(|order| self.carry_out(vec![order])).collect()
            }
            Err(error) => self.regret(batch, &Arc::new(error)),
        };
        let unwritten = latest(unwritten);
        self.is_failing.store(!unwritten.is_empty(), Ordering::Relaxed);
        unwritten
    }

    fn regret(&self, batch: Vec<Order>, error: &Arc<JournalError>) -> Vec<Order> {
        if !self.is_failing.load(Ordering::Relaxed) {
            tracing::error!(%error, "the journal cannot be written");
        }
        let retry = |mut order: Order| {
            let is_refused = order.done.is_some() && matches!(order.entry, Entry::Job(_));
            let rest = (!is_refused).then(|| {
                let entry = std::mem::replace(&mut order.entry, Entry::Nothing);
                Order { entry, done: None }
            });
            order.answer(Err(error.clone()));
            rest
        };
        batch.into_iter().filter_map(retry).collect()
    }
}

impl Order {
    fn answer(self, result: Result<(), Arc<JournalError>>) {
        if let Some(done) = self.done {
            // Whoever asked may have gone.
            let _ = done.send(result);
        }
    }
}

/// Of several states of one job the last, which is all that matters.
fn latest(orders: Vec<Order>) -> Vec<Order> {
    let key = |order: &Order| match &order.entry {
        Entry::Job(remembered) => Some(remembered.job.id),
        _ => None,
    };
    let last: HashMap<JobId, usize> =
        orders.iter().enumerate().filter_map(|(place, order)| Some((key(order)?, place))).collect();
    let is_latest = |place: usize, order: &Order| match &order.entry {
        Entry::Job(remembered) => last.get(&remembered.job.id) == Some(&place),
        Entry::Nothing => false,
        _ => true,
    };
    let kept = orders.into_iter().enumerate().filter(|(place, order)| is_latest(*place, order));
    kept.map(|(_, order)| order).collect()
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
