//! Resumable uploads: how much of each is on the disk, and when it expires.
//!
//! ```text
//! <state_dir>/resumable/<id>        the bytes received so far
//! <state_dir>/resumable/<id>.json   how many of them count, and the client's metadata
//! ```
//!
//! A byte counts once it is on the disk (fsync) and the record on the disk says so. Bytes beyond
//! were never acknowledged and are cut off before more is written, so that a crash leaves neither a
//! gap nor unchecked bytes. The id is that of the future job and the only key. Called by
//! `http::tus`; all calls block. An upload here is no job, and the journal does not know it.

mod negligible;
mod upload_lock;

use crate::policy::job::JobId;
use crate::policy::retention_rules::ResumableLimits;
use crate::store::artefacts::StateDir;
use crate::store::clock::{Clock, Moment};
use crate::store::error::{StateError, failed};
use crate::store::fs_atomic::{UNFINISHED, remove_file, replace};
use crate::store::retention::Pressure;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::cmp::Reverse;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
pub(crate) use upload_lock::UploadLock;
use upload_lock::UploadLocks;

/// Suffix of a record's file name.
const RECORD: &str = ".json";

/// Bytes read at once for the digest.
const READ_BYTES: usize = 64 * 1024;

/// The state of one upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ResumableRecord {
    /// Its size when complete, in bytes.
    pub length: u64,
    /// Number of bytes that count.
    pub offset: u64,
    /// The metadata sent by the client, unchanged.
    pub metadata: String,
    /// When it was created.
    pub created: Moment,
}

impl ResumableRecord {
    /// Whether all bytes have arrived.
    pub(crate) const fn is_complete(&self) -> bool {
        self.offset == self.length
    }
}

/// All resumable uploads.
#[derive(Debug)]
pub(crate) struct Resumables {
    folder: PathBuf,
    clock: Clock,
    limits: ResumableLimits,
    /// Which request works on which upload.
    pub locks: Arc<UploadLocks>,
    /// Held while the uploads are counted and one is created.
    creation: Mutex<()>,
}

impl Resumables {
    /// Opens the uploads of an earlier run, or creates the folder.
    pub(crate) fn open(
        state: &StateDir,
        clock: Clock,
        limits: ResumableLimits,
    ) -> Result<Self, StateError> {
        let folder = state.root().join("resumable");
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&folder).map_err(failed("created", &folder))?;
        Ok(Self { folder, clock, limits, locks: Arc::default(), creation: Mutex::default() })
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
        let record = ResumableRecord { length, offset: 0, metadata, created: self.clock.now() };
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
        Ok(self.names()?.iter().filter_map(|name| name.parse().ok()).collect())
    }

    fn names(&self) -> Result<Vec<String>, StateError> {
        let list = || {
            let entries = fs::read_dir(&self.folder)?;
            let names = entries.map(|entry| entry.map(|entry| entry.file_name().into_string()));
            names.filter_map(|name| name.map(Result::ok).transpose()).collect::<io::Result<_>>()
        };
        list().map_err(failed("listed", &self.folder))
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
        Ok(record.filter(|record| !self.has_expired(record, Pressure::default())))
    }

    fn has_expired(&self, record: &ResumableRecord, pressure: Pressure) -> bool {
        let age = self.clock.now().since(record.created);
        self.limits.retention.has_expired(age, pressure.is_short())
    }

    /// Time until an upload expires.
    pub(crate) fn time_left(&self, record: &ResumableRecord) -> Duration {
        let age = self.clock.now().since(record.created);
        self.limits.retention.normal.saturating_sub(age)
    }

    /// Whether the data file exists, which ends when a job has taken it over.
    pub(crate) fn has_bytes(&self, id: JobId) -> bool {
        self.data(id).exists()
    }

    /// Writes a record atomically and durably.
    pub(crate) fn write(&self, id: JobId, record: &ResumableRecord) -> Result<(), StateError> {
        replace(&self.record(id), &serde_json::to_vec(record).expect("a record is plain data"))
    }

    /// Opens the data file at the end of the bytes that count; bytes beyond are cut off.
    pub(crate) fn open_data(
        &self,
        id: JobId,
        record: &ResumableRecord,
    ) -> Result<File, StateError> {
        let path = self.data(id);
        let open = || {
            let mut file = OpenOptions::new().write(true).open(&path)?;
            file.set_len(record.offset)?;
            file.seek(SeekFrom::End(0))?;
            Ok(file)
        };
        open().map_err(failed("opened", &path))
    }

    /// The path of the data file, for messages.
    pub(crate) fn path(&self, id: JobId) -> PathBuf {
        self.data(id)
    }

    /// Links a complete upload into the spool for a future job; returns its SHA-256.
    ///
    /// The data file stays here as well until [`Resumables::release`], so that nothing is lost if
    /// no job is accepted.
    pub(crate) fn link_into_spool(
        &self,
        id: JobId,
        state: &StateDir,
    ) -> Result<[u8; 32], StateError> {
        let (from, to) = (self.data(id), state.upload(id));
        let digest = digest(&from).map_err(failed("read", &from))?;
        let spool = to.parent().unwrap_or(&to);
        let folder = File::open(spool).map_err(failed("opened", spool))?;
        // A link that an earlier attempt left is the same file.
        if let Err(error) = fs::hard_link(&from, &to)
            && error.kind() != ErrorKind::AlreadyExists
        {
            return Err(failed("linked", &to)(error));
        }
        folder.sync_all().map_err(failed("written to the disk", spool))?;
        Ok(digest)
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
        for name in self.names()? {
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

fn digest(path: &Path) -> io::Result<[u8; 32]> {
    let (mut file, mut digest) = (File::open(path)?, Sha256::new());
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(digest.finalize().into()),
            bytes => digest.update(&buffer[..bytes]),
        }
    }
}
