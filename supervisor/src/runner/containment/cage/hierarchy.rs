//! The directories of this process in the cgroup hierarchies.
//!
//! Used by the v1 and v2 backends. Reads cgroups(7) and proc_pid_mountinfo(5); it never assumes a
//! mount point.

use crate::runner::containment::cage::CageError;
use procfs::process::{MountInfo, MountInfos, Process};
use procfs::{ProcessCGroup, ProcessCGroups};
use std::path::{Path, PathBuf};

/// This process's group in the unified hierarchy (v2).
pub(crate) fn unified() -> Result<PathBuf, CageError> {
    own_group("cgroup v2", locate_unified)
}

/// This process's group in the v1 hierarchy of a controller.
pub(crate) fn legacy(controller: &'static str) -> Result<PathBuf, CageError> {
    own_group(controller, |mounts, groups| locate_legacy(mounts, groups, controller))
}

fn own_group(
    hierarchy: &'static str,
    locate: impl Fn(&MountInfos, &ProcessCGroups) -> Option<PathBuf>,
) -> Result<PathBuf, CageError> {
    let own = Process::myself()?;
    locate(&own.mountinfo()?, &own.cgroups()?).ok_or(CageError::NoHierarchy { hierarchy })
}

fn locate_unified(mounts: &MountInfos, groups: &ProcessCGroups) -> Option<PathBuf> {
    let group = groups.0.iter().find(|group| group.hierarchy == 0)?;
    mounts.iter().filter(|mount| mount.fs_type == "cgroup2").find_map(|mount| join(mount, group))
}

fn locate_legacy(
    mounts: &MountInfos,
    groups: &ProcessCGroups,
    controller: &str,
) -> Option<PathBuf> {
    let group = groups.0.iter().find(|group| group.controllers.iter().any(|c| c == controller))?;
    mounts
        .iter()
        .filter(|mount| mount.fs_type == "cgroup" && mount.super_options.contains_key(controller))
        .find_map(|mount| join(mount, group))
}

/// A container may see only a part of the hierarchy: the mount then has a root of its own.
fn join(mount: &MountInfo, group: &ProcessCGroup) -> Option<PathBuf> {
    let below = Path::new(&group.pathname).strip_prefix(&mount.root).ok()?;
    Some(mount.mount_point.join(below))
}

#[cfg(test)]
mod tests {
    use super::*;
    use procfs::FromBufRead;

    fn mounts(text: &str) -> MountInfos {
        MountInfos::from_buf_read(text.as_bytes()).expect("mountinfo")
    }

    fn groups(text: &str) -> ProcessCGroups {
        ProcessCGroups::from_buf_read(text.as_bytes()).expect("cgroup")
    }

    const HYBRID: &str = "\
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    #[test]
    fn on_a_hybrid_host_each_hierarchy_is_located() {
        let mounts = mounts(HYBRID);
        let groups = groups("8:pids:/\n4:memory:/api/x\n0::/user.slice\n");
        let at = |path: &str| Some(PathBuf::from(path));
        assert_eq!(locate_legacy(&mounts, &groups, "memory"), at("/sys/fs/cgroup/memory/api/x"));
        assert_eq!(locate_legacy(&mounts, &groups, "pids"), at("/sys/fs/cgroup/pids"));
        assert_eq!(locate_legacy(&mounts, &groups, "cpu"), None);
        assert_eq!(locate_unified(&mounts, &groups), at("/sys/fs/cgroup/unified/user.slice"));
    }

    #[test]
    fn a_partial_mount_in_a_container_is_resolved_below_its_root() {
        let mounts =
            mounts("700 690 0:29 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n");
        let inside = groups("4:memory:/docker/abc/job\n");
        let outside = groups("4:memory:/elsewhere\n");
        assert_eq!(
            locate_legacy(&mounts, &inside, "memory"),
            Some(PathBuf::from("/sys/fs/cgroup/memory/job"))
        );
        assert_eq!(locate_legacy(&mounts, &outside, "memory"), None);
    }

    #[test]
    fn a_pure_v2_host_has_no_v1_memory_hierarchy() {
        let mounts = mounts("30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n");
        let groups = groups("0::/system.slice/bodyscript.service\n");
        assert_eq!(
            locate_unified(&mounts, &groups),
            Some(PathBuf::from("/sys/fs/cgroup/system.slice/bodyscript.service"))
        );
        assert_eq!(locate_legacy(&mounts, &groups, "memory"), None);
    }
}
