//! `/metrics`: metrics of the service in the OpenMetrics text format.
//!
//! Counters and histograms are updated where events occur; gauges are read at each scrape. Labels
//! have a small fixed set of values, none of them from clients.

use crate::dispatcher::{Counts, Health};
use crate::http::operators::OperatorRefusals;
use crate::http::operators::health::query;
use crate::http::problem::ApiError;
use crate::http::service::Service;
use crate::runner::containment::own_memory::own_rss_bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

/// Metrics in OpenMetrics format, for Prometheus
#[utoipa::path(get, path = "/metrics", tag = "operators", operation_id = "get_metrics",
    security(("bearer" = []), ("basic" = []), ()),
    responses((status = 200, description = "The metrics", body = String,
        content_type = "application/openmetrics-text"),
        OperatorRefusals))]
pub(crate) async fn metrics(State(service): State<Service>) -> Result<Response, ApiError> {
    let health = query(&service).await.map_err(|_| ApiError::Stopping)?;
    let mut text = String::new();
    encode(&mut text, &registry(&service, &health)).map_err(|_| ApiError::Internal)?;
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(CONTENT_TYPE, media_type)], text).into_response())
}

fn registry(service: &Service, health: &Health) -> Registry {
    let mut registry = Registry::with_prefix("bodyscript");
    let counters = service.dispatcher.counters();
    registry.register("attempts", "Finished attempts by end", counters.ends.clone());
    let times = counters.seconds.clone();
    registry.register_with_unit(
        "attempt",
        "Duration of attempts from spawn to reap",
        Unit::Seconds,
        times,
    );
    registry.register("http_requests", "HTTP requests answered", service.requests.family());
    let refused = service.connections.refused();
    let help = "Connections, requests and event streams refused, by limit";
    registry.register("limits_reached", help, refused);
    let counts = service.connections.counts();
    let help = "Idle connections closed to make room for new ones";
    registry.register("connections_given_up", help, ConstCounter::new(counts.evicted));
    registry.register("jobs", "Jobs by state", by_state(&health.jobs));
    let started = gauge(service.started_at.as_second());
    let help = "Start time of the service, in seconds since 1970";
    registry.register_with_unit("start_time", help, Unit::Seconds, started);
    let gauges = [
        ("ready", "Whether uploads are accepted: 1 or 0", u64::from(health.is_ready)),
        ("connections", "Open connections", counts.connections as u64),
        ("requests_in_progress", "Requests in progress", counts.requests as u64),
        ("streams", "Open event streams", counts.streams as u64),
        ("uploads", "Uploads in progress", health.uploads as u64),
        ("workers_max", "Maximum number of concurrent attempts", health.workers as u64),
        ("workers_standby", "Idle workers started in advance", health.standby.len() as u64),
    ];
    for (name, help, value) in gauges {
        registry.register(name, help, gauge(value as i64));
    }
    let sizes = [
        ("supervisor_resident", "Resident memory of the supervisor", own_rss_bytes()),
        ("workers_resident", "Resident memory of all workers", health.workers_rss_bytes),
        ("memory_reserved", "Memory caps of all running workers", health.reserved_bytes),
        ("memory_budget", "Memory budget of all workers", health.budget_bytes),
    ];
    for (name, help, value) in sizes {
        registry.register_with_unit(name, help, Unit::Bytes, gauge(value as i64));
    }
    registry
}

fn gauge(value: i64) -> Gauge {
    let gauge = Gauge::default();
    gauge.set(value);
    gauge
}

fn by_state(jobs: &Counts) -> Family<StateLabel, Gauge> {
    let family = Family::default();
    for (state, count) in [
        ("pending", jobs.pending),
        ("processing", jobs.processing),
        ("completed", jobs.completed),
        ("failed", jobs.failed),
        ("cancelled", jobs.cancelled),
    ] {
        let gauge: &Gauge = &family.get_or_create(&StateLabel { state });
        gauge.set(count as i64);
    }
    family
}
