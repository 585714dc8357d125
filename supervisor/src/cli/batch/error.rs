//! Why a command on several videos could not begin. What happens to single videos is an outcome instead.

use crate::policy::display_name::visible;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why nothing could be processed.
#[derive(Debug, Error)]
pub enum BatchError {
    /// Two videos would have the same results folder.
    #[error(
        "two videos would have their results in {}; rename one, or set another --stdin-name",
        shown(.0)
    )]
    SamePlace(PathBuf),
    /// There are results that the command may not replace.
    #[error(
        "{0}\nNothing was processed: --skip-existing skips these videos, --force replaces their results"
    )]
    Existing(String),
    /// What is in the place of results are no results, which `--force` does not replace either.
    #[error("{0}\nNothing was processed: choose another output folder, or move these files")]
    Occupied(String),
    /// The output folder cannot be used.
    #[error("the folder {} cannot be {what}: {source}", shown(path))]
    Output {
        /// What failed.
        what: &'static str,
        /// The folder or file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl BatchError {
    /// The error for a folder or file of the output.
    pub(crate) fn output(
        what: &'static str,
        path: &Path,
    ) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Output { what, path, source }
    }
}

/// A path as it is printed.
pub(crate) fn shown(path: &Path) -> String {
    visible(&path.to_string_lossy())
}
