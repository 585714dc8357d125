//! Cages of cgroup v2: leaves of the subtree that was delegated to this service.
//!
//! ```text
//! <own group>            delegated to us; emptied, because only a group without processes may
//! |                      hand controllers down (cgroup-v2.rst, "No Internal Process Constraint")
//! |- supervisor          this process
//! `- bodyscript-<...>    our group
//!    |- <attempt>        one cage
//! ```

use crate::runner::containment::cage::{
    Cage, CageBackend, CageError, Cages, Counters, Entry, TASKS_MAX, group, hierarchy,
};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};

/// The leaf the supervisor moves itself to; also what systemd's `DelegateSubgroup=` is set to.
const SUPERVISOR: &str = "supervisor";

/// A worker's share of the processors against the supervisor's 100.
const CPU_WEIGHT: u32 = 50;

/// Our group within the delegated subtree.
#[derive(Debug)]
pub(crate) struct Subtree {
    root: PathBuf,
    own: PathBuf,
}

impl Subtree {
    /// Moves this process to a leaf, hands the controllers down and makes our group.
    pub(crate) fn open() -> Result<Self, CageError> {
        let root = delegated(hierarchy::unified()?);
        // The root of the whole hierarchy is the only group without this file.
        if !root.join("cgroup.type").exists() {
            return Err(CageError::NotDelegated { group: root });
        }
        let present = group::get(&root, "cgroup.controllers")?;
        for controller in ["memory", "pids"] {
            if !present.split_whitespace().any(|name| name == controller) {
                return Err(CageError::NoController { group: root, controller });
            }
        }
        group::sweep(&root);
        let subtree = Self { own: root.join(group::unique_name()?), root };
        subtree.set_up()?;
        Ok(subtree)
    }

    fn set_up(&self) -> Result<(), CageError> {
        let leaf = self.root.join(SUPERVISOR);
        if !leaf.exists() {
            group::make(&leaf)?;
        }
        group::set(&leaf, "cgroup.procs", std::process::id())?;
        group::make(&self.own)?;
        for group in [&self.root, &self.own] {
            group::set(group, "cgroup.subtree_control", "+memory +pids")?;
            // A share of the processors is a courtesy, not a promise.
            let _ = group::set(group, "cgroup.subtree_control", "+cpu");
        }
        Ok(())
    }
}

/// The group that was delegated: the one we are in, or its parent if we are in our leaf already.
fn delegated(own: PathBuf) -> PathBuf {
    match own.parent() {
        Some(parent) if own.file_name() == Some(OsStr::new(SUPERVISOR)) => parent.to_owned(),
        _ => own,
    }
}

impl Drop for Subtree {
    /// Leaves the subtree as it was found, unless another supervisor is still at work in it.
    fn drop(&mut self) {
        if let Err(error) = group::remove_tree(&self.own) {
            tracing::warn!(%error, "our cgroup stays; the next start sweeps it");
        }
        if !group::siblings(&self.root).is_empty() {
            return;
        }
        let _ = group::set(&self.root, "cgroup.subtree_control", "-cpu");
        let _ = group::set(&self.root, "cgroup.subtree_control", "-memory -pids");
        let _ = group::set(&self.root, "cgroup.procs", std::process::id());
        let _ = group::remove_tree(&self.root.join(SUPERVISOR));
    }
}

impl Cages for Subtree {
    fn backend(&self) -> CageBackend {
        CageBackend::V2
    }

    fn build(&self, name: &str, memory_bytes_max: u64) -> Result<Box<dyn Cage>, CageError> {
        let leaf = Leaf { group: self.own.join(name) };
        set_up_leaf(&leaf.group, memory_bytes_max).inspect_err(|_| {
            let _ = leaf.remove();
        })?;
        Ok(Box::new(leaf))
    }
}

fn set_up_leaf(leaf: &Path, memory_bytes_max: u64) -> Result<(), CageError> {
    group::make(leaf)?;
    group::set(leaf, "memory.max", memory_bytes_max)?;
    group::set_where_present(leaf, "memory.swap.max", 0)?;
    group::set_where_present(leaf, "memory.oom.group", 1)?;
    group::set(leaf, "pids.max", TASKS_MAX)?;
    group::set_where_present(leaf, "cpu.weight", CPU_WEIGHT)
}

/// One cage.
#[derive(Debug)]
struct Leaf {
    group: PathBuf,
}

impl Cage for Leaf {
    fn entry(&self) -> Result<Entry, CageError> {
        let directory = File::open(&self.group)
            .map_err(|source| CageError::group("open", &self.group, source))?;
        let procs = self.group.join("cgroup.procs");
        let join = File::options()
            .write(true)
            .open(&procs)
            .map_err(|source| CageError::group("open", &procs, source))?;
        Ok(Entry { born_into: Some(directory), join: vec![join] })
    }

    fn kill(&self, _worker: Option<Pid>) -> Result<(), CageError> {
        // Since Linux 5.14; before, one by one as in v1.
        match group::set(&self.group, "cgroup.kill", 1) {
            Ok(()) => Ok(()),
            Err(_) => group::kill_tree(&self.group),
        }
    }

    fn is_empty(&self) -> Result<bool, CageError> {
        let events = group::get(&self.group, "cgroup.events")?;
        Ok(group::keyed(&events, "populated") == Some(0))
    }

    fn counters(&self) -> Result<Counters, CageError> {
        let events = group::get(&self.group, "memory.events")?;
        let oom_kills = group::keyed(&events, "oom_kill")
            .ok_or_else(|| CageError::NoCounter { file: self.group.join("memory.events") })?;
        Ok(Counters {
            oom_kills,
            // `oom` rises in the group whose limit was hit, `oom_kill` in the victim's.
            limit_was_hit: group::keyed(&events, "oom").is_some_and(|times| times > 0),
            // Since Linux 5.19.
            peak_bytes: group::number(&self.group, "memory.peak").ok(),
        })
    }

    fn remove(&self) -> Result<(), CageError> {
        group::remove_tree(&self.group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leaf_of_a_supervisor_is_not_taken_for_the_delegated_group() {
        let unit = PathBuf::from("/sys/fs/cgroup/system.slice/bodyscript.service");
        assert_eq!(delegated(unit.join(SUPERVISOR)), unit);
        assert_eq!(delegated(unit.clone()), unit);
    }
}
