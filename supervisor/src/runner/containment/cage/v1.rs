//! Cages of cgroup v1: a group of our own under the memory hierarchy, and one under pids.
//!
//! The groups lie below the one this process is in, so the limits it was given still hold. A v1
//! group can neither be born into nor killed at once: the child writes itself in before exec, and
//! everything is signalled until the group is empty. See the kernel's cgroup-v1/memory.rst.

use crate::runner::containment::cage::{
    Cage, CageBackend, CageError, Cages, Counters, Entry, TASKS_MAX, group, hierarchy,
};
use nix::unistd::Pid;
use std::fs::File;
use std::path::{Path, PathBuf};

/// How much the kernel charges at once: 64 pages. A group is at its limit from there on.
/// `memory.failcnt` would say so as well, but does not count in all kernels (6.18 leaves it at 0).
const CHARGE_BYTES: u64 = 64 * 4096;

/// Our groups: one per hierarchy, holding one child per cage.
#[derive(Debug)]
pub(crate) struct Groups {
    memory: PathBuf,
    pids: Option<PathBuf>,
}

impl Groups {
    /// Sweeps what dead supervisors left, makes our own groups and checks what they can tell.
    pub(crate) fn open() -> Result<Self, CageError> {
        let name = group::unique_name()?;
        let memory = own_group("memory", &name)?;
        // Without a pids hierarchy the number of processes is the rlimits' to bound.
        let pids = own_group("pids", &name)
            .inspect_err(|error| tracing::warn!(%error, "no bound on processes by cgroup"))
            .ok();
        let groups = Self { memory, pids };
        group::set_where_present(&groups.memory, "memory.use_hierarchy", 1)?;
        oom_kills(&groups.memory)?;
        Ok(groups)
    }
}

fn own_group(controller: &'static str, name: &str) -> Result<PathBuf, CageError> {
    let parent = hierarchy::legacy(controller)?;
    group::sweep(&parent);
    let own = parent.join(name);
    group::make(&own)?;
    Ok(own)
}

impl Drop for Groups {
    fn drop(&mut self) {
        for own in std::iter::once(&self.memory).chain(&self.pids) {
            if let Err(error) = group::remove_tree(own) {
                tracing::warn!(%error, "our cgroup stays; the next start sweeps it");
            }
        }
    }
}

impl Cages for Groups {
    fn backend(&self) -> CageBackend {
        CageBackend::V1
    }

    fn build(&self, name: &str, memory_bytes_max: u64) -> Result<Box<dyn Cage>, CageError> {
        let leaf = Leaf {
            memory: self.memory.join(name),
            pids: self.pids.as_ref().map(|pids| pids.join(name)),
        };
        leaf.set_up(memory_bytes_max).inspect_err(|_| {
            let _ = leaf.remove();
        })?;
        Ok(Box::new(leaf))
    }
}

/// One cage.
#[derive(Debug)]
struct Leaf {
    memory: PathBuf,
    pids: Option<PathBuf>,
}

impl Leaf {
    fn set_up(&self, memory_bytes_max: u64) -> Result<(), CageError> {
        group::make(&self.memory)?;
        group::set(&self.memory, "memory.limit_in_bytes", memory_bytes_max)?;
        // Memory and swap together: without it, a capped worker would fill the swap. It may not
        // be below the limit on memory, so it comes second.
        group::set_where_present(&self.memory, "memory.memsw.limit_in_bytes", memory_bytes_max)?;
        group::set_where_present(&self.memory, "memory.swappiness", 0)?;
        // Inherited from above where somebody switched the killer off: the worker would then
        // stand still at its cap instead.
        let oom_control = group::get(&self.memory, "memory.oom_control")?;
        if group::keyed(&oom_control, "oom_kill_disable") != Some(0) {
            group::set(&self.memory, "memory.oom_control", 0)?;
        }
        if let Some(pids) = &self.pids {
            group::make(pids)?;
            group::set(pids, "pids.max", TASKS_MAX)?;
        }
        Ok(())
    }

    fn groups(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.memory).chain(&self.pids)
    }
}

impl Cage for Leaf {
    fn entry(&self) -> Result<Entry, CageError> {
        let open = |group: &PathBuf| {
            let procs = group.join("cgroup.procs");
            let opened = File::options().write(true).open(&procs);
            opened.map_err(|source| CageError::group("open", &procs, source))
        };
        Ok(Entry { born_into: None, join: self.groups().map(open).collect::<Result<_, _>>()? })
    }

    fn kill(&self, _worker: Option<Pid>) -> Result<(), CageError> {
        self.groups().try_for_each(|group| group::kill_tree(group))
    }

    fn is_empty(&self) -> Result<bool, CageError> {
        self.groups().try_fold(true, |all, group| Ok(all & group::is_deserted(group)?))
    }

    fn counters(&self) -> Result<Counters, CageError> {
        let limit = group::number(&self.memory, "memory.limit_in_bytes")?;
        let peak = group::number(&self.memory, "memory.max_usage_in_bytes")?;
        Ok(Counters {
            oom_kills: oom_kills(&self.memory)?,
            limit_was_hit: peak.saturating_add(CHARGE_BYTES) >= limit,
            peak_bytes: Some(peak),
        })
    }

    fn remove(&self) -> Result<(), CageError> {
        self.groups().try_for_each(|group| group::remove_tree(group))
    }
}

fn oom_kills(memory: &Path) -> Result<u64, CageError> {
    let text = group::get(memory, "memory.oom_control")?;
    group::keyed(&text, "oom_kill")
        .ok_or_else(|| CageError::NoCounter { file: memory.join("memory.oom_control") })
}
