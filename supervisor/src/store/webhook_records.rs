//! Webhooks that are not delivered yet.
//!
//! ```text
//! <state_dir>/webhooks/<id>.json   URL and number of tries
//! ```
//!
//! In a journal that hosts share they are there, each with the host that delivers it; if that is lost, another host
//! takes it over. Called by [`crate::webhook`].

use crate::policy::job::JobId;
use crate::store::blocking::blocking;
use crate::store::error::{StateError, failed};
use crate::store::fs_atomic::{UNFINISHED, remove_file, replace};
use crate::store::journal::{Journal, JournalEntry, JournalError, WebhookRecord};
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the records are.
#[derive(Debug, Clone)]
pub(crate) enum WebhookRecords {
    /// In this folder.
    Folder(PathBuf),
    /// In the journal that hosts share.
    Journal(Journal),
}

/// Why a record cannot be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    /// The state folder failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// The journal failed.
    #[error(transparent)]
    Journal(Arc<JournalError>),
}

impl WebhookRecords {
    /// In the state folder, unless hosts share the journal.
    pub(crate) fn of(root: &Path, journal: &Journal) -> Self {
        if journal.is_shared() {
            Self::Journal(journal.clone())
        } else {
            Self::Folder(root.join("webhooks"))
        }
    }

    /// What an earlier run has left in the folder; blocks. A shared journal tells of such webhooks itself.
    pub(crate) fn left(&self) -> Result<Vec<(JobId, WebhookRecord)>, StateError> {
        let Self::Folder(folder) = self else { return Ok(Vec::new()) };
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed("listed", folder)(error)),
        };
        let record = |entry: fs::DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            if name.ends_with(UNFINISHED) {
                // Left by a crash. It has no effect; if it can't be deleted, the next start will.
                let _ = fs::remove_file(entry.path());
            }
            let id = name.strip_suffix(".json")?.parse().ok()?;
            Some((id, serde_json::from_slice(&fs::read(entry.path()).ok()?).ok()?))
        };
        Ok(entries.filter_map(|entry| record(entry.ok()?)).collect())
    }

    /// Writes a record; it survives a crash on return.
    pub(crate) async fn write(&self, id: JobId, record: &WebhookRecord) -> Result<(), RecordError> {
        match self {
            Self::Journal(journal) => {
                let entry = JournalEntry::Webhook { job: id, record: Some(record.clone()) };
                journal.commit(entry).await.map_err(RecordError::Journal)
            }
            Self::Folder(folder) => {
                let bytes = serde_json::to_vec(record).expect("a record is plain data");
                let folder = folder.clone();
                let written = blocking(move || {
                    create_folder(&folder).map_err(failed("created", &folder))?;
                    replace(&path(&folder, id), &bytes)
                });
                Ok(written.await?)
            }
        }
    }

    /// Removes a record.
    pub(crate) async fn remove(&self, id: JobId) {
        match self {
            Self::Journal(journal) => {
                journal.append(JournalEntry::Webhook { job: id, record: None });
            }
            Self::Folder(folder) => {
                let path = path(folder, id);
                if let Err(error) = blocking(move || remove_file(&path)).await {
                    tracing::warn!(job = %id, %error, "cannot delete the record of a webhook");
                }
            }
        }
    }
}

fn path(folder: &Path, id: JobId) -> PathBuf {
    folder.join(format!("{id}.json"))
}

/// Creates the folder, with the first record.
fn create_folder(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        Ok(()) => File::open(folder.parent().unwrap_or(folder))?.sync_all(),
    }
}
