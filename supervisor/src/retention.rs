//! How long things stay: expiry of results, and the sweep of what an earlier run left behind.
//!
//! The dispatcher asks [`Lives::has_expired`] (pure, on the monotonic clock: a jump of the wall
//! clock neither expires nor immortalises a job); `run` sweeps once, before it serves.

use crate::artefacts::{StateDir, StateError, remove_folder};
use procfs::{Current, Meminfo, MemoryPressure};
use std::fs;
use std::io;
use std::time::{Duration, Instant};

/// Jobs that are over and remembered, at most; beyond, the oldest go first.
pub const ENDED_KEPT_MAX: usize = 10_000;

/// Share of time, in per cent over ten seconds, in which all tasks waited for memory
/// (Documentation/accounting/psi.rst), from which the host counts as short of it.
const STALLED_PERCENT: f32 = 10.0;

/// Share of the host's memory below which it counts as short.
const AVAILABLE_PERCENT: u64 = 5;

/// Lives of results.
#[derive(Debug, Clone, Copy)]
pub struct Lives {
    /// As a rule.
    pub normal: Duration,
    /// While memory or disk is short.
    pub under_pressure: Duration,
}

/// What is short.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pressure {
    /// Memory of the host.
    pub memory: bool,
    /// Room on the disk.
    pub disk: bool,
}

impl Lives {
    /// Whether a job that was over at `ended` is to go.
    pub fn has_expired(&self, ended: Instant, now: Instant, pressure: Pressure) -> bool {
        let is_short = pressure.memory || pressure.disk;
        let life = if is_short { self.under_pressure } else { self.normal };
        now.saturating_duration_since(ended) >= life
    }
}

impl Pressure {
    /// Reads how the host is.
    pub fn measure(state: &StateDir, disk_free_bytes_min: u64) -> Self {
        let disk = state.free_bytes().is_ok_and(|free| free < disk_free_bytes_min);
        Self { memory: is_memory_short(), disk }
    }
}

fn is_memory_short() -> bool {
    let stalled = MemoryPressure::current().is_ok_and(|psi| psi.full.avg10 >= STALLED_PERCENT);
    let scarce = Meminfo::current().is_ok_and(|info| {
        info.mem_available.is_some_and(|free| free < info.mem_total / 100 * AVAILABLE_PERCENT)
    });
    stalled || scarce
}

/// Removes everything of jobs nobody remembers: at a start that is every job. Tells how many.
pub fn sweep_orphans(state: &StateDir) -> Result<usize, StateError> {
    let read = |path, source| StateError::Io { what: "listed", path, source };
    let mut removed = 0;
    for folder in [state.spool(), state.jobs(), state.results()] {
        let entries = fs::read_dir(&folder).map_err(|source| read(folder.clone(), source))?;
        for entry in entries {
            let entry = entry.map_err(|source| read(folder.clone(), source))?;
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder {
                remove_folder(&entry.path())?
            } else {
                unlink(&entry)?
            }
            removed += 1;
        }
    }
    Ok(removed)
}

fn unlink(entry: &fs::DirEntry) -> Result<(), StateError> {
    let path = entry.path();
    match fs::remove_file(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(StateError::Io { what: "removed", path, source })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::JobId;

    #[test]
    fn results_live_as_long_as_was_said_and_no_longer() {
        let lives =
            Lives { normal: Duration::from_secs(60), under_pressure: Duration::from_secs(6) };
        let ended = Instant::now();
        let after = |seconds, pressure| {
            lives.has_expired(ended, ended + Duration::from_secs(seconds), pressure)
        };
        assert!(!after(59, Pressure::default()));
        assert!(after(60, Pressure::default()));
        for pressure in
            [Pressure { memory: true, disk: false }, Pressure { memory: false, disk: true }]
        {
            assert!(!after(5, pressure));
            assert!(after(6, pressure));
        }
    }

    #[test]
    fn a_start_finds_nothing_of_an_earlier_run() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (state, _lock) = StateDir::open(folder.path()).expect("opens");
        let id = JobId::random();
        let (attempt, _files) = state.begin_attempt(id, 1).expect("begins");
        state.begin_attempt(id, 2).expect("begins");
        attempt.publish().expect("publishes");
        let (upload, file) = state.begin_upload(id).expect("begins");
        upload.complete(&file).expect("completes");

        assert_eq!(sweep_orphans(&state).expect("sweeps"), 3);
        for folder in [state.spool(), state.jobs(), state.results()] {
            assert_eq!(fs::read_dir(&folder).expect("is there").count(), 0, "{folder:?}");
        }
    }
}
