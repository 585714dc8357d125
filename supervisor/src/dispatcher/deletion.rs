//! Deletes the files of jobs.
//!
//! A removal is written to the journal before the files are deleted: a crash in between leaves files
//! without a job, which the next start deletes, and never a job without files. If the journal
//! cannot be written the files are deleted anyway, because they may be what fills the disk.

use crate::dispatcher::deletion_retry::retry_until_done;
use crate::policy::job::JobId;
use crate::store::{ArtefactStore, Journal, JournalEntry, RemovedPart, failpoint};
use tokio::task::JoinHandle;

/// Deletes files, with a record in the journal.
#[derive(Debug)]
pub(crate) struct Deletion {
    journal: Journal,
    files: ArtefactStore,
}

impl Deletion {
    pub(crate) const fn new(journal: Journal, files: ArtefactStore) -> Self {
        Self { journal, files }
    }

    /// Deletes files of a job; the task ends after the first try.
    pub(crate) fn delete(&self, id: JobId, part: RemovedPart, why: &'static str) -> JoinHandle<()> {
        tracing::info!(job = %id, part = part.name(), why, "removed");
        // Sent to the journal before this returns, ahead of a new job with the same key.
        let written =
            self.journal.commit(JournalEntry::Removed { job: id, part, why, known: None });
        let files = self.files.clone();
        tokio::spawn(async move {
            let _ = written.await;
            remove(files, id, part).await;
        })
    }

    /// Deletes files of a job that the journal has removed.
    pub(crate) fn delete_files(
        &self,
        id: JobId,
        part: RemovedPart,
        why: &'static str,
    ) -> JoinHandle<()> {
        tracing::info!(job = %id, part = part.name(), why, "removed");
        tokio::spawn(remove(self.files.clone(), id, part))
    }

    /// Deletes an upload that did not become a job. Without a retry: a resumable upload may be
    /// submitted again, and a late retry would delete it then.
    pub(crate) fn delete_upload(&self, id: JobId) {
        let files = self.files.clone();
        tokio::spawn(async move {
            if let Err(error) = files.remove_upload(id).await {
                tracing::error!(job = %id, %error, "cannot delete an upload before the next start");
            }
        });
    }
}

async fn remove(files: ArtefactStore, id: JobId, part: RemovedPart) {
    failpoint::reach("removal_committed");
    let remove = move || {
        let files = files.clone();
        async move { files.remove(id, part).await }
    };
    retry_until_done(id, remove).await;
    failpoint::reach("removal_done");
}
