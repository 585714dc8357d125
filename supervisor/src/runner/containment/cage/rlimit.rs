//! The cage of hosts that give no cgroup: resource limits and the process tree.
//!
//! `RLIMIT_DATA` caps private memory (setrlimit(2)), the watch on the resident size caps the
//! rest. What is inside is found by descent; see `orphans` for what ran away.

use crate::runner::containment::cage::{Cage, CageBackend, CageError, Cages, Counters, Entry};
use crate::runner::containment::orphans;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Makes cages of nothing but limits; the limits themselves are set by the newborn.
#[derive(Debug)]
pub(crate) struct Limits;

impl Cages for Limits {
    fn backend(&self) -> CageBackend {
        CageBackend::Rlimit
    }

    fn build(&self, _name: &str, _memory_bytes_max: u64) -> Result<Box<dyn Cage>, CageError> {
        Ok(Box::new(Tree))
    }
}

/// A worker and its descendants.
#[derive(Debug)]
struct Tree;

impl Cage for Tree {
    fn entry(&self) -> Result<Entry, CageError> {
        Ok(Entry::default())
    }

    fn kill(&self, worker: Option<Pid>) -> Result<(), CageError> {
        if let Some(worker) = worker {
            for pid in orphans::descendants(worker).into_iter().chain([worker]) {
                // A process that is gone by now is what was wanted.
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
