//! What is wrong with an artefact.

use std::io;
use thiserror::Error;

/// What is wrong with an artefact. The texts are this program's own; those about JSON may quote it.
#[derive(Debug, Error)]
pub(crate) enum Invalid {
    /// The disk does not return it.
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    /// It is larger than any video leads to.
    #[error("{bytes} bytes, more than the {bytes_max} that this video can lead to")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// It is not of its format.
    #[error("{0}")]
    Malformed(&'static str),
    /// A number is not what the worker said.
    #[error("{what}: {found} instead of {expected}")]
    Differs {
        /// Which number.
        what: &'static str,
        /// The number in the file.
        found: u64,
        /// The number that the worker reported, or that follows from it.
        expected: u64,
    },
    /// It is not the JSON that it should be.
    #[error("{0}")]
    Json(serde_json::Error),
}

impl From<io::Error> for Invalid {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Malformed("it ends too early"),
            // Of `text_limit` alone.
            io::ErrorKind::InvalidData => Self::Malformed("a text is too long"),
            _ => Self::Unreadable(error),
        }
    }
}

impl From<serde_json::Error> for Invalid {
    fn from(error: serde_json::Error) -> Self {
        match error.classify() {
            serde_json::error::Category::Io => io::Error::from(error).into(),
            _ => Self::Json(error),
        }
    }
}

/// Fails with `fault` unless `condition` holds.
pub(super) const fn ensure(condition: bool, fault: &'static str) -> Result<(), Invalid> {
    if condition { Ok(()) } else { Err(Invalid::Malformed(fault)) }
}

/// Fails unless the number in the file is the expected one.
pub(super) fn equal(
    what: &'static str,
    found: impl Into<u64>,
    expected: impl Into<u64>,
) -> Result<(), Invalid> {
    let (found, expected) = (found.into(), expected.into());
    if found == expected { Ok(()) } else { Err(Invalid::Differs { what, found, expected }) }
}
