//! The state folder: uploads, attempts in progress, and published results.
//!
//! ```text
//! <state_dir>/                 0700
//!   lock                       held by the one supervisor that uses the folder
//!   spool/<id>.part            an upload in progress
//!   spool/<id>                 a complete upload, until its job is over
//!   jobs/<id>/attempt-<n>/     what the n-th start of the job is writing
//!   results/<id>/              the artefacts of a completed job, and its outcome
//!   webhooks/                  webhooks that are not delivered yet ([`crate::webhook`])
//!   resumable/                 uploads that come in several requests ([`crate::store::resumable`])
//!   trial                      exists while a write to the disk is tested
//!   control.sock               commands of operators ([`crate::ops::control_socket`])
//!   journal.db, journal.db-wal the jobs on disk ([`crate::store::journal`])
//!   set-aside/<time>/          files of unknown jobs ([`crate::store::set_aside`])
//! ```
//!
//! Every attempt writes to a folder of its own, which becomes `results/<id>` by one rename(2) once
//! it is complete and on the disk, so results are complete or absent. Only the newest attempt at a
//! job may publish. All calls block; async callers use `spawn_blocking`. Paths are never built from
//! a client's text, only from [`JobId`] and [`Artefact`].

mod attempt_folder;
mod disk_state;
mod partial_upload;

use crate::policy::job::JobId;
use crate::store::error::{StateError, failed};
use crate::store::fs_atomic::{create_folder, names, remove_file, remove_folder};
pub(crate) use attempt_folder::AttemptFolder;
use attempt_folder::OUTCOME;
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::formats::Formats;
use disk_state::DiskState;
pub(crate) use partial_upload::PartialUpload;
use std::collections::HashSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a start waits for the lock of a killed supervisor.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// Time between two attempts to lock.
const LOCK_PERIOD: Duration = Duration::from_millis(10);

/// The state folder.
#[derive(Debug, Clone)]
pub struct StateDir {
    root: PathBuf,
    disk: Arc<DiskState>,
}

/// Held as long as the folder is in use.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
}

impl StateDir {
    /// Creates the folder if it is missing, and locks it for this process.
    pub fn open(root: &Path) -> Result<(Self, StateLock), StateError> {
        Self::open_and_lock(root).map_err(|error| match error {
            StateError::Io { source, .. } if source.kind() == ErrorKind::ReadOnlyFilesystem => {
                StateError::ReadOnly(root.to_owned())
            }
            other => other,
        })
    }

    fn open_and_lock(root: &Path) -> Result<(Self, StateLock), StateError> {
        let state = Self { root: root.to_owned(), disk: Arc::default() };
        for folder in [root, &state.spool(), &state.jobs(), &state.results()] {
            create_folder(folder)?;
        }
        let path = root.join("lock");
        let mut options = OpenOptions::new();
        let file = options
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed("opened", &path))?;
        let deadline = Instant::now() + LOCK_TIMEOUT;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok((state, StateLock { _file: file })),
                // A worker that was being spawned when its supervisor was killed shares the lock
                // until it executes its program.
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => sleep(LOCK_PERIOD),
                Err(TryLockError::WouldBlock) => return Err(StateError::InUse(root.to_owned())),
                Err(TryLockError::Error(source)) => return Err(failed("locked", &path)(source)),
            }
        }
    }

    /// The path of the folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn spool(&self) -> PathBuf {
        self.root.join("spool")
    }

    pub(crate) fn jobs(&self) -> PathBuf {
        self.root.join("jobs")
    }

    pub(crate) fn results(&self) -> PathBuf {
        self.root.join("results")
    }

    /// A complete upload.
    pub fn upload(&self, id: JobId) -> PathBuf {
        self.spool().join(id.to_string())
    }

    /// A published artefact.
    pub fn result(&self, id: JobId, artefact: Artefact) -> PathBuf {
        self.results().join(id.to_string()).join(artefact.file_name())
    }

    /// Creates the folder for copies of the results of a job.
    pub(crate) fn create_results(&self, id: JobId) -> Result<PathBuf, StateError> {
        let folder = self.results().join(id.to_string());
        create_folder(&folder)?;
        Ok(folder)
    }

    /// Creates the file that receives an upload.
    pub fn begin_upload(&self, id: JobId) -> Result<(PartialUpload, File), StateError> {
        PartialUpload::create(self.spool().join(format!("{id}.part")), self.upload(id))
    }

    /// Opens a complete upload, with an offset of its own.
    pub fn open_upload(&self, id: JobId) -> Result<File, StateError> {
        let path = self.upload(id);
        File::open(&path).map_err(failed("opened", &path))
    }

    /// Makes a file outside the folder the upload of a job, without copying it.
    pub fn adopt_upload(&self, id: JobId, file: &Path) -> Result<(), StateError> {
        fs::canonicalize(file)
            .and_then(|target| std::os::unix::fs::symlink(target, self.upload(id)))
            .map_err(failed("taken in", file))
    }

    /// Creates the folder of an attempt, with an empty file for each requested artefact.
    pub fn begin_attempt(
        &self,
        id: JobId,
        number: u32,
        formats: Formats,
    ) -> Result<(AttemptFolder, Vec<(Artefact, File)>), StateError> {
        let job = self.jobs().join(id.to_string());
        AttemptFolder::create(&job, number, self.results().join(id.to_string()), formats)
    }

    /// The jobs with a complete upload.
    pub fn ids_of_uploads(&self) -> Result<HashSet<JobId>, StateError> {
        Ok(names(&self.spool())?.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// The jobs with results.
    pub fn ids_of_results(&self) -> Result<HashSet<JobId>, StateError> {
        Ok(names(&self.results())?.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// The stored outcome of a successful attempt.
    pub fn outcome(&self, id: JobId) -> Option<Vec<u8>> {
        fs::read(self.results().join(id.to_string()).join(OUTCOME)).ok()
    }

    /// Removes the folder of an attempt, and that of its job if it is then empty.
    pub fn discard_attempt(&self, id: JobId, number: u32) -> Result<(), StateError> {
        let job = self.jobs().join(id.to_string());
        attempt_folder::discard(&job.join(attempt_folder::name(number)))
    }

    /// Removes a complete upload.
    pub fn remove_upload(&self, id: JobId) -> Result<(), StateError> {
        remove_file(&self.upload(id))
    }

    /// Removes a job's upload and the folders of its attempts; its results stay.
    pub fn remove_leftovers(&self, id: JobId) -> Result<(), StateError> {
        self.remove_upload(id)?;
        remove_folder(&self.jobs().join(id.to_string()))
    }

    /// Removes all files of a job.
    pub fn remove(&self, id: JobId) -> Result<(), StateError> {
        self.remove_leftovers(id)?;
        remove_folder(&self.results().join(id.to_string()))
    }

    /// The free bytes of the file system for this user.
    pub fn free_bytes(&self) -> Result<u64, StateError> {
        let stat = nix::sys::statvfs::statvfs(&self.root)
            .map_err(|errno| failed("measured", &self.root)(errno.into()))?;
        Ok(stat.blocks_available().saturating_mul(stat.fragment_size()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn state() -> (tempfile::TempDir, StateDir, StateLock) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (state, lock) = StateDir::open(&folder.path().join("state")).expect("opens");
        (folder, state, lock)
    }

    #[test]
    fn only_one_process_can_open_a_folder() {
        let (_folder, state, lock) = state();
        assert!(matches!(StateDir::open(state.root()), Err(StateError::InUse(_))));
        drop(lock);
        StateDir::open(state.root()).expect("free again");
    }

    #[test]
    fn results_appear_completely_and_only_when_published() {
        let (_folder, state, _lock) = state();
        let id = JobId::random();
        let formats: Formats = "csv,trc".parse().expect("known");
        let (attempt, files) = state.begin_attempt(id, 1, formats).expect("begins");
        for (artefact, mut file) in files {
            file.write_all(artefact.file_name().as_bytes()).expect("writes");
        }
        assert!(!state.result(id, Artefact::Csv).exists());
        attempt.write_outcome(b"{}").expect("writes");
        attempt.publish().expect("publishes");
        assert_eq!(state.outcome(id).as_deref(), Some(&b"{}"[..]));
        for artefact in Artefact::ALL {
            if !formats.contains(artefact) {
                assert!(!state.result(id, artefact).exists(), "{artefact:?} was not asked for");
                continue;
            }
            let content = fs::read(state.result(id, artefact)).expect("is there");
            assert_eq!(content, artefact.file_name().as_bytes());
        }
        state.remove_leftovers(id).expect("removes");
        assert!(state.result(id, Artefact::Csv).exists(), "results are no leftovers");
        state.remove(id).expect("removes");
        assert!(!state.results().join(id.to_string()).exists());
    }

    #[test]
    fn a_late_attempt_publishes_neither_before_nor_after_a_newer_one() {
        let (_folder, state, _lock) = state();
        let id = JobId::random();
        let (first, _) = state.begin_attempt(id, 9, Formats::DEFAULT).expect("begins");
        let (second, _) = state.begin_attempt(id, 10, Formats::DEFAULT).expect("begins");
        first.write_outcome(b"first").expect("writes");
        assert!(matches!(first.publish(), Err(StateError::Stale(_))));
        assert!(!state.result(id, Artefact::Csv).exists());
        second.write_outcome(b"second").expect("writes");
        second.publish().expect("publishes");
        assert!(first.publish().is_err());
        assert_eq!(state.outcome(id).as_deref(), Some(&b"second"[..]));
    }

    #[test]
    fn an_upload_is_completed_or_removed() {
        let (_folder, state, _lock) = state();
        let id = JobId::random();
        let (partial, _file) = state.begin_upload(id).expect("begins");
        drop(partial);
        assert_eq!(fs::read_dir(state.spool()).expect("a folder").count(), 0);

        let (partial, mut file) = state.begin_upload(id).expect("begins");
        file.write_all(b"video").expect("writes");
        partial.complete(&file).expect("completes");
        assert_eq!(fs::read(state.upload(id)).expect("is there"), b"video");
        assert_eq!(fs::read_dir(state.spool()).expect("a folder").count(), 1);
    }
}
