//! The supervisor: accepts videos over HTTP and processes each one in a worker process of its own.
//!
//! It never parses media and never waits for a worker without a deadline. A worker that ends, for
//! whatever reason, becomes one exit report, and the exit report one verdict on one job.
//!
//! # Modules
//!
//! | module | content |
//! |---|---|
//! | `cli` | the commands of `bodyscript` and their output |
//! | `service` | connects the parts of `bodyscript serve`: start, drain, stop |
//! | `http` | both listeners' routes: uploads, jobs, results, events, monitor, metrics |
//! | `ops` | control by operators and the host: signals, control socket, reload, systemd, logging |
//! | `dispatcher` | the one task that owns jobs, queue, workers and memory budget |
//! | `policy` | the rules as pure functions: job states, queue, admission, verdict, poison |
//! | `store` | files: journal, artefacts, resumable uploads, recovery, retention |
//! | `runner` | one attempt: spawn a worker in a cage, exchange messages, report its exit |
//! | `webhook` | signed notifications of ended jobs |
//! | `config` | the checked configuration |
//!
//! ```text
//!   cli -> service -> ops -> http -> webhook -> dispatcher -> config, store -> policy -> runner
//! ```
//!
//! A module imports only modules further along these arrows. Handlers and commands hold a handle to
//! the dispatcher and none of its state.
//!
//! # Messages of a job
//!
//! ```text
//!  client           http            dispatcher                attempt        worker process
//!     | -- upload --> | -- Admit ------> |                       |                 |
//!     |               | <-- Ticket ----- |                       |                 |
//!     | == body ====> | == spool file    |                       |                 |
//!     |               | -- Submit -----> | -- Assignment ------> | -- Start -----> |
//!     | <-- 202 ----- | <-- Status ----- | <-- CapRequest ------ | <-- Probed ---- |
//!     |               |                  | -- CapReply --------> | -- Proceed ---> |
//!     |               |                  |                       | <-- Poses ----- |
//!     | -- poses ---> | -- Poses ------> | <~~ PoseLog ~~~~~~~~~ | <-- Progress -- |
//!     | -- status --> | -- Status -----> | <~~ Live ~~~~~~~~~~~~ |                 |
//!     |               |                  | <-- ExitReport ------ | <-- Done, exit  |
//! ```
//!
//! # States of a job
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
//! A `Failed` job becomes `Pending` again if an operator retries it while its video exists.
//!
//! A `Pending` job starts only when a worker slot is free and its memory cap fits into the budget:
//! the sum of the caps of all workers never exceeds it. The cap of a `Processing` job may be raised if
//! its video needs more; without memory it is requeued, uncounted. A job is `Completed` only after its
//! artefacts are on the disk under their final names.
//!
//! Every transition is written to the journal; a start reads it back (`store::Recovered`).

pub(crate) mod cli;
pub(crate) mod config;
pub(crate) mod dispatcher;
pub mod fuzzing;
pub(crate) mod http;
pub(crate) mod ops;
pub(crate) mod policy;
pub(crate) mod runner;
pub(crate) mod service;
pub(crate) mod store;
pub(crate) mod tls;
pub(crate) mod webhook;

pub use cli::{Cli, print_error};

// Used by the tests of cages and of the whole service.
pub use policy::display_name::DisplayName;
pub use policy::job::{AttemptRecord, Job, JobError, JobEvent, JobId, Upload};
pub use runner::attempt::exit_report::{
    Deadline, ExitEvidence, ExitReason, ExitReport, FinalMessage, ProcessExit, Stop,
};
pub use runner::attempt::origin::Origin;
pub use runner::attempt::{
    Assignment, AttemptChannels, CapReply, CapRequest, Deadlines, Live, WorkerSpec,
    run as run_attempt,
};
pub use runner::containment::cage::{CageBackend, CageRequired, survey};
pub use runner::factory::{WorkerFactory, WorkerFactoryError, WorkerFactorySettings};
pub use runner::worker_users::UserIds;
pub use store::{
    JOURNAL_FILE, JobRow, Journal, JournalEntry, OpenedJournal, StateDir, wall as wall_clock,
};
