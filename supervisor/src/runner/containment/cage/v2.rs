//! Cages of cgroup v2: leaves of the subtree that is delegated to the service.
//!
//! ```text
//! <own group>            delegated; emptied, because only a group without processes may enable
//! |                      controllers for its children (cgroup-v2.rst, "No Internal Process
//! |                      Constraint")
//! |- supervisor          this process
//! `- bodyscript-<...>    the group of this supervisor
//!    |- <attempt>        one cage
//! ```

use crate::runner::containment::cage::{
    Cage, CageBackend, CageEntry, CageError, Cages, Counters, TASKS_MAX, group, hierarchy,
};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};

/// The leaf to which the supervisor moves itself; also the value of systemd's `DelegateSubgroup=`.
const SUPERVISOR: &str = "supervisor";

/// The weight of all workers together, for processors and disk; the supervisor's is 100. It only
/// counts while both want more than there is, so that nothing stays idle. A limit (`cpu.max`) would
/// hold back a worker on an idle host as well, and no value of it fits every number of jobs.
const WEIGHT: &str = "25";

/// The controllers of that weight, the files in which it is set, and what the controller divides.
/// A kernel has `io.weight` or that of its BFQ scheduler, or neither; the file of the latter is
/// there without effect while no disk uses that scheduler.
const WEIGHTS: [(&str, &[&str], &str); 2] =
    [("cpu", &["cpu.weight"], "processors"), ("io", &["io.weight", "io.bfq.weight"], "disk")];

/// The group of this supervisor in the delegated subtree.
#[derive(Debug)]
pub(crate) struct Subtree {
    root: PathBuf,
    own: PathBuf,
}

impl Subtree {
    /// Moves this process to a leaf, enables the controllers and creates the group.
    pub(crate) fn open() -> Result<Self, CageError> {
        let root = delegated(hierarchy::unified()?);
        // The root of the hierarchy is the only group without this file.
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
            for (controller, ..) in WEIGHTS {
                // Optional: the group may be delegated without it.
                let _ = group::set(group, "cgroup.subtree_control", format!("+{controller}"));
            }
        }
        set_weights(&self.own)
    }
}

/// The delegated group: the one of this process, or its parent if this process is in its leaf
/// already.
fn delegated(own: PathBuf) -> PathBuf {
    match own.parent() {
        Some(parent) if own.file_name() == Some(OsStr::new(SUPERVISOR)) => parent.to_owned(),
        _ => own,
    }
}

impl Drop for Subtree {
    /// Restores the subtree, unless another supervisor uses it.
    fn drop(&mut self) {
        if let Err(error) = group::remove_tree(&self.own) {
            tracing::warn!(%error, "cannot remove the cgroup; the next start removes it");
        }
        if !group::supervisor_groups(&self.root).is_empty() {
            return;
        }
        for (controller, ..) in WEIGHTS {
            let _ = group::set(&self.root, "cgroup.subtree_control", format!("-{controller}"));
        }
        let _ = group::set(&self.root, "cgroup.subtree_control", "-memory -pids");
        let _ = group::set(&self.root, "cgroup.procs", std::process::id());
        let _ = group::remove_tree(&self.root.join(SUPERVISOR));
    }
}

impl Cages for Subtree {
    fn backend(&self) -> CageBackend {
        CageBackend::V2
    }

    fn shared_by_weight(&self) -> Vec<&'static str> {
        let has_one = |files: &[&str]| files.iter().any(|file| self.own.join(file).exists());
        let set = WEIGHTS.iter().filter(|(_, files, _)| has_one(files));
        set.map(|(.., resource)| *resource).collect()
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
    group::set(leaf, "pids.max", TASKS_MAX)
}

/// Sets the weight of a group in the files that it has.
fn set_weights(own: &Path) -> Result<(), CageError> {
    for file in WEIGHTS.iter().flat_map(|(_, files, _)| *files) {
        group::set_where_present(own, file, WEIGHT)?;
    }
    Ok(())
}

/// One cage.
#[derive(Debug)]
struct Leaf {
    group: PathBuf,
}

impl Cage for Leaf {
    fn entry(&self) -> Result<CageEntry, CageError> {
        let directory = File::open(&self.group)
            .map_err(|source| CageError::group("open", &self.group, source))?;
        let procs = self.group.join("cgroup.procs");
        let join = File::options()
            .write(true)
            .open(&procs)
            .map_err(|source| CageError::group("open", &procs, source))?;
        Ok(CageEntry { cgroup: Some(directory), join: vec![join] })
    }

    fn raise(&self, _worker: Option<Pid>, memory_bytes_max: u64) -> Result<(), CageError> {
        group::set(&self.group, "memory.max", memory_bytes_max)
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
    fn the_supervisor_leaf_resolves_to_the_delegated_group() {
        let unit = PathBuf::from("/sys/fs/cgroup/system.slice/bodyscript.service");
        assert_eq!(delegated(unit.join(SUPERVISOR)), unit);
        assert_eq!(delegated(unit.clone()), unit);
    }

    #[test]
    fn the_weight_of_workers_is_set_where_the_group_has_the_controller() {
        let folder = tempfile::tempdir().expect("a folder");
        let subtree =
            |own: &str| Subtree { root: folder.path().join("none"), own: folder.path().join(own) };
        for (own, files, shared) in [
            ("neither", [].as_slice(), [].as_slice()),
            ("cpu", &["cpu.weight"], &["processors"]),
            ("both", &["cpu.weight", "io.bfq.weight"], &["processors", "disk"]),
        ] {
            let subtree = subtree(own);
            std::fs::create_dir(&subtree.own).expect("a group");
            for file in files {
                std::fs::write(subtree.own.join(file), "").expect("a file of the controller");
            }
            set_weights(&subtree.own).expect("set");
            for file in files {
                let set = std::fs::read_to_string(subtree.own.join(file)).expect("readable");
                assert_eq!(set, WEIGHT, "{file}");
                std::fs::remove_file(subtree.own.join(file)).expect("removed");
            }
            let left = std::fs::read_dir(&subtree.own).expect("a group").count();
            assert_eq!(left, 0, "no other file is written");
            for file in files {
                std::fs::write(subtree.own.join(file), "").expect("a file of the controller");
            }
            assert_eq!(subtree.shared_by_weight(), shared);
        }
    }
}
