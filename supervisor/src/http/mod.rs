//! The routes: which address leads to which handler, and what every answer carries.

mod body;
pub mod error;
mod events;
mod files;
mod form;
mod health;
mod jobs;
mod monitor;
mod pages;
pub mod server;
mod upload;

use crate::artefacts::StateDir;
use crate::config::Config;
use crate::dispatcher::Dispatcher;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Extension, Router};
use error::ApiError;
use monitor::Monitor;
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;

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
    /// When the service began.
    pub started: Instant,
    /// Ends streams that would outlast the service.
    pub closing: CancellationToken,
}

/// Everything the service answers.
pub fn router(service: Service) -> Router {
    let operators = Router::new()
        .route("/api/jobs", get(jobs::list))
        .route("/api/metrics", get(health::job_metrics))
        .route("/metrics", get(health::metrics))
        .route("/health/memory", get(health::memory))
        .route("/api/monitor", get(monitor::events))
        .layer(Extension(Monitor::start(&service)))
        .route_layer(from_fn_with_state(service.clone(), operators_only));
    Router::new()
        .route("/", get(pages::index))
        .route("/monitor", get(pages::monitor))
        .route("/assets/{name}", get(pages::asset))
        .route("/api", get(health::about))
        .route("/api/upload", post(upload::upload))
        .route("/api/status/{id}", get(jobs::status))
        .route("/api/events/{id}", get(events::events))
        .route("/api/cancel/{id}", post(jobs::cancel))
        .route("/api/cleanup/{id}", delete(jobs::cleanup))
        .route("/api/serve/{id}/{name}", get(files::serve))
        .route("/api/download/{id}/{kind}", get(files::download))
        .route("/health", get(health::health))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .merge(operators)
        .fallback(async || ApiError::UnknownAddress)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(CatchPanicLayer::custom(|_| ApiError::Internal.into_response()))
        .layer(from_fn(harden))
        .with_state(service)
}

/// Only who can reach this host from within operates it.
async fn operators_only(
    State(service): State<Service>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    if service.config.is_local() {
        Ok(next.run(request).await)
    } else {
        Err(ApiError::OperatorsOnly)
    }
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
