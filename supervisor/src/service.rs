//! Starts the parts of the service, connects them, serves until a stop is requested, and drains.
//!
//! Called by `cli`.

use crate::config::Config;
use crate::dispatcher::{Dispatcher, Runner, RunningAttempt};
use crate::http::access::{Access, AccessError};
use crate::http::connections::registry::Connections;
use crate::http::middleware::clients::Clients;
use crate::http::router::api;
use crate::http::service::Service;
use crate::http::settings::Settings;
use crate::http::starting;
use crate::ops::commands::OperatorCommand;
use crate::ops::control_socket::Control;
use crate::ops::job_log::JobLog;
use crate::ops::listeners::Listeners;
use crate::ops::operations::{Operations, Source, Targets};
use crate::ops::signals::{Shutdown, Signals};
use crate::ops::systemd;
use crate::runner::attempt;
use crate::runner::attempt::exit_report::Stop;
use crate::runner::attempt::trial::{TrialError, trial};
use crate::runner::factory::{WorkerFactory, WorkerFactoryError};
use crate::store::{
    ArtefactStore, Journal, JournalError, Objects, ObjectsError, OpenedJournal, Recovered,
    Resumables, StateDir, StateError, UploadTable, WebhookRecords, closed, wall,
};
use crate::webhook::{WebhookError, WebhookSender, Webhooks};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::sync::mpsc::Receiver;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Between two tries to reach a database at the start, each of which is logged.
const DATABASE_PAUSE: Duration = Duration::from_secs(2);

/// Why the service could not start.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// Workers cannot be started.
    #[error("cannot start workers: {0}")]
    WorkerFactory(#[from] WorkerFactoryError),
    /// The trial worker failed, or lacks a required sandbox layer.
    #[error(transparent)]
    Trial(#[from] TrialError),
    /// The state folder cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The store that hosts share cannot be used.
    #[error(transparent)]
    Objects(#[from] ObjectsError),
    /// The webhook configuration cannot be used.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    /// The operator access configuration cannot be used.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// A listening socket has no address.
    #[error("a listening socket has no address: {0}")]
    Listener(#[from] std::io::Error),
}

/// Serves on `listeners` until `signals` request a stop; returns once nothing is left running.
/// `source` reads the configuration again for a reload; `job_log` has the log lines of jobs.
///
/// # Errors
/// If workers cannot be started, or the state folder cannot be used.
pub(crate) async fn run(
    listeners: Listeners,
    config: Config,
    source: Source,
    mut signals: Signals,
    job_log: JobLog,
) -> Result<(), ServiceError> {
    let config = Arc::new(config);
    let addresses = listeners.addresses()?;
    let (access, webhook_sender) = open_secrets(&config, addresses.operators)?;
    log_access(&access);
    let (state, _lock) = StateDir::open(&config.state_dir)?;
    let factory = WorkerFactory::open(&config.factory())?;
    let sandbox = trial(&factory, config.worker_memory_bytes_max, config.deadlines).await?;
    let (settings, settings_receiver) = watch::channel(first_settings(&config, access));
    let wait = || refuse_requests(&listeners, &config, &settings_receiver);
    let opened = open_journal(&config, &state, &mut signals.shutdown, wait).await?;
    let Some((mut past, writer)) = opened else { return Ok(()) };
    let objects = config.artefacts.as_ref().map(Objects::open).transpose()?;
    let resumables = open_resumables(&config, &state, &past, objects.clone())?;
    let artefacts = ArtefactStore::new(state.clone(), objects);
    let records = WebhookRecords::of(state.root(), &past.journal);
    let adopted = std::mem::replace(&mut past.webhooks, closed());
    let recovered = Recovered::from(past, &artefacts)?;
    log_ready(&config, &factory, &sandbox.summary());
    let cage = factory.cage_backend().to_string();
    let models = factory.installed_models();
    let control = control(&state);
    let (dispatcher, dispatcher_task) =
        Dispatcher::start(config.clone(), runner(factory), artefacts.clone(), recovered);
    let closing = CancellationToken::new();
    let webhooks = Webhooks::open(webhook_sender, records, adopted, &dispatcher, &closing)?;
    let connections = Connections::new(&config.http, settings_receiver.clone());
    let service = Service {
        dispatcher: dispatcher.clone(),
        config: config.clone(),
        access: settings_receiver.borrow().access.clone(),
        clients: settings_receiver.borrow().clients.clone(),
        connections: connections.clone(),
        reload_refused: false,
        artefacts: artefacts.clone(),
        state,
        cage,
        models,
        requests: Default::default(),
        webhooks: webhooks.clone(),
        resumables: Arc::new(resumables),
        started: Instant::now(),
        started_at: wall(),
        closing: closing.clone(),
    };
    let api = api(service, settings_receiver.clone());
    let connections = [connections, Connections::new(&config.http, settings_receiver.clone())];
    let respond = move |request| api.clone().respond(request);
    let server = tokio::spawn(listeners.serve(respond, connections, closing.clone()));
    let targets = Targets { dispatcher: dispatcher.clone(), webhooks, settings, job_log };
    let operations = Operations::new(targets, signals.shutdown_sender, source, addresses);
    let operations = tokio::spawn(run_operations(operations, signals.commands, control));
    let probe = tokio::spawn(async move { artefacts.probe().await });
    let tasks = Tasks { server, operations, probe, report: systemd::report_on(dispatcher.clone()) };
    systemd::ready();

    drain(&dispatcher, &settings_receiver, signals.shutdown).await;
    tasks.end(&closing).await;
    drop(dispatcher);
    let _ = dispatcher_task.await;
    // Returns once everything is written.
    writer.await;
    tracing::info!("stopped");
    Ok(())
}

/// What runs beside the dispatcher.
struct Tasks {
    server: JoinHandle<()>,
    operations: JoinHandle<()>,
    probe: JoinHandle<()>,
    report: JoinHandle<()>,
}

impl Tasks {
    /// Ends all; returns once requests are answered and the control socket is closed.
    async fn end(self, closing: &CancellationToken) {
        self.report.abort();
        self.probe.abort();
        self.operations.abort();
        closing.cancel();
        let _ = self.server.await;
        // Its end drops its handle to the dispatcher.
        let _ = self.operations.await;
    }
}

/// The settings until the first reload.
fn first_settings(config: &Arc<Config>, access: Access) -> Settings {
    let clients = Clients::new(config.access.clients.clone());
    Settings { config: config.clone(), access, clients, reload_refused: None }
}

/// A journal, and the end of its writer: once every handle is dropped and everything is written.
type JournalAndWriter = (OpenedJournal, Pin<Box<dyn Future<Output = ()> + Send>>);

/// Opens the journal; none if a stop is requested before. Waits for a database that may still start; what `begin_wait`
/// gives is kept meanwhile.
async fn open_journal<W>(
    config: &Config,
    state: &StateDir,
    shutdown: &mut Shutdown,
    begin_wait: impl Fn() -> io::Result<W>,
) -> Result<Option<JournalAndWriter>, ServiceError> {
    let Some(shared) = &config.journal else {
        let (past, writer) = Journal::open(state.root())?;
        let joined = tokio::task::spawn_blocking(move || drop(writer.join()));
        return Ok(Some((past, Box::pin(async move { drop(joined.await) }))));
    };
    let mut wait = None;
    loop {
        let budget = config.memory_budget_bytes;
        match Journal::open_shared(shared.clone(), budget, state).await {
            Ok((past, writer)) => {
                return Ok(Some((past, Box::pin(async move { drop(writer.await) }))));
            }
            Err(error) if error.may_pass_at_start() => {
                tracing::warn!(%error, "the start waits for the database");
                systemd::waiting("waiting for the database of journal_url");
                if wait.is_none() {
                    wait = Some(begin_wait()?);
                }
            }
            Err(error) => return Err(error.into()),
        }
        tokio::select! {
            () = sleep(DATABASE_PAUSE) => {}
            () = shutdown.requested() => {
                tracing::info!("stopped before the journal could be opened");
                return Ok(None);
            }
        }
    }
}

/// Refuses requests until the guard is dropped: without it clients would wait as long as the start does.
fn refuse_requests(
    listeners: &Listeners,
    config: &Config,
    settings: &watch::Receiver<Settings>,
) -> io::Result<DropGuard> {
    let closing = CancellationToken::new();
    let connections = [(), ()].map(|()| Connections::new(&config.http, settings.clone()));
    let served = listeners.try_clone()?.serve(starting::respond, connections, closing.clone());
    tokio::spawn(served);
    Ok(closing.drop_guard())
}

/// Opens the resumable uploads: those of this host, or of all that share the journal.
fn open_resumables(
    config: &Config,
    state: &StateDir,
    past: &OpenedJournal,
    objects: Option<Objects>,
) -> Result<Resumables, StateError> {
    let table = config.journal.clone().map(|shared| UploadTable::of(&past.journal, shared));
    Resumables::open(state, past.clock.clone(), config.resumable, table.zip(objects))
}

fn log_access(access: &Access) {
    if access.denies_all() {
        tracing::warn!(
            "job list, monitor, metrics and memory report are not available: `operator_listen` is \
             off and `token_file` is not set"
        );
    }
}

fn log_ready(config: &Config, factory: &WorkerFactory, sandbox: &str) {
    tracing::info!(
        cage = %factory.cage_backend(),
        sandbox,
        workers = config.workers,
        memory_budget_bytes = config.memory_budget_bytes,
        state_dir = %config.state_dir.display(),
        "ready"
    );
}

/// Reads the secrets that the configuration names: the operator token and the key that signs
/// webhooks. `operators` is the address of the operator listener.
///
/// # Errors
/// If one of them cannot be used.
pub(crate) fn open_secrets(
    config: &Config,
    operators: Option<SocketAddr>,
) -> Result<(Access, Option<Arc<WebhookSender>>), ServiceError> {
    Ok((Access::open(config, operators)?, WebhookSender::open(&config.webhook)?))
}

/// The control socket. The service starts without it, for example if the path is too long.
fn control(state: &StateDir) -> Option<Control> {
    let opened = Control::open(state.root());
    opened
        .inspect_err(
            |error| tracing::error!(%error, "no control socket: control the service by signals"),
        )
        .ok()
}

/// Executes commands of operators until it is aborted.
async fn run_operations(
    operations: Operations,
    commands: Receiver<OperatorCommand>,
    control: Option<Control>,
) {
    let operations = Arc::new(operations);
    let by_signal = operations.clone();
    let by_socket = async move {
        if let Some(control) = control {
            control.serve(operations).await;
        }
    };
    tokio::join!(by_signal.run(commands), by_socket);
}

/// Waits for a stop request; then goes on accepting requests until load balancers have noticed, and lets running jobs
/// finish within the drain time.
async fn drain(
    dispatcher: &Dispatcher,
    settings: &watch::Receiver<Settings>,
    mut shutdown: Shutdown,
) {
    shutdown.requested().await;
    let config = settings.borrow().config.clone();
    let (drain_max, stop_delay) = (config.drain_max, config.stop_delay);
    tracing::info!(?drain_max, ?stop_delay, "stopping: waiting for running jobs");
    systemd::stopping();
    let drained = async {
        dispatcher.leave().await?;
        sleep(stop_delay).await;
        dispatcher.close().await
    };
    tokio::select! {
        _ = drained => {}
        () = sleep(drain_max.max(stop_delay)) => tracing::warn!("stopping running jobs: drain time exceeded"),
        () = shutdown.requested_twice() => tracing::warn!("stopping running jobs: second stop request"),
    }
    // An error means that the dispatcher, and with it every attempt, has ended already.
    let _ = dispatcher.stop(Stop::Shutdown).await;
}

/// Runs attempts with workers of this factory.
pub(crate) fn runner(factory: WorkerFactory) -> Runner {
    let models = factory.installed_models();
    let run = Arc::new(move |spec, channels| {
        let factory = factory.clone();
        Box::pin(async move { attempt::run(&factory, spec, channels).await }) as RunningAttempt
    });
    Runner { run, models }
}
