//! Descent: which processes come from a worker, and the end of those that ran away from it.
//!
//! The supervisor is the subreaper (PR_SET_CHILD_SUBREAPER(2const)) of its descendants, so what
//! outlives a worker becomes the supervisor's own child, is found here, killed where no cgroup
//! does it, and reaped. Workers start in a session of their own and nobody can enter the
//! supervisor's, so a child in another session that is no living worker is an orphan. It must
//! never touch a child in the supervisor's own session. One session each is also what this asks
//! of the rest of the program: it starts no child with setsid(2) of its own.

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getsid};
use procfs::process::Process;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The workers that are born and not yet reaped, of the whole process: children are the
/// process's, whichever factory they come from.
static LIVING: Mutex<BTreeSet<Pid>> = Mutex::new(BTreeSet::new());

/// The register of living workers. Held over a birth and over a reaping, so that a newborn is
/// never taken for an orphan and a number never for its former owner.
pub(crate) fn living() -> MutexGuard<'static, BTreeSet<Pid>> {
    LIVING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes this process the parent of what its workers leave behind.
pub(crate) fn adopt() -> nix::Result<()> {
    nix::sys::prctl::set_child_subreaper(true)
}

/// All descendants of a process that are still below it. Empty if it is gone.
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

/// What a round among the orphans came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Round {
    /// Had ended and are now gone for good. Their own children, if any, are orphans from now on.
    pub(crate) reaped: usize,
    /// Have not ended yet.
    pub(crate) left: usize,
}

impl Round {
    /// Whether there was no orphan at all.
    pub(crate) fn found_none(self) -> bool {
        self == Self::default()
    }
}

/// Kills every orphan and reaps those that have ended.
pub(crate) fn kill_and_reap() -> Round {
    walk(|pid| {
        // A process that is gone by now is what was wanted.
        let _ = kill(pid, Signal::SIGKILL);
    })
}

/// Reaps the orphans that have ended, without ending any.
pub(crate) fn reap() -> Round {
    walk(|_| ())
}

fn walk(treat: impl Fn(Pid)) -> Round {
    let mut round = Round::default();
    let living = living();
    let Ok(own_session) = getsid(None) else { return round };
    for pid in children(Pid::this()) {
        let is_elsewhere = getsid(Some(pid)).is_ok_and(|session| session != own_session);
        if living.contains(&pid) || !is_elsewhere {
            continue;
        }
        treat(pid);
        match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => round.left += 1,
            _ => round.reaped += 1,
        }
    }
    round
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
    fn children_in_our_own_session_are_never_touched() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep(1)");
        assert!(children(Pid::this()).iter().any(|pid| pid.as_raw() as u32 == child.id()));
        kill_and_reap();
        assert!(child.try_wait().expect("our child").is_none(), "still alive and still ours");
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
