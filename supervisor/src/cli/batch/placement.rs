//! Puts a folder of results into its place: by one rename, with the permissions that new files of the user have.

use crate::cli::batch::arguments::Existing;
use crate::cli::batch::error::BatchError;
use crate::cli::batch::existing::{self, State};
use bodyscript_protocol::formats::Formats;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use procfs::process::Process;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Permissions of new files, before the umask.
const NEW_FILE: u32 = 0o666;

/// The permissions that new files have.
pub(crate) fn new_file_mode() -> io::Result<u32> {
    // `umask(2)` cannot read it without changing it, for all threads.
    let status =
        Process::myself().and_then(|process| process.status()).map_err(io::Error::other)?;
    Ok(NEW_FILE & !status.umask.unwrap_or(0o077))
}

/// Where results are placed, and what may be replaced there.
#[derive(Debug, Clone)]
pub(crate) struct Placement {
    pub(crate) output: PathBuf,
    pub(crate) formats: Formats,
    pub(crate) policy: Existing,
}

impl Placement {
    /// Moves a folder of results into its place. What it replaces is where the folder was, and goes with the working
    /// folder.
    pub(crate) fn place(&self, new: &Path, place: &Path) -> Result<(), BatchError> {
        let target = self.output.join(place);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(BatchError::output("created", parent))?;
        }
        // A rename replaces an empty folder only.
        let placed = match fs::rename(new, &target) {
            Err(_) if self.may_replace(place) => exchange(new, &target),
            renamed => renamed,
        };
        placed.map_err(BatchError::output("written", &target))
    }

    /// Looks again, because the command may have taken long.
    fn may_replace(&self, place: &Path) -> bool {
        let state = existing::state(&self.output, place, self.formats);
        self.policy == Existing::Replace && matches!(state, Ok(State::Results { .. }))
    }
}

/// Puts the new folder in place of the old one.
fn exchange(new: &Path, target: &Path) -> io::Result<()> {
    match renameat2(AT_FDCWD, new, AT_FDCWD, target, RenameFlags::RENAME_EXCHANGE) {
        // File systems that cannot exchange two folders: for a moment there is none.
        Err(Errno::EINVAL | Errno::ENOSYS) => {
            let old = new.with_extension("old");
            fs::rename(target, &old)?;
            // The old results are in the working folder now, and would go with it.
            fs::rename(new, target).or_else(|error| fs::rename(&old, target).and(Err(error)))
        }
        exchanged => Ok(exchanged?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_of_results_are_replaced_and_as_a_whole() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name);
        let write = |name: &str| {
            fs::create_dir_all(path(name).parent().expect("a folder")).expect("made");
            fs::write(path(name), "").expect("written");
        };
        for name in ["out/old/output.mp4", "out/mine/notes.txt", "new/pose_data.csv"] {
            write(name);
        }
        let formats = "csv".parse().expect("known");
        let place = |policy, place: &str| {
            let placement = Placement { output: path("out"), formats, policy };
            placement.place(&path("new"), Path::new(place))
        };
        place(Existing::Refuse, "old").expect_err("not empty");
        place(Existing::Replace, "mine").expect_err("no results");
        assert!(path("out/old/output.mp4").exists() && path("out/mine/notes.txt").exists());
        place(Existing::Replace, "old").expect("replaced");
        assert!(path("out/old/pose_data.csv").exists() && !path("out/old/output.mp4").exists());
        // The old folder is where the new one was.
        assert!(path("new/output.mp4").exists() || path("new.old/output.mp4").exists());
        write("new/pose_data.csv");
        place(Existing::Refuse, "deep/er").expect("there was none");
        assert!(path("out/deep/er/pose_data.csv").exists());
    }
}
