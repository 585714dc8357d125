//! Uploads that come in several requests: how much of each is on the disk, and how long it stays.
//!
//! ```text
//! <state_dir>/resumable/<id>        the bytes so far
//! <state_dir>/resumable/<id>.json   how many of them count, and what was said at the beginning
//! ```
//!
//! A byte counts once it is on the disk (fsync) and the record says so, also on the disk. What
//! lies beyond was promised to nobody and is cut off before more is written, so that no crash
//! leaves a hole or bytes nobody checked. The id is that of the job to come and the only key.
//! `http::tus` calls this; all calls block. Nothing here is a job: the journal does not know it.

pub(crate) mod upload_lock;

use crate::policy::job::JobId;
use crate::policy::retention_rules::ResumableLimits;
use crate::store::artefacts::StateDir;
use crate::store::clock::{Clock, Moment};
use crate::store::error::StateError;
use crate::store::retention::Pressure;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use upload_lock::UploadLocks;

/// What a record's name ends in.
const RECORD: &str = ".json";

/// What a record that is being written has in its place.
const UNFINISHED: &str = ".new";

/// Bytes read at once for the digest.
const READ_BYTES: usize = 64 * 1024;

/// What is known of one upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Its size once it is complete, in bytes.
    pub length: u64,
    /// Bytes that count.
    pub offset: u64,
    /// What the client said of it, as it said it.
    pub metadata: String,
    /// When it was begun.
    pub created: Moment,
}

impl Record {
    /// Whether all bytes are there.
    pub(crate) const fn is_complete(&self) -> bool {
        self.offset == self.length
    }
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Resumables {
    folder: PathBuf,
    clock: Clock,
    limits: ResumableLimits,
    /// Who works on which.
    pub holds: Arc<UploadLocks>,
    /// Held while one is counted in.
    creation: Mutex<()>,
}

impl Resumables {
    /// Opens what an earlier run left, or begins.
    pub(crate) fn open(
        state: &StateDir,
        clock: Clock,
        limits: ResumableLimits,
    ) -> Result<Self, StateError> {
        let folder = state.root().join("resumable");
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&folder).map_err(failed("created", &folder))?;
        Ok(Self { folder, clock, limits, holds: Arc::default(), creation: Mutex::default() })
    }

    fn data(&self, id: JobId) -> PathBuf {
        self.folder.join(id.to_string())
    }

    fn record(&self, id: JobId) -> PathBuf {
        self.folder.join(format!("{id}{RECORD}"))
    }

    /// Begins an upload; nothing if there are as many as may be.
    pub(crate) fn create(
        &self,
        id: JobId,
        length: u64,
        metadata: String,
    ) -> Result<Option<Record>, StateError> {
        let _one_at_a_time = self.creation.lock().unwrap_or_else(PoisonError::into_inner);
        if self.ids()?.len() >= self.limits.uploads_max {
            return Ok(None);
        }
        let path = self.data(id);
        let mut options = OpenOptions::new();
        let made = options.create_new(true).write(true).mode(0o600).open(&path);
        drop(made.map_err(failed("created", &path))?);
        let record = Record { length, offset: 0, metadata, created: self.clock.now() };
        self.write(id, &record)?;
        Ok(Some(record))
    }

    /// The uploads of which there are bytes, or could be.
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

    /// What is known of an upload, unless its time is over.
    pub(crate) fn find(&self, id: JobId) -> Result<Option<Record>, StateError> {
        let path = self.record(id);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", &path)(error)),
        };
        // One that does not read back is no upload of ours; the sweep removes it.
        let record: Option<Record> = serde_json::from_slice(&bytes).ok();
        Ok(record.filter(|record| !self.has_expired(record, Pressure::default())))
    }

    fn has_expired(&self, record: &Record, pressure: Pressure) -> bool {
        let age = self.clock.now().since(record.created);
        self.limits.lives.has_expired(age, pressure.is_short())
    }

    /// How long an upload may still take.
    pub(crate) fn time_left(&self, record: &Record) -> Duration {
        let age = self.clock.now().since(record.created);
        self.limits.lives.normal.saturating_sub(age)
    }

    /// Whether the bytes are here, which ends once they are a job's.
    pub(crate) fn has_bytes(&self, id: JobId) -> bool {
        self.data(id).exists()
    }

    /// Puts a record on the disk, whole.
    pub(crate) fn write(&self, id: JobId, record: &Record) -> Result<(), StateError> {
        let path = self.record(id);
        let fresh = self.folder.join(format!("{id}{RECORD}{UNFINISHED}"));
        let bytes = serde_json::to_vec(record).expect("a record is plain data");
        let write = || {
            let mut options = OpenOptions::new();
            let options = options.create(true).truncate(true).write(true).mode(0o600);
            let mut file = options.open(&fresh)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&fresh, &path)?;
            File::open(&self.folder)?.sync_all()
        };
        write().map_err(failed("written", &path))
    }

    /// Opens the bytes to write on after those that count; what lies beyond is gone.
    pub(crate) fn open_data(&self, id: JobId, record: &Record) -> Result<File, StateError> {
        let path = self.data(id);
        let open = || {
            let mut file = OpenOptions::new().write(true).open(&path)?;
            file.set_len(record.offset)?;
            file.seek(SeekFrom::End(0))?;
            Ok(file)
        };
        open().map_err(failed("opened", &path))
    }

    /// Where the bytes are, for messages.
    pub(crate) fn path(&self, id: JobId) -> PathBuf {
        self.data(id)
    }

    /// Makes a complete upload that of a job to be; gives its SHA-256.
    ///
    /// The bytes stay here as well until [`Resumables::release`], so that nothing is lost if no
    /// job comes of it.
    pub(crate) fn hand_over(&self, id: JobId, state: &StateDir) -> Result<[u8; 32], StateError> {
        let (from, to) = (self.data(id), state.upload(id));
        let digest = digest(&from).map_err(failed("read", &from))?;
        let spool = to.parent().unwrap_or(&to);
        let folder = File::open(spool).map_err(failed("opened", spool))?;
        // What an earlier try left there is the same file.
        if let Err(error) = fs::hard_link(&from, &to)
            && error.kind() != ErrorKind::AlreadyExists
        {
            return Err(failed("linked", &to)(error));
        }
        folder.sync_all().map_err(failed("written to the disk", spool))?;
        Ok(digest)
    }

    /// Lets go of bytes that are a job's now. The record stays, so that a client that did not
    /// hear the answer is told that all is there.
    pub(crate) fn release(&self, id: JobId) -> Result<(), StateError> {
        remove(&self.data(id))
    }

    /// Removes an upload.
    pub(crate) fn remove(&self, id: JobId) -> Result<(), StateError> {
        remove(&self.data(id))?;
        remove(&self.record(id))
    }

    /// Removes what nobody works on and whose time is over, and what no record belongs to. Tells
    /// how much it was.
    pub(crate) fn sweep(&self, pressure: Pressure) -> Result<usize, StateError> {
        let _nothing_begins = self.creation.lock().unwrap_or_else(PoisonError::into_inner);
        let mut removed = 0;
        for name in self.names()? {
            let id = name.split('.').next().and_then(|id| id.parse().ok());
            let Some(id) = id else {
                remove(&self.folder.join(name))?;
                continue;
            };
            let Some(_hold) = self.holds.try_take(id) else { continue };
            if name.ends_with(UNFINISHED) {
                remove(&self.folder.join(&name))?;
            }
            let record = fs::read(self.record(id)).ok();
            let record: Option<Record> = record.and_then(|r| serde_json::from_slice(&r).ok());
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

fn remove(path: &Path) -> Result<(), StateError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("removed", path)(error)),
        _ => Ok(()),
    }
}

fn failed<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> StateError + 'a {
    move |source| StateError::Io { what, path: path.to_owned(), source }
}
