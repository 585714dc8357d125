//! Cgroups created by supervisors: their names, members and removal.
//!
//! Shared by the v1 and v2 backends. The name of a group contains the process id and the start time
//! of its supervisor, so that a later supervisor recognises it as stale. Nothing in a group with
//! another form of name, or of a running supervisor, is ever removed or signalled.

use crate::runner::containment::cage::CageError;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use procfs::process::Process;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const PREFIX: &str = "bodyscript";

/// How long stale groups may take to become empty after their processes were killed, all together: on a busy host a
/// killed process needs seconds for its exit.
const SWEEP_TIMEOUT: Duration = Duration::from_secs(10);

/// The supervisor that created a group. The start time, in clock ticks since boot, distinguishes a
/// process from a later one with the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Owner {
    pid: i32,
    start_ticks: u64,
}

impl Owner {
    fn myself() -> Result<Self, CageError> {
        let stat = Process::myself()?.stat()?;
        Ok(Self { pid: stat.pid, start_ticks: stat.starttime })
    }

    /// The owner named in `bodyscript-<pid>-<start time>-<serial number>`.
    fn of_group(name: &str) -> Option<Self> {
        let mut parts = name.split('-');
        if parts.next() != Some(PREFIX) {
            return None;
        }
        let pid = parts.next()?.parse().ok()?;
        let start_ticks = parts.next()?.parse().ok()?;
        parts.next()?.parse::<u32>().ok()?;
        parts.next().is_none().then_some(Self { pid, start_ticks })
    }

    fn is_running(self) -> bool {
        let stat = Process::new(self.pid).and_then(|process| process.stat());
        stat.is_ok_and(|stat| stat.starttime == self.start_ticks)
    }
}

/// A unique name for a group of this process.
pub(crate) fn unique_name() -> Result<String, CageError> {
    static SERIAL: AtomicU32 = AtomicU32::new(0);
    let Owner { pid, start_ticks } = Owner::myself()?;
    Ok(format!("{PREFIX}-{pid}-{start_ticks}-{}", SERIAL.fetch_add(1, Ordering::Relaxed)))
}

/// The groups of all supervisors, running or not, directly below `parent`.
pub(crate) fn supervisor_groups(parent: &Path) -> Vec<PathBuf> {
    let named = |entry: fs::DirEntry| {
        let name = entry.file_name();
        Owner::of_group(name.to_str()?).map(|_| entry.path())
    };
    fs::read_dir(parent).into_iter().flatten().flatten().filter_map(named).collect()
}

/// Removes the groups of dead supervisors directly below `parent`.
pub(crate) fn sweep(parent: &Path) {
    let deadline = Instant::now() + SWEEP_TIMEOUT;
    for group in supervisor_groups(parent) {
        let owner = group.file_name().and_then(|name| Owner::of_group(name.to_str()?));
        if owner.is_none_or(Owner::is_running) {
            continue;
        }
        loop {
            let swept = kill_tree(&group).and_then(|()| remove_tree(&group));
            match swept {
                Ok(()) => tracing::info!(group = %group.display(), "removed a stale cgroup"),
                Err(_) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(10));
                    continue;
                }
                Err(error) => tracing::warn!(%error, "cannot remove a stale cgroup"),
            }
            break;
        }
    }
}

/// Creates a group.
pub(crate) fn make(group: &Path) -> Result<(), CageError> {
    fs::create_dir(group).map_err(|source| CageError::group("make", group, source))
}

/// Writes a value to a file of a group.
pub(crate) fn set(group: &Path, file: &str, value: impl ToString) -> Result<(), CageError> {
    let path = group.join(file);
    // Not `fs::write`, which would try to create the file.
    let written = fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .and_then(|mut file| std::io::Write::write_all(&mut file, value.to_string().as_bytes()));
    written.map_err(|source| CageError::group("write to", &path, source))
}

/// Writes a value if the kernel has the file.
pub(crate) fn set_where_present(
    group: &Path,
    file: &str,
    value: impl ToString,
) -> Result<(), CageError> {
    if group.join(file).exists() { set(group, file, value) } else { Ok(()) }
}

/// The content of a file of a group.
pub(crate) fn get(group: &Path, file: &str) -> Result<String, CageError> {
    let path = group.join(file);
    fs::read_to_string(&path).map_err(|source| CageError::group("read", &path, source))
}

/// The number that is the whole content of a file of a group.
pub(crate) fn number(group: &Path, file: &str) -> Result<u64, CageError> {
    let text = get(group, file)?;
    text.trim().parse().map_err(|_| {
        let source = std::io::Error::new(std::io::ErrorKind::InvalidData, "not a number");
        CageError::group("read", &group.join(file), source)
    })
}

/// The value of a key in a file of `key value` lines.
pub(crate) fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// The processes in a group. One outside this PID namespace is listed as 0 and left out.
pub(crate) fn members(group: &Path) -> Result<Vec<Pid>, CageError> {
    let text = get(group, "cgroup.procs")?;
    let pids = text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0);
    Ok(pids.map(Pid::from_raw).collect())
}

/// Sends SIGKILL to every process in a group and in the groups below it.
pub(crate) fn kill_tree(group: &Path) -> Result<(), CageError> {
    for pid in members(group)? {
        // An error means that it has exited already.
        let _ = kill(pid, Signal::SIGKILL);
    }
    below(group).iter().try_for_each(|group| kill_tree(group))
}

/// Whether a group and all groups below it are without processes.
pub(crate) fn is_tree_empty(group: &Path) -> Result<bool, CageError> {
    Ok(members(group)?.is_empty()
        && below(group)
            .iter()
            .try_fold(true, |all, group| is_tree_empty(group).map(|one| all & one))?)
}

/// Removes a group and the groups below it, deepest first. By rmdir(2) only, which fails on a group
/// with processes.
pub(crate) fn remove_tree(group: &Path) -> Result<(), CageError> {
    below(group).iter().try_for_each(|group| remove_tree(group))?;
    match fs::remove_dir(group) {
        Err(error) if !crate::runner::containment::cage::is_absent(&error) => {
            Err(CageError::group("remove", group, error))
        }
        _ => Ok(()),
    }
}

fn below(group: &Path) -> Vec<PathBuf> {
    let directory = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    entries.filter(directory).map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_this_process_are_recognised_as_running() {
        let name = unique_name().expect("procfs");
        let owner = Owner::of_group(&name).expect("a valid name");
        assert_eq!(owner, Owner::myself().expect("procfs"));
        assert!(owner.is_running());
        assert_ne!(name, unique_name().expect("procfs"));
    }

    #[test]
    fn a_group_with_a_reused_process_id_is_stale() {
        let Owner { pid, start_ticks } = Owner::myself().expect("procfs");
        assert!(!Owner { pid, start_ticks: start_ticks + 1 }.is_running());
    }

    #[test]
    fn names_of_other_forms_are_not_recognised() {
        for name in [
            "bodyscript",
            "bodyscript-1",
            "bodyscript-1-2",
            "bodyscript-1-2-3-4",
            "bodyscript-x-2-3",
            "other-1-2-3",
            "bodyscript-1-2-3.service",
            "user.slice",
        ] {
            assert_eq!(Owner::of_group(name), None, "{name}");
        }
    }

    #[test]
    fn a_sweep_removes_stale_groups_and_nothing_else() {
        let parent = tempfile::tempdir().expect("a directory");
        let mine = unique_name().expect("procfs");
        let Owner { pid, start_ticks } = Owner::myself().expect("procfs");
        let stale = format!("{PREFIX}-{pid}-{}-0", start_ticks + 1);
        for group in [&mine, &stale, "user.slice"] {
            // A directory that looks like a group without processes.
            fs::create_dir(parent.path().join(group)).expect("a group");
        }
        let procs = parent.path().join(&stale).join("cgroup.procs");
        fs::create_dir(parent.path().join(&stale).join("leaf")).expect("a leaf");
        assert!(!procs.exists());
        sweep_plain(parent.path());
        assert!(parent.path().join(&mine).exists());
        assert!(parent.path().join("user.slice").exists());
        assert!(!parent.path().join(&stale).exists());
    }

    /// [`sweep`], on a file system without `cgroup.procs`.
    fn sweep_plain(parent: &Path) {
        for group in supervisor_groups(parent) {
            let name = group.file_name().and_then(|name| name.to_str()).expect("a name");
            if !Owner::of_group(name).expect("ours").is_running() {
                remove_tree(&group).expect("removed");
            }
        }
    }

    #[test]
    fn keys_are_matched_completely() {
        let text = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";
        assert_eq!(keyed(text, "oom_kill"), Some(3));
        assert_eq!(keyed(text, "oom"), None);
    }
}
