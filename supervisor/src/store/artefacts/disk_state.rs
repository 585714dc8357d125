//! Whether the disk takes writes, as far as is known.
//!
//! A quota that is used up, or a file system that an error made read-only, shows in no number
//! beforehand: it is known by a write that was refused, and that it is over by one that was not.
//! Whoever was refused says so; the dispatcher has it tried again and begins nothing meanwhile.

use crate::store::artefacts::StateDir;
use crate::store::error::StateError;
use crate::store::fs_atomic::is_read_only;
use std::fs;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is written to find out: more than fits into what a file system keeps beside its names.
const TRIAL_BYTES: usize = 64 * 1024;

/// What all handles to one state folder know.
#[derive(Debug, Default)]
pub(crate) struct DiskState {
    is_refused: AtomicBool,
    /// Held by the one who is trying.
    trial: Mutex<()>,
}

impl StateDir {
    /// A write was refused for lack of room or of leave.
    pub fn report_refused_write(&self) {
        if !self.doubt.is_refused.swap(true, Ordering::Relaxed) {
            tracing::error!("the disk is not writable: no job is accepted or started until it is");
        }
    }

    /// Whether writes are refused, as far as is known.
    pub fn refuses_writes(&self) -> bool {
        self.doubt.is_refused.load(Ordering::Relaxed)
    }

    /// Finds out how it is, if there is a doubt or the file system says that it is read-only.
    pub fn look_again(&self) {
        // A disk that hangs must not gather those who look.
        let Ok(_alone) = self.doubt.trial.try_lock() else { return };
        if !self.refuses_writes() && !is_read_only(self.root()) {
            return;
        }
        match self.try_writing() {
            Ok(()) if self.doubt.is_refused.swap(false, Ordering::Relaxed) => {
                tracing::info!("the disk is writable again");
            }
            Ok(()) => {}
            Err(error) => {
                tracing::debug!(%error, "still");
                self.report_refused_write();
            }
        }
    }

    fn try_writing(&self) -> Result<(), StateError> {
        let path = self.root().join("trial");
        let write = || {
            let mut file = fs::File::create(&path)?;
            file.write_all(&[0; TRIAL_BYTES])?;
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
    fn a_doubt_lasts_until_a_write_succeeds_and_is_shared() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (state, _lock) = StateDir::open(folder.path()).expect("opens");
        state.look_again();
        assert!(!state.refuses_writes());
        // What cannot be overwritten stands for a disk that refuses.
        let path = folder.path().join("trial");
        fs::create_dir(&path).expect("makes");
        state.look_again();
        assert!(!state.refuses_writes(), "without a doubt nothing is tried");
        state.clone().report_refused_write();
        state.look_again();
        assert!(state.refuses_writes());
        fs::remove_dir(&path).expect("removes");
        state.look_again();
        assert!(!state.refuses_writes());
        assert!(!path.exists(), "nothing stays behind");
    }
}
