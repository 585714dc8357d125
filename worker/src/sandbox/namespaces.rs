//! Leaves the host's namespaces for new ones (namespaces(7)). Called by `confine_early`.
//!
//! No PID namespace is created here: it would apply to the next child, and a process whose children
//! are created in another PID namespace may not start threads (clone(2), EINVAL). The supervisor
//! does not start workers in one either. The first process of a PID namespace ignores every signal
//! without a handler (pid_namespaces(7)), including SIGTERM, SIGXCPU and abort's SIGABRT, which
//! would hide the cause of its exit; and starting a second process takes a privilege that the
//! service does not have. What the namespace would hide is denied otherwise: the file tree shows no
//! other process, seccomp and Landlock deny signals and tracing, and no child processes are
//! possible. A worker that is started in a PID namespace reports it.

use super::error::SandboxError;
use super::root_fs;
use nix::sched::{CloneFlags, unshare};
use nix::unistd;
use std::fs;

/// Enters user, network, mount, IPC and UTS namespaces of the worker's own.
///
/// The network has no interface, not even loopback; the file tree is what [`root_fs`] provides.
pub(super) fn enter() -> Result<String, SandboxError> {
    let (uid, gid) = (unistd::geteuid(), unistd::getegid());
    unshare(
        CloneFlags::CLONE_NEWUSER
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWUTS,
    )
    .map_err(SandboxError::Unshare)?;
    // The kernel requires this order: an unprivileged gid_map needs setgroups denied first.
    write_identity("/proc/self/setgroups", "deny")?;
    write_identity("/proc/self/gid_map", &format!("{gid} {gid} 1"))?;
    write_identity("/proc/self/uid_map", &format!("{uid} {uid} 1"))?;
    let pid = if has_own_pid_namespace() { "pid, " } else { "" };
    Ok(match root_fs::enter() {
        Ok(()) => format!("user, {pid}net, ipc, uts, mount with libraries only"),
        // Some hosts grant the namespace but no right to mount in it; Landlock denies the files.
        Err(error) => format!("user, {pid}net, ipc, uts, mount with the host's files: {error}"),
    })
}

fn write_identity(path: &'static str, text: &str) -> Result<(), SandboxError> {
    fs::write(path, text).map_err(|source| SandboxError::IdentityMap { path, source })
}

/// Whether the supervisor started this process in a PID namespace: it then has a number in
/// each.
fn has_own_pid_namespace() -> bool {
    fs::read_to_string("/proc/self/status").is_ok_and(|status| {
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        numbers.is_some_and(|numbers| numbers.split_whitespace().count() > 1)
    })
}
