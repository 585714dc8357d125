//! The routes: which address leads to which handler, and what every answer carries.

mod about;
mod body;
pub mod catalogue;
mod client_address;
pub mod clients;
mod compress;
pub mod connections;
mod correlate;
mod cors;
pub mod error;
mod events;
mod extract;
mod files;
mod form;
mod health;
mod host;
mod idempotency;
mod intake;
mod jobs;
mod least_rate;
mod metrics;
mod monitor;
mod openapi;
pub mod openmetrics;
mod operators;
mod options;
mod pages;
mod paging;
mod reading;
pub mod server;
mod tus;
mod unnamed;
mod upload;

use crate::access::Access;
use crate::artefacts::StateDir;
use crate::config::Config;
use crate::dispatcher::Dispatcher;
use crate::resumable::Resumables;
use crate::webhook::Webhooks;
use axum::extract::{FromRef, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use clients::Clients;
use connections::Connections;
use error::{ApiError, WriteRefused};
use jiff::Timestamp;
use monitor::Monitor;
use openapi::{Documents, Outline};
use openmetrics::Requests;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What handlers work with. Holds no state of its own.
#[derive(Clone)]
pub struct Service {
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
    pub requests: Requests,
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

/// What of the service a new configuration changes, all at once.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The configuration.
    pub config: Arc<Config>,
    /// How operators are known.
    pub access: Access,
    /// How much each client asked.
    pub clients: Arc<Clients>,
    /// Why the latest new configuration was refused, if it was.
    pub reload_refused: Option<String>,
}

/// What every request is answered from, and what tasks go by: the service as it is then.
#[derive(Clone)]
struct LiveService {
    service: Service,
    settings: watch::Receiver<Settings>,
}

impl LiveService {
    /// The service with the settings of this moment.
    fn current(&self) -> Service {
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

/// Everything the service answers, each request by the settings of its moment.
pub fn router(service: Service, settings: watch::Receiver<Settings>) -> Router {
    let state = service.state.clone();
    let live = LiveService { service, settings };
    tokio::spawn(tus::keep_sweeping(live.clone()));
    let operators = OpenApiRouter::new()
        .routes(routes!(jobs::list))
        .routes(routes!(metrics::job_metrics))
        .routes(routes!(openmetrics::metrics))
        .routes(routes!(health::memory))
        // A page and the part of it that lives.
        .route("/monitor", get(pages::monitor))
        .route("/api/monitor", get(monitor::events))
        .layer(Extension(Monitor::start(live.clone())))
        .route_layer(from_fn_with_state(live.clone(), operators::only));
    let resumable = OpenApiRouter::new()
        .routes(routes!(tus::offer, tus::create))
        .routes(routes!(tus::head, tus::patch, tus::delete, tus::instead))
        .layer(from_fn(tus::speak));
    let notice = (live.clone(), Arc::default());
    let uploads = OpenApiRouter::new()
        .routes(routes!(upload::upload, upload::put))
        .merge(resumable)
        .route_layer(from_fn_with_state(notice, unnamed::notice));
    let (described, document) = OpenApiRouter::with_openapi(Outline::openapi())
        .routes(routes!(about::about))
        .routes(routes!(jobs::status))
        .routes(routes!(events::events))
        .routes(routes!(jobs::cancel))
        .routes(routes!(jobs::cleanup))
        .routes(routes!(files::serve))
        .routes(routes!(files::download))
        .routes(routes!(catalogue::all))
        .routes(routes!(catalogue::one))
        .routes(routes!(health::health))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(openapi::json))
        .routes(routes!(openapi::page))
        .routes(routes!(openapi::style))
        .merge(uploads)
        .merge(operators)
        .split_for_parts();
    // Pages and their parts are for people; programs have the routes above.
    described
        .route("/", get(pages::index))
        .route("/assets/{name}", get(pages::asset))
        .layer(Extension(Documents::of(document)))
        .fallback(async || ApiError::UnknownAddress)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(CatchPanicLayer::custom(|_| ApiError::Internal.into_response()))
        .layer(from_fn_with_state(state, heed_refused_writes))
        .layer(from_fn_with_state(live.clone(), cors::guard))
        .layer(from_fn(host::once))
        .layer(from_fn_with_state(live.clone(), connections::admit))
        .layer(from_fn(harden))
        .layer(from_fn_with_state(live.clone(), cors::cors))
        .layer(from_fn(compress::keep_head))
        .layer(compress::layer())
        .layer(from_fn(compress::weaken))
        .layer(from_fn_with_state(live.clone(), openmetrics::count))
        .layer(from_fn(correlate::correlate))
        .with_state(live)
}

/// What one request could not write, others cannot either.
async fn heed_refused_writes(
    State(state): State<StateDir>,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    if response.extensions().get::<WriteRefused>().is_some() {
        state.doubt();
    }
    response
}

/// No script or style but our own files, no frame, no guessing of types, no stale answers.
async fn harden(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; \
             media-src 'self' blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; \
             frame-ancestors 'none'",
        ),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    set_default(headers, CACHE_CONTROL, "no-store");
    response
}

fn set_default(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.entry(name).or_insert(HeaderValue::from_static(value));
}
