//! Raises the limit on open files at the start to what the configured limits need.
//!
//! The limit of a shell or an older init (1024) is less than the default number of connections
//! with a file each. If it cannot be raised the service warns and continues: without descriptors it
//! closes idle connections and responds with 503.

use crate::http::connections::table::RESERVED;

/// Maximum number of descriptors per worker: pipes, cage, video and artefacts.
const PER_WORKER: u64 = 32;

/// Journal, log, listeners, uploads between requests, and a reserve.
const OTHERS: u64 = 256;

/// Raises the limit to what this many connections and workers need.
pub(crate) fn raise_limit(connections: usize, workers: usize) {
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

/// One socket for each connection of both listeners, and one file transferred over each.
fn needed(connections: usize, workers: usize) -> u64 {
    2 * 2 * (connections + RESERVED) as u64 + PER_WORKER * workers as u64 + OTHERS
}
