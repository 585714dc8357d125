//! Processes under a memory cap: spawned, limited, measured, killed and reaped.
//!
//! Contains all unsafe code of the supervisor and knows nothing of jobs.

pub(crate) mod cage;
pub(crate) mod fd_passing;
pub(crate) mod guard;
pub(crate) mod limits;
pub(crate) mod orphans;
pub(crate) mod own_memory;
pub(crate) mod process_exit;
pub(crate) mod rss;
pub(crate) mod spawn;
