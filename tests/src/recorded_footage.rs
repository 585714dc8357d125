//! Recorded footage of real people, with reference landmarks: optional, because it is not part of
//! the source tree. The everyday fixtures are rendered.

use crate::report;
use std::path::{Path, PathBuf};

/// Environment variable naming a folder with `media/` and `golden/` in it.
const VARIABLE: &str = "BODYSCRIPT_TEST_FOOTAGE";
/// Where it is looked for otherwise, relative to the source tree.
const DEFAULT: &str = "../shared";

/// A file of the footage; none, which is counted as a skip, where it is missing.
pub fn find(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = std::env::var_os(VARIABLE).map_or_else(|| root.join(DEFAULT), PathBuf::from);
    let path = folder.join(name);
    if path.exists() {
        return Some(path);
    }
    let path = path.display();
    let why = format!("{path} is not there; set {VARIABLE} to a folder that has it");
    report::skipped("footage", &why);
    None
}
