//! How many files this process may have open, raised at the start to what its limits come to.
//!
//! The limit a shell or an older init hands over (1024) is less than the default number of
//! connections with a file each. A service that may not have enough says so and goes on: out of
//! descriptors it gives up idle connections, and answers 503.

use crate::http::connections::table::RESERVED;

/// What one worker takes at most: pipes, cage, video and artefacts.
const PER_WORKER: u64 = 32;

/// Journal, log, listeners, files under way between requests, and some to spare.
const OTHERS: u64 = 256;

/// Sees to enough descriptors for so many connections and workers.
pub(crate) fn provide(connections: usize, workers: usize) {
    let needed = needed(connections, workers);
    match rlimit::increase_nofile_limit(needed) {
        Ok(limit) if limit >= needed => {}
        Ok(limit) => tracing::warn!(
            needed,
            limit,
            "the limit on open files is too low for `connections_max`: raise it (LimitNOFILE=, \
             ulimit -n), or lower `connections_max`"
        ),
        Err(error) => tracing::warn!(%error, needed, "cannot raise the limit on open files"),
    }
}

/// A socket for each connection of either listener, and a file that comes or goes over it.
fn needed(connections: usize, workers: usize) -> u64 {
    2 * 2 * (connections + RESERVED) as u64 + PER_WORKER * workers as u64 + OTHERS
}
