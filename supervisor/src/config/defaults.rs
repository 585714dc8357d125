//! Defaults that depend on the host: paths of programs, models and state, and the memory budget.
//! Called by `resolve` for keys that are not set.

use nix::unistd::geteuid;
use procfs::{Current, Meminfo};
use std::path::{Path, PathBuf};

const INSTALLED_PROGRAMS: &str = "/usr/lib/bodyscript";
const INSTALLED_MODELS: &str = "/usr/share/bodyscript/models";

/// Reserve for the supervisor, the page cache and other processes under the same limit.
const MEMORY_RESERVE_BYTES: u64 = 128 << 20;

/// `bodyscript-worker` beside this program, else in the folder of the package.
pub(crate) fn worker_program() -> PathBuf {
    let name = "bodyscript-worker";
    std::env::current_exe()
        .ok()
        .map(|exe| exe.with_file_name(name))
        .filter(|path| path.exists())
        .unwrap_or_else(|| Path::new(INSTALLED_PROGRAMS).join(name))
}

/// The models of the package, else `models/` in the source tree in which this program was built.
pub(crate) fn models_dir() -> PathBuf {
    let installed = PathBuf::from(INSTALLED_MODELS);
    if installed.exists() {
        return installed;
    }
    let exe = std::env::current_exe().unwrap_or_default();
    exe.ancestors()
        .map(|folder| folder.join("models"))
        .find(|models| models.join("MANIFEST.toml").exists())
        .unwrap_or(installed)
}

/// The folder that systemd provides, else the usual one for a service or for a user (XDG Base
/// Directory Specification).
pub(crate) fn state_dir() -> PathBuf {
    let variable = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    if let Some(folder) = variable("STATE_DIRECTORY") {
        return folder;
    }
    if geteuid().is_root() {
        return "/var/lib/bodyscript".into();
    }
    variable("XDG_STATE_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".local/state")))
        .unwrap_or_else(std::env::temp_dir)
        .join("bodyscript")
}

/// The path of a systemd credential (systemd.exec(5), `LoadCredential=`), if it exists.
pub(crate) fn credential(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY")?;
    Some(Path::new(&folder).join(name)).filter(|path| path.exists())
}

/// The name of the system; `host` if it has none that is accepted.
pub(crate) fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let plain = |c: &char| c.is_ascii_alphanumeric() || "-_.".contains(*c);
    let name: String = name.chars().filter(plain).take(64).collect();
    if name.is_empty() { "host".into() } else { name }
}

/// Three quarters of the memory available to this process, less a reserve, in bytes.
///
/// The available memory is the minimum of the host's (proc(5), `MemAvailable`) and the limits of
/// the control groups of this process (cgroup-v2.rst `memory.max`; cgroup-v1/memory.rst
/// `memory.limit_in_bytes`).
pub(crate) fn memory_budget_bytes() -> u64 {
    let available = Meminfo::current().ok().and_then(|info| info.mem_available);
    let least = available.into_iter().chain(group_limits()).min().unwrap_or(0);
    least.saturating_sub(MEMORY_RESERVE_BYTES) / 4 * 3
}

fn group_limits() -> Vec<u64> {
    let Ok(groups) = procfs::process::Process::myself().and_then(|me| me.cgroups()) else {
        return Vec::new();
    };
    groups.into_iter().flat_map(|group| limits_above(&group.controllers, &group.pathname)).collect()
}

fn limits_above(controllers: &[String], path: &str) -> Vec<u64> {
    let (root, file) = match controllers {
        [] => ("/sys/fs/cgroup", "memory.max"),
        names if names.iter().any(|name| name == "memory") => {
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
        }
        [first] if first.is_empty() => ("/sys/fs/cgroup", "memory.max"),
        _ => return Vec::new(),
    };
    // A limit applies to all groups below it, so every ancestor counts. In a container the path may
    // be that of the host and not exist here; the root is the container's own group then.
    Path::new(path.trim_start_matches('/'))
        .ancestors()
        .filter_map(|group| std::fs::read_to_string(Path::new(root).join(group).join(file)).ok())
        .filter_map(|text| text.trim().parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_budget_is_below_the_total_memory() {
        let total = Meminfo::current().expect("this is Linux").mem_total;
        let budget = memory_budget_bytes();
        assert!(budget > 0 && budget <= total / 4 * 3, "{budget} of {total}");
    }
}
