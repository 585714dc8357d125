//! What a service must not leave behind: processes and cgroups. Called by [`crate::server`] after
//! every test.

use nix::sys::prctl;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, getsid};
use procfs::process::{Process, Stat, all_processes};
use std::path::PathBuf;

/// Makes this process the parent of whatever outlives a service, which is then found by
/// [`orphans`]. To be called before one is started.
pub fn become_subreaper() -> nix::Result<()> {
    prctl::set_child_subreaper(true)
}

/// A browser's crash handler leaves its browser too, and begins a session of its own; it is the
/// one process of a test that detaches itself without having been a service's.
const CRASH_HANDLER: &str = "chrome_crashpad";

/// Processes that have outlived their service. Those that have ended are reaped here.
///
/// Workers begin a session of their own, services stay in this one.
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

/// The children of a process that have not ended, of any generation.
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

/// Whether a process is there and has not ended.
pub fn is_alive(pid: i32) -> bool {
    Process::new(pid).and_then(|process| process.stat()).is_ok_and(|stat| stat.state != 'Z')
}

fn stats() -> impl Iterator<Item = Stat> {
    let processes = all_processes().into_iter().flatten().flatten();
    processes.filter_map(|process| process.stat().ok())
}
