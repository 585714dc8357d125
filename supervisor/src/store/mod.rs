//! Everything that survives a restart: the journal of jobs, the files of uploads and results,
//! resumable uploads, and the clock on which results expire.
//!
//! The rest of the program uses the names of this module only, none of which depends on the engine
//! behind it: SQLite for the journal, a folder and a store of objects for files. All calls block unless they say
//! otherwise.

mod artefact_store;
mod artefacts;
mod blocking;
mod clock;
mod error;
pub(crate) mod failpoint;
mod fs_atomic;
mod journal;
mod objects;
mod outcome;
mod recovery;
mod resumable;
mod retention;
mod set_aside;
mod webhook_records;

pub(crate) use artefact_store::{ArtefactStore, ResultsOf};
pub use artefacts::StateDir;
pub(crate) use artefacts::{AttemptFolder, PartialUpload};
pub(crate) use blocking::blocking;
#[cfg(test)]
pub(crate) use clock::simulated;
pub use clock::wall;
pub(crate) use clock::{Clock, Moment};
pub(crate) use error::{StateError, failed};
#[cfg(test)]
pub(crate) use journal::{Engine, WriteRequest};
pub use journal::{FILE as JOURNAL_FILE, JobRow, Journal, JournalEntry, OpenedJournal};
pub(crate) use journal::{
    Inspected, JobRequest, JournalError, JournalEvent, JournalState, RemovedPart, SeenHost,
    SharedJournalConfig, SharingHost, TablesSeen, UploadTable, WebhookRecord, closed, inspect,
    read_row_of_lines,
};
pub(crate) use objects::ObjectsError;
pub(crate) use objects::{Objects, ObjectsConfig, ObjectsUrl, PosePart, Stored};
pub(crate) use outcome::Outcome;
pub(crate) use recovery::Recovered;
pub(crate) use resumable::{ResumableError, ResumableRecord, Resumables, UploadLock};
pub(crate) use retention::{ENDED_KEPT_MAX, Pressure};
pub(crate) use set_aside::SetAsideTotals;
pub(crate) use webhook_records::{RecordError, WebhookRecords};
