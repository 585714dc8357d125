//! What an operator may order while the service runs, by signal or over the control socket, and
//! how it is carried out.
//!
//! `signals` and `ctl` bring orders here; the dispatcher does what concerns jobs. It must never
//! leave the service with half of a configuration: a new one is taken over whole or not at all.

use crate::config::{Config, ConfigError};
use crate::dispatcher::status::Status;
use crate::dispatcher::{Cancelled, Dispatcher, Recent, Retried};
use crate::http::access::Access;
use crate::http::middleware::clients::Clients;
use crate::http::settings::Settings;
use crate::ops::commands::OperatorCommand;
use crate::ops::listeners::Addresses;
use crate::ops::signals::ShutdownSwitch;
use crate::ops::systemd;
use crate::policy::job::JobId;
use crate::webhook::{WebhookSender, Webhooks};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc, watch};

/// A configuration that was read again.
#[derive(Debug)]
pub(crate) struct Reloaded {
    /// What is to be in force.
    pub config: Config,
    /// The keys that changed in it.
    pub applied: Vec<String>,
    /// The keys that will have another value at the next start.
    pub at_next_start: Vec<String>,
}

/// Reads the configuration again, from where it came from at the start.
pub(crate) type Source = Box<dyn FnMut(&Config) -> Result<Reloaded, ConfigError> + Send>;

/// What a new configuration reaches while the service runs.
pub(crate) struct Targets {
    /// Jobs and workers.
    pub dispatcher: Dispatcher,
    /// Who is told of the ends of jobs.
    pub webhooks: Arc<Webhooks>,
    /// What requests are answered by.
    pub settings: watch::Sender<Settings>,
}

/// A new configuration, with what it names read and found sound.
struct Opened {
    reloaded: Reloaded,
    access: Access,
    means: Option<Arc<WebhookSender>>,
}

/// Carries orders out.
pub(crate) struct Operations {
    dispatcher: Dispatcher,
    webhooks: Arc<Webhooks>,
    switch: ShutdownSwitch,
    settings: watch::Sender<Settings>,
    source: Mutex<Source>,
    /// Where connections really come in, on which hangs who is trusted.
    addresses: Addresses,
}

impl Operations {
    /// On this service.
    pub(crate) fn new(
        Targets { dispatcher, webhooks, settings }: Targets,
        switch: ShutdownSwitch,
        source: Source,
        addresses: Addresses,
    ) -> Self {
        Self { dispatcher, webhooks, switch, settings, source: Mutex::new(source), addresses }
    }

    /// Carries out what signals ask for, one after the other.
    pub(crate) async fn run(&self, mut commands: mpsc::Receiver<OperatorCommand>) {
        while let Some(command) = commands.recv().await {
            if let Err(error) = self.carry_out(command).await {
                tracing::error!(error, "a command failed");
            }
        }
    }

    /// Carries out one order; tells what came of it, or why nothing did.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub(crate) async fn carry_out(&self, command: OperatorCommand) -> Result<Value, String> {
        match command {
            OperatorCommand::Status => self.state().await,
            OperatorCommand::Report => self.report().await,
            OperatorCommand::Drain => {
                tracing::info!("stop requested by an operator");
                self.switch.ask();
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

    /// One line for the service and one for each unfinished job.
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
        // Held to the end: the last order is the one that counts.
        let mut source = self.source.lock().await;
        systemd::reloading();
        let current = self.settings.borrow().config.clone();
        let opened = source(&current).map_err(sentence).and_then(|reloaded| {
            let access =
                Access::open(&reloaded.config, self.addresses.operators).map_err(sentence)?;
            let means = WebhookSender::open(&reloaded.config.webhook).map_err(sentence)?;
            Ok(Opened { reloaded, access, means })
        });
        let answer = match opened {
            Ok(opened) => self.take_over(opened, &current).await,
            Err(error) => {
                tracing::error!(error, "reload failed; the old configuration stays in effect");
                self.settings.send_modify(|settings| settings.reload_refused = Some(error.clone()));
                Err(error)
            }
        };
        systemd::ready();
        answer
    }

    async fn take_over(&self, opened: Opened, current: &Config) -> Result<Value, String> {
        let Opened { reloaded, access, means } = opened;
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
        self.webhooks.renew(means);
        tracing::info!(?applied, ?at_next_start, "configuration reloaded");
        Ok(json!({ "applied": applied, "at_next_start": at_next_start }))
    }

    async fn cancel(&self, job: &str) -> Result<Value, String> {
        let id = id(job)?;
        match self.dispatcher.cancel(id).await.map_err(sentence)? {
            Some(Cancelled::Now(status)) => {
                tracing::info!(job = %id, "cancelled by an operator");
                told(&status)
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
                told(&status)
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
}

fn id(job: &str) -> Result<JobId, String> {
    job.parse().map_err(|error| format!("`{}` is {error}", job.escape_debug()))
}

fn unknown() -> String {
    "job not found; it may have expired".into()
}

fn told(status: &Status) -> Result<Value, String> {
    serde_json::to_value(status).map_err(sentence)
}

fn sentence(error: impl std::fmt::Display) -> String {
    error.to_string()
}
