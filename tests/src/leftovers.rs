//! Finds processes and cgroups that a service has left behind. Called by [`crate::server`] after every
//! test.

use nix::sys::prctl;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, getsid};
use procfs::process::{Process, Stat, all_processes};
use std::path::PathBuf;

/// Makes this process the parent of processes that outlive a service, so that [`orphans`] finds them. To
/// be called before a service is started.
pub fn become_subreaper() -> nix::Result<()> {
    prctl::set_child_subreaper(true)
}

/// The crash handler of a browser detaches itself too and begins a new session; it is the only such
/// process that does not come from a service.
const CRASH_HANDLER: &str = "chrome_crashpad";

/// Processes that have outlived their service. Those that have exited are reaped here.
///
/// Workers are in a session of their own, services in that of this process.
pub fn orphans() -> Vec<String> {
    let Ok(own_session) = getsid(None) else { return Vec::new() };
    let own = std::process::id() as i32;
    let mut found = Vec::new();
    for stat in stats() {
        let is_ours = stat.ppid == own && stat.session != own_session.as_raw();
        if !is_ours || stat.comm.starts_with(CRASH_HANDLER) {
            continue;
        }
        if stat.state == 'Z' {
            let _ = waitpid(Pid::from_raw(stat.pid), Some(WaitPidFlag::WNOHANG));
        } else {
            found.push(format!("{} ({}) {}", stat.pid, stat.comm, stat.state));
        }
    }
    found
}

/// The running descendants of a process.
pub fn descendants(of: i32) -> Vec<i32> {
    let all: Vec<Stat> = stats().filter(|stat| stat.state != 'Z').collect();
    let mut found = Vec::new();
    let mut parents = vec![of];
    while let Some(parent) = parents.pop() {
        let children = all.iter().filter(|stat| stat.ppid == parent).map(|stat| stat.pid);
        parents.extend(children.clone());
        found.extend(children);
    }
    found
}

/// The cgroups of a service, wherever they are in the hierarchies.
pub fn cgroups_of(service: i32) -> Vec<PathBuf> {
    let prefix = format!("bodyscript-{service}-");
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name().to_string_lossy().starts_with(&prefix) {
                    found.push(entry.path());
                }
                folders.push(entry.path());
            }
        }
    }
    found
}

/// Whether a process exists and has not exited.
pub fn is_alive(pid: i32) -> bool {
    Process::new(pid).and_then(|process| process.stat()).is_ok_and(|stat| stat.state != 'Z')
}

/// Whether a process is suspended.
pub fn is_stopped(pid: i32) -> bool {
    Process::new(pid).and_then(|process| process.stat()).is_ok_and(|stat| stat.state == 'T')
}

fn stats() -> impl Iterator<Item = Stat> {
    let processes = all_processes().into_iter().flatten().flatten();
    processes.filter_map(|process| process.stat().ok())
}
