//! The routes of the service and the middleware around them.

use crate::http::connections::admit;
use crate::http::jobs::{self, events, files};
use crate::http::middleware::{
    compress, cors, host, operators_only, refused_writes, request_counts, request_id,
    security_headers, transfer_coding, unidentified_clients,
};
use crate::http::openapi::{self, Documents, Outline, info, problems};
use crate::http::operators::monitor::{self, Monitor};
use crate::http::operators::{health, job_metrics, openmetrics};
use crate::http::pages;
use crate::http::problem::ApiError;
use crate::http::service::{LiveService, Service};
use crate::http::settings::Settings;
use crate::http::{tus, upload};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Extension, Router};
use std::sync::Arc;
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Builds the router. Each request uses the settings in effect when it arrives.
pub(crate) fn router(service: Service, settings: watch::Receiver<Settings>) -> Router {
    let state = service.state.clone();
    let live = LiveService { service, settings };
    tokio::spawn(tus::sweep_periodically(live.clone()));
    let operators = OpenApiRouter::new()
        .routes(routes!(jobs::list))
        .routes(routes!(job_metrics::job_metrics))
        .routes(routes!(openmetrics::metrics))
        .routes(routes!(health::memory))
        // The monitor page and its event stream.
        .route("/monitor", get(pages::monitor))
        .route("/api/monitor", get(monitor::events))
        .layer(Extension(Monitor::start(live.clone())))
        .route_layer(from_fn_with_state(live.clone(), operators_only::require_operator));
    let resumable = OpenApiRouter::new()
        .routes(routes!(tus::capabilities, tus::create))
        .routes(routes!(tus::head, tus::patch, tus::delete, tus::override_method))
        .layer(from_fn(tus::add_protocol_headers));
    let reported = (live.clone(), Arc::default());
    let uploads = OpenApiRouter::new()
        .routes(routes!(upload::upload, upload::put))
        .merge(resumable)
        .route_layer(from_fn_with_state(reported, unidentified_clients::report_unidentified));
    let (described, document) = OpenApiRouter::with_openapi(Outline::openapi())
        .routes(routes!(info::about))
        .routes(routes!(jobs::status))
        .routes(routes!(events::events))
        .routes(routes!(jobs::cancel))
        .routes(routes!(jobs::cleanup))
        .routes(routes!(files::serve))
        .routes(routes!(files::download))
        .routes(routes!(problems::all))
        .routes(routes!(problems::one))
        .routes(routes!(health::health))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(openapi::json))
        .routes(routes!(openapi::page))
        .routes(routes!(openapi::style))
        .merge(uploads)
        .merge(operators)
        .split_for_parts();
    // The pages and their assets are not part of the documented API.
    described
        .route("/", get(pages::index))
        .route("/assets/{name}", get(pages::asset))
        .layer(Extension(Documents::new(document)))
        .fallback(async || ApiError::UnknownAddress)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(CatchPanicLayer::custom(|_| ApiError::Internal.into_response()))
        .layer(from_fn_with_state(state, refused_writes::report_refused_writes))
        .layer(from_fn_with_state(live.clone(), cors::refuse_cross_site_writes))
        .layer(from_fn(host::require_one_host))
        .layer(from_fn(transfer_coding::require_chunked))
        .layer(from_fn_with_state(live.clone(), admit::admit))
        .layer(from_fn(security_headers::add_security_headers))
        .layer(from_fn_with_state(live.clone(), cors::cors))
        .layer(from_fn(compress::exclude_head))
        .layer(compress::layer())
        .layer(from_fn(compress::weaken_etag))
        .layer(from_fn_with_state(live.clone(), request_counts::count))
        .layer(from_fn(request_id::assign_request_id))
        .with_state(live)
}
