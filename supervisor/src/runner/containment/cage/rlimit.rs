//! The cage of hosts without usable cgroups: resource limits and the process tree.
//!
//! `RLIMIT_DATA` caps private memory (setrlimit(2)), sampling of the resident size caps the rest.
//! Processes inside are found as descendants; see `orphans` for those that outlive their worker.

use crate::runner::containment::cage::{Cage, CageBackend, CageEntry, CageError, Cages, Counters};
use crate::runner::containment::orphans;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rlimit::{Resource, prlimit};
use std::io;

/// Creates cages of limits alone; the child sets the limits itself.
#[derive(Debug)]
pub(crate) struct Limits;

impl Cages for Limits {
    fn backend(&self) -> CageBackend {
        CageBackend::Rlimit
    }

    fn shared_by_weight(&self) -> Vec<&'static str> {
        Vec::new()
    }

    fn build(&self, _name: &str, _memory_bytes_max: u64) -> Result<Box<dyn Cage>, CageError> {
        Ok(Box::new(Tree))
    }
}

/// A worker and its descendants.
#[derive(Debug)]
struct Tree;

impl Cage for Tree {
    fn entry(&self) -> Result<CageEntry, CageError> {
        Ok(CageEntry::default())
    }

    /// The watch on the resident size has the new cap from the caller.
    fn raise(&self, worker: Option<Pid>, memory_bytes_max: u64) -> Result<(), CageError> {
        let worker = worker.ok_or_else(|| CageError::Limit(io::ErrorKind::NotFound.into()))?;
        let (mut soft, mut hard) = (0, 0);
        prlimit(worker.as_raw(), Resource::DATA, None, Some((&mut soft, &mut hard)))
            .map_err(CageError::Limit)?;
        let raised = (memory_bytes_max.max(soft), memory_bytes_max.max(hard));
        prlimit(worker.as_raw(), Resource::DATA, Some(raised), None).map_err(CageError::Limit)
    }

    fn kill(&self, worker: Option<Pid>) -> Result<(), CageError> {
        if let Some(worker) = worker {
            for pid in orphans::descendants(worker).into_iter().chain([worker]) {
                // An error means that it has exited already.
                let _ = kill(pid, Signal::SIGKILL);
            }
        }
        orphans::kill_and_reap();
        Ok(())
    }

    fn is_empty(&self) -> Result<bool, CageError> {
        Ok(orphans::kill_and_reap().found_none())
    }

    fn counters(&self) -> Result<Counters, CageError> {
        Ok(Counters::default())
    }

    fn remove(&self) -> Result<(), CageError> {
        Ok(())
    }
}
