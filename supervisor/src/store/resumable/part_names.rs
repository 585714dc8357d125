//! Which parts of a shared upload are in the data file of this host, with the bytes that count.
//!
//! A file with a name a line. The name of a part is random, so that it tells exactly which bytes are meant: those of a
//! request that lost against another host, and those that an older state of the database had, have other names. A name
//! is added once its bytes are on the disk; a name that a crash has lost or cut off costs one more download.

use crate::policy::job::JobId;
use crate::store::error::{StateError, failed};
use crate::store::fs_atomic::remove_file;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Suffix of the file's name.
const SUFFIX: &str = ".parts";

/// The names of an upload's parts. All calls block.
#[derive(Debug)]
pub(super) struct PartNames(PathBuf);

impl PartNames {
    pub(super) fn of(folder: &Path, id: JobId) -> Self {
        Self(folder.join(format!("{id}{SUFFIX}")))
    }

    /// A new name for a part that begins with this byte.
    pub(super) fn random(first_byte: u64) -> String {
        let mut random = [0; 8];
        getrandom::fill(&mut random).expect("the kernel has random numbers once it has booted");
        format!("{first_byte:020}-{:016x}", u64::from_ne_bytes(random))
    }

    /// The names of the parts that are in the data file.
    pub(super) fn read(&self) -> Result<HashSet<String>, StateError> {
        match fs::read_to_string(&self.0) {
            Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(HashSet::new()),
            // What a crash has left of it.
            Err(error) if error.kind() == ErrorKind::InvalidData => Ok(HashSet::new()),
            Err(error) => Err(failed("read", &self.0)(error)),
        }
    }

    /// Adds the names of parts whose bytes are on the disk.
    pub(super) fn add<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), StateError> {
        // A line before them may have been cut off.
        let lines: String = names.into_iter().map(|name| format!("\n{name}\n")).collect();
        let mut options = File::options();
        let file = options.create(true).append(true).mode(0o600).open(&self.0);
        file.and_then(|mut file| file.write_all(lines.as_bytes()))
            .map_err(failed("written", &self.0))
    }

    pub(super) fn remove(&self) -> Result<(), StateError> {
        remove_file(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_and_what_a_crash_cut_off_is_none() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let names = PartNames::of(folder.path(), JobId::random());
        assert!(names.read().expect("reads").is_empty());
        let [first, second] = [0, 7].map(PartNames::random);
        names.add([first.as_str()]).expect("adds");
        let text = fs::read_to_string(&names.0).expect("reads");
        fs::write(&names.0, format!("{text}{}", &second[..30])).expect("writes");
        let third = PartNames::random(7);
        names.add([third.as_str()]).expect("adds");
        let read = names.read().expect("reads");
        assert!(read.contains(&first) && read.contains(&third) && !read.contains(&second));
        names.remove().expect("removes");
        names.remove().expect("removes what is not there");
        assert!(names.read().expect("reads").is_empty());
    }
}
