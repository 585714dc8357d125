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
pub mod ctl;
mod descriptors;
pub mod dispatcher;
pub mod failpoint;
pub mod http;
pub mod job;
pub mod journal;
pub mod listeners;
pub mod memory;
pub mod name;
pub mod operations;
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
pub mod webhook;
pub mod worker;

use access::{Access, AccessError};
use artefacts::{StateDir, StateError};
use attempt::trial::{TrialError, trial};
use config::Config;
use ctl::Control;
use dispatcher::{Dispatcher, Runner};
use http::clients::Clients;
use http::connections::Connections;
use http::{Service, Settings};
use journal::{Journal, JournalError};
use listeners::Listeners;
use operations::{Operations, Order, Reach, Source};
use recovery::Recovered;
use resumable::Resumables;
use signals::{Shutdown, Wishes};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use thiserror::Error;
use tokio::sync::mpsc::Receiver;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use webhook::{Means, WebhookError, Webhooks};
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
    /// Webhooks cannot be offered as configured.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    /// Operators cannot be told from others as configured.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// A listening socket does not say where it listens.
    #[error("a listening socket has no address: {0}")]
    Listener(#[from] std::io::Error),
}

/// Serves on `listeners` until `wishes` ask for the end; returns when nothing is left running.
/// `source` is asked when the configuration is to be read again.
///
/// # Errors
/// When workers cannot be started here, or the state folder cannot be used.
pub async fn run(
    listeners: Listeners,
    config: Config,
    source: Source,
    wishes: Wishes,
) -> Result<(), ServiceError> {
    let config = Arc::new(config);
    let addresses = listeners.addresses()?;
    let (access, means) = open_secrets(&config, addresses.operators)?;
    if access.is_impossible() {
        tracing::warn!(
            "job list, monitor, metrics and memory report are off: so is `operator_listen`, and \
             `token_file` names no token"
        );
    }
    let (state, _lock) = StateDir::open(&config.state_dir)?;
    let workshop = Workshop::open(&config.workshop())?;
    let sandbox = trial(&workshop, config.worker_memory_bytes_max, config.deadlines).await?;
    let (past, keeper) = Journal::open(state.root())?;
    let resumables = Resumables::open(&state, past.clock.clone(), config.resumable)?;
    let recovered = Recovered::from(past, &state)?;
    tracing::info!(
        cage = %workshop.cage_backend(),
        sandbox = sandbox.summary(),
        workers = config.workers,
        memory_budget_bytes = config.memory_budget_bytes,
        state_dir = %config.state_dir.display(),
        "ready"
    );
    let cage = workshop.cage_backend().to_string();
    let control = control(&state);
    let (dispatcher, desk) =
        Dispatcher::start(config.clone(), runner(workshop), state.clone(), recovered);
    let closing = CancellationToken::new();
    let webhooks = Webhooks::open(means, state.root(), &dispatcher, &closing)?;
    let clients = Clients::new(config.access.clients.clone());
    let (settings, in_force) =
        watch::channel(Settings { config: config.clone(), access, clients, reload_refused: None });
    let connections = Connections::new(&config.http, in_force.clone());
    let service = Service {
        dispatcher: dispatcher.clone(),
        config: config.clone(),
        access: in_force.borrow().access.clone(),
        clients: in_force.borrow().clients.clone(),
        connections: connections.clone(),
        reload_refused: false,
        state,
        cage,
        requests: Default::default(),
        webhooks: webhooks.clone(),
        resumables: Arc::new(resumables),
        started: Instant::now(),
        started_at: clock::wall(),
        closing: closing.clone(),
    };
    let router = http::router(service, in_force.clone());
    let connections = [connections, Connections::new(&config.http, in_force.clone())];
    let server = tokio::spawn(listeners.serve(router, connections, closing.clone()));
    let reach = Reach { dispatcher: dispatcher.clone(), webhooks, settings };
    let operations = Operations::new(reach, wishes.switch, source, addresses);
    let operations = tokio::spawn(take_orders(operations, wishes.orders, control));
    let report = systemd::report_on(dispatcher.clone());
    systemd::ready();

    wind_down(&dispatcher, &in_force, wishes.shutdown).await;
    report.abort();
    operations.abort();
    closing.cancel();
    let _ = server.await;
    // Its end closes the control socket, and lets go of the dispatcher.
    let _ = operations.await;
    drop(dispatcher);
    let _ = desk.await;
    // Returns once all is written.
    let _ = tokio::task::spawn_blocking(move || keeper.join()).await;
    tracing::info!("stopped");
    Ok(())
}

/// Reads the secrets that the configuration names, for a service whose operators' listener is at
/// `operators`: how operators are known, and what notices are signed with.
///
/// # Errors
/// When one of them cannot be used.
pub fn open_secrets(
    config: &Config,
    operators: Option<SocketAddr>,
) -> Result<(Access, Option<Arc<Means>>), ServiceError> {
    Ok((Access::open(config, operators)?, Means::open(&config.webhook)?))
}

/// The control socket. A full disk or a long path must not keep the service from starting.
fn control(state: &StateDir) -> Option<Control> {
    let opened = Control::open(state.root());
    opened.inspect_err(|error| tracing::error!(%error, "orders are taken by signal alone")).ok()
}

/// Carries out what operators order, until it is aborted.
async fn take_orders(operations: Operations, orders: Receiver<Order>, control: Option<Control>) {
    let operations = Arc::new(operations);
    let by_signal = operations.clone();
    let by_socket = async move {
        if let Some(control) = control {
            control.serve(operations).await;
        }
    };
    tokio::join!(by_signal.heed(orders), by_socket);
}

/// Waits until the end is asked for; then lets jobs under way finish as long as they may.
async fn wind_down(
    dispatcher: &Dispatcher,
    settings: &watch::Receiver<Settings>,
    mut shutdown: Shutdown,
) {
    shutdown.requested().await;
    let drain_max = settings.borrow().config.drain_max;
    tracing::info!(?drain_max, "stopping: jobs under way may finish");
    systemd::stopping();
    tokio::select! {
        _ = dispatcher.drain() => {}
        () = sleep(drain_max) => tracing::warn!("jobs under way are ended: time is up"),
        () = shutdown.insisted() => tracing::warn!("jobs under way are ended: asked twice"),
    }
    // An error means that the dispatcher, and so every attempt, is gone already.
    let _ = dispatcher.stop(Stop::Shutdown).await;
}

/// Attempts in this workshop.
pub fn runner(workshop: Workshop) -> Runner {
    Arc::new(move |birth, lines| {
        let workshop = workshop.clone();
        Box::pin(async move { attempt::run(&workshop, birth, lines).await })
    })
}
