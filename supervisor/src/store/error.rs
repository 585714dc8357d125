//! Errors of the state folder: which step failed on which path.

use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why the state folder could not be used.
#[derive(Debug, Error)]
pub enum StateError {
    /// Another process holds the lock.
    #[error("{} is in use by another bodyscript; stop it or set another state_dir", .0.display())]
    InUse(PathBuf),
    /// The file system is read-only.
    #[error(
        "{} is on a file system that is mounted read-only; make it writable or choose another \
         state_dir", .0.display()
    )]
    ReadOnly(PathBuf),
    /// A newer attempt at the same job has begun.
    #[error("{} is not the newest attempt at its job", .0.display())]
    Stale(PathBuf),
    /// Files of unknown jobs cannot be moved out of the way.
    #[error(
        "{source}; files of unknown jobs have to be set aside in {} before a start, and nothing \
         was deleted: make that folder writable, with room, and start again", folder.display()
    )]
    SetAside {
        /// The destination.
        folder: PathBuf,
        /// The error.
        source: Box<StateError>,
    },
    /// The shared store failed.
    #[error("{object} in the store of `artefacts_url` cannot be {what}: {source}")]
    Object {
        /// The operation.
        what: &'static str,
        /// The name of the object.
        object: String,
        /// The error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A system call failed.
    #[error("{} cannot be {what}: {source}", path.display())]
    Io {
        /// The operation.
        what: &'static str,
        /// The path.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
}

impl StateError {
    /// Whether this process or the host has too many open files.
    pub fn is_out_of_descriptors(&self) -> bool {
        use nix::libc::{EMFILE, ENFILE};
        matches!(self, Self::Io { source, .. }
            if matches!(source.raw_os_error(), Some(EMFILE | ENFILE)))
    }

    /// Whether the disk or the user's quota is full, or the file system read-only.
    pub fn is_disk_full(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        matches!(self, Self::Io { source, .. }
            if matches!(source.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem))
    }

    /// Whether this file is not there.
    pub(crate) fn is_missing(&self, file: &Path) -> bool {
        matches!(self, Self::Io { path, source, .. }
            if path == file && source.kind() == io::ErrorKind::NotFound)
    }

    /// Whether the host is the cause, so that a retry may succeed, and not the request.
    pub fn may_pass(&self) -> bool {
        self.is_disk_full() || self.is_out_of_descriptors() || self.is_of_shared_store()
    }

    /// Whether the shared store does not answer, or refuses.
    pub const fn is_of_shared_store(&self) -> bool {
        matches!(self, Self::Object { .. })
    }
}

/// Wraps an I/O error with the failed step and its path.
pub(crate) fn failed<'a>(
    what: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> StateError + 'a {
    move |source| StateError::Io { what, path: path.to_owned(), source }
}
