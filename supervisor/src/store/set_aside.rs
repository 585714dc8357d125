//! Moves files that no job accounts for out of the way, without deleting them:
//!
//! ```text
//! <state_dir>/set-aside/<time>/results/<id>/    as it was in <state_dir>/results/<id>/
//! ```
//!
//! Called at a start: by `journal` for what a lost journal explained, by `recovery` for results of
//! unknown jobs. Only an operator removes anything from there. The moves are on the disk before the
//! start continues; if one fails, the start fails and the rest stays where it is.

use crate::policy::job::JobId;
use crate::store::error::StateError;
use crate::store::error::failed;
use crate::store::failpoint;
use crate::store::fs_atomic::{create_folder, rename, sync};
use jiff::Timestamp;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The folder's name in the state folder.
const FOLDER: &str = "set-aside";

/// Most names in a message; the others are counted.
const NAMED_MAX: usize = 10;

/// The files that one start has set aside.
#[derive(Debug)]
pub struct SetAside {
    root: PathBuf,
    folder: PathBuf,
    moved: Vec<Moved>,
}

/// A moved file or folder, which keeps its name in the new place.
#[derive(Debug)]
struct Moved {
    name: PathBuf,
    entries: usize,
    bytes: u64,
}

/// Everything that is set aside, of all starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SetAsideTotals {
    /// How many starts have set something aside.
    pub starts: usize,
    /// Its size in bytes.
    pub bytes: u64,
}

impl SetAside {
    /// Creates a folder for this start, which no other start uses.
    pub fn create(root: &Path) -> Result<Self, StateError> {
        let all = root.join(FOLDER);
        let folder = create_folder(&all)
            .and_then(|()| sync(root))
            .and_then(|()| unused_folder(&all))
            .and_then(|folder| sync(&all).map(|()| folder));
        let folder = folder.map_err(|error| set_aside_error(&all, error))?;
        Ok(Self { root: root.to_owned(), folder, moved: Vec::new() })
    }

    /// Moves a file or folder, named by its path in the state folder.
    pub fn take(&mut self, name: &Path) -> Result<(), StateError> {
        let moved = self.moved(name).map_err(|error| set_aside_error(&self.folder, error))?;
        self.moved.push(moved);
        failpoint::reach("set_aside_moved");
        Ok(())
    }

    /// As [`SetAside::take`], but creates an empty folder in its place.
    pub fn take_contents(&mut self, name: &Path) -> Result<(), StateError> {
        self.take(name)?;
        create_folder(&self.root.join(name))
    }

    fn moved(&self, name: &Path) -> Result<Moved, StateError> {
        let (from, to) = (self.root.join(name), self.folder.join(name));
        let (entries, bytes) = size(&from).map_err(failed("measured", &from))?;
        let parents = [from.parent().unwrap_or(&from), to.parent().unwrap_or(&to)];
        create_folder(parents[1])?;
        sync(&self.folder)?;
        rename(&from, &to)?;
        sync(parents[0])?;
        Ok(Moved { name: name.to_owned(), entries, bytes })
    }

    /// The folder of this start.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The size of what was moved.
    pub fn bytes(&self) -> u64 {
        self.moved.iter().map(|moved| moved.bytes).sum()
    }
}

impl fmt::Display for SetAside {
    /// The moved names, each with its number of entries.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, Moved { name, entries, .. }) in self.moved.iter().take(NAMED_MAX).enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{} ({entries})", name.display())?;
        }
        match self.moved.len().saturating_sub(NAMED_MAX) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl SetAsideTotals {
    /// What is set aside in this state folder, if anything.
    pub(crate) fn of(root: &Path) -> Option<Self> {
        let all = root.join(FOLDER);
        let starts = fs::read_dir(&all).ok()?.count();
        let (_, bytes) = size(&all).ok()?;
        (starts > 0).then_some(Self { starts, bytes })
    }
}

/// Sets aside everything in these folders whose name is not that of a known job. Returns none if
/// there is nothing.
pub(crate) fn set_aside_unknown(
    root: &Path,
    places: &[&str],
    is_known: impl Fn(JobId) -> bool,
) -> Result<Option<SetAside>, StateError> {
    let mut aside = None;
    for place in places {
        let folder = root.join(place);
        for name in names_in(&folder).map_err(failed("listed", &folder))? {
            let stem = name.to_str().and_then(|name| name.split('.').next());
            if stem.and_then(|stem| stem.parse().ok()).is_some_and(&is_known) {
                continue;
            }
            let aside = match &mut aside {
                Some(aside) => aside,
                None => aside.insert(SetAside::create(root)?),
            };
            aside.take(&Path::new(place).join(name))?;
        }
    }
    Ok(aside)
}

/// Reads all names before anything is moved. A missing folder has none.
fn names_in(folder: &Path) -> io::Result<Vec<OsString>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.file_name())).collect(),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn unused_folder(all: &Path) -> Result<PathBuf, StateError> {
    let time = Timestamp::now().strftime("%Y%m%dT%H%M%S%.3f").to_string();
    let mut number = 1;
    loop {
        let folder = match number {
            1 => all.join(&time),
            _ => all.join(format!("{time}-{number}")),
        };
        match DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(failed("created", &folder)(error)),
        }
    }
}

fn set_aside_error(folder: &Path, source: StateError) -> StateError {
    StateError::SetAside { folder: folder.to_owned(), source: Box::new(source) }
}

/// The number of entries of a folder (1 for a file), and the bytes of all files in it.
fn size(path: &Path) -> io::Result<(usize, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_dir() {
        return Ok((1, metadata.len()));
    }
    let (mut entries, mut bytes) = (0, 0);
    for entry in fs::read_dir(path)? {
        entries += 1;
        bytes += size(&entry?.path())?.1;
    }
    Ok((entries, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::artefacts::StateDir;

    #[test]
    fn each_start_has_a_folder_of_its_own() {
        let root = tempfile::tempdir().expect("a temporary folder");
        for start in 0..20 {
            fs::create_dir(root.path().join("results")).expect("makes");
            fs::write(root.path().join("results/a"), [start]).expect("writes");
            let mut aside = SetAside::create(root.path()).expect("begins");
            aside.take(Path::new("results")).expect("moves");
            assert_eq!((aside.to_string(), aside.bytes()), ("results (1)".into(), 1));
            assert_eq!(fs::read(aside.folder().join("results/a")).expect("is there"), [start]);
        }
        let totals = SetAsideTotals { starts: 20, bytes: 20 };
        assert_eq!(SetAsideTotals::of(root.path()), Some(totals));
    }

    #[test]
    fn two_folders_of_the_same_time_do_not_collide() {
        let all = tempfile::tempdir().expect("a temporary folder");
        // Whatever the time is, most of these fall on a name that is taken.
        let made: Vec<_> = (0..200).map(|_| unused_folder(all.path()).expect("makes")).collect();
        let unique: std::collections::BTreeSet<_> = made.iter().collect();
        assert_eq!(unique.len(), made.len());
    }

    #[test]
    fn unknown_results_are_moved_and_known_ones_stay() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let (state, _lock) = StateDir::open(root.path()).expect("opens");
        let (known, unknown) = (JobId::random(), JobId::random());
        for name in [known.to_string(), unknown.to_string(), "notes".into()] {
            fs::create_dir(state.results().join(&name)).expect("makes");
            fs::write(state.results().join(name).join("a"), "four").expect("writes");
        }
        let aside = set_aside_unknown(root.path(), &["results"], |id| id == known)
            .expect("moves")
            .expect("some");
        assert_eq!(aside.bytes(), 8);
        assert!(aside.folder().join(format!("results/{unknown}/a")).exists());
        assert!(aside.folder().join("results/notes/a").exists());
        assert_eq!(state.ids_of_results().expect("lists"), [known].into());
        assert!(
            set_aside_unknown(root.path(), &["results"], |id| id == known)
                .expect("checks")
                .is_none()
        );
        assert_eq!(SetAsideTotals::of(root.path()).expect("one").starts, 1);
    }

    #[test]
    fn a_file_name_with_an_extension_belongs_to_its_job() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let (_state, _lock) = StateDir::open(root.path()).expect("opens");
        let (known, unknown) = (JobId::random(), JobId::random());
        fs::create_dir(root.path().join("webhooks")).expect("makes");
        for id in [known, unknown] {
            fs::write(root.path().join(format!("webhooks/{id}.json")), "{}").expect("writes");
        }
        let places = ["spool", "webhooks", "no such folder"];
        let aside = set_aside_unknown(root.path(), &places, |id| id == known).expect("moves");
        assert_eq!(aside.expect("one").to_string(), format!("webhooks/{unknown}.json (1)"));
    }

    #[test]
    fn files_that_cannot_be_moved_stay_and_the_error_says_what_to_do() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let (state, _lock) = StateDir::open(root.path()).expect("opens");
        let unknown = JobId::random();
        fs::create_dir(state.results().join(unknown.to_string())).expect("makes");
        fs::write(root.path().join(FOLDER), "in the way").expect("writes");
        let error = set_aside_unknown(root.path(), &["results"], |_| false)
            .expect_err("no folder can be made");
        assert!(matches!(error, StateError::SetAside { .. }), "{error}");
        assert!(error.to_string().contains("nothing was deleted"), "{error}");
        assert_eq!(state.ids_of_results().expect("lists"), [unknown].into());
    }
}
