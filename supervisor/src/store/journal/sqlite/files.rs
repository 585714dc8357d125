//! Whether the files of an open journal are still those that the next start will open.
//!
//! SQLite writes to an unlinked or replaced file without an error, and a commit to it is lost when
//! the process exits. Therefore the files are checked after each commit. Only the journal's thread
//! writes to them, so their sizes are known between two commits.

use crate::store::journal::sqlite::loss::{LOG, LOG_MAGIC, with_suffix};
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The first bytes of a database (<https://sqlite.org/fileformat2.html#magic_header_string>).
const MAGIC: &[u8] = b"SQLite format 3\0";

/// What happened to a file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FileProblem {
    /// It no longer exists.
    #[error("{} was removed", .0.display())]
    Removed(PathBuf),
    /// Another file is in its place.
    #[error("{} was replaced", .0.display())]
    Replaced(PathBuf),
    /// Another process wrote to it.
    #[error("{} was truncated or overwritten", .0.display())]
    Changed(PathBuf),
    /// Unknown: the file or its folder cannot be read.
    #[error("{} cannot be read", .0.display())]
    Unreadable(PathBuf),
}

/// The files of an open journal.
#[derive(Debug)]
pub(crate) struct Files {
    main: TrackedFile,
    log: TrackedFile,
    /// A problem that only a restart resolves.
    modified: Option<FileProblem>,
}

impl Files {
    /// Opens the existing files.
    pub(crate) fn of(journal: &Path) -> io::Result<Self> {
        let main = TrackedFile::open(journal.to_owned(), MAGIC)?;
        let log = TrackedFile::open(with_suffix(journal, LOG), &LOG_MAGIC)?;
        Ok(Self { main, log, modified: None })
    }

    /// Checks both files. A removed or replaced file is intact again once the same file is back. A
    /// modified one never is, even if it looks the same later: SQLite has parts of it in memory.
    pub(crate) fn check(&mut self) -> Result<(), FileProblem> {
        if let Some(problem) = &self.modified {
            return Err(problem.clone());
        }
        let checked = self.main.check().and_then(|()| self.log.check());
        if let Err(problem @ FileProblem::Changed(_)) = &checked {
            self.modified = Some(problem.clone());
        }
        checked
    }

    /// Records the sizes after a commit.
    pub(crate) fn note_sizes(&mut self) {
        self.main.note_size();
        self.log.note_size();
    }
}

/// A file that is held open. It must not be closed before SQLite closes its own descriptor of it,
/// or SQLite's locks are released (fcntl_locking(2)).
#[derive(Debug)]
struct TrackedFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    magic: &'static [u8],
}

impl TrackedFile {
    fn open(path: PathBuf, magic: &'static [u8]) -> io::Result<Self> {
        let file = File::open(&path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path, file, bytes, magic })
    }

    fn check(&self) -> Result<(), FileProblem> {
        let identity = |metadata: &Metadata| (metadata.dev(), metadata.ino());
        let unreadable = |_| FileProblem::Unreadable(self.path.clone());
        let own = self.file.metadata().map_err(unreadable)?;
        // Checked wherever the file is now: a modified one is useless even if it is moved back.
        if own.len() != self.bytes || !self.has_magic().map_err(unreadable)? {
            return Err(FileProblem::Changed(self.path.clone()));
        }
        match self.path.metadata() {
            Ok(found) if identity(&found) == identity(&own) => Ok(()),
            Ok(_) => Err(FileProblem::Replaced(self.path.clone())),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(FileProblem::Removed(self.path.clone()))
            }
            Err(error) => Err(unreadable(error)),
        }
    }

    fn has_magic(&self) -> io::Result<bool> {
        let mut head = [0; MAGIC.len()];
        let head = &mut head[..self.magic.len()];
        match self.file.read_exact_at(head, 0) {
            Ok(()) => Ok(head == self.magic),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn note_size(&mut self) {
        if let Ok(metadata) = self.file.metadata() {
            self.bytes = metadata.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A folder with both files, as far as they are checked.
    fn journal() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let main = folder.path().join("journal.db");
        let log = with_suffix(&main, LOG);
        fs::write(&main, [MAGIC, &[1; 4080]].concat()).expect("writes");
        fs::write(&log, [&LOG_MAGIC[..], &[1; 500]].concat()).expect("writes");
        (folder, main, log)
    }

    #[test]
    fn a_file_that_comes_back_is_intact_again() {
        let (folder, main, log) = journal();
        let mut files = Files::of(&main).expect("opens");
        assert_eq!(files.check(), Ok(()));
        for path in [&main, &log] {
            let away = folder.path().join("away");
            fs::rename(path, &away).expect("moves");
            assert_eq!(files.check(), Err(FileProblem::Removed(path.clone())));
            fs::copy(&away, path).expect("copies");
            assert_eq!(files.check(), Err(FileProblem::Replaced(path.clone())));
            fs::rename(&away, path).expect("moves");
            assert_eq!(files.check(), Ok(()));
        }
    }

    #[test]
    fn a_modified_file_is_never_intact_again() {
        for (is_log, size) in [(false, 0), (false, 4095), (true, 0), (true, 502)] {
            let (_folder, main, log) = journal();
            let mut files = Files::of(&main).expect("opens");
            let path = if is_log { log } else { main };
            let content = fs::read(&path).expect("reads");
            let file = File::options().write(true).open(&path).expect("opens");
            file.set_len(size).expect("truncates");
            assert_eq!(files.check(), Err(FileProblem::Changed(path.clone())));
            file.write_all_at(&content, 0).expect("writes");
            assert_eq!(files.check(), Err(FileProblem::Changed(path)));
        }
    }

    #[test]
    fn a_truncated_file_is_detected_after_later_writes() {
        let (_folder, main, log) = journal();
        let mut files = Files::of(&main).expect("opens");
        let file = File::options().write(true).open(&log).expect("opens");
        file.set_len(0).expect("truncates");
        // As SQLite does, which continues at its own offset.
        file.write_all_at(&[1; 100], 503).expect("writes");
        files.note_sizes();
        assert_eq!(files.check(), Err(FileProblem::Changed(log)));
    }

    #[test]
    fn growth_by_own_commits_is_no_change() {
        let (_folder, main, log) = journal();
        let mut files = Files::of(&main).expect("opens");
        for path in [&main, &log] {
            let bytes = fs::read(path).expect("reads");
            fs::write(path, [&bytes[..], &[2; 4096]].concat()).expect("writes");
        }
        files.note_sizes();
        assert_eq!(files.check(), Ok(()));
    }
}
