//! A journal in SQLite, in the state folder.
//!
//! One thread owns the database, so that a slow disk blocks no async task. Changes are committed in batches. If
//! something cannot be written (a full disk), a waiting caller gets an error; anything else is kept and retried, the
//! latest state of each job only. While the files are not those that a start would open ([`JournalState::Lost`])
//! nothing is written at all.

mod database;
mod error;
mod files;
mod loss;
mod rows;
mod schema;
mod writer;

use crate::policy::host::HostId;
use crate::store::clock::Clock;
use crate::store::journal::{Journal, JournalError, JournalState, OpenedJournal, closed};
use database::Store;
pub(crate) use files::FileProblem;
use loss::Contents;
pub(crate) use loss::Loss;
pub(crate) use rows::read_row_of_lines;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use tokio::sync::watch;
use writer::{Writer, WriterThread};

/// File name in the state folder.
pub const FILE: &str = "journal.db";

impl Journal {
    /// Opens the journal in this folder. If it was lost, everything that only it could explain is
    /// set aside and a new one is created. The thread exits, and can be joined, once every handle
    /// is dropped and everything is written.
    ///
    /// # Errors
    /// If no journal can be opened or created; an operator has to solve it.
    pub fn open(folder: &Path) -> Result<(OpenedJournal, JoinHandle<()>), JournalError> {
        let path = folder.join(FILE);
        let (mut store, contents, lost) = match Store::find(&path)? {
            Ok((store, contents)) => {
                // Before the journal is marked as in use, after which no loss is detected any more.
                let lost = loss::set_aside_forgotten(folder, &contents)?;
                (store, contents, lost)
            }
            Err(loss) => {
                let aside = loss::set_aside(folder, &loss)?;
                (Store::create(&path)?, Contents::default(), aside.map(|aside| (loss, aside)))
            }
        };
        let clock = Clock::resume(contents.clock.as_ref());
        let state = match store.mark_in_use(&clock) {
            Ok(()) => JournalState::Writable,
            // Retried; no job is accepted meanwhile.
            Err(error) if error.is_disk_full() => {
                tracing::error!(%error, "cannot write the journal");
                JournalState::Failing
            }
            Err(error) => return Err(error),
        };
        let (state_sender, state) = watch::channel(state);
        let (requests, inbox) = channel();
        let writer = Writer::new(store, clock.clone(), state_sender);
        let thread = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || writer.run(&inbox))
            .map_err(JournalError::Thread)?;
        let journal = Self { engine: Arc::new(WriterThread(requests)), state, view: None };
        let Contents { jobs, poison, removed, .. } = contents;
        let past = OpenedJournal {
            journal,
            clock,
            jobs,
            poison,
            removed,
            lost,
            host: HostId::ALONE,
            events: closed(),
            webhooks: closed(),
        };
        Ok((past, thread))
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod loss_tests;
