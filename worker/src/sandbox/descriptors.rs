//! Closes every descriptor that is not one of the inherited ones. Called by `confine_early`.
//!
//! Rules on paths do not apply to a descriptor that leaked from the supervisor or its parent.

#![allow(unsafe_code)]

use super::error::SandboxError;
use bodyscript_protocol::inherited;
use nix::errno::Errno;

/// Closes all descriptors after the last inherited one (close_range(2)).
pub(super) fn close_strays() -> Result<String, SandboxError> {
    let first = inherited::COUNT;
    // SAFETY: close_range takes three integers. Nothing in this process owns a descriptor from
    // `first` on: it has only inherited some, and adopts only lower ones.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) };
    Errno::result(closed).map_err(|source| SandboxError::Descriptors { first, source })?;
    Ok(format!("only 0 to {}", first - 1))
}
