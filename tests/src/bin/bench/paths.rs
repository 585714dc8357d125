//! Paths in the source tree.

use std::path::{Path, PathBuf};

/// The source tree.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folder for results other than the document.
pub(crate) fn bench_folder() -> PathBuf {
    root().join("target/bench")
}
