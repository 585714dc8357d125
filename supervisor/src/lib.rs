//! The supervisor: takes videos over HTTP and gives each one a worker process of its own.
//!
//! It never parses media and never waits on a worker without a deadline. What it must not lose it
//! keeps on the disk; what it may lose it keeps small. A worker that dies, for whatever reason,
//! becomes one obituary, and the obituary one verdict on one job.
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

pub mod access;
pub mod admission;
pub mod artefacts;
pub mod attempt;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dispatcher;
pub mod failpoint;
pub mod http;
pub mod job;
pub mod journal;
pub mod memory;
pub mod name;
pub mod origin;
pub mod outcome;
pub mod pace;
pub mod poison;
pub mod queue;
pub mod recovery;
pub mod resumable;
pub mod retention;
pub mod signals;
pub mod status;
pub mod systemd;
pub mod telemetry;
pub mod verdict;
pub mod worker;

use access::{Access, AccessError};
use artefacts::{StateDir, StateError};
use attempt::trial::{TrialError, trial};
use config::Config;
use dispatcher::{Dispatcher, Runner};
use http::Service;
use journal::{Journal, JournalError};
use recovery::Recovered;
use resumable::Resumables;
use signals::Shutdown;
use std::sync::Arc;
use std::time::Instant;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use worker::obituary::Stop;
use worker::{Workshop, WorkshopError};

/// Why the service could not start: the operator's to mend.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// Workers cannot be started.
    #[error("workers cannot be started: {0}")]
    Workshop(#[from] WorkshopError),
    /// A worker was started and did not become what is required.
    #[error(transparent)]
    Trial(#[from] TrialError),
    /// The state folder cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Operators cannot be told from others as configured.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The listening socket does not say where it listens.
    #[error("the listening socket has no address: {0}")]
    Listener(#[from] std::io::Error),
}

/// Serves on `listener` until `shutdown` asks for the end; returns when nothing is left running.
///
/// # Errors
/// When workers cannot be started here, or the state folder cannot be used.
pub async fn run(
    listener: TcpListener,
    config: Config,
    mut shutdown: Shutdown,
) -> Result<(), ServiceError> {
    let config = Arc::new(config);
    let access = Access::open(&config, listener.local_addr()?)?;
    if matches!(access, Access::Nobody) {
        tracing::warn!(
            "job list, monitor, metrics and memory report are off: the service is reachable from \
             elsewhere and `token_file` names no token"
        );
    }
    let (state, _lock) = StateDir::open(&config.state_dir)?;
    let workshop = Workshop::open(&config.workshop())?;
    let posture = trial(&workshop, config.worker_memory_bytes_max, config.deadlines).await?;
    let (past, keeper) = Journal::open(state.root())?;
    let resumables = Resumables::open(&state, past.clock.clone(), config.resumable)?;
    let recovered = Recovered::from(past, &state)?;
    tracing::info!(
        cage = %workshop.cage_backend(),
        sandbox = posture.summary(),
        workers = config.workers,
        memory_budget_bytes = config.memory_budget_bytes,
        state_dir = %config.state_dir.display(),
        "ready"
    );
    let cage = workshop.cage_backend().to_string();
    let (dispatcher, desk) =
        Dispatcher::start(config.clone(), runner(workshop), state.clone(), recovered);
    let closing = CancellationToken::new();
    let router = http::router(Service {
        dispatcher: dispatcher.clone(),
        config: config.clone(),
        state,
        cage,
        access,
        requests: Default::default(),
        resumables: Arc::new(resumables),
        clients: http::clients::Clients::new(config.access.clients.clone()),
        started: Instant::now(),
        started_at: clock::wall(),
        closing: closing.clone(),
    });
    let until = closing.clone().cancelled_owned();
    let server = tokio::spawn(http::server::serve(listener, router, config.http.clone(), until));
    let report = systemd::report_on(dispatcher.clone());
    systemd::ready();

    shutdown.requested().await;
    tracing::info!(drain_max = ?config.drain_max, "stopping: jobs under way may finish");
    systemd::stopping();
    tokio::select! {
        _ = dispatcher.drain() => {}
        () = sleep(config.drain_max) => tracing::warn!("jobs under way are ended: time is up"),
        () = shutdown.insisted() => tracing::warn!("jobs under way are ended: asked twice"),
    }
    // An error means that the dispatcher, and so every attempt, is gone already.
    let _ = dispatcher.stop(Stop::Shutdown).await;
    report.abort();
    closing.cancel();
    let _ = server.await;
    drop(dispatcher);
    let _ = desk.await;
    // Returns once all is written.
    let _ = tokio::task::spawn_blocking(move || keeper.join()).await;
    tracing::info!("stopped");
    Ok(())
}

/// Attempts in this workshop.
pub fn runner(workshop: Workshop) -> Runner {
    Arc::new(move |order, live, stop| {
        let workshop = workshop.clone();
        Box::pin(async move { attempt::run(&workshop, order, live, stop).await })
    })
}
