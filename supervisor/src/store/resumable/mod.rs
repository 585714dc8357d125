//! Resumable uploads: how many bytes of each count, and when it expires.
//!
//! Of one host, in its state folder ([`local`]), or of all that share a journal ([`shared`]). The id is that of the
//! future job and the only key. Called by `http::tus`; no call blocks.

mod link;
mod local;
mod negligible;
mod part_names;
mod record;
mod shared;
mod upload_lock;

use crate::policy::job::JobId;
use crate::policy::retention_rules::ResumableLimits;
use crate::store::artefacts::StateDir;
use crate::store::blocking::blocking;
use crate::store::clock::Clock;
use crate::store::error::StateError;
use crate::store::fs_atomic::create_folder;
use crate::store::journal::UploadTable;
use crate::store::objects::Objects;
use crate::store::retention::Pressure;
use local::LocalUploads;
pub(crate) use record::{ResumableError, ResumableRecord};
use shared::SharedUploads;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
pub(crate) use upload_lock::UploadLock;
use upload_lock::UploadLocks;

pub(crate) type Result<T> = std::result::Result<T, ResumableError>;

/// All resumable uploads.
#[derive(Debug)]
pub(crate) struct Resumables {
    folder: PathBuf,
    clock: Clock,
    limits: ResumableLimits,
    uploads: Uploads,
    /// Which request of this host works on which upload.
    pub locks: Arc<UploadLocks>,
}

#[derive(Debug)]
enum Uploads {
    Local(Arc<LocalUploads>),
    Shared(Box<SharedUploads>),
}

impl Resumables {
    /// Opens the uploads of an earlier run, or those in this table and store, which hosts share.
    pub(crate) fn open(
        state: &StateDir,
        clock: Clock,
        limits: ResumableLimits,
        shared: Option<(UploadTable, Objects)>,
    ) -> std::result::Result<Self, StateError> {
        let folder = state.root().join("resumable");
        create_folder(&folder)?;
        let locks = Arc::<UploadLocks>::default();
        let uploads = match shared {
            Some(shared) => Uploads::Shared(Box::new(SharedUploads::new(
                state.clone(),
                (folder.clone(), clock.clone(), limits),
                shared,
                Arc::clone(&locks),
            ))),
            None => Uploads::Local(Arc::new(LocalUploads::new(
                folder.clone(),
                clock.clone(),
                limits,
                Arc::clone(&locks),
            ))),
        };
        Ok(Self { folder, clock, limits, uploads, locks })
    }

    /// Whether requests of other hosts work on them as well.
    pub(crate) const fn are_shared(&self) -> bool {
        matches!(self.uploads, Uploads::Shared(_))
    }

    /// Creates an upload, if need be in place of a negligible one; none if there are too many.
    pub(crate) async fn create(
        &self,
        id: JobId,
        length: u64,
        metadata: String,
    ) -> Result<Option<ResumableRecord>> {
        match &self.uploads {
            Uploads::Local(uploads) => {
                on_disk(uploads, move |uploads| uploads.create(id, length, metadata)).await
            }
            Uploads::Shared(uploads) => uploads.create(id, length, metadata).await,
        }
    }

    /// The record of an upload that has not expired.
    pub(crate) async fn find(&self, id: JobId) -> Result<Option<ResumableRecord>> {
        match &self.uploads {
            Uploads::Local(uploads) => on_disk(uploads, move |uploads| uploads.find(id)).await,
            Uploads::Shared(uploads) => uploads.find(id).await,
        }
    }

    /// Time until an upload expires.
    pub(crate) fn time_left(&self, record: &ResumableRecord) -> Duration {
        let age = self.clock.now().since(record.created);
        self.limits.retention.normal.saturating_sub(age)
    }

    /// The path of the data file, for messages.
    pub(crate) fn path(&self, id: JobId) -> PathBuf {
        data(&self.folder, id)
    }

    /// Opens the data file at the end of the bytes that count; bytes beyond are cut off.
    pub(crate) async fn open_data(&self, id: JobId, record: &ResumableRecord) -> Result<File> {
        match &self.uploads {
            Uploads::Local(uploads) => {
                let offset = record.offset;
                on_disk(uploads, move |uploads| uploads.open_data(id, offset)).await
            }
            Uploads::Shared(uploads) => uploads.open_data(id, record.offset).await,
        }
    }

    /// Shows that a request works on an upload, if other hosts have to know.
    pub(crate) async fn touch(&self, id: JobId, record: &ResumableRecord) -> Result<()> {
        match &self.uploads {
            Uploads::Local(_) => Ok(()),
            Uploads::Shared(uploads) => uploads.touch(id, record.offset).await,
        }
    }

    /// Lets this many bytes more count, which are on the disk.
    pub(crate) async fn commit(
        &self,
        id: JobId,
        record: &ResumableRecord,
        bytes: u64,
    ) -> Result<ResumableRecord> {
        let next = ResumableRecord { offset: record.offset + bytes, ..record.clone() };
        match &self.uploads {
            Uploads::Local(uploads) => {
                on_disk(uploads, move |uploads| uploads.write(id, &next).map(|()| next)).await
            }
            Uploads::Shared(uploads) => {
                uploads.commit(id, record.offset..next.offset).await.map(|()| next)
            }
        }
    }

    /// Links a complete upload into the spool for a future job; returns its SHA-256.
    pub(crate) async fn link_into_spool(
        &self,
        id: JobId,
        record: &ResumableRecord,
        state: &StateDir,
    ) -> Result<[u8; 32]> {
        match &self.uploads {
            Uploads::Local(uploads) => {
                let state = state.clone();
                on_disk(uploads, move |uploads| uploads.link_into_spool(id, &state)).await
            }
            Uploads::Shared(uploads) => uploads.link_into_spool(id, record.length).await,
        }
    }

    /// Removes the bytes of an upload that is now a job; false if another host has removed the upload. The record stays,
    /// so that a client that missed the response learns that the upload is complete.
    pub(crate) async fn release(&self, id: JobId) -> Result<bool> {
        match &self.uploads {
            Uploads::Local(uploads) => {
                on_disk(uploads, move |uploads| uploads.release(id)).await.map(|()| true)
            }
            Uploads::Shared(uploads) => uploads.release(id).await,
        }
    }

    /// Removes an upload.
    pub(crate) async fn remove(&self, id: JobId) -> Result<()> {
        match &self.uploads {
            Uploads::Local(uploads) => on_disk(uploads, move |uploads| uploads.remove(id)).await,
            Uploads::Shared(uploads) => uploads.remove(id).await,
        }
    }

    /// Removes expired uploads that no request works on, and what belongs to none. Returns the number of removed
    /// uploads.
    pub(crate) async fn sweep(&self, pressure: Pressure) -> Result<usize> {
        match &self.uploads {
            Uploads::Local(uploads) => {
                on_disk(uploads, move |uploads| uploads.sweep(pressure)).await
            }
            Uploads::Shared(uploads) => uploads.sweep(pressure).await,
        }
    }
}

fn data(folder: &Path, id: JobId) -> PathBuf {
    folder.join(id.to_string())
}

async fn on_disk<T: Send + 'static>(
    uploads: &Arc<LocalUploads>,
    operation: impl FnOnce(&LocalUploads) -> std::result::Result<T, StateError> + Send + 'static,
) -> Result<T> {
    let uploads = Arc::clone(uploads);
    Ok(blocking(move || operation(&uploads)).await?)
}
