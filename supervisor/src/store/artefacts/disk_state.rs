//! Whether the disk accepts writes, as far as known.
//!
//! An exhausted quota, or a file system that an error made read-only, shows in no figure: only a
//! refused write reveals it, and only a successful one shows that it is over. The code whose write
//! is refused reports it; the dispatcher then tests writes and starts no job until one succeeds.

use crate::store::artefacts::StateDir;
use crate::store::error::StateError;
use crate::store::fs_atomic::is_read_only;
use std::fs;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Size of a test write: more than a file system stores beside its metadata.
const TEST_BYTES: usize = 64 * 1024;

/// The state shared by all handles of one state folder.
#[derive(Debug, Default)]
pub(crate) struct DiskState {
    is_refused: AtomicBool,
    /// Held during a test write.
    test_write: Mutex<()>,
}

impl StateDir {
    /// Reports that a write was refused for lack of space or permission.
    pub fn report_refused_write(&self) {
        if !self.disk.is_refused.swap(true, Ordering::Relaxed) {
            tracing::error!("the disk is not writable: no job is accepted or started until it is");
        }
    }

    /// Whether writes are refused, as far as known.
    pub fn refuses_writes(&self) -> bool {
        self.disk.is_refused.load(Ordering::Relaxed)
    }

    /// Tests a write, if one was refused or the file system says that it is read-only.
    pub fn test_writes(&self) {
        // On a hanging disk only one thread waits.
        let Ok(_guard) = self.disk.test_write.try_lock() else { return };
        if !self.refuses_writes() && !is_read_only(self.root()) {
            return;
        }
        match self.try_writing() {
            Ok(()) if self.disk.is_refused.swap(false, Ordering::Relaxed) => {
                tracing::info!("the disk is writable again");
            }
            Ok(()) => {}
            Err(error) => {
                tracing::debug!(%error, "the disk is still not writable");
                self.report_refused_write();
            }
        }
    }

    fn try_writing(&self) -> Result<(), StateError> {
        let path = self.root().join("trial");
        let write = || {
            let mut file = fs::File::create(&path)?;
            file.write_all(&[0; TEST_BYTES])?;
            file.sync_all()
        };
        let written = write().map_err(crate::store::artefacts::failed("written", &path));
        let removed = crate::store::artefacts::remove_file(&path);
        written.and(removed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_count_as_refused_until_one_succeeds_in_all_handles() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (state, _lock) = StateDir::open(folder.path()).expect("opens");
        state.test_writes();
        assert!(!state.refuses_writes());
        // A folder in place of the file makes the test write fail.
        let path = folder.path().join("trial");
        fs::create_dir(&path).expect("makes");
        state.test_writes();
        assert!(!state.refuses_writes(), "without a refused write nothing is tested");
        state.clone().report_refused_write();
        state.test_writes();
        assert!(state.refuses_writes());
        fs::remove_dir(&path).expect("removes");
        state.test_writes();
        assert!(!state.refuses_writes());
        assert!(!path.exists(), "the test file is removed");
    }
}
