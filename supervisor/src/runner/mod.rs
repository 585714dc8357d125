//! Runs one attempt at a job: one worker process, from its spawn to its exit report.
//!
//! Used by the dispatcher and by `bodyscript run`.

pub(crate) mod attempt;
pub(crate) mod containment;
pub(crate) mod factory;
pub(crate) mod models;
pub(crate) mod spawn_worker;
pub(crate) mod validation;
pub(crate) mod worker_users;
