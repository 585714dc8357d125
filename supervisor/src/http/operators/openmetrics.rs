//! `/metrics`: metrics of the service, in the text format that the client prefers.
//!
//! Counters and histograms are updated where events occur; gauges are read at each scrape. Labels
//! have a small fixed set of values, none of them from clients.

use crate::dispatcher::{Counts, Health, SharedJournalReport};
use crate::http::operators::OperatorRefusals;
use crate::http::operators::exposition::{Format, to_prometheus};
use crate::http::operators::health::query;
use crate::http::problem::ApiError;
use crate::http::service::Service;
use crate::runner::containment::own_memory::own_rss_bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_TYPE, VARY};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::AtomicU64;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HostLabel {
    host: String,
    id: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

/// Metrics for Prometheus
///
/// Counters of attempts, requests and refusals, jobs by state, and the memory of service and workers. In the OpenMetrics
/// format, or in the Prometheus text format 0.0.4 if `Accept` prefers `text/plain`.
#[utoipa::path(get, path = "/metrics", tag = "operators", operation_id = "get_metrics",
    security(("bearer" = []), ("basic" = []), ()),
    responses((status = 200, description = "The metrics",
        content((String = "application/openmetrics-text"), (String = "text/plain"))),
        OperatorRefusals))]
pub(crate) async fn metrics(
    State(service): State<Service>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let health = query(&service).await.map_err(|_| ApiError::Stopping)?;
    let mut text = String::new();
    encode(&mut text, &registry(&service, &health)).map_err(|_| ApiError::Internal)?;
    let format = Format::accepted(&headers);
    let text = match format {
        Format::OpenMetrics => text,
        Format::Prometheus => to_prometheus(&text),
    };
    Ok(([(CONTENT_TYPE, format.media_type()), (VARY, "accept")], text).into_response())
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
    if let Some(shared) = &health.shared_journal {
        register_shared(&mut registry, shared);
        let sharing = &counters.sharing;
        for (name, help, counter) in [
            ("claims", "Jobs that this host has claimed", &sharing.claims),
            ("claims_refused", "Claims that another host was faster with", &sharing.claims_refused),
            ("takeovers", "Jobs of lost hosts that this one has queued again", &sharing.takeovers),
            (
                "ends_refused",
                "Ends of attempts refused because another host had taken over the job",
                &sharing.ends_refused,
            ),
        ] {
            registry.register(name, help, counter.clone());
        }
    }
    registry
}

/// The journal that hosts share, and the hosts. A host that starts again is another one.
fn register_shared(registry: &mut Registry, shared: &SharedJournalReport) {
    let this = [("name", shared.host_name.clone()), ("id", shared.host_id.clone())];
    registry.register("host", "This host", Info::new(this.to_vec()));
    for (name, help, value) in [
        (
            "journal_reachable",
            "Whether the shared journal answers: 1 or 0",
            i64::from(shared.is_reachable),
        ),
        ("hosts", "Hosts that share the journal", shared.hosts.len() as i64),
    ] {
        registry.register(name, help, gauge(value));
    }
    for (name, help, value) in [
        ("journal_latency", "Last round trip to the shared journal", shared.latency_s),
        ("store_latency", "Answer to the last request to the shared store", shared.store_latency_s),
    ] {
        if let Some(value) = value {
            registry.register_with_unit(name, help, Unit::Seconds, gauge_of_seconds(value));
        }
    }
    let (budgets, jobs, ages) = (Family::default(), Family::default(), Family::default());
    for host in &shared.hosts {
        let label = HostLabel { host: host.name.clone(), id: host.id.clone() };
        let budget: &Gauge = &budgets.get_or_create(&label);
        budget.set(host.memory_budget_bytes as i64);
        let processing: &Gauge = &jobs.get_or_create(&label);
        processing.set(host.processing as i64);
        let age: &Gauge<f64, AtomicU64> = &ages.get_or_create(&label);
        age.set(host.beat_age_s);
    }
    registry.register_with_unit(
        "host_memory_budget",
        "Memory budget by host",
        Unit::Bytes,
        budgets,
    );
    registry.register("host_jobs", "Jobs in progress by host", jobs);
    let help = "Time since the last sign of each host was seen here";
    registry.register_with_unit("host_beat_age", help, Unit::Seconds, ages);
}

fn gauge_of_seconds(value: f64) -> Gauge<f64, AtomicU64> {
    let gauge = Gauge::default();
    gauge.set(value);
    gauge
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
