//! Drops uid 0 and every capability (capabilities(7)). Called by `confine_early`, around the
//! creation of the namespaces.

#![allow(unsafe_code)]

use super::error::SandboxError;
use nix::errno::Errno;
use nix::sys::prctl;
use nix::unistd::{self, Gid, Uid};

/// The kernel's overflow user and group ("nobody"), which own no files but may have other processes.
pub(super) const OVERFLOW_ID: u32 = 65_534;

/// Whether the worker changed its user.
#[derive(Debug, Clone, Copy)]
pub(super) enum Identity {
    /// It was not root, or stays root by configuration.
    Kept,
    /// It was root and is this user now.
    Dropped(u32),
    /// It was root and the change failed.
    Failed(Errno),
}

/// Drops uid 0, which owns the system's files even without a capability.
///
/// To be called before a user namespace is created; needs `CAP_SETUID`, `CAP_SETGID` and, for the
/// bounding set, `CAP_SETPCAP`.
///
/// A user namespace of the host may lack `user_id`; the overflow user is the next best.
pub(super) fn drop_root(user_id: u32) -> Identity {
    if !unistd::geteuid().is_root() {
        return Identity::Kept;
    }
    let drop_ids = || {
        empty_bounding_set()?;
        unistd::setgroups(&[])?;
        let id = [user_id, OVERFLOW_ID].into_iter().find(|id| become_user(*id).is_ok());
        let id = id.ok_or(Errno::EPERM)?;
        // The change made root the owner of /proc/self, where the namespaces' maps are written.
        prctl::set_dumpable(true).map(|()| id)
    };
    drop_ids().map_or_else(Identity::Failed, Identity::Dropped)
}

/// Needs the group first: a user that is not root may not change it.
fn become_user(id: u32) -> Result<(), Errno> {
    let (uid, gid) = (Uid::from_raw(id), Gid::from_raw(id));
    unistd::setresgid(gid, gid, gid)?;
    unistd::setresuid(uid, uid, uid)
}

/// Empties the ambient, bounding, effective, permitted and inheritable sets.
///
/// A new user namespace starts with all of them full. Without one, an unprivileged process may not
/// change its bounding set, which then has no effect: no_new_privs keeps exec from using it, and
/// exec is denied.
pub(super) fn empty(identity: Identity) -> Result<String, SandboxError> {
    let bounding = empty_bounding_set();
    if let Err(source) = clear_ambient_set() {
        return Err(SandboxError::Capabilities { set: "ambient", source });
    }
    if let Err(source) = clear_own_sets() {
        return Err(SandboxError::Capabilities { set: "permitted", source });
    }
    let mut achieved = String::from(match bounding {
        Ok(()) => "all sets empty",
        Err(_) => "all sets empty but the bounding set",
    });
    match identity {
        Identity::Kept => {}
        Identity::Dropped(id) => achieved.push_str(&format!(", root became user {id}")),
        Identity::Failed(errno) => achieved.push_str(&format!(", still root: {}", errno.desc())),
    }
    Ok(achieved)
}

fn empty_bounding_set() -> Result<(), Errno> {
    for capability in 0.. {
        // SAFETY: PR_CAPBSET_READ takes one integer and reads no memory.
        match unsafe { libc::prctl(libc::PR_CAPBSET_READ, capability, 0, 0, 0) } {
            0 => continue,
            1 => {}
            // The kernel has no capability of this number, so none of a higher one.
            _ => break,
        }
        // SAFETY: PR_CAPBSET_DROP takes one integer and reads no memory.
        Errno::result(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) })?;
    }
    Ok(())
}

fn clear_ambient_set() -> Result<(), Errno> {
    let operation = libc::PR_CAP_AMBIENT_CLEAR_ALL;
    // SAFETY: PR_CAP_AMBIENT takes integers and reads no memory.
    Errno::result(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, operation, 0, 0, 0) })?;
    Ok(())
}

/// The header of capset(2): version 3, the calling thread.
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// One half of the sets of capset(2): 32 capabilities.
#[repr(C)]
#[derive(Default)]
struct Sets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

fn clear_own_sets() -> Result<(), Errno> {
    const VERSION_3: u32 = 0x2008_0522;
    let header = Header { version: VERSION_3, pid: 0 };
    let sets = [Sets::default(), Sets::default()];
    // SAFETY: version 3 reads one header and two halves, laid out as in linux/capability.h, and
    // writes neither when the version is known.
    Errno::result(unsafe { libc::syscall(libc::SYS_capset, &raw const header, sets.as_ptr()) })?;
    Ok(())
}
