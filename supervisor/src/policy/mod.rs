//! The rules of the service, as pure functions and values: no I/O, no clock, no task.
//!
//! Used by the dispatcher and the store.

pub(crate) mod admission;
pub(crate) mod client;
pub(crate) mod display_name;
pub(crate) mod eta;
pub(crate) mod host;
pub(crate) mod job;
pub(crate) mod memory_cap;
pub(crate) mod open_upload;
pub(crate) mod poison;
pub(crate) mod queue;
pub(crate) mod retention_rules;
pub(crate) mod suggest;
pub(crate) mod verdict;
