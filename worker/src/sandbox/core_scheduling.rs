//! Keeps other processes off the processor core on which this one runs (PR_SCHED_CORE(2const)).
//! Called by `confine_early`.
//!
//! The hardware threads of a core share caches and buffers, through which one can find out what the
//! other computes. With a tag of its own a worker shares a core with its own threads alone, at the
//! price of hardware threads that stay idle.

#![allow(unsafe_code)]

use super::error::SandboxError;
use nix::errno::Errno;

/// From linux/prctl.h; libc has them for other systems only.
const PR_SCHED_CORE: libc::c_int = 62;
const PR_SCHED_CORE_CREATE: libc::c_ulong = 1;
const PR_SCHED_CORE_SCOPE_THREAD_GROUP: libc::c_ulong = 1;

/// Gives this process a tag of its own, which threads inherit.
pub(super) fn tag() -> Result<String, SandboxError> {
    const OWN_PROCESS: libc::c_ulong = 0;
    // SAFETY: PR_SCHED_CORE_CREATE takes integers, and no address.
    let tagged = unsafe {
        libc::prctl(
            PR_SCHED_CORE,
            PR_SCHED_CORE_CREATE,
            OWN_PROCESS,
            PR_SCHED_CORE_SCOPE_THREAD_GROUP,
            0_u64,
        )
    };
    Errno::result(tagged).map_err(SandboxError::CoreScheduling)?;
    Ok("shares no core with other processes".into())
}
