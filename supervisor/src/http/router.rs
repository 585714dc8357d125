//! The routes: which address leads to which handler, and the middleware around them.

use crate::http::connections::admit;
use crate::http::jobs::{self, events, files};
use crate::http::middleware::{
    compress, cors, host, operators_only, refused_writes, request_counts, request_id,
    security_headers, unidentified_clients,
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

/// Everything the service answers, each request by the settings of its moment.
pub(crate) fn router(service: Service, settings: watch::Receiver<Settings>) -> Router {
    let state = service.state.clone();
    let live = LiveService { service, settings };
    tokio::spawn(tus::sweep_periodically(live.clone()));
    let operators = OpenApiRouter::new()
        .routes(routes!(jobs::list))
        .routes(routes!(job_metrics::job_metrics))
        .routes(routes!(openmetrics::metrics))
        .routes(routes!(health::memory))
        // A page and the part of it that lives.
        .route("/monitor", get(pages::monitor))
        .route("/api/monitor", get(monitor::events))
        .layer(Extension(Monitor::start(live.clone())))
        .route_layer(from_fn_with_state(live.clone(), operators_only::only));
    let resumable = OpenApiRouter::new()
        .routes(routes!(tus::offer, tus::create))
        .routes(routes!(tus::head, tus::patch, tus::delete, tus::instead))
        .layer(from_fn(tus::speak));
    let notice = (live.clone(), Arc::default());
    let uploads = OpenApiRouter::new()
        .routes(routes!(upload::upload, upload::put))
        .merge(resumable)
        .route_layer(from_fn_with_state(notice, unidentified_clients::notice));
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
    // Pages and their parts are for people; programs have the routes above.
    described
        .route("/", get(pages::index))
        .route("/assets/{name}", get(pages::asset))
        .layer(Extension(Documents::of(document)))
        .fallback(async || ApiError::UnknownAddress)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(CatchPanicLayer::custom(|_| ApiError::Internal.into_response()))
        .layer(from_fn_with_state(state, refused_writes::report_refused_writes))
        .layer(from_fn_with_state(live.clone(), cors::guard))
        .layer(from_fn(host::once))
        .layer(from_fn_with_state(live.clone(), admit::admit))
        .layer(from_fn(security_headers::harden))
        .layer(from_fn_with_state(live.clone(), cors::cors))
        .layer(from_fn(compress::keep_head))
        .layer(compress::layer())
        .layer(from_fn(compress::weaken))
        .layer(from_fn_with_state(live.clone(), request_counts::count))
        .layer(from_fn(request_id::correlate))
        .with_state(live)
}
