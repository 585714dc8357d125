//! Whether the files of an open journal are still those that a next start will open.
//!
//! SQLite writes to a file that was unlinked or replaced as happily as before, and a commit there
//! is lost with the process. Whoever promises something looks here after the commit. Nobody but
//! the journal's thread writes to the files, so their sizes are known between two commits.

use crate::store::journal::loss::{LOG, LOG_MAGIC, with_suffix};
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The first bytes of a database (<https://sqlite.org/fileformat2.html#magic_header_string>).
const MAGIC: &[u8] = b"SQLite format 3\0";

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FileProblem {
    /// It is not where it was.
    #[error("{} was removed", .0.display())]
    Removed(PathBuf),
    /// Another is in its place.
    #[error("{} was replaced", .0.display())]
    Replaced(PathBuf),
    /// Somebody else wrote to it.
    #[error("{} was truncated or overwritten", .0.display())]
    Changed(PathBuf),
    /// Nobody knows: the disk or its folder does not let it be looked at.
    #[error("{} cannot be looked at", .0.display())]
    Unreadable(PathBuf),
}

/// The files of an open journal.
#[derive(Debug)]
pub(crate) struct Files {
    main: Kept,
    log: Kept,
    /// What nothing but a new start mends.
    spoilt: Option<FileProblem>,
}

impl Files {
    /// Those that are there now.
    pub(crate) fn of(journal: &Path) -> io::Result<Self> {
        let main = Kept::open(journal.to_owned(), MAGIC)?;
        let log = Kept::open(with_suffix(journal, LOG), &LOG_MAGIC)?;
        Ok(Self { main, log, spoilt: None })
    }

    /// Looks whether they are whole. What was removed or replaced is whole again once the same
    /// file is back; what somebody else wrote to never is, whatever it looks like later: SQLite
    /// has parts of it in memory.
    pub(crate) fn look(&mut self) -> Result<(), FileProblem> {
        if let Some(trouble) = &self.spoilt {
            return Err(trouble.clone());
        }
        let looked = self.main.look().and_then(|()| self.log.look());
        if let Err(trouble @ FileProblem::Changed(_)) = &looked {
            self.spoilt = Some(trouble.clone());
        }
        looked
    }

    /// Takes note of their sizes after a commit.
    pub(crate) fn note_sizes(&mut self) {
        self.main.note_size();
        self.log.note_size();
    }
}

/// A file that is held open. It must not be closed before SQLite closes its own descriptor of it,
/// whose locks would go (fcntl_locking(2)).
#[derive(Debug)]
struct Kept {
    path: PathBuf,
    file: File,
    bytes: u64,
    magic: &'static [u8],
}

impl Kept {
    fn open(path: PathBuf, magic: &'static [u8]) -> io::Result<Self> {
        let file = File::open(&path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path, file, bytes, magic })
    }

    fn look(&self) -> Result<(), FileProblem> {
        let at = |metadata: &Metadata| (metadata.dev(), metadata.ino());
        let unreadable = |_| FileProblem::Unreadable(self.path.clone());
        let own = self.file.metadata().map_err(unreadable)?;
        // Wherever it is: what is gone for good should not be waited for.
        if own.len() != self.bytes || !self.has_magic().map_err(unreadable)? {
            return Err(FileProblem::Changed(self.path.clone()));
        }
        match self.path.metadata() {
            Ok(there) if at(&there) == at(&own) => Ok(()),
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

    /// A folder with the two files, as far as they are looked at.
    fn journal() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let main = folder.path().join("journal.db");
        let log = with_suffix(&main, LOG);
        fs::write(&main, [MAGIC, &[1; 4080]].concat()).expect("writes");
        fs::write(&log, [&LOG_MAGIC[..], &[1; 500]].concat()).expect("writes");
        (folder, main, log)
    }

    #[test]
    fn a_file_that_comes_back_is_whole_again() {
        let (folder, main, log) = journal();
        let mut files = Files::of(&main).expect("opens");
        assert_eq!(files.look(), Ok(()));
        for path in [&main, &log] {
            let away = folder.path().join("away");
            fs::rename(path, &away).expect("moves");
            assert_eq!(files.look(), Err(FileProblem::Removed(path.clone())));
            fs::copy(&away, path).expect("copies");
            assert_eq!(files.look(), Err(FileProblem::Replaced(path.clone())));
            fs::rename(&away, path).expect("moves");
            assert_eq!(files.look(), Ok(()));
        }
    }

    #[test]
    fn a_file_that_somebody_wrote_to_is_never_whole_again() {
        for (is_log, size) in [(false, 0), (false, 4095), (true, 0), (true, 502)] {
            let (_folder, main, log) = journal();
            let mut files = Files::of(&main).expect("opens");
            let path = if is_log { log } else { main };
            let content = fs::read(&path).expect("reads");
            let file = File::options().write(true).open(&path).expect("opens");
            file.set_len(size).expect("truncates");
            assert_eq!(files.look(), Err(FileProblem::Changed(path.clone())));
            file.write_all_at(&content, 0).expect("writes");
            assert_eq!(files.look(), Err(FileProblem::Changed(path)));
        }
    }

    #[test]
    fn a_hole_where_the_beginning_was_is_seen_after_a_commit() {
        let (_folder, main, log) = journal();
        let mut files = Files::of(&main).expect("opens");
        let file = File::options().write(true).open(&log).expect("opens");
        file.set_len(0).expect("truncates");
        // As SQLite does, which goes on where it was.
        file.write_all_at(&[1; 100], 503).expect("writes");
        files.note_sizes();
        assert_eq!(files.look(), Err(FileProblem::Changed(log)));
    }

    #[test]
    fn own_growth_is_no_change() {
        let (_folder, main, log) = journal();
        let mut files = Files::of(&main).expect("opens");
        for path in [&main, &log] {
            let bytes = fs::read(path).expect("reads");
            fs::write(path, [&bytes[..], &[2; 4096]].concat()).expect("writes");
        }
        files.note_sizes();
        assert_eq!(files.look(), Ok(()));
    }
}
