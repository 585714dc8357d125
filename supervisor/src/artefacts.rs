//! The state folder: where uploads lie, attempts write, and results are published.
//!
//! ```text
//! <state_dir>/                 0700
//!   lock                       held by the one supervisor that uses the folder
//!   spool/<id>.part            an upload on its way in
//!   spool/<id>                 a complete upload, until its job is over
//!   jobs/<id>/attempt-<n>/     what attempt n is writing
//!   results/<id>/              the artefacts of a completed job, and its outcome
//!   webhooks/                  whom to tell of the ends of jobs ([`crate::webhook`])
//!   resumable/                 uploads that come in several requests ([`crate::resumable`])
//!   control.sock                orders of operators ([`crate::ctl`])
//!   journal.db                 what the dispatcher must remember
//! ```
//!
//! Every attempt writes into a folder of its own, which becomes `results/<id>` by one rename(2)
//! once it is complete and on the disk: results are whole or absent, and appear once. Only the
//! newest attempt at a job may publish. All calls block; callers in
//! the async world use `spawn_blocking`. No path here is ever made from a client's word: only
//! from [`JobId`] and [`Artefact`].

use crate::failpoint;
use crate::job::JobId;
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::formats::Formats;
use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};
use thiserror::Error;

/// How long a start waits for the lock of a supervisor that was killed.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// Between two tries.
const LOCK_PERIOD: Duration = Duration::from_millis(10);

/// Why the state folder could not be used.
#[derive(Debug, Error)]
pub enum StateError {
    /// The lock is taken.
    #[error("{} is in use by another bodyscript; stop it or choose another state_dir", .0.display())]
    InUse(PathBuf),
    /// A newer attempt at the same job has begun.
    #[error("{} is not the newest attempt at its job", .0.display())]
    Stale(PathBuf),
    /// A system call failed.
    #[error("{} cannot be {what}: {source}", path.display())]
    Io {
        /// What was to happen.
        what: &'static str,
        /// To what.
        path: PathBuf,
        /// Why it did not.
        source: io::Error,
    },
}

impl StateError {
    /// Whether this process, or the host, has as many files open as it may.
    pub fn is_out_of_descriptors(&self) -> bool {
        use nix::libc::{EMFILE, ENFILE};
        matches!(self, Self::Io { source, .. }
            if matches!(source.raw_os_error(), Some(EMFILE | ENFILE)))
    }

    /// Whether the disk, or this user's share of it, is full.
    pub fn is_disk_full(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        matches!(self, Self::Io { source, .. }
            if matches!(source.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem))
    }
}

/// What the folder of an attempt is called, before its number.
const ATTEMPT: &str = "attempt-";

/// How a successful attempt went, beside its artefacts.
const OUTCOME: &str = "outcome.json";

fn failed<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> StateError + 'a {
    move |source| StateError::Io { what, path: path.to_owned(), source }
}

/// The state folder.
#[derive(Debug, Clone)]
pub struct StateDir {
    root: PathBuf,
}

/// Held as long as the folder is in use.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
}

impl StateDir {
    /// Makes the folder if it is not there, and takes it for this process.
    pub fn open(root: &Path) -> Result<(Self, StateLock), StateError> {
        let state = Self { root: root.to_owned() };
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
        let patience = Instant::now() + LOCK_PATIENCE;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok((state, StateLock { _file: file })),
                // A worker that was being born when its supervisor was killed shares the lock
                // until it executes its program.
                Err(TryLockError::WouldBlock) if Instant::now() < patience => sleep(LOCK_PERIOD),
                Err(TryLockError::WouldBlock) => return Err(StateError::InUse(root.to_owned())),
                Err(TryLockError::Error(source)) => return Err(failed("locked", &path)(source)),
            }
        }
    }

    /// The folder itself.
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

    /// Makes the file an upload is to be received into.
    pub fn begin_upload(&self, id: JobId) -> Result<(PartialUpload, File), StateError> {
        let part = self.spool().join(format!("{id}.part"));
        let file = create_file(&part)?;
        Ok((PartialUpload { part: Some(part), complete: self.upload(id) }, file))
    }

    /// Opens a complete upload, with an offset of its own.
    pub fn open_upload(&self, id: JobId) -> Result<File, StateError> {
        let path = self.upload(id);
        File::open(&path).map_err(failed("opened", &path))
    }

    /// Makes a file from outside the folder the upload of a job, without copying it.
    pub fn adopt_upload(&self, id: JobId, file: &Path) -> Result<(), StateError> {
        fs::canonicalize(file)
            .and_then(|target| std::os::unix::fs::symlink(target, self.upload(id)))
            .map_err(failed("taken in", file))
    }

    /// Makes the folder of an attempt, with the artefacts that are asked for in it, empty.
    pub fn begin_attempt(
        &self,
        id: JobId,
        number: u32,
        formats: Formats,
    ) -> Result<(AttemptFolder, Vec<(Artefact, File)>), StateError> {
        let job = self.jobs().join(id.to_string());
        create_folder(&job)?;
        let folder = AttemptFolder {
            path: job.join(format!("{ATTEMPT}{number}")),
            number,
            published: self.results().join(id.to_string()),
            formats,
        };
        create_folder(&folder.path)?;
        let create = |artefact: Artefact| {
            create_file(&folder.path.join(artefact.file_name())).map(|file| (artefact, file))
        };
        let files = formats.iter().map(create).collect::<Result<_, _>>()?;
        Ok((folder, files))
    }

    /// The jobs of which there is a complete upload.
    pub fn ids_of_uploads(&self) -> Result<HashSet<JobId>, StateError> {
        Ok(names(&self.spool())?.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// The jobs of which there are results.
    pub fn ids_of_results(&self) -> Result<HashSet<JobId>, StateError> {
        Ok(names(&self.results())?.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// What a successful attempt left beside its artefacts.
    pub fn outcome(&self, id: JobId) -> Option<Vec<u8>> {
        fs::read(self.results().join(id.to_string()).join(OUTCOME)).ok()
    }

    /// Removes what the attempts at a job left; its upload and results stay.
    pub fn remove_attempts(&self, id: JobId) -> Result<(), StateError> {
        remove_folder(&self.jobs().join(id.to_string()))
    }

    /// Removes a job's upload and what its attempts left; its results stay.
    pub fn remove_leftovers(&self, id: JobId) -> Result<(), StateError> {
        remove_file(&self.upload(id))?;
        self.remove_attempts(id)
    }

    /// Removes everything there is of a job.
    pub fn remove(&self, id: JobId) -> Result<(), StateError> {
        self.remove_leftovers(id)?;
        remove_folder(&self.results().join(id.to_string()))
    }

    /// What the file system has left for this user, in bytes.
    pub fn free_bytes(&self) -> Result<u64, StateError> {
        let stat = nix::sys::statvfs::statvfs(&self.root)
            .map_err(|errno| failed("measured", &self.root)(errno.into()))?;
        Ok(stat.blocks_available().saturating_mul(stat.fragment_size()))
    }
}

/// An upload on its way in; removed unless it is completed.
#[derive(Debug)]
pub struct PartialUpload {
    part: Option<PathBuf>,
    complete: PathBuf,
}

impl PartialUpload {
    /// Where it is, for messages.
    pub fn path(&self) -> &Path {
        self.part.as_deref().unwrap_or(&self.complete)
    }

    /// Puts the upload on the disk for good, under its final name.
    pub fn complete(mut self, file: &File) -> Result<(), StateError> {
        let part = self.part.take().expect("taken by this method alone, which consumes it");
        let done = file
            .sync_all()
            .map_err(failed("written to the disk", &part))
            .inspect(|()| failpoint::reach("upload_synced"))
            .and_then(|()| rename(&part, &self.complete))
            .inspect(|()| failpoint::reach("upload_renamed"));
        if done.is_err() {
            self.part = Some(part);
        }
        done
    }
}

impl Drop for PartialUpload {
    fn drop(&mut self) {
        if let Some(part) = &self.part
            && let Err(error) = remove_file(part)
        {
            tracing::warn!(%error, "an unfinished upload stays behind until the next start");
        }
    }
}

/// The folder one attempt writes into.
#[derive(Debug)]
pub struct AttemptFolder {
    path: PathBuf,
    number: u32,
    published: PathBuf,
    formats: Formats,
}

impl AttemptFolder {
    /// Puts the artefacts and how it went on the disk for good, and makes them the job's results.
    ///
    /// # Errors
    /// When the disk fails, or a newer attempt at the job has begun or published.
    pub fn publish(&self, outcome: &[u8]) -> Result<(), StateError> {
        failpoint::reach("attempt_done");
        let path = self.path.join(OUTCOME);
        fs::write(&path, outcome).map_err(failed("written to", &path))?;
        failpoint::reach("outcome_written");
        sync(&path)?;
        for artefact in self.formats.iter() {
            let path = self.path.join(artefact.file_name());
            sync(&path)?;
        }
        sync(&self.path)?;
        failpoint::reach("attempt_synced");
        if self.is_stale()? {
            return Err(StateError::Stale(self.path.clone()));
        }
        rename(&self.path, &self.published)?;
        failpoint::reach("attempt_published");
        Ok(())
    }

    fn is_stale(&self) -> Result<bool, StateError> {
        let job = self.path.parent().unwrap_or(&self.path);
        let number = |name: &str| name.strip_prefix(ATTEMPT)?.parse::<u32>().ok();
        Ok(names(job)?.iter().filter_map(|name| number(name)).any(|other| other > self.number))
    }

    /// Removes it, and what it was in if nothing else is there.
    pub fn discard(&self) -> Result<(), StateError> {
        remove_folder(&self.path)?;
        // Refused while there is another attempt, which is what is wanted.
        self.path.parent().map(fs::remove_dir);
        Ok(())
    }
}

/// A rename that has happened even if the power fails after the return.
fn rename(from: &Path, to: &Path) -> Result<(), StateError> {
    fs::rename(from, to).map_err(failed("moved to its place", from))?;
    to.parent().map_or(Ok(()), sync)
}

fn sync(path: &Path) -> Result<(), StateError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(failed("written to the disk", path))
}

/// The names in a folder, as far as they are text.
fn names(folder: &Path) -> Result<Vec<String>, StateError> {
    let entries = fs::read_dir(folder).map_err(failed("listed", folder))?;
    let name = |entry: io::Result<fs::DirEntry>| {
        entry.map(|entry| entry.file_name().into_string().ok()).transpose()
    };
    entries.filter_map(name).collect::<io::Result<_>>().map_err(failed("listed", folder))
}

fn create_folder(path: &Path) -> Result<(), StateError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(path).map_err(failed("created", path))
}

fn create_file(path: &Path) -> Result<File, StateError> {
    let mut options = OpenOptions::new();
    // Readable as well: a muxer goes back over what it wrote.
    options
        .create_new(true)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(failed("created", path))
}

fn remove_file(path: &Path) -> Result<(), StateError> {
    ignore_absence(fs::remove_file(path)).map_err(failed("removed", path))
}

pub(crate) fn remove_folder(path: &Path) -> Result<(), StateError> {
    ignore_absence(fs::remove_dir_all(path)).map_err(failed("removed", path))
}

fn ignore_absence(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
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
    fn a_folder_has_one_user_at_a_time() {
        let (_folder, state, lock) = state();
        assert!(matches!(StateDir::open(state.root()), Err(StateError::InUse(_))));
        drop(lock);
        StateDir::open(state.root()).expect("free again");
    }

    #[test]
    fn results_appear_whole_and_only_when_published() {
        let (_folder, state, _lock) = state();
        let id = JobId::random();
        let formats: Formats = "csv,trc".parse().expect("known");
        let (attempt, files) = state.begin_attempt(id, 1, formats).expect("begins");
        for (artefact, mut file) in files {
            file.write_all(artefact.file_name().as_bytes()).expect("writes");
        }
        assert!(!state.result(id, Artefact::Csv).exists());
        attempt.publish(b"{}").expect("publishes");
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
        assert!(matches!(first.publish(b"first"), Err(StateError::Stale(_))));
        assert!(!state.result(id, Artefact::Csv).exists());
        second.publish(b"second").expect("publishes");
        assert!(first.publish(b"first").is_err());
        assert_eq!(state.outcome(id).as_deref(), Some(&b"second"[..]));
    }

    #[test]
    fn an_upload_is_complete_or_gone() {
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
