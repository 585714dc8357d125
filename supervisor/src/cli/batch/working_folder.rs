//! The working folder of a command, inside its output folder: removed when the command ends,
//! or by the next command with the same output folder if it was killed.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use tempfile::TempDir;

/// Prefix of the names of working folders.
const PREFIX: &str = ".bodyscript-";

/// The lock file of a state folder.
const LOCK: &str = "lock";

/// Creates a working folder in `output`, after it has removed those of killed commands.
pub(crate) fn working_folder(output: &Path) -> io::Result<TempDir> {
    for entry in fs::read_dir(output)?.filter_map(Result::ok) {
        let name = entry.file_name();
        if name.to_string_lossy().starts_with(PREFIX) && is_abandoned(&entry.path()) {
            // A folder that cannot be removed does no harm.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    tempfile::Builder::new().prefix(PREFIX).tempdir_in(output)
}

/// As [`working_folder`], for a command without a state folder in it. The file keeps the folder from being removed.
pub(crate) fn locked_working_folder(output: &Path) -> io::Result<(TempDir, File)> {
    let folder = working_folder(output)?;
    let lock = File::create_new(folder.path().join(LOCK))?;
    lock.try_lock()?;
    Ok((folder, lock))
}

/// Whether the folder has a lock file that no process holds (`store::artefacts`).
fn is_abandoned(folder: &Path) -> bool {
    let lock = File::options().write(true).open(folder.join(LOCK));
    lock.is_ok_and(|lock| lock.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StateDir;

    #[test]
    fn only_folders_of_killed_commands_are_removed() {
        let output = tempfile::tempdir().expect("a temporary folder");
        let locked = working_folder(output.path()).expect("made");
        let (_, lock) = StateDir::open(locked.path()).expect("opens");
        let unlocked = working_folder(output.path()).expect("made");
        let other = output.path().join(".bodyscript-results");
        fs::create_dir(&other).expect("made");
        let count = || fs::read_dir(output.path()).expect("listed").count();
        let (third, _file) = locked_working_folder(output.path()).expect("made");
        assert_eq!(count(), 4, "each of the first three has an owner, or never had one");
        assert!(!is_abandoned(third.path()));
        drop(lock);
        drop(third);
        let _next = working_folder(output.path()).expect("made");
        assert!(!locked.path().exists() && unlocked.path().exists() && other.exists());
    }
}
