//! The state of the router: handles to the parts of the service, and the current settings.

use crate::config::Config;
use crate::dispatcher::Dispatcher;
use crate::http::access::Access;
use crate::http::connections::registry::Connections;
use crate::http::middleware::clients::Clients;
use crate::http::request_counter::RequestCounter;
use crate::http::settings::Settings;
use crate::runner::models::InstalledModels;
use crate::store::{ArtefactStore, Resumables, StateDir};
use crate::webhook::Webhooks;
use axum::extract::FromRef;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What handlers need. Contains handles only, no mutable state.
#[derive(Clone)]
pub(crate) struct Service {
    /// Handle to the dispatcher, which owns the state of all jobs.
    pub dispatcher: Dispatcher,
    /// The configuration.
    pub config: Arc<Config>,
    /// The state folder, in which uploads arrive.
    pub state: StateDir,
    /// The files of jobs.
    pub artefacts: ArtefactStore,
    /// Description of the memory cage of workers.
    pub cage: String,
    /// The landmark models that an upload can choose.
    pub models: InstalledModels,
    /// How operators are authenticated.
    pub access: Access,
    /// Delivers webhooks for ended jobs.
    pub webhooks: Arc<Webhooks>,
    /// Counter of requests.
    pub requests: RequestCounter,
    /// Resumable uploads.
    pub resumables: Arc<Resumables>,
    /// Upload and job limits per client.
    pub clients: Arc<Clients>,
    /// The connections of the public listener.
    pub connections: Arc<Connections>,
    /// Whether the last reload failed.
    pub reload_refused: bool,
    /// Monotonic start time of the service.
    pub started: Instant,
    /// Wall-clock start time; it distinguishes this run from others.
    pub started_at: Timestamp,
    /// Cancelled when the service stops; ends event streams and background tasks.
    pub closing: CancellationToken,
}

/// The service and its changing settings, for each request and for background tasks.
#[derive(Clone)]
pub(crate) struct LiveService {
    pub(crate) service: Arc<Service>,
    pub(crate) settings: watch::Receiver<Settings>,
}

impl LiveService {
    /// The current configuration.
    pub(crate) fn config(&self) -> Arc<Config> {
        self.settings.borrow().config.clone()
    }

    /// The service with the current settings.
    pub(crate) fn current(&self) -> Service {
        let settings = self.settings.borrow();
        Service {
            config: settings.config.clone(),
            access: settings.access.clone(),
            clients: settings.clients.clone(),
            reload_refused: settings.reload_refused.is_some(),
            ..Service::clone(&self.service)
        }
    }
}

impl FromRef<LiveService> for Service {
    fn from_ref(live: &LiveService) -> Self {
        live.current()
    }
}
