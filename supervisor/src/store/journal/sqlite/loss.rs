//! Whether a start finds the journal that belongs to the state folder, or that it was lost.
//!
//! A journal has history once anything was committed to it. A start commits the time and a mark
//! that the journal is in use before the service does anything else; no removal and no expiry
//! deletes these rows. So a journal without history beside uploads or results is not theirs, and
//! they are set aside, never deleted. A journal that lacks its WAL only is used further, but files
//! that it does not know may belong to lost entries and are set aside. Called by the parent module.

use crate::policy::job::JobId;
use crate::store::clock::Saved;
use crate::store::error::StateError;
use crate::store::journal::JobRow;
use crate::store::journal::{FILE, JournalError};
use crate::store::set_aside::{SetAside, set_aside_unknown};
use std::collections::HashSet;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// Suffix of the WAL's file name, which has the latest commits (<https://sqlite.org/wal.html>).
pub(crate) const LOG: &str = "-wal";

/// Suffixes of the journal's file names.
const SUFFIXES: [&str; 4] = ["", LOG, "-shm", "-journal"];

/// The folders whose content only the journal explains.
const FOLDERS: [&str; 5] = ["results", "spool", "resumable", "webhooks", "jobs"];

/// Those of them with files of jobs, which a journal without its WAL may not know. An upload in
/// `resumable` is no job yet.
const FOLDERS_OF_JOBS: [&str; 4] = ["results", "spool", "webhooks", "jobs"];

/// The first bytes of a WAL, without the one that names the byte order
/// (<https://sqlite.org/fileformat2.html#the_write_ahead_log>).
pub(crate) const LOG_MAGIC: [u8; 3] = [0x37, 0x7f, 0x06];

/// How the journal was lost.
#[derive(Debug)]
pub enum Loss {
    /// There is no file.
    Missing,
    /// The file has no content.
    Empty,
    /// Nothing was ever committed to it.
    WithoutHistory,
    /// Its WAL is missing, and with it possibly the latest commits.
    WithoutLog,
    /// It is inconsistent, or not a database.
    Damaged(Box<JournalError>),
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => write!(f, "{FILE} is missing"),
            Self::Empty => write!(f, "{FILE} is empty"),
            Self::WithoutHistory => write!(f, "{FILE} is new: nothing was ever written into it"),
            Self::WithoutLog => write!(f, "{FILE}{LOG} is missing or empty"),
            Self::Damaged(error) => error.fmt(f),
        }
    }
}

/// The content of a journal.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// All jobs, in the order of acceptance.
    pub(crate) jobs: Vec<JobRow>,
    /// Contents with fatal ends and their number, oldest first.
    pub(crate) poison: Vec<(String, u32)>,
    /// Removed jobs, whose files may still exist.
    pub(crate) removed: HashSet<JobId>,
    pub(crate) clock: Option<Saved>,
    pub(crate) completeness: Completeness,
}

/// Whether a journal has everything that was committed to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Completeness {
    /// Everything.
    #[default]
    Whole,
    /// Possibly not the latest commits: its WAL is missing.
    LacksLatest,
}

/// The state of the files before they are opened, which may change them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FoundFiles {
    bytes: Option<u64>,
    has_log: bool,
}

/// What a journal says about its earlier use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum History {
    /// Nothing was ever committed to it.
    Nothing,
    /// It was closed with everything in its main file.
    Closed,
    /// It was never closed, so its WAL has the latest commits.
    InUse,
}

impl FoundFiles {
    pub(crate) fn of(journal: &Path) -> io::Result<Self> {
        let bytes = match fs::metadata(journal) {
            Ok(metadata) => Some(metadata.len()),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let mut head = [0; LOG_MAGIC.len()];
        let has_log = match File::open(with_suffix(journal, LOG)) {
            Ok(mut log) => log.read_exact(&mut head).is_ok() && head == LOG_MAGIC,
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        Ok(Self { bytes, has_log })
    }

    /// Whether there is nothing to open. SQLite takes an empty file for a new database and removes
    /// the WAL beside it.
    pub(crate) fn are_without_content(self) -> bool {
        self.bytes.unwrap_or(0) == 0
    }

    /// Whether this journal can be used, and how complete it is. Pure.
    pub(crate) const fn judge(self, history: History) -> Result<Completeness, Loss> {
        match (self.bytes, history) {
            (None, _) => Err(Loss::Missing),
            (Some(0), _) => Err(Loss::Empty),
            (_, History::Nothing) => Err(Loss::WithoutHistory),
            // Opening it with SQLite's shell after a crash also merges and removes the WAL; then
            // nothing is missing, and nothing in the folder is unknown.
            (_, History::InUse) if !self.has_log => Ok(Completeness::LacksLatest),
            (_, History::InUse | History::Closed) => Ok(Completeness::Whole),
        }
    }
}

/// Sets aside everything that only the lost journal could explain, and the rest of its files. None
/// if there is nothing, as in a new folder.
pub(crate) fn set_aside(root: &Path, loss: &Loss) -> Result<Option<SetAside>, StateError> {
    let mut folders = Vec::new();
    for folder_name in FOLDERS {
        if !is_empty(&root.join(folder_name))? {
            folders.push(Path::new(folder_name));
        }
    }
    let journal = root.join(FILE);
    let files: Vec<_> = SUFFIXES.iter().map(|suffix| with_suffix(&journal, suffix)).collect();
    // A journal that has just been created need not be kept.
    let is_worth_keeping = |file: &PathBuf| {
        !matches!(loss, Loss::WithoutHistory) && file.metadata().is_ok_and(|data| data.len() > 0)
    };
    if folders.is_empty() && !files.iter().any(is_worth_keeping) {
        return Ok(None);
    }
    let mut aside = SetAside::create(root)?;
    for folder_name in folders {
        aside.take_contents(folder_name)?;
    }
    // Last, so that a start after a crash in between sees the same loss again.
    for file in files.iter().filter(|file| file.exists()) {
        aside.take(Path::new(file.file_name().unwrap_or_default()))?;
    }
    Ok(Some(aside))
}

/// Sets aside files that a journal may not know because its WAL is missing. Uploads and attempts
/// that were interrupted by the crash look the same and are set aside too.
pub(crate) fn set_aside_forgotten(
    root: &Path,
    contents: &Contents,
) -> Result<Option<(Loss, SetAside)>, StateError> {
    if contents.completeness == Completeness::Whole {
        return Ok(None);
    }
    tracing::warn!("{}: the latest entries may be lost", Loss::WithoutLog);
    let mut known: HashSet<_> = contents.removed.iter().copied().collect();
    known.extend(contents.jobs.iter().map(|row| row.job.id));
    let aside = set_aside_unknown(root, &FOLDERS_OF_JOBS, |id| known.contains(&id))?;
    Ok(aside.map(|aside| (Loss::WithoutLog, aside)))
}

fn is_empty(folder: &Path) -> Result<bool, StateError> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(source) => Err(StateError::Io { what: "listed", path: folder.to_owned(), source }),
    }
}

pub(crate) fn with_suffix(journal: &Path, suffix: &str) -> PathBuf {
    let mut name = journal.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_journal_with_history_is_used() {
        use History::{Closed, InUse, Nothing};
        let judge = |bytes, has_log, history| {
            let judged = FoundFiles { bytes, has_log }.judge(history);
            judged.map_err(|loss| loss.to_string())
        };
        // A journal with history is used, whatever it contains.
        assert_eq!(judge(Some(4096), true, InUse), Ok(Completeness::Whole));
        assert_eq!(judge(Some(4096), true, Closed), Ok(Completeness::Whole));
        assert_eq!(judge(Some(4096), false, Closed), Ok(Completeness::Whole), "it needs no log");
        assert_eq!(judge(Some(4096), false, InUse), Ok(Completeness::LacksLatest));
        for (bytes, has_log, history, why) in [
            (None, false, Nothing, "journal.db is missing"),
            (None, true, Nothing, "journal.db is missing"),
            (Some(0), false, Nothing, "journal.db is empty"),
            (Some(0), true, Nothing, "journal.db is empty"),
            (Some(4096), true, Nothing, "journal.db is new: nothing was ever written into it"),
            (Some(4096), false, Nothing, "journal.db is new: nothing was ever written into it"),
        ] {
            assert_eq!(judge(bytes, has_log, history), Err(why.into()));
        }
    }

    #[test]
    fn in_an_empty_folder_nothing_is_set_aside() {
        let root = tempfile::tempdir().expect("a temporary folder");
        for folder_name in FOLDERS {
            fs::create_dir(root.path().join(folder_name)).expect("makes");
        }
        assert!(set_aside(root.path(), &Loss::Missing).expect("checks").is_none());
        fs::write(root.path().join(FILE), "new").expect("writes");
        assert!(set_aside(root.path(), &Loss::WithoutHistory).expect("checks").is_none());
        assert!(!root.path().join("set-aside").exists());
    }

    #[test]
    fn everything_is_moved_and_empty_folders_are_created() {
        let root = tempfile::tempdir().expect("a temporary folder");
        for folder_name in FOLDERS {
            fs::create_dir(root.path().join(folder_name)).expect("makes");
            fs::write(root.path().join(folder_name).join("a"), folder_name).expect("writes");
        }
        fs::write(root.path().join("journal.db-wal"), "latest").expect("writes");
        fs::write(root.path().join("lock"), "").expect("writes");
        let aside = set_aside(root.path(), &Loss::Missing).expect("moves").expect("some");
        let expected = "results (1), spool (1), resumable (1), webhooks (1), jobs (1), \
                    journal.db-wal (1)";
        assert_eq!(aside.to_string(), expected);
        for folder_name in FOLDERS {
            let moved = fs::read_to_string(aside.folder().join(folder_name).join("a"));
            assert_eq!(moved.expect("is there"), folder_name);
            assert!(is_empty(&root.path().join(folder_name)).expect("lists"));
            assert!(root.path().join(folder_name).exists());
        }
        assert!(root.path().join("lock").exists(), "the lock file stays");
    }
}
