//! What the errors of SQLite mean for the journal.

use crate::store::journal::{JournalError, StepFault};
use rusqlite::ErrorCode;
use std::path::Path;

impl JournalError {
    /// A failed operation on the database at `path`.
    pub(crate) fn new(what: &'static str, path: &Path, source: rusqlite::Error) -> Self {
        Self::Step { what, path: path.to_owned(), fault: fault(&source), source: source.into() }
    }
}

fn fault(error: &rusqlite::Error) -> StepFault {
    let rusqlite::Error::SqliteFailure(failure, _) = error else {
        // A row or a table that this program does not write like this.
        return StepFault::Damage;
    };
    match failure.code {
        // SQLite reports EDQUOT and EROFS as I/O errors (os_unix.c distinguishes ENOSPC only).
        ErrorCode::DiskFull | ErrorCode::ReadOnly | ErrorCode::SystemIoFailure => {
            StepFault::DiskFull
        }
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StepFault::Damage,
        _ => StepFault::Other,
    }
}
