//! The routes of the service.

use crate::http::api::Api;
use crate::http::gallery;
use crate::http::jobs::{self, archive, events, files, poses};
use crate::http::middleware::{operators_only, unidentified_clients};
use crate::http::openapi::{self, Documents, Outline, info, problems, schemas};
use crate::http::operators::monitor::{self, Monitor};
use crate::http::operators::{health, job_metrics, openmetrics};
use crate::http::pages;
use crate::http::problem::ApiError;
use crate::http::service::{LiveService, Service};
use crate::http::settings::Settings;
use crate::http::{tus, upload};
use axum::Extension;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use std::sync::Arc;
use tokio::sync::watch;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Builds the interface. Each request uses the settings in effect when it arrives.
pub(crate) fn api(service: Service, settings: watch::Receiver<Settings>) -> Api {
    let live = LiveService { service: Arc::new(service), settings };
    tokio::spawn(tus::sweep_periodically(live.clone()));
    let operators = OpenApiRouter::new()
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::retry))
        .routes(routes!(job_metrics::job_metrics))
        .routes(routes!(openmetrics::metrics))
        .routes(routes!(health::memory))
        .routes(routes!(monitor::events))
        .route("/monitor", get(pages::monitor))
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
        .routes(routes!(poses::poses))
        .routes(routes!(jobs::cancel))
        .routes(routes!(jobs::cleanup))
        .routes(routes!(files::serve))
        .routes(routes!(files::download))
        .routes(routes!(gallery::list))
        .routes(routes!(gallery::file))
        .routes(routes!(archive::download_all))
        .routes(routes!(schemas::pose_data))
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
    let router = described
        .route("/", get(pages::index))
        .route("/assets/{name}", get(pages::asset))
        .layer(Extension(Documents::new(document)))
        .fallback(async || ApiError::UnknownAddress)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .with_state(live.clone());
    Api { router, live }
}
