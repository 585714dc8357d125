//! Descendants of workers: finding them, and ending those that outlive their worker.
//!
//! The supervisor is the subreaper (PR_SET_CHILD_SUBREAPER(2const)) of its descendants: a process
//! that outlives its worker becomes a child of the supervisor, is found here, killed where no
//! cgroup does it, and reaped. Every worker starts a session of its own and none can enter the
//! supervisor's, so a child in another session that is not a registered worker is an orphan.
//! Children in the supervisor's own session are never touched; therefore no other part of the
//! program may start a child with setsid(2).

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getsid};
use procfs::process::Process;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// All workers that are spawned and not yet reaped. One set for the process, because children
/// belong to the process and not to a factory.
static WORKERS: Mutex<BTreeSet<Pid>> = Mutex::new(BTreeSet::new());

/// The set of workers. Locked during a spawn and during a reaping, so that a new worker is never
/// taken for an orphan and a reused process id never for its former owner.
pub(crate) fn workers() -> MutexGuard<'static, BTreeSet<Pid>> {
    WORKERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes this process the parent of orphaned descendants.
pub(crate) fn become_subreaper() -> nix::Result<()> {
    nix::sys::prctl::set_child_subreaper(true)
}

/// All descendants of a process. Empty if it has exited.
pub(crate) fn descendants(process: Pid) -> Vec<Pid> {
    let mut found = children(process);
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        let more = children(*pid);
        found.extend(more);
        next += 1;
    }
    found
}

/// The result of one pass over the orphans.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ReapPass {
    /// Orphans reaped. Their children, if any, are orphans from now on.
    pub(crate) reaped: usize,
    /// Orphans that have not exited yet.
    pub(crate) left: usize,
}

impl ReapPass {
    /// Whether there was no orphan at all.
    pub(crate) fn found_none(self) -> bool {
        self == Self::default()
    }
}

/// Kills every orphan and reaps those that have exited.
pub(crate) fn kill_and_reap() -> ReapPass {
    for_each_orphan(|pid| {
        // An error means that it has exited already.
        let _ = kill(pid, Signal::SIGKILL);
    })
}

/// Reaps the orphans that have exited, without killing any.
pub(crate) fn reap() -> ReapPass {
    for_each_orphan(|_| ())
}

fn for_each_orphan(action: impl Fn(Pid)) -> ReapPass {
    let mut pass = ReapPass::default();
    let workers = workers();
    let Ok(own_session) = getsid(None) else { return pass };
    for pid in children(Pid::this()) {
        let is_in_other_session = getsid(Some(pid)).is_ok_and(|session| session != own_session);
        if workers.contains(&pid) || !is_in_other_session {
            continue;
        }
        action(pid);
        match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => pass.left += 1,
            _ => pass.reaped += 1,
        }
    }
    pass
}

/// Children of all threads of a process (proc_pid_task_tid_children(5)).
fn children(process: Pid) -> Vec<Pid> {
    let tasks = Process::new(process.as_raw()).and_then(|process| process.tasks());
    let of_task = |task: procfs::process::Task| task.children().unwrap_or_default();
    let pids = tasks.into_iter().flatten().flatten().flat_map(of_task);
    pids.filter_map(|pid| i32::try_from(pid).ok()).map(Pid::from_raw).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn children_in_the_own_session_are_never_killed_or_reaped() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep(1)");
        assert!(children(Pid::this()).iter().any(|pid| pid.as_raw() as u32 == child.id()));
        kill_and_reap();
        assert!(child.try_wait().expect("our child").is_none(), "neither killed nor reaped");
        child.kill().expect("our child");
        child.wait().expect("our child");
    }

    #[test]
    fn grandchildren_are_descendants() {
        let mut shell = Command::new("sh")
            .args(["-c", "sleep 60 & echo started; wait"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh(1)");
        let mut started = [0; 8];
        let output = shell.stdout.as_mut().expect("piped");
        std::io::Read::read_exact(output, &mut started).expect("the line");
        let found = descendants(Pid::from_raw(shell.id() as i32));
        assert_eq!(found.len(), 1);
        kill(found[0], Signal::SIGKILL).expect("our grandchild");
        shell.wait().expect("our child");
    }
}
