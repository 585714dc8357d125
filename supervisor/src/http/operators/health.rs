//! Health checks for load balancers and operators.
//!
//! `/livez` shows that the process responds; `/readyz` asks the dispatcher whether it accepts jobs,
//! with a deadline, so that a blocked dispatcher counts as not ready.

use crate::dispatcher::status::megabytes;
use crate::dispatcher::{Counts, Health};
use crate::http::operators::OperatorRefusals;
use crate::http::problem::{ApiError, RETRY_AFTER_DEFAULT};
use crate::http::service::Service;
use crate::runner::containment::own_memory::own_rss_bytes;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use procfs::{Current, Meminfo, MemoryPressure};
use serde::Serialize;
use std::time::Duration;
use tokio::time::timeout;
use utoipa::ToSchema;

/// How long the dispatcher may take to report its health.
const RESPONSE_MAX: Duration = Duration::from_secs(2);

/// Share of available memory, in per cent, below which the status is a warning.
const AVAILABLE_PERCENT_MIN: f64 = 15.0;

/// Share of time in which some tasks waited for memory, in per cent, from which it is one.
const STALLED_PERCENT_MAX: f32 = 10.0;

/// Paths that are exempt from the limits on connections.
pub(crate) const PATHS: [&str; 3] = ["/livez", "/readyz", "/health"];

/// Asks the dispatcher for its health; the error says why there is none.
pub(crate) async fn query(service: &Service) -> Result<Health, &'static str> {
    match timeout(RESPONSE_MAX, service.dispatcher.health()).await {
        Ok(Ok(health)) => Ok(health),
        Ok(Err(_)) => Err("the service is stopping"),
        Err(_) => Err("the dispatcher does not respond"),
    }
}

/// Liveness check
///
/// Answers as long as the process works, also while uploads are refused.
#[utoipa::path(get, path = "/livez", tag = "service", operation_id = "get_liveness",
    responses((status = 200, description = "Alive", body = String, content_type = "text/plain")))]
pub(crate) async fn live() -> &'static str {
    "ok\n"
}

/// Whether uploads are accepted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Readiness {
    /// Whether an upload within the size limit is accepted.
    ready: bool,
    /// The reason if not.
    reason: Option<&'static str>,
}

/// Readiness check: whether uploads are accepted
///
/// For load balancers: `reason` says why not.
#[utoipa::path(get, path = "/readyz", tag = "service", operation_id = "get_readiness",
    responses((status = 200, description = "Uploads are accepted", body = Readiness),
        (status = 503, description = "Uploads are refused", body = Readiness,
            headers(("Retry-After" = u64, description = "Seconds to wait before retrying")))))]
pub(crate) async fn ready(State(service): State<Service>) -> Response {
    let reason = match query(&service).await {
        Ok(health) => health.reason,
        Err(reason) => Some(reason),
    };
    match reason {
        None => Json(Readiness { ready: true, reason: None }).into_response(),
        Some(reason) => not_ready(reason),
    }
}

/// Says that uploads are refused, and why.
pub(crate) fn not_ready(reason: &'static str) -> Response {
    unavailable(Json(Readiness { ready: false, reason: Some(reason) }))
}

/// Health of the service.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthReport {
    /// healthy, degraded (uploads are refused) or unhealthy (the service does not work).
    status: &'static str,
    /// The reason if it is not healthy.
    reason: Option<&'static str>,
    /// Version of the service.
    version: &'static str,
    /// Uptime in seconds.
    uptime_s: u64,
    /// Number of running jobs.
    active_jobs: Option<usize>,
    /// Number of queued jobs.
    queued_jobs: Option<usize>,
    /// Whether the last reload failed, so that an older configuration is in effect.
    reload_refused: bool,
}

/// Health of the service
///
/// For monitoring: the numbers of jobs, and whether the configuration in effect is the latest one.
#[utoipa::path(get, path = "/health", tag = "service", operation_id = "get_health",
    responses((status = 200, description = "The service works", body = HealthReport),
        (status = 503, description = "The service does not work", body = HealthReport,
            headers(("Retry-After" = u64, description = "Seconds to wait before retrying")))))]
pub(crate) async fn health(State(service): State<Service>) -> Response {
    let report = |status, reason, jobs: Option<Counts>| HealthReport {
        status,
        reason,
        version: env!("CARGO_PKG_VERSION"),
        uptime_s: service.started.elapsed().as_secs(),
        active_jobs: jobs.map(|jobs| jobs.processing),
        queued_jobs: jobs.map(|jobs| jobs.pending),
        reload_refused: service.reload_refused,
    };
    match query(&service).await {
        Ok(health) => {
            let status = if health.is_ready { "healthy" } else { "degraded" };
            Json(report(status, health.reason, Some(health.jobs))).into_response()
        }
        Err(reason) => unavailable(Json(report("unhealthy", Some(reason), None))),
    }
}

fn unavailable(report: impl IntoResponse) -> Response {
    let wait = [(RETRY_AFTER, RETRY_AFTER_DEFAULT.as_secs().to_string())];
    (StatusCode::SERVICE_UNAVAILABLE, wait, report).into_response()
}

/// Memory of service, workers and host.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MemoryReport {
    /// ok; warning: the host is getting low on memory; critical: uploads are refused.
    status: &'static str,
    /// Resident memory of the service and all its workers, in MiB.
    memory_mb: f64,
    /// Share of the host's memory, in per cent.
    memory_percent: f64,
    /// Resident memory of the service without its workers.
    supervisor_bytes: u64,
    /// Resident memory of all workers.
    workers_bytes: u64,
    /// Sum of the memory caps of running attempts.
    reserved_bytes: u64,
    /// Maximum of that sum.
    budget_bytes: u64,
    /// Memory of the host.
    host: HostMemory,
    /// Whether the host is low on memory.
    memory_is_short: bool,
    /// Whether the disk is low on free space.
    disk_is_short: bool,
    /// Number of jobs.
    jobs_count: usize,
    /// Number of jobs by state.
    jobs: Counts,
}

/// Memory of the host.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
pub(crate) struct HostMemory {
    /// Total memory.
    total_bytes: u64,
    /// Available memory (proc(5), `MemAvailable`).
    available_bytes: u64,
    /// Per cent of the last ten seconds in which some tasks waited for memory (PSI).
    stalled_some_percent: Option<f32>,
    /// Per cent of the last ten seconds in which all tasks waited for memory.
    stalled_full_percent: Option<f32>,
}

/// Memory report
///
/// Memory of the service, its workers and the host, and the budget that workers share.
#[utoipa::path(get, path = "/health/memory", tag = "operators", operation_id = "get_memory",
    security(("bearer" = []), ("basic" = []), ()),
    responses((status = 200, description = "The report", body = MemoryReport), OperatorRefusals))]
pub(crate) async fn memory(State(service): State<Service>) -> Result<Json<MemoryReport>, ApiError> {
    let health = query(&service).await.map_err(|_| ApiError::Stopping)?;
    let supervisor_bytes = own_rss_bytes();
    let total = supervisor_bytes + health.workers_rss_bytes;
    let host = HostMemory::read();
    let status = match () {
        () if health.pressure.memory => "critical",
        () if host.is_low_on_memory() => "warning",
        () => "ok",
    };
    Ok(Json(MemoryReport {
        status,
        memory_mb: megabytes(total),
        memory_percent: (percent(total, host.total_bytes) * 100.0).round() / 100.0,
        supervisor_bytes,
        workers_bytes: health.workers_rss_bytes,
        reserved_bytes: health.reserved_bytes,
        budget_bytes: health.budget_bytes,
        host,
        memory_is_short: health.pressure.memory,
        disk_is_short: health.pressure.disk,
        jobs_count: count(&health.jobs),
        jobs: health.jobs,
    }))
}

impl HostMemory {
    fn read() -> Self {
        let memory = Meminfo::current().ok();
        let pressure = MemoryPressure::current().ok();
        Self {
            total_bytes: memory.as_ref().map_or(0, |memory| memory.mem_total),
            available_bytes: memory.and_then(|memory| memory.mem_available).unwrap_or(0),
            stalled_some_percent: pressure.as_ref().map(|pressure| pressure.some.avg10),
            stalled_full_percent: pressure.as_ref().map(|pressure| pressure.full.avg10),
        }
    }

    fn is_low_on_memory(&self) -> bool {
        percent(self.available_bytes, self.total_bytes) < AVAILABLE_PERCENT_MIN
            || self.stalled_some_percent.is_some_and(|share| share >= STALLED_PERCENT_MAX)
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64 * 100.0
}

fn count(jobs: &Counts) -> usize {
    jobs.pending + jobs.processing + jobs.completed + jobs.failed + jobs.cancelled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_available_memory_or_high_pressure_is_a_warning() {
        let normal = HostMemory { total_bytes: 100, available_bytes: 15, ..HostMemory::default() };
        assert!(!normal.is_low_on_memory());
        assert!(HostMemory { available_bytes: 14, ..normal }.is_low_on_memory());
        assert!(HostMemory { stalled_some_percent: Some(10.0), ..normal }.is_low_on_memory());
    }
}
