//! What handlers work with: the parts of the service, and the settings in force.

use crate::config::Config;
use crate::dispatcher::Dispatcher;
use crate::http::access::Access;
use crate::http::connections::registry::Connections;
use crate::http::middleware::clients::Clients;
use crate::http::request_counter::RequestCounter;
use crate::http::settings::Settings;
use crate::store::artefacts::StateDir;
use crate::store::resumable::Resumables;
use crate::webhook::Webhooks;
use axum::extract::FromRef;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What handlers work with. Holds no state of its own.
#[derive(Clone)]
pub(crate) struct Service {
    /// The owner of all state.
    pub dispatcher: Dispatcher,
    /// The configuration.
    pub config: Arc<Config>,
    /// Where uploads go and results are.
    pub state: StateDir,
    /// What workers are caged in, for operators.
    pub cage: String,
    /// How operators are known.
    pub access: Access,
    /// Who is told of the ends of jobs.
    pub webhooks: Arc<Webhooks>,
    /// Requests that were answered.
    pub requests: RequestCounter,
    /// Uploads that come in several requests.
    pub resumables: Arc<Resumables>,
    /// How much each client asked.
    pub clients: Arc<Clients>,
    /// The connections of the public listener.
    pub connections: Arc<Connections>,
    /// Whether the latest new configuration was refused.
    pub reload_refused: bool,
    /// When the service began.
    pub started: Instant,
    /// The same by the wall clock, which tells this run from others.
    pub started_at: Timestamp,
    /// Ends streams that would outlast the service.
    pub closing: CancellationToken,
}

/// What every request is answered from, and what tasks go by: the service as it is then.
#[derive(Clone)]
pub(crate) struct LiveService {
    pub(crate) service: Service,
    pub(crate) settings: watch::Receiver<Settings>,
}

impl LiveService {
    /// The service with the settings of this moment.
    pub(crate) fn current(&self) -> Service {
        let settings = self.settings.borrow();
        Service {
            config: settings.config.clone(),
            access: settings.access.clone(),
            clients: settings.clients.clone(),
            reload_refused: settings.reload_refused.is_some(),
            ..self.service.clone()
        }
    }
}

impl FromRef<LiveService> for Service {
    fn from_ref(live: &LiveService) -> Self {
        live.current()
    }
}
