//! Memory and disk pressure, and the sweep of files that an earlier run left behind.
//!
//! `recovery` sweeps once, at a start; the dispatcher measures the pressure, which shortens the
//! time to live of results ([`crate::policy::retention_rules`]).

use crate::policy::job::JobId;
use crate::store::artefacts::StateDir;
use crate::store::error::StateError;
use crate::store::fs_atomic::{remove_file, remove_folder};
use procfs::{Current, Meminfo, MemoryPressure};
use std::collections::HashSet;
use std::fs;

/// Most ended jobs that are kept; the oldest go first.
pub(crate) const ENDED_KEPT_MAX: usize = 10_000;

/// Share of time, in per cent over ten seconds, in which all tasks waited for memory
/// (Documentation/accounting/psi.rst), from which memory counts as short.
const STALLED_PERCENT: f32 = 10.0;

/// Share of the host's memory, in per cent, below which memory counts as short.
const AVAILABLE_PERCENT: u64 = 5;

/// Which resources are short.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Pressure {
    /// Memory of the host.
    pub memory: bool,
    /// Disk space.
    pub disk: bool,
    /// Disk space, so much that less than half of what is to stay free is left.
    pub disk_critical: bool,
}

impl Pressure {
    /// Whether memory or disk space is short.
    pub(crate) const fn is_short(self) -> bool {
        self.memory || self.disk
    }

    /// Measures the host.
    pub(crate) fn measure(state: &StateDir, disk_free_bytes_min: u64) -> Self {
        let free_bytes = state.free_bytes().unwrap_or(u64::MAX);
        Self {
            memory: is_memory_short(),
            disk: free_bytes < disk_free_bytes_min,
            disk_critical: free_bytes < disk_free_bytes_min / 2,
        }
    }
}

fn is_memory_short() -> bool {
    let stalled = MemoryPressure::current().is_ok_and(|psi| psi.full.avg10 >= STALLED_PERCENT);
    let scarce = Meminfo::current().is_ok_and(|info| {
        info.mem_available.is_some_and(|free| free < info.mem_total / 100 * AVAILABLE_PERCENT)
    });
    stalled || scarce
}

/// The files that the sweep keeps.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    /// Jobs whose upload is still needed.
    pub uploads: HashSet<JobId>,
    /// Jobs whose results are still needed.
    pub results: HashSet<JobId>,
}

/// Removes every file that no job claims, and all attempts. Returns the number of removed entries.
pub(crate) fn sweep_orphans(state: &StateDir, claims: &Claims) -> Result<usize, StateError> {
    let read = |path, source| StateError::Io { what: "listed", path, source };
    let mut removed = 0;
    let none = HashSet::new();
    let places = [
        (state.spool(), &claims.uploads),
        (state.jobs(), &none),
        (state.results(), &claims.results),
    ];
    for (folder, claimed) in places {
        let entries = fs::read_dir(&folder).map_err(|source| read(folder.clone(), source))?;
        for entry in entries {
            let entry = entry.map_err(|source| read(folder.clone(), source))?;
            let name = entry.file_name();
            let id = name.to_str().and_then(|name| name.parse().ok());
            if id.is_some_and(|id| claimed.contains(&id)) {
                continue;
            }
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder {
                remove_folder(&entry.path())?
            } else {
                remove_file(&entry.path())?
            }
            removed += 1;
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::job::JobId;

    #[test]
    fn disk_space_is_critical_below_half_of_what_is_to_stay_free() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (state, _lock) = StateDir::open(folder.path()).expect("opens");
        let free_bytes = state.free_bytes().expect("a figure");
        // With a distance to each limit, because others use the disk as well.
        let cases = [(0, (false, false)), (free_bytes / 2, (false, false))];
        let short = [(free_bytes / 2 * 3, (true, false)), (free_bytes * 3, (true, true))];
        for (disk_free_bytes_min, expected) in cases.into_iter().chain(short) {
            let Pressure { disk, disk_critical, .. } =
                Pressure::measure(&state, disk_free_bytes_min);
            assert_eq!((disk, disk_critical), expected, "{disk_free_bytes_min} of {free_bytes}");
        }
    }

    #[test]
    fn a_start_keeps_what_is_claimed_and_sweeps_the_rest() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (state, _lock) = StateDir::open(folder.path()).expect("opens");
        let create_files = |id| {
            let (attempt, _files) = state
                .begin_attempt(id, 1, bodyscript_protocol::formats::Formats::DEFAULT)
                .expect("begins");
            attempt.publish().expect("publishes");
            state
                .begin_attempt(id, 2, bodyscript_protocol::formats::Formats::DEFAULT)
                .expect("begins");
            let (upload, file) = state.begin_upload(id).expect("begins");
            upload.complete(&file).expect("completes");
        };
        let (kept, orphan) = (JobId::random(), JobId::random());
        [kept, orphan].into_iter().for_each(create_files);
        fs::write(state.spool().join(format!("{kept}.part")), "half").expect("writes");

        let claims = Claims { uploads: [kept].into(), results: [kept].into() };
        assert_eq!(sweep_orphans(&state, &claims).expect("sweeps"), 5);
        assert_eq!(state.ids_of_uploads().expect("lists"), claims.uploads);
        assert_eq!(state.ids_of_results().expect("lists"), claims.results);
        assert_eq!(fs::read_dir(state.jobs()).expect("is there").count(), 0);
        assert_eq!(fs::read_dir(state.spool()).expect("is there").count(), 1);
    }
}
