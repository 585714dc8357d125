//! The supervisor: takes videos over HTTP and gives each one a worker process of its own.
//!
//! It never parses media and never waits on a worker without a deadline. What it must not lose it
//! keeps on the disk; what it may lose it keeps small. A worker that dies, for whatever reason,
//! becomes one exit report, and the exit report one verdict on one job.
//!
//! # Who talks to whom
//!
//! ```text
//!  clients          http            dispatcher                attempt        worker process
//!     | -- upload --> | -- admit ------> |                       |                 |
//!     |               | <-- ticket ----- |                       |                 |
//!     | == body ====> | == spool file    |                       |                 |
//!     |               | -- submit -----> | -- start -----------> | -- Start -----> |
//!     | <-- 202 ----- | <-- status ----- |                       | <-- Progress -- |
//!     | -- status --> | -- ask --------> | <~~ live facts ~~~~~~ |                 |
//!     |               |                  | <-- ending ---------- | <-- Done, exit  |
//! ```
//!
//! The [`dispatcher`] is one task that owns all jobs, the queue and the memory budget. Handlers
//! in [`http`] and the command line in [`cli`] hold a handle to it and nothing else. What to do is
//! decided by pure functions ([`admission`], [`queue`], [`job`], [`verdict`]); what is done, by
//! [`attempt`] and [`worker`] to processes and by [`artefacts`] and [`retention`] to files.
//!
//! # The life of a job
//!
//! ```text
//!                       +------ retry, requeue ------+
//!                       v                            |
//!   accepted ------> Pending -------- start -----> Processing -----> Completed
//!                       |                            |
//!                       +---------> Failed <---------+
//!                       +-------> Cancelled <--------+
//! ```
//!
//! A `Failed` job is `Pending` again if an operator allows another try while its video is there.
//!
//! `Pending` starts only while a worker is free and the memory for it too: the sum of the caps of
//! all attempts never exceeds the budget. A job is `Completed` only after its artefacts are on
//! the disk under their final names.
//!
//! Every arrow is written into the [`journal`]; a start reads it back ([`recovery`]).

pub(crate) mod cli;
pub(crate) mod config;
pub(crate) mod dispatcher;
pub(crate) mod http;
pub(crate) mod ops;
pub(crate) mod policy;
pub(crate) mod runner;
pub(crate) mod service;
pub(crate) mod store;
pub(crate) mod webhook;

pub use cli::{Cli, complain};

// For the tests of cages and of the whole service.
pub use policy::display_name::DisplayName;
pub use policy::job::{AttemptRecord, Job, JobError, JobEvent, JobId, Upload};
pub use runner::attempt::exit_report::{Deadline, ExitReason, ExitReport, ProcessExit, Stop};
pub use runner::attempt::origin::Origin;
pub use runner::attempt::{
    Assignment, AttemptChannels, Deadlines, Live, WorkerSpec, run as run_attempt,
};
pub use runner::containment::cage::{CageBackend, CageRequired, survey};
pub use runner::factory::{WorkerFactory, WorkerFactoryError, WorkerFactorySettings};
pub use store::artefacts::StateDir;
pub use store::clock::wall as wall_clock;
pub use store::journal::{Entry, FILE as JOURNAL_FILE, JobRow, Journal, Past};
