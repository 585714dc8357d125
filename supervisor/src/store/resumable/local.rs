//! Resumable uploads of one host.
//!
//! ```text
//! <state_dir>/resumable/<id>        the bytes received so far
//! <state_dir>/resumable/<id>.json   how many of them count, and the client's metadata
//! ```
//!
//! A byte counts once it is on the disk (fsync) and the record on the disk says so. Bytes beyond
//! were never acknowledged and are cut off before more is written, so that a crash leaves neither a
//! gap nor unchecked bytes. Called by [`crate::store::resumable`]; all calls block. The journal does not know these uploads.

use crate::policy::job::JobId;
use crate::policy::retention_rules::ResumableLimits;
use crate::store::artefacts::StateDir;
use crate::store::clock::Clock;
use crate::store::error::{StateError, failed};
use crate::store::fs_atomic::{UNFINISHED, names, open_at, remove_file, replace};
use crate::store::resumable::link::link_into_spool;
use crate::store::resumable::negligible;
use crate::store::resumable::record::ResumableRecord;
use crate::store::resumable::upload_lock::UploadLocks;
use crate::store::retention::Pressure;
use std::cmp::Reverse;
use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Suffix of a record's file name.
const RECORD: &str = ".json";

/// The uploads in the state folder.
#[derive(Debug)]
pub(crate) struct LocalUploads {
    folder: PathBuf,
    clock: Clock,
    limits: ResumableLimits,
    locks: Arc<UploadLocks>,
    /// Held while the uploads are counted and one is created.
    creation: Mutex<()>,
}

impl LocalUploads {
    pub(crate) fn new(
        folder: PathBuf,
        clock: Clock,
        limits: ResumableLimits,
        locks: Arc<UploadLocks>,
    ) -> Self {
        Self { folder, clock, limits, locks, creation: Mutex::default() }
    }

    fn data(&self, id: JobId) -> PathBuf {
        self.folder.join(id.to_string())
    }

    fn record(&self, id: JobId) -> PathBuf {
        self.folder.join(format!("{id}{RECORD}"))
    }

    /// Creates an upload, if need be in place of a negligible one; none if there are too many.
    pub(crate) fn create(
        &self,
        id: JobId,
        length: u64,
        metadata: String,
    ) -> Result<Option<ResumableRecord>, StateError> {
        let _guard = self.creation.lock().unwrap_or_else(PoisonError::into_inner);
        let ids = self.ids()?;
        if ids.len() >= self.limits.uploads_max && !self.remove_negligible(&ids)? {
            return Ok(None);
        }
        let path = self.data(id);
        let mut options = OpenOptions::new();
        let created = options.create_new(true).write(true).mode(0o600).open(&path);
        drop(created.map_err(failed("created", &path))?);
        let created = self.clock.now();
        let record = ResumableRecord { length, offset: 0, metadata, created, is_submitted: false };
        self.write(id, &record)?;
        Ok(Some(record))
    }

    /// Removes the upload that loses the least, among those that lose next to nothing; false if there is none.
    fn remove_negligible(&self, ids: &[JobId]) -> Result<bool, StateError> {
        let candidates = ids.iter().filter_map(|id| {
            let lock = self.locks.try_take(*id)?;
            let data = fs::metadata(self.data(*id)).ok()?;
            let idle = data.modified().ok()?.elapsed().ok()?;
            negligible::is_negligible(data.len(), idle).then_some((data.len(), Reverse(idle), lock))
        });
        let Some((bytes, Reverse(idle), lock)) =
            candidates.min_by_key(|(bytes, idle, _)| (*bytes, *idle))
        else {
            return Ok(false);
        };
        tracing::info!(job = %lock.id(), bytes, ?idle, "resumable upload gives way to a new one");
        self.remove(lock.id())?;
        Ok(true)
    }

    /// The uploads with a data file.
    fn ids(&self) -> Result<Vec<JobId>, StateError> {
        Ok(names(&self.folder)?.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// The record of an upload that has not expired.
    pub(crate) fn find(&self, id: JobId) -> Result<Option<ResumableRecord>, StateError> {
        let path = self.record(id);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", &path)(error)),
        };
        // An unreadable record counts as none; the sweep removes it.
        let record: Option<ResumableRecord> = serde_json::from_slice(&bytes).ok();
        let record = record.filter(|record| !self.has_expired(record, Pressure::default()));
        // A job has taken over the data file.
        let is_submitted = !self.data(id).exists();
        Ok(record.map(|record| ResumableRecord { is_submitted, ..record }))
    }

    fn has_expired(&self, record: &ResumableRecord, pressure: Pressure) -> bool {
        let age = self.clock.now().since(record.created);
        self.limits.retention.has_expired(age, pressure.is_short())
    }

    /// Writes a record atomically and durably.
    pub(crate) fn write(&self, id: JobId, record: &ResumableRecord) -> Result<(), StateError> {
        replace(&self.record(id), &serde_json::to_vec(record).expect("a record is plain data"))
    }

    /// Opens the data file at the end of the bytes that count; bytes beyond are cut off.
    pub(crate) fn open_data(&self, id: JobId, offset: u64) -> Result<File, StateError> {
        open_at(&self.data(id), offset)
    }

    /// Links a complete upload into the spool for a future job; returns its SHA-256.
    ///
    /// The data file stays here as well until [`LocalUploads::release`], so that nothing is lost if
    /// no job is accepted.
    pub(crate) fn link_into_spool(
        &self,
        id: JobId,
        state: &StateDir,
    ) -> Result<[u8; 32], StateError> {
        link_into_spool(&self.data(id), &state.upload(id))
    }

    /// Removes the data file of an upload that is now a job. The record stays, so that a client
    /// that missed the response learns that the upload is complete.
    pub(crate) fn release(&self, id: JobId) -> Result<(), StateError> {
        remove_file(&self.data(id))
    }

    /// Removes an upload.
    pub(crate) fn remove(&self, id: JobId) -> Result<(), StateError> {
        remove_file(&self.data(id))?;
        remove_file(&self.record(id))
    }

    /// Removes expired uploads that no request works on, and files without a record. Returns the
    /// number of removed uploads.
    pub(crate) fn sweep(&self, pressure: Pressure) -> Result<usize, StateError> {
        let _guard = self.creation.lock().unwrap_or_else(PoisonError::into_inner);
        let mut removed = 0;
        for name in names(&self.folder)? {
            let id = name.split('.').next().and_then(|id| id.parse().ok());
            let Some(id) = id else {
                remove_file(&self.folder.join(name))?;
                continue;
            };
            let Some(_lock) = self.locks.try_take(id) else { continue };
            if name.ends_with(UNFINISHED) {
                remove_file(&self.folder.join(&name))?;
            }
            let record = fs::read(self.record(id)).ok();
            let record: Option<ResumableRecord> =
                record.and_then(|r| serde_json::from_slice(&r).ok());
            if record.is_none_or(|record| self.has_expired(&record, pressure)) {
                self.remove(id)?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}
