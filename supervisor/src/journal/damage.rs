//! What is done about a journal that cannot be read: it is set aside, never deleted, together
//! with the uploads and results only it could explain; the service starts with an empty one.

use super::{FILE, JournalError};
use jiff::Timestamp;
use std::fs;
use std::path::{Path, PathBuf};

/// Damaged journals that are kept; beyond, the oldest go.
const KEPT_MAX: usize = 3;

/// A damaged journal, and what was lost to it.
#[derive(Debug)]
pub struct SetAside {
    /// Where it and the files are now.
    pub folder: PathBuf,
    /// What was wrong with it.
    pub cause: JournalError,
    /// Accepted videos that were waiting or being processed.
    pub uploads: usize,
    /// Jobs whose results were there.
    pub results: usize,
}

/// Moves the journal and what it knew of out of the way.
pub(super) fn set_aside(root: &Path, cause: JournalError) -> Result<SetAside, JournalError> {
    let aside = root.join("set-aside");
    let stamp = Timestamp::now().strftime("%Y%m%dT%H%M%S%.3f").to_string();
    let folder = aside.join(stamp);
    let moved = fs::create_dir_all(&folder).and_then(|()| {
        for suffix in ["", "-wal", "-shm"] {
            let name = format!("{FILE}{suffix}");
            match fs::rename(root.join(&name), folder.join(&name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let uploads = move_all(&root.join("spool"), &folder.join("spool"))?;
        let results = move_all(&root.join("results"), &folder.join("results"))?;
        Ok((uploads, results))
    });
    let (uploads, results) =
        moved.map_err(|source| JournalError::SetAside { path: folder.clone(), source })?;
    forget_oldest(&aside);
    Ok(SetAside { folder, cause, uploads, results })
}

/// Moves what is in a folder into another; tells how much it was.
fn move_all(from: &Path, to: &Path) -> std::io::Result<usize> {
    fs::create_dir_all(to)?;
    let mut moved = 0;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::rename(entry.path(), to.join(entry.file_name()))?;
        moved += 1;
    }
    Ok(moved)
}

/// Names sort by age.
fn forget_oldest(aside: &Path) {
    let entries = fs::read_dir(aside).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    folders.sort();
    for folder in folders.iter().rev().skip(KEPT_MAX) {
        match fs::remove_dir_all(folder) {
            Ok(()) => tracing::warn!(folder = %folder.display(), "removed: set aside long ago"),
            Err(error) => tracing::warn!(folder = %folder.display(), %error, "cannot be removed"),
        }
    }
}
