//! Groups of our own: their names, what is in them, and taking them away.
//!
//! Shared by the v1 and v2 backends. A group's name carries the id and the start time of the
//! supervisor that made it, so that a later one knows it for stale. It must never remove or
//! signal anything in a group whose name is not of this form, or whose maker lives.

use crate::runner::containment::cage::CageError;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use procfs::process::Process;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const PREFIX: &str = "bodyscript";

/// How long a stale group may take to become empty after its processes were killed.
const SWEEP_PATIENCE: Duration = Duration::from_secs(2);

/// Who made a group. The start time, in clock ticks since boot, tells a process from a later one
/// with the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Maker {
    pid: i32,
    start_ticks: u64,
}

impl Maker {
    fn myself() -> Result<Self, CageError> {
        let stat = Process::myself()?.stat()?;
        Ok(Self { pid: stat.pid, start_ticks: stat.starttime })
    }

    /// The maker named in `bodyscript-<pid>-<start time>-<serial number>`.
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

    fn lives(self) -> bool {
        let stat = Process::new(self.pid).and_then(|process| process.stat());
        stat.is_ok_and(|stat| stat.starttime == self.start_ticks)
    }
}

/// A name for a group of this process that no other has.
pub(crate) fn unique_name() -> Result<String, CageError> {
    static SERIAL: AtomicU32 = AtomicU32::new(0);
    let Maker { pid, start_ticks } = Maker::myself()?;
    Ok(format!("{PREFIX}-{pid}-{start_ticks}-{}", SERIAL.fetch_add(1, Ordering::Relaxed)))
}

/// The groups of supervisors directly below `parent`, living or dead.
pub(crate) fn siblings(parent: &Path) -> Vec<PathBuf> {
    let named = |entry: fs::DirEntry| {
        let name = entry.file_name();
        Maker::of_group(name.to_str()?).map(|_| entry.path())
    };
    fs::read_dir(parent).into_iter().flatten().flatten().filter_map(named).collect()
}

/// Ends what is left of dead supervisors directly below `parent`.
pub(crate) fn sweep(parent: &Path) {
    for group in siblings(parent) {
        let maker = group.file_name().and_then(|name| Maker::of_group(name.to_str()?));
        if maker.is_none_or(Maker::lives) {
            continue;
        }
        let patience = Instant::now() + SWEEP_PATIENCE;
        loop {
            let swept = kill_tree(&group).and_then(|()| remove_tree(&group));
            match swept {
                Ok(()) => tracing::info!(group = %group.display(), "swept a stale cage"),
                Err(_) if Instant::now() < patience => {
                    std::thread::sleep(Duration::from_millis(10));
                    continue;
                }
                Err(error) => tracing::warn!(%error, "a stale cage stays"),
            }
            break;
        }
    }
}

/// Makes a group.
pub(crate) fn make(group: &Path) -> Result<(), CageError> {
    fs::create_dir(group).map_err(|source| CageError::group("make", group, source))
}

/// Sets a value of a group.
pub(crate) fn set(group: &Path, file: &str, value: impl ToString) -> Result<(), CageError> {
    let path = group.join(file);
    // Not `fs::write`: these files exist or do not, and must not be asked to be created.
    let written = fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .and_then(|mut file| std::io::Write::write_all(&mut file, value.to_string().as_bytes()));
    written.map_err(|source| CageError::group("write to", &path, source))
}

/// Sets a value where the kernel has such a file.
pub(crate) fn set_where_present(
    group: &Path,
    file: &str,
    value: impl ToString,
) -> Result<(), CageError> {
    if group.join(file).exists() { set(group, file, value) } else { Ok(()) }
}

/// What a file of a group says.
pub(crate) fn get(group: &Path, file: &str) -> Result<String, CageError> {
    let path = group.join(file);
    fs::read_to_string(&path).map_err(|source| CageError::group("read", &path, source))
}

/// A number a file of a group holds alone.
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

/// The processes in a group. One outside this PID namespace shows as 0 and is left out.
pub(crate) fn members(group: &Path) -> Result<Vec<Pid>, CageError> {
    let text = get(group, "cgroup.procs")?;
    let pids = text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0);
    Ok(pids.map(Pid::from_raw).collect())
}

/// Sends SIGKILL to every process in a group and in the groups below it.
pub(crate) fn kill_tree(group: &Path) -> Result<(), CageError> {
    for pid in members(group)? {
        // A process that is gone by now is what was wanted.
        let _ = kill(pid, Signal::SIGKILL);
    }
    below(group).iter().try_for_each(|group| kill_tree(group))
}

/// Whether a group and all groups below it are without processes.
pub(crate) fn is_deserted(group: &Path) -> Result<bool, CageError> {
    Ok(members(group)?.is_empty()
        && below(group)
            .iter()
            .try_fold(true, |all, group| is_deserted(group).map(|one| all & one))?)
}

/// Removes a group and the groups below it, deepest first. Only rmdir(2): a group with a process
/// in it stays.
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
    fn our_own_groups_are_known_and_alive() {
        let name = unique_name().expect("procfs");
        let maker = Maker::of_group(&name).expect("our form");
        assert_eq!(maker, Maker::myself().expect("procfs"));
        assert!(maker.lives());
        assert_ne!(name, unique_name().expect("procfs"));
    }

    #[test]
    fn a_reused_process_number_does_not_keep_a_group_alive() {
        let Maker { pid, start_ticks } = Maker::myself().expect("procfs");
        assert!(!Maker { pid, start_ticks: start_ticks + 1 }.lives());
    }

    #[test]
    fn names_of_others_are_left_alone() {
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
            assert_eq!(Maker::of_group(name), None, "{name}");
        }
    }

    #[test]
    fn a_sweep_removes_stale_groups_and_nothing_else() {
        let parent = tempfile::tempdir().expect("a directory");
        let mine = unique_name().expect("procfs");
        let Maker { pid, start_ticks } = Maker::myself().expect("procfs");
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

    /// [`sweep`], on a file system that has no `cgroup.procs`.
    fn sweep_plain(parent: &Path) {
        for group in siblings(parent) {
            let name = group.file_name().and_then(|name| name.to_str()).expect("a name");
            if !Maker::of_group(name).expect("ours").lives() {
                remove_tree(&group).expect("removed");
            }
        }
    }

    #[test]
    fn keys_are_matched_whole() {
        let text = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";
        assert_eq!(keyed(text, "oom_kill"), Some(3));
        assert_eq!(keyed(text, "oom"), None);
    }
}
