//! The working folder of `bodyscript run`, beside its results: removed when the command ends, and
//! by the next command for the same results where it was killed.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use tempfile::TempDir;

/// What the names of working folders begin with.
const PREFIX: &str = ".bodyscript-";

/// Makes a working folder in `output`, once those of commands that are dead are gone.
pub(crate) fn working_folder(output: &Path) -> io::Result<TempDir> {
    for entry in fs::read_dir(output)?.filter_map(Result::ok) {
        let name = entry.file_name();
        if name.to_string_lossy().starts_with(PREFIX) && is_abandoned(&entry.path()) {
            // What cannot be removed is in nobody's way.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    tempfile::Builder::new().prefix(PREFIX).tempdir_in(output)
}

/// Whether there was an owner, who holds the lock to its end (`artefacts`), and is none now.
fn is_abandoned(folder: &Path) -> bool {
    let lock = File::options().write(true).open(folder.join("lock"));
    lock.is_ok_and(|lock| lock.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::artefacts::StateDir;

    #[test]
    fn only_the_folders_of_the_dead_are_removed() {
        let output = tempfile::tempdir().expect("a temporary folder");
        let alive = working_folder(output.path()).expect("made");
        let (_, lock) = StateDir::open(alive.path()).expect("opens");
        let beginning = working_folder(output.path()).expect("made");
        let own = output.path().join(".bodyscript-results");
        fs::create_dir(&own).expect("made");
        let count = || fs::read_dir(output.path()).expect("listed").count();
        let third = working_folder(output.path()).expect("made");
        assert_eq!(count(), 4, "each of the first three has an owner, or never had one");
        drop(lock);
        drop(third);
        let _next = working_folder(output.path()).expect("made");
        assert!(!alive.path().exists() && beginning.path().exists() && own.exists());
    }
}
