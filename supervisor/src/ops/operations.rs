//! Executes the commands of operators, which arrive by signal or over the control socket.
//!
//! `signals` and `control_socket` receive the commands; the dispatcher does what concerns jobs. A
//! new configuration is applied as a whole or not at all.

use crate::config::{Config, ConfigError};
use crate::dispatcher::status::Status;
use crate::dispatcher::{Cancelled, Dispatcher, Recent, Retried};
use crate::http::access::Access;
use crate::http::middleware::clients::Clients;
use crate::http::settings::Settings;
use crate::ops::commands::OperatorCommand;
use crate::ops::job_log::JobLog;
use crate::ops::listeners::Addresses;
use crate::ops::signals::ShutdownSender;
use crate::ops::systemd;
use crate::policy::job::JobId;
use crate::webhook::{WebhookSender, Webhooks};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc, watch};

/// A reloaded configuration.
#[derive(Debug)]
pub(crate) struct Reloaded {
    /// The configuration to apply.
    pub config: Config,
    /// Changed keys that take effect now.
    pub applied: Vec<String>,
    /// Changed keys that take effect at the next start.
    pub at_next_start: Vec<String>,
}

/// Reads the configuration again from the sources of the start.
pub(crate) type Source = Box<dyn FnMut(&Config) -> Result<Reloaded, ConfigError> + Send>;

/// The parts of the service that a new configuration changes.
pub(crate) struct Targets {
    /// Jobs and workers.
    pub dispatcher: Dispatcher,
    /// Webhooks for ended jobs.
    pub webhooks: Arc<Webhooks>,
    /// The settings of the HTTP handlers.
    pub settings: watch::Sender<Settings>,
    /// The log lines of jobs.
    pub job_log: JobLog,
}

/// A new configuration whose secrets have been read and checked.
struct Opened {
    reloaded: Reloaded,
    access: Access,
    webhook_sender: Option<Arc<WebhookSender>>,
}

/// Executes commands on the service.
pub(crate) struct Operations {
    dispatcher: Dispatcher,
    webhooks: Arc<Webhooks>,
    shutdown_sender: ShutdownSender,
    settings: watch::Sender<Settings>,
    job_log: JobLog,
    source: Mutex<Source>,
    /// The actual addresses; operator access depends on them.
    addresses: Addresses,
}

impl Operations {
    /// Commands act on these parts of the service.
    pub(crate) fn new(
        Targets { dispatcher, webhooks, settings, job_log }: Targets,
        shutdown_sender: ShutdownSender,
        source: Source,
        addresses: Addresses,
    ) -> Self {
        Self {
            dispatcher,
            webhooks,
            shutdown_sender,
            settings,
            job_log,
            source: Mutex::new(source),
            addresses,
        }
    }

    /// Executes the commands of signals, one after the other.
    pub(crate) async fn run(&self, mut commands: mpsc::Receiver<OperatorCommand>) {
        while let Some(command) = commands.recv().await {
            if let Err(error) = self.execute(command).await {
                tracing::error!(error, "command failed");
            }
        }
    }

    /// Executes one command and returns its response.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub(crate) async fn execute(&self, command: OperatorCommand) -> Result<Value, String> {
        match command {
            OperatorCommand::Status => self.state().await,
            OperatorCommand::Report => self.report().await,
            OperatorCommand::Hosts => self.hosts().await,
            OperatorCommand::Pause => {
                let running = self.dispatcher.pause().await.map_err(sentence)?;
                tracing::info!(running, "paused by an operator: no job is accepted or started");
                Ok(json!({ "running": running, "is_shared": self.is_shared().await? }))
            }
            OperatorCommand::Resume => {
                self.dispatcher.resume().await.map_err(sentence)?;
                tracing::info!("resumed by an operator");
                let health = self.dispatcher.health().await.map_err(sentence)?;
                Ok(json!({ "reason": health.reason }))
            }
            OperatorCommand::Drain => {
                tracing::info!("stop requested by an operator");
                self.shutdown_sender.request();
                Ok(json!({ "drain_s_max": self.settings.borrow().config.drain_max.as_secs() }))
            }
            OperatorCommand::RestartWorkers => {
                let workers = self.dispatcher.restart_workers().await.map_err(sentence)?;
                tracing::info!(workers, "workers restarted by an operator");
                Ok(json!({ "workers": workers }))
            }
            OperatorCommand::Reload => self.reload().await,
            OperatorCommand::Cancel { job } => self.cancel(&job).await,
            OperatorCommand::Retry { job } => self.retry(&job).await,
            OperatorCommand::Log { job } => self.log(&job).await,
        }
    }

    async fn state(&self) -> Result<Value, String> {
        let health = self.dispatcher.health().await.map_err(sentence)?;
        let recent = self.dispatcher.recent(0).await.map_err(sentence)?;
        let Recent { processing, pending, .. } = recent;
        Ok(json!({
            "listen": self.addresses.public,
            "operator_listen": self.addresses.operators,
            "health": health,
            "pressure": { "memory": health.pressure.memory, "disk": health.pressure.disk },
            "reload_refused": self.settings.borrow().reload_refused,
            "processing": processing,
            "pending": pending,
        }))
    }

    /// The hosts that share the journal; null if it is not shared.
    async fn hosts(&self) -> Result<Value, String> {
        let health = self.dispatcher.health().await.map_err(sentence)?;
        Ok(json!({ "shared_journal": health.shared_journal }))
    }

    async fn is_shared(&self) -> Result<bool, String> {
        let health = self.dispatcher.health().await.map_err(sentence)?;
        Ok(health.shared_journal.is_some())
    }

    /// Logs one line for the service and one for each unfinished job.
    async fn report(&self) -> Result<Value, String> {
        let state = self.state().await?;
        tracing::info!(
            target: "report",
            health = %state["health"],
            pressure = %state["pressure"],
            reload_refused = %state["reload_refused"],
            "state of the service"
        );
        let jobs = ["processing", "pending"].into_iter().filter_map(|kind| state[kind].as_array());
        for job in jobs.flatten() {
            tracing::info!(
                target: "report",
                job = %job["job_id"],
                state = %job["status"],
                message = %job["message"],
                worker = %job["worker"],
                attempts = %job["attempts"],
                "state of a job"
            );
        }
        Ok(Value::Null)
    }

    async fn reload(&self) -> Result<Value, String> {
        // Held until the configuration is applied, so that the last of concurrent reloads wins.
        let mut source = self.source.lock().await;
        systemd::reloading();
        let current = self.settings.borrow().config.clone();
        let opened = source(&current).map_err(sentence).and_then(|reloaded| {
            let access =
                Access::open(&reloaded.config, self.addresses.operators).map_err(sentence)?;
            let webhook_sender = WebhookSender::open(&reloaded.config.webhook).map_err(sentence)?;
            Ok(Opened { reloaded, access, webhook_sender })
        });
        let result = match opened {
            Ok(opened) => self.apply(opened, &current).await,
            Err(error) => {
                tracing::error!(error, "reload failed; the old configuration stays in effect");
                self.settings.send_modify(|settings| settings.reload_refused = Some(error.clone()));
                Err(error)
            }
        };
        systemd::ready();
        result
    }

    async fn apply(&self, opened: Opened, current: &Config) -> Result<Value, String> {
        let Opened { reloaded, access, webhook_sender } = opened;
        let Reloaded { config, applied, at_next_start } = reloaded;
        let config = Arc::new(config);
        self.dispatcher.configure(config.clone()).await.map_err(sentence)?;
        self.settings.send_modify(|settings| {
            if config.access.clients != current.access.clients {
                settings.clients = Clients::new(config.access.clients.clone());
            }
            settings.config = config;
            settings.access = access;
            settings.reload_refused = None;
        });
        self.webhooks.set_sender(webhook_sender);
        tracing::info!(?applied, ?at_next_start, "configuration reloaded");
        Ok(json!({ "applied": applied, "at_next_start": at_next_start }))
    }

    async fn cancel(&self, job: &str) -> Result<Value, String> {
        let id = id(job)?;
        match self.dispatcher.cancel(id).await.map_err(sentence)? {
            Some(Cancelled::Now(status)) => {
                tracing::info!(job = %id, "cancelled by an operator");
                document(&status)
            }
            Some(Cancelled::TooLate(status)) => {
                Err(format!("the job is already {}", status.status))
            }
            None => Err(unknown()),
        }
    }

    async fn retry(&self, job: &str) -> Result<Value, String> {
        let id = id(job)?;
        match self.dispatcher.retry(id).await.map_err(sentence)? {
            Some(Retried::Now(status)) => {
                tracing::info!(job = %id, "retried by an operator");
                document(&status)
            }
            Some(Retried::NotFailed(status)) => {
                Err(format!("the job is {}; only failed jobs can be retried", status.status))
            }
            Some(Retried::WithoutVideo) => {
                Err("the video of the job no longer exists; upload it again".into())
            }
            None => Err(unknown()),
        }
    }

    /// The log lines of a job. A job that is removed can still have some.
    async fn log(&self, job: &str) -> Result<Value, String> {
        let id = id(job)?;
        let lines = self.job_log.of(id);
        if lines.is_empty() && self.dispatcher.status(id).await.map_err(sentence)?.is_none() {
            return Err(unknown());
        }
        Ok(json!({ "lines": lines }))
    }
}

fn id(job: &str) -> Result<JobId, String> {
    job.parse().map_err(|error| format!("`{}` is {error}", job.escape_debug()))
}

fn unknown() -> String {
    "job not found; it may have expired".into()
}

fn document(status: &Status) -> Result<Value, String> {
    serde_json::to_value(status).map_err(sentence)
}

fn sentence(error: impl std::fmt::Display) -> String {
    error.to_string()
}
