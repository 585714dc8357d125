//! How the service is, for load balancers, operators and the curious.
//!
//! `/livez` says that the process answers; `/readyz` is the dispatcher's own word on whether it
//! takes jobs, with a deadline, so that a stuck dispatcher counts as not ready.

use super::Service;
use super::error::ApiError;
use crate::attempt::Deadlines;
use crate::dispatcher::{Counts, Health};
use crate::status::{Status, megabytes};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use procfs::{Current, Meminfo};
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Write;
use std::time::Duration;
use tokio::time::timeout;

/// How long the dispatcher may take to say how it is.
const ANSWER_MAX: Duration = Duration::from_secs(2);

pub(super) async fn ask(service: &Service) -> Result<Health, &'static str> {
    match timeout(ANSWER_MAX, service.dispatcher.health()).await {
        Ok(Ok(health)) => Ok(health),
        Ok(Err(_)) => Err("the service is stopping"),
        Err(_) => Err("the dispatcher does not answer"),
    }
}

/// `GET /livez`
pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// `GET /readyz`
pub(super) async fn ready(State(service): State<Service>) -> Response {
    let reason = match ask(&service).await {
        Ok(health) => health.reason,
        Err(reason) => Some(reason),
    };
    let status = if reason.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": reason.is_none(), "reason": reason }))).into_response()
}

/// `GET /health`
pub(super) async fn health(State(service): State<Service>) -> Response {
    match ask(&service).await {
        Ok(health) => {
            let status = if health.is_ready { "healthy" } else { "degraded" };
            let body = json!({
                "status": status,
                "reason": health.reason,
                "version": env!("CARGO_PKG_VERSION"),
                "uptime_s": service.started.elapsed().as_secs(),
                "active_jobs": health.jobs.processing,
                "queued_jobs": health.jobs.pending,
            });
            Json(body).into_response()
        }
        Err(reason) => {
            let body = json!({ "status": "unhealthy", "reason": reason });
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
    }
}

/// Memory, as operators watch it.
#[derive(Debug, Serialize)]
pub(super) struct MemoryReport {
    /// ok, warning or critical.
    status: &'static str,
    /// Resident memory of the service and all its workers, in MiB.
    memory_mb: f64,
    /// Share of the host's memory, in per cent.
    memory_percent: f64,
    supervisor_bytes: u64,
    workers_bytes: u64,
    reserved_bytes: u64,
    budget_bytes: u64,
    memory_is_short: bool,
    disk_is_short: bool,
    jobs_count: usize,
    jobs: Counts,
}

/// `GET /health/memory`
pub(super) async fn memory(State(service): State<Service>) -> Result<Json<MemoryReport>, ApiError> {
    let health = ask(&service).await.map_err(|_| ApiError::Stopping)?;
    let supervisor_bytes = own_rss_bytes();
    let total = supervisor_bytes + health.workers_rss_bytes;
    let host = Meminfo::current().map_or(0, |info| info.mem_total);
    let status = match () {
        () if health.pressure.memory => "critical",
        () if health.reserved_bytes * 10 > health.budget_bytes * 9 => "warning",
        () => "ok",
    };
    Ok(Json(MemoryReport {
        status,
        memory_mb: megabytes(total),
        memory_percent: (total as f64 / host.max(1) as f64 * 10_000.0).round() / 100.0,
        supervisor_bytes,
        workers_bytes: health.workers_rss_bytes,
        reserved_bytes: health.reserved_bytes,
        budget_bytes: health.budget_bytes,
        memory_is_short: health.pressure.memory,
        disk_is_short: health.pressure.disk,
        jobs_count: count(&health.jobs),
        jobs: health.jobs,
    }))
}

pub(super) fn own_rss_bytes() -> u64 {
    let pages = procfs::process::Process::myself().and_then(|me| me.statm());
    pages.map_or(0, |pages| pages.resident * procfs::page_size())
}

fn count(jobs: &Counts) -> usize {
    jobs.pending + jobs.processing + jobs.completed + jobs.failed + jobs.cancelled
}

/// `GET /api`: what the service is and takes.
pub(super) async fn about(State(service): State<Service>) -> Json<Value> {
    let config = &service.config;
    let Deadlines { wall, .. } = config.deadlines;
    Json(json!({
        "name": "BodyScript",
        "version": env!("CARGO_PKG_VERSION"),
        "cage": service.cage,
        "modes": bodyscript_protocol::options::Mode::ALL.map(|mode| mode.name()),
        "limits": {
            "upload_bytes_max": config.upload_bytes_max,
            "duration_s_max": config.media.duration_ms_max / 1000,
            "on_long": config.media.on_long,
            "side_px_max": config.media.side_px_max,
            "area_px_max": config.media.area_px_max,
            "frame_rate_max": config.media.frame_rate_max,
            "worker_wall_s_max": wall.as_secs(),
            "queue_max": config.queue_max,
            "result_ttl_s": config.result_ttl.as_secs(),
        },
        "endpoints": [
            "POST /api/upload", "GET /api/status/{id}", "GET /api/events/{id}",
            "POST /api/cancel/{id}", "DELETE /api/cleanup/{id}",
            "GET /api/download/{id}/{video|csv|json|thumbnail|preview|metadata}",
            "GET /api/serve/{id}/{output.mp4|pose_data.csv|pose_data.json|thumbnail.jpg|preview.mp4|metadata.json}",
            "GET /api/jobs", "GET /api/metrics", "GET /health", "GET /health/memory",
            "GET /livez", "GET /readyz", "GET /metrics",
        ],
    }))
}

/// `GET /api/metrics`: one line for each job, and averages over those that completed.
pub(super) async fn job_metrics(State(service): State<Service>) -> Result<Json<Value>, ApiError> {
    let jobs = service.dispatcher.list().await?;
    let done: Vec<_> = jobs.iter().filter(|job| job.status == "completed").collect();
    let mean = |of: &dyn Fn(&Status) -> f64| {
        (!done.is_empty()).then(|| done.iter().map(|job| of(job)).sum::<f64>() / done.len() as f64)
    };
    let lines: Vec<_> = jobs
        .iter()
        .map(|job| {
            json!({
                "job_id": job.job_id,
                "status": job.status,
                "error_code": job.error_code,
                "peak_bytes": peak(job),
                "processing_ms": wall(job),
                "queue_ms": job.started_at.map(|at| at.duration_since(job.created_at).as_millis()),
                "frames": job.current_frame,
                "attempts": job.attempts.len(),
            })
        })
        .collect();
    Ok(Json(json!({
        "jobs": lines,
        "averages": {
            "completed": done.len(),
            "peak_bytes": mean(&|job| peak(job) as f64),
            "processing_ms": mean(&|job| wall(job) as f64),
            "frames": mean(&|job| f64::from(job.current_frame)),
        },
    })))
}

fn peak(job: &Status) -> u64 {
    job.attempts.iter().map(|attempt| attempt.peak_bytes).max().unwrap_or(0)
}

fn wall(job: &Status) -> u64 {
    job.attempts.iter().map(|attempt| attempt.wall_ms).sum()
}

/// `GET /metrics`, in the OpenMetrics text format.
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
