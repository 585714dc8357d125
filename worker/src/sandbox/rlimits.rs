//! Resource limits the worker lowers for itself. Called by `confine_early`.
//!
//! They back up the supervisor's limits, which fit the job's memory and time: a limit is only ever
//! lowered, and one that is already lower stays.

use super::error::SandboxError;
use rlimit::Resource;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Each limit with its ceiling and the reason for it.
const CEILINGS: &[(Resource, u64, &str)] = &[
    (Resource::CORE, 0, "a dump would write the video's contents to disk"),
    (Resource::MEMLOCK, 64 * KIB, "libgcrypt's pool for secrets, which logs a warning without"),
    (Resource::MSGQUEUE, 0, "no message queue is used"),
    (Resource::RTPRIO, 0, "real-time priority would starve the supervisor"),
    (Resource::NICE, 0, "the priority must not be raised"),
    (Resource::NOFILE, 128, "inherited files, and a few event descriptors for each element"),
    (Resource::SIGPENDING, 1024, "signals are queued in kernel memory"),
    (Resource::FSIZE, 512 * MIB, "no artefact comes near it; a full disk would harm others"),
    (Resource::DATA, 16 * GIB, "a backstop; the cage sets the real limit"),
    // Stacks, arenas and mappings all count, so this one has to be loose.
    (Resource::AS, 64 * GIB, "a backstop; the cage sets the real limit"),
    (Resource::CPU, 4 * 3600, "a backstop, in seconds; the supervisor's deadline is shorter"),
];

/// Threads of one worker: decoder and encoder start a few for each processor.
const THREADS_MAX: u64 = 256;

/// Lowers every limit to its ceiling.
pub(super) fn lower() -> Result<String, SandboxError> {
    for (resource, ceiling, _reason) in CEILINGS {
        lower_to(*resource, *ceiling)?;
    }
    Ok(format!("{} limits", CEILINGS.len()))
}

/// Limits the number of threads.
///
/// Only inside a user namespace of the worker's own: `RLIMIT_NPROC` counts the processes of a
/// user in a user namespace (Linux 5.14), which elsewhere are other people's as well.
pub(super) fn limit_threads() -> Result<(), SandboxError> {
    lower_to(Resource::NPROC, THREADS_MAX)
}

fn lower_to(resource: Resource, ceiling: u64) -> Result<(), SandboxError> {
    let lower = || {
        let (soft, hard) = resource.get()?;
        resource.set(soft.min(ceiling), hard.min(ceiling))
    };
    lower().map_err(|source| SandboxError::Rlimit { limit: resource.as_name(), source })
}
