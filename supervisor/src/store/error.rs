//! Why the state folder could not be used: which step failed, on what.

use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why the state folder could not be used.
#[derive(Debug, Error)]
pub enum StateError {
    /// The lock is taken.
    #[error("{} is in use by another bodyscript; stop it or set another state_dir", .0.display())]
    InUse(PathBuf),
    /// Nothing can be written there.
    #[error(
        "{} is on a file system that is mounted read-only; make it writable or choose another \
         state_dir", .0.display()
    )]
    ReadOnly(PathBuf),
    /// A newer attempt at the same job has begun.
    #[error("{} is not the newest attempt at its job", .0.display())]
    Stale(PathBuf),
    /// What nobody accounts for cannot be moved out of the way.
    #[error(
        "{source}; files of unknown jobs have to be set aside in {} before a start, and nothing \
         was deleted: make that folder writable, with room, and start again", folder.display()
    )]
    SetAside {
        /// Where to.
        folder: PathBuf,
        /// Why not.
        source: Box<StateError>,
    },
    /// A system call failed.
    #[error("{} cannot be {what}: {source}", path.display())]
    Io {
        /// What was to happen.
        what: &'static str,
        /// To what.
        path: PathBuf,
        /// Why it did not.
        source: io::Error,
    },
}

impl StateError {
    /// Whether this process, or the host, has as many files open as it may.
    pub fn is_out_of_descriptors(&self) -> bool {
        use nix::libc::{EMFILE, ENFILE};
        matches!(self, Self::Io { source, .. }
            if matches!(source.raw_os_error(), Some(EMFILE | ENFILE)))
    }

    /// Whether the disk, or this user's share of it, is full or takes no writes.
    pub fn is_disk_full(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        matches!(self, Self::Io { source, .. }
            if matches!(source.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem))
    }

    /// Whether it is the state of the host, which may be another soon, and not of what was asked.
    pub fn may_pass(&self) -> bool {
        self.is_disk_full() || self.is_out_of_descriptors()
    }
}

/// Says which step failed on which path.
pub(crate) fn failed<'a>(
    what: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> StateError + 'a {
    move |source| StateError::Io { what, path: path.to_owned(), source }
}
