//! `/metrics`: the numbers of the service in the OpenMetrics text format.

use super::Service;
use super::error::ApiError;
use super::health::ask;
use super::openapi::OperatorRefusals;
use crate::memory::own_rss_bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use std::fmt::Write;

/// The numbers of the service, for Prometheus and the like
#[utoipa::path(get, path = "/metrics", tag = "operators",
    security(("bearer" = []), ("basic" = []), ()),
    responses((status = 200, body = String, content_type = "application/openmetrics-text"),
        OperatorRefusals))]
pub(super) async fn metrics(State(service): State<Service>) -> Result<Response, ApiError> {
    let health = ask(&service).await.map_err(|_| ApiError::Stopping)?;
    let mut text = String::new();
    let jobs = [
        ("pending", health.jobs.pending),
        ("processing", health.jobs.processing),
        ("completed", health.jobs.completed),
        ("failed", health.jobs.failed),
        ("cancelled", health.jobs.cancelled),
    ];
    text.push_str("# TYPE bodyscript_jobs gauge\n# HELP bodyscript_jobs Jobs by state.\n");
    for (state, count) in jobs {
        writeln!(text, "bodyscript_jobs{{state=\"{state}\"}} {count}").expect("a string takes it");
    }
    let gauges = [
        ("ready", "Whether an upload would be taken now.", u64::from(health.is_ready)),
        ("uploads", "Uploads under way.", health.uploads as u64),
        ("supervisor_resident_bytes", "Memory of the supervisor.", own_rss_bytes()),
        ("workers_resident_bytes", "Memory of all workers.", health.workers_rss_bytes),
        ("memory_reserved_bytes", "Caps of the attempts under way.", health.reserved_bytes),
        ("memory_budget_bytes", "What those caps may come to.", health.budget_bytes),
    ];
    for (name, help, value) in gauges {
        writeln!(
            text,
            "# TYPE bodyscript_{name} gauge\n# HELP bodyscript_{name} {help}\n\
             bodyscript_{name} {value}"
        )
        .expect("a string takes it");
    }
    text.push_str("# EOF\n");
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(CONTENT_TYPE, media_type)], text).into_response())
}
