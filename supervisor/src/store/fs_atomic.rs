//! Calls to the file system whose failure names the path, and which last once they return.
//!
//! For the state folder alone. All block.

use crate::store::error::StateError;
use crate::store::error::failed;
use nix::sys::statvfs::{FsFlags, statvfs};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// A rename that has happened even if the power fails after the return; or, after an error, has not.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), StateError> {
    let parent = to.parent().unwrap_or(to);
    // Before anything is moved: a lack of descriptors must not be met half-way.
    let folder = File::open(parent).map_err(failed("opened", parent))?;
    fs::rename(from, to).map_err(failed("moved to its place", from))?;
    folder.sync_all().map_err(failed("written to the disk", parent)).inspect_err(|_| {
        // So that whoever removes what did not get through finds it.
        let _ = fs::rename(to, from);
    })
}

pub(crate) fn sync(path: &Path) -> Result<(), StateError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(failed("written to the disk", path))
}

/// The names in a folder, as far as they are text.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>, StateError> {
    let entries = fs::read_dir(folder).map_err(failed("listed", folder))?;
    let name = |entry: io::Result<fs::DirEntry>| {
        entry.map(|entry| entry.file_name().into_string().ok()).transpose()
    };
    entries.filter_map(name).collect::<io::Result<_>>().map_err(failed("listed", folder))
}

pub(crate) fn create_folder(path: &Path) -> Result<(), StateError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(path).map_err(failed("created", path))
}

pub(crate) fn create_file(path: &Path) -> Result<File, StateError> {
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

pub(crate) fn remove_file(path: &Path) -> Result<(), StateError> {
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

/// Whether the file system says that it takes no writes. Not every one that takes none does.
pub(crate) fn is_read_only(path: &Path) -> bool {
    statvfs(path).is_ok_and(|stat| stat.flags().contains(FsFlags::ST_RDONLY))
}
