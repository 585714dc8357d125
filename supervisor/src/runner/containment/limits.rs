//! The resource limits of a worker, with a reason for each.
//!
//! Computed before the spawn, set by the child before exec. Limits are lowered only: the
//! supervisor's own hard limits remain the upper bound.

use crate::runner::containment::cage::CageBackend;
use bodyscript_protocol::limits::FILE_BYTES_MAX;
use nix::unistd::{Uid, getuid};
use procfs::process::all_processes;
use rlimit::Resource;
use std::time::Duration;

/// Address space beyond the cap, in bytes. Code, libraries, thread stacks and reserved heaps take
/// address space without being memory: a tight limit would fail healthy workers.
const ADDRESS_SPACE_SLACK_BYTES: u64 = 4 << 30;

/// Most open descriptors: a pipeline opens a pair for each of its threads and buses.
const DESCRIPTORS_MAX: u64 = 256;

/// Most memory that a worker may lock, in bytes.
const LOCKED_BYTES_MAX: u64 = 64 << 10;

/// Stack size of a thread, in bytes, where stacks count against the cap: thread libraries map this
/// much, and RLIMIT_DATA counts mapped memory.
const STACK_BYTES: u64 = 2 << 20;

/// Most processes and threads of the user beyond the existing ones, where no cgroup counts them.
const USER_TASKS_SLACK: u64 = 256;

/// One limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit {
    /// The resource.
    pub(crate) resource: Resource,
    /// The limit that is enforced, by a signal or an error.
    pub(crate) soft: u64,
    /// The limit up to which the process may raise `soft`.
    pub(crate) hard: u64,
}

/// The limits of one worker, with its memory cap and the highest to which it may be raised.
///
/// Only a privileged supervisor can raise a hard limit later, so that of `RLIMIT_DATA` is the highest
/// cap from the beginning. A worker cannot use it: its sandbox forbids to change limits, and its
/// resident size is watched.
pub(crate) fn of_worker(
    backend: CageBackend,
    [memory_bytes_max, raised_bytes_max]: [u64; 2],
    cpu: Duration,
) -> Vec<Limit> {
    let both = |resource, value| Limit { resource, soft: value, hard: value };
    let raised_bytes_max = raised_bytes_max.max(memory_bytes_max);
    let loose = raised_bytes_max.saturating_add(ADDRESS_SPACE_SLACK_BYTES);
    let data = match backend {
        CageBackend::Rlimit => {
            Limit { resource: Resource::DATA, soft: memory_bytes_max, hard: raised_bytes_max }
        }
        CageBackend::V1 | CageBackend::V2 => both(Resource::DATA, loose),
    };
    let cpu_s = cpu_seconds(cpu);
    let mut limits = vec![
        both(Resource::AS, loose),
        data,
        // SIGXCPU at the soft limit, SIGKILL at the hard limit.
        Limit { resource: Resource::CPU, soft: cpu_s, hard: cpu_s.saturating_add(1) },
        both(Resource::NOFILE, DESCRIPTORS_MAX),
        both(Resource::FSIZE, FILE_BYTES_MAX),
        // A core file would hold the video, outlive the cage and fill the disk.
        both(Resource::CORE, 0),
        // Locked memory cannot be reclaimed. A library of the decoders locks a pool for secrets
        // when it is loaded, and logs a warning if it cannot.
        both(Resource::MEMLOCK, LOCKED_BYTES_MAX),
        both(Resource::MSGQUEUE, 0),
    ];
    if backend == CageBackend::Rlimit {
        limits.push(both(Resource::STACK, STACK_BYTES));
    }
    let user = getuid();
    // The kernel exempts root, and counts the tasks of the user, not of the worker.
    if !user.is_root() {
        limits.push(both(Resource::NPROC, tasks_of(user) + USER_TASKS_SLACK));
    }
    limits.into_iter().map(capped_by_own_limits).collect()
}

/// The limit on processor time in whole seconds, as the kernel counts it.
pub(crate) fn cpu_seconds(cpu: Duration) -> u64 {
    cpu.as_secs() + u64::from(cpu.subsec_nanos() > 0)
}

fn capped_by_own_limits(limit: Limit) -> Limit {
    let (_, own) = limit.resource.get().unwrap_or((rlimit::INFINITY, rlimit::INFINITY));
    Limit { soft: limit.soft.min(own), hard: limit.hard.min(own), ..limit }
}

fn tasks_of(user: Uid) -> u64 {
    let processes = all_processes().into_iter().flatten().flatten();
    let own = processes.filter(|process| process.uid().is_ok_and(|uid| uid == user.as_raw()));
    own.filter_map(|process| process.stat().ok()).map(|stat| stat.num_threads.max(0) as u64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soft(limits: &[Limit], resource: Resource) -> Option<u64> {
        limits.iter().find(|limit| limit.resource == resource).map(|limit| limit.soft)
    }

    #[test]
    fn the_cap_limits_data_only_without_a_cgroup() {
        let cap = 64 << 20;
        let second = Duration::from_secs(1);
        let raised = 2 * cap;
        let rlimit = of_worker(CageBackend::Rlimit, [cap, raised], second);
        let data = rlimit.iter().find(|limit| limit.resource == Resource::DATA).expect("a limit");
        assert_eq!((data.soft, data.hard), (cap, raised));
        assert_eq!(soft(&rlimit, Resource::AS), Some(raised + ADDRESS_SPACE_SLACK_BYTES));
        for backend in [CageBackend::V1, CageBackend::V2] {
            let limits = of_worker(backend, [cap, raised], second);
            assert_eq!(soft(&limits, Resource::DATA), Some(raised + ADDRESS_SPACE_SLACK_BYTES));
            assert_eq!(soft(&limits, Resource::STACK), None);
        }
    }

    #[test]
    fn cpu_time_is_rounded_up_and_the_hard_limit_is_one_second_later() {
        let limits = of_worker(CageBackend::V1, [1 << 20; 2], Duration::from_millis(1_001));
        let cpu = limits.iter().find(|limit| limit.resource == Resource::CPU).expect("a limit");
        assert_eq!((cpu.soft, cpu.hard), (2, 3));
    }

    #[test]
    fn the_tasks_of_this_user_are_counted() {
        assert!(tasks_of(getuid()) >= 1);
    }
}
