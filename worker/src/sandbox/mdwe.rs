//! Keeps memory from becoming executable (PR_SET_MDWE(2const)). Called by `confine_early`.
//!
//! Libraries are still mapped afterwards: a file may be mapped executable from the beginning, as
//! long as it is not writable too.

#![allow(unsafe_code)]

use super::error::SandboxError;
use nix::errno::Errno;

/// Denies mappings that are writable and executable, and making an existing one executable.
pub(super) fn refuse_exec_gain() -> Result<String, SandboxError> {
    let bits = libc::c_ulong::from(libc::PR_MDWE_REFUSE_EXEC_GAIN);
    // SAFETY: PR_SET_MDWE takes integers and reads no memory; unused ones must be zero.
    let set = unsafe { libc::prctl(libc::PR_SET_MDWE, bits, 0_u64, 0_u64, 0_u64) };
    Errno::result(set).map_err(SandboxError::Mdwe)?;
    Ok("no memory becomes executable".into())
}
