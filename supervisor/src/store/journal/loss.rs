//! Whether a start finds the journal of what is in the state folder, or that it was lost.
//!
//! A journal has history once anything was ever committed to it. A start commits the time, and
//! that the journal is in use, before the service does anything else; no removal and no expiry
//! takes that away. So a journal without history beside uploads or results is not theirs, and
//! nothing is known of them: they are set aside, never deleted. One that lacks its log alone is
//! gone on with, but what it does not know may be what it forgot. Called by the parent module.

use crate::policy::job::JobId;
use crate::store::clock::Saved;
use crate::store::error::StateError;
use crate::store::journal::rows::JobRow;
use crate::store::journal::{FILE, JournalError};
use crate::store::set_aside::{SetAside, set_aside_unknown};
use std::collections::HashSet;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// What the name of the log ends in, which has the latest commits (<https://sqlite.org/wal.html>).
pub(crate) const LOG: &str = "-wal";

/// What the name of a file of the journal may end in.
const SUFFIXES: [&str; 4] = ["", LOG, "-shm", "-journal"];

/// What the service keeps for its users and no journal, no matter which.
const PLACES: [&str; 5] = ["results", "spool", "resumable", "webhooks", "jobs"];

/// Those of them that have something of every job, which a journal without its log may have
/// forgotten. An upload in `resumable` is no job yet.
const PLACES_OF_JOBS: [&str; 4] = ["results", "spool", "webhooks", "jobs"];

/// The first bytes of a log but for one that names the byte order
/// (<https://sqlite.org/fileformat2.html#the_write_ahead_log>).
pub(crate) const LOG_MAGIC: [u8; 3] = [0x37, 0x7f, 0x06];

/// Why there is no journal to go on with.
#[derive(Debug)]
pub enum Loss {
    /// There is no file.
    Missing,
    /// It has no byte.
    Empty,
    /// Nothing was ever written into it.
    WithoutHistory,
    /// Its log is gone, and with it perhaps what was written latest.
    WithoutLog,
    /// It contradicts itself, or is none.
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

/// Everything a journal has.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// Every job, in the order in which they were accepted.
    pub(crate) jobs: Vec<JobRow>,
    /// How often a content ended its workers, oldest first.
    pub(crate) poison: Vec<(String, u32)>,
    /// The jobs of which everything was to be removed.
    pub(crate) removed: HashSet<JobId>,
    pub(crate) clock: Option<Saved>,
    pub(crate) completeness: Completeness,
}

/// How much a journal knows of what was written into it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Completeness {
    /// All of it.
    #[default]
    Whole,
    /// Perhaps not what was written latest: its log is missing.
    LacksLatest,
}

/// What is seen of the files before anybody opens them, which may change them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FoundFiles {
    bytes: Option<u64>,
    has_log: bool,
}

/// What a journal says of its own past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum History {
    /// Nothing was ever written into it.
    Nothing,
    /// It was closed with everything in its main file.
    Closed,
    /// It was in use to the last, so that its log has what was written latest.
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

    /// Whether there is nothing to be opened. SQLite takes such a file for a new database, and
    /// removes the log beside it.
    pub(crate) fn are_without_content(self) -> bool {
        self.bytes.unwrap_or(0) == 0
    }

    /// Whether this is a journal to go on with, and how much it knows. Pure.
    pub(crate) const fn judge(self, history: History) -> Result<Completeness, Loss> {
        match (self.bytes, history) {
            (None, _) => Err(Loss::Missing),
            (Some(0), _) => Err(Loss::Empty),
            (_, History::Nothing) => Err(Loss::WithoutHistory),
            // Whoever looked into it with SQLite's own shell after a crash has brought the file up
            // to date and removed the log; then nothing is missing, and nothing is unknown.
            (_, History::InUse) if !self.has_log => Ok(Completeness::LacksLatest),
            (_, History::InUse | History::Closed) => Ok(Completeness::Whole),
        }
    }
}

/// Moves out of the way what only a lost journal could explain, and what is left of that. Nothing
/// where there is nothing, as in a new folder.
pub(crate) fn set_aside(root: &Path, loss: &Loss) -> Result<Option<SetAside>, StateError> {
    let mut places = Vec::new();
    for place in PLACES {
        if !is_empty(&root.join(place))? {
            places.push(Path::new(place));
        }
    }
    let journal = root.join(FILE);
    let files: Vec<_> = SUFFIXES.iter().map(|suffix| with_suffix(&journal, suffix)).collect();
    // One that was made a moment ago is as good as another.
    let is_worth_keeping = |file: &PathBuf| {
        !matches!(loss, Loss::WithoutHistory) && file.metadata().is_ok_and(|data| data.len() > 0)
    };
    if places.is_empty() && !files.iter().any(is_worth_keeping) {
        return Ok(None);
    }
    let mut aside = SetAside::begin(root)?;
    for place in places {
        aside.take_contents(place)?;
    }
    // Last, so that a start after a death in between sees the same loss again.
    for file in files.iter().filter(|file| file.exists()) {
        aside.take(Path::new(file.file_name().unwrap_or_default()))?;
    }
    Ok(Some(aside))
}

/// Moves out of the way what a journal may have forgotten with its log. A crash leaves uploads and
/// attempts that no journal knows as well, which are nobody's; but here they cannot be told apart.
pub(crate) fn set_aside_forgotten(
    root: &Path,
    contents: &Contents,
) -> Result<Option<(Loss, SetAside)>, StateError> {
    if contents.completeness == Completeness::Whole {
        return Ok(None);
    }
    tracing::warn!("{}: what was written latest may be lost", Loss::WithoutLog);
    let mut known: HashSet<_> = contents.removed.iter().copied().collect();
    known.extend(contents.jobs.iter().map(|row| row.job.id));
    let aside = set_aside_unknown(root, &PLACES_OF_JOBS, |id| known.contains(&id))?;
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
    fn a_new_folder_and_one_whose_jobs_have_all_expired_are_told_from_a_loss() {
        use History::{Closed, InUse, Nothing};
        let judge = |bytes, has_log, history| {
            let judged = FoundFiles { bytes, has_log }.judge(history);
            judged.map_err(|loss| loss.to_string())
        };
        // Whatever is in it, a journal with history is one.
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
    fn where_there_is_nothing_nothing_is_set_aside() {
        let root = tempfile::tempdir().expect("a temporary folder");
        for place in PLACES {
            fs::create_dir(root.path().join(place)).expect("makes");
        }
        assert!(set_aside(root.path(), &Loss::Missing).expect("looks").is_none());
        fs::write(root.path().join(FILE), "new").expect("writes");
        assert!(set_aside(root.path(), &Loss::WithoutHistory).expect("looks").is_none());
        assert!(!root.path().join("set-aside").exists());
    }

    #[test]
    fn everything_is_moved_and_the_folders_are_there_again() {
        let root = tempfile::tempdir().expect("a temporary folder");
        for place in PLACES {
            fs::create_dir(root.path().join(place)).expect("makes");
            fs::write(root.path().join(place).join("a"), place).expect("writes");
        }
        fs::write(root.path().join("journal.db-wal"), "latest").expect("writes");
        fs::write(root.path().join("lock"), "").expect("writes");
        let aside = set_aside(root.path(), &Loss::Missing).expect("moves").expect("some");
        let told = "results (1), spool (1), resumable (1), webhooks (1), jobs (1), \
                    journal.db-wal (1)";
        assert_eq!(aside.to_string(), told);
        for place in PLACES {
            let moved = fs::read_to_string(aside.folder().join(place).join("a"));
            assert_eq!(moved.expect("is there"), place);
            assert!(is_empty(&root.path().join(place)).expect("lists"));
            assert!(root.path().join(place).exists());
        }
        assert!(root.path().join("lock").exists(), "what is no user's stays");
    }
}
