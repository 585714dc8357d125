//! File system calls whose errors name the path, and whose effects are durable once they return.
//!
//! For the state folder only. All calls block.

use crate::store::error::{StateError, failed};
use nix::sys::statvfs::{FsFlags, statvfs};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// A durable rename: after a success it survives a power failure, after an error it has not
/// happened.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), StateError> {
    let parent = to.parent().unwrap_or(to);
    // Opened before the rename, so that a lack of descriptors is noticed before anything is moved.
    let folder = File::open(parent).map_err(failed("opened", parent))?;
    fs::rename(from, to).map_err(failed("moved to its place", from))?;
    folder.sync_all().map_err(failed("written to the disk", parent)).inspect_err(|_| {
        // So that the caller's cleanup finds it in its old place.
        let _ = fs::rename(to, from);
    })
}

/// Suffix of a file that is being written by [`replace`]; what a crash leaves of one is deleted.
pub(crate) const UNFINISHED: &str = ".new";

/// Gives a file this content, durably: after a crash it has either the old or the new one.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<(), StateError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(UNFINISHED);
    let write = || {
        let mut options = OpenOptions::new();
        let options = options.create(true).truncate(true).write(true).mode(0o600);
        let mut file = options.open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()
    };
    write().map_err(failed("written", path))?;
    rename(Path::new(&temporary), path)
}

pub(crate) fn sync(path: &Path) -> Result<(), StateError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(failed("written to the disk", path))
}

/// The names in a folder that are valid UTF-8.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>, StateError> {
    let entries = fs::read_dir(folder).map_err(failed("listed", folder))?;
    let name = |entry: io::Result<fs::DirEntry>| {
        entry.map(|entry| entry.file_name().into_string().ok()).transpose()
    };
    entries.filter_map(name).collect::<io::Result<_>>().map_err(failed("listed", folder))
}

/// Opens a file to append after so many bytes; those beyond are cut off.
pub(crate) fn open_at(path: &Path, bytes: u64) -> Result<File, StateError> {
    let open = || {
        let mut file = OpenOptions::new().write(true).open(path)?;
        file.set_len(bytes)?;
        file.seek(SeekFrom::End(0))?;
        Ok(file)
    };
    open().map_err(failed("opened", path))
}

pub(crate) fn create_folder(path: &Path) -> Result<(), StateError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(path).map_err(failed("created", path))
}

pub(crate) fn create_file(path: &Path) -> Result<File, StateError> {
    let mut options = OpenOptions::new();
    // Readable as well: a muxer reads back what it has written.
    options
        .create_new(true)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(failed("created", path))
}

pub(crate) fn remove_file(path: &Path) -> Result<(), StateError> {
    ignore_not_found(fs::remove_file(path)).map_err(failed("removed", path))
}

pub(crate) fn remove_folder(path: &Path) -> Result<(), StateError> {
    ignore_not_found(fs::remove_dir_all(path)).map_err(failed("removed", path))
}

fn ignore_not_found(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Whether the file system is mounted read-only. Some refuse writes without this flag.
pub(crate) fn is_read_only(path: &Path) -> bool {
    statvfs(path).is_ok_and(|stat| stat.flags().contains(FsFlags::ST_RDONLY))
}
