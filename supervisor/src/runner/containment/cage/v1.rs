//! Cages of cgroup v1: a group below the supervisor's own in the memory, pids and cpu hierarchies.
//!
//! The limits of the supervisor's own group therefore still hold. A v1 group supports neither
//! cloning into it nor killing it at once: the child writes itself in before exec, and all members
//! are signalled until the group is empty. See the kernel's cgroup-v1/memory.rst.

use crate::runner::containment::cage::{
    Cage, CageBackend, CageEntry, CageError, Cages, Counters, TASKS_MAX, group, hierarchy,
};
use nix::unistd::Pid;
use std::fs::File;
use std::path::{Path, PathBuf};

/// How much the kernel charges at once: 64 pages. A group this close to its limit has hit it.
/// `memory.failcnt` would be the direct sign, but some kernels do not count it (6.18 leaves it at
/// 0).
const CHARGE_BYTES: u64 = 64 * 4096;

/// The share of processors of all workers together; each thread outside groups, such as the
/// supervisor's, has 1024. It only counts while processors are scarce.
const CPU_SHARES: u32 = 256;

/// The supervisor's groups: one per hierarchy, with one child per cage.
#[derive(Debug)]
pub(crate) struct Groups {
    memory: PathBuf,
    pids: Option<PathBuf>,
    cpu: Option<PathBuf>,
}

impl Groups {
    /// Removes stale groups, creates this supervisor's and checks their counters.
    pub(crate) fn open() -> Result<Self, CageError> {
        let name = group::unique_name()?;
        let memory = own_group("memory", &name)?;
        // Without a pids hierarchy only the rlimits bound the number of processes.
        let pids = own_group("pids", &name)
            .inspect_err(|error| tracing::warn!(%error, "no cgroup limits the number of processes"))
            .ok();
        let cpu = own_group("cpu", &name)
            .inspect_err(
                |error| tracing::debug!(%error, "workers have no lower share of processors"),
            )
            .ok();
        let groups = Self { memory, pids, cpu };
        group::set_where_present(&groups.memory, "memory.use_hierarchy", 1)?;
        if let Some(cpu) = &groups.cpu {
            group::set(cpu, "cpu.shares", CPU_SHARES)?;
        }
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
        for own in std::iter::once(&self.memory).chain(&self.pids).chain(&self.cpu) {
            if let Err(error) = group::remove_tree(own) {
                tracing::warn!(%error, "cannot remove the cgroup; the next start removes it");
            }
        }
    }
}

impl Cages for Groups {
    fn backend(&self) -> CageBackend {
        CageBackend::V1
    }

    fn shared_by_weight(&self) -> Vec<&'static str> {
        self.cpu.iter().map(|_| "processors").collect()
    }

    fn build(&self, name: &str, memory_bytes_max: u64) -> Result<Box<dyn Cage>, CageError> {
        let leaf = Leaf {
            memory: self.memory.join(name),
            pids: self.pids.as_ref().map(|pids| pids.join(name)),
            cpu: self.cpu.as_ref().map(|cpu| cpu.join(name)),
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
    cpu: Option<PathBuf>,
}

impl Leaf {
    fn set_up(&self, memory_bytes_max: u64) -> Result<(), CageError> {
        group::make(&self.memory)?;
        group::set(&self.memory, "memory.limit_in_bytes", memory_bytes_max)?;
        // Memory and swap together: without this limit a capped worker would fill the swap. It may
        // not be lower than the limit on memory, so it is set second.
        group::set_where_present(&self.memory, "memory.memsw.limit_in_bytes", memory_bytes_max)?;
        group::set_where_present(&self.memory, "memory.swappiness", 0)?;
        // Inherited from a parent group in which the OOM killer is disabled: the worker would then
        // hang at its cap.
        let oom_control = group::get(&self.memory, "memory.oom_control")?;
        if group::keyed(&oom_control, "oom_kill_disable") != Some(0) {
            group::set(&self.memory, "memory.oom_control", 0)?;
        }
        if let Some(pids) = &self.pids {
            group::make(pids)?;
            group::set(pids, "pids.max", TASKS_MAX)?;
        }
        // Equal shares for all workers, whatever the number of their threads.
        if let Some(cpu) = &self.cpu {
            group::make(cpu)?;
        }
        Ok(())
    }

    fn groups(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.memory).chain(&self.pids).chain(&self.cpu)
    }
}

impl Cage for Leaf {
    fn entry(&self) -> Result<CageEntry, CageError> {
        let open = |group: &PathBuf| {
            let procs = group.join("cgroup.procs");
            let opened = File::options().write(true).open(&procs);
            opened.map_err(|source| CageError::group("open", &procs, source))
        };
        Ok(CageEntry { cgroup: None, join: self.groups().map(open).collect::<Result<_, _>>()? })
    }

    /// The limit on memory and swap first, since it may not be the lower one.
    fn raise(&self, _worker: Option<Pid>, memory_bytes_max: u64) -> Result<(), CageError> {
        group::set_where_present(&self.memory, "memory.memsw.limit_in_bytes", memory_bytes_max)?;
        group::set(&self.memory, "memory.limit_in_bytes", memory_bytes_max)
    }

    fn kill(&self, _worker: Option<Pid>) -> Result<(), CageError> {
        self.groups().try_for_each(|group| group::kill_tree(group))
    }

    fn is_empty(&self) -> Result<bool, CageError> {
        self.groups().try_fold(true, |all, group| Ok(all & group::is_tree_empty(group)?))
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
