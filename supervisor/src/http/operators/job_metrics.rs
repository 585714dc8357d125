//! `GET /api/metrics`: metrics per job, and averages and distributions over all jobs.
//!
//! Computed from the jobs the dispatcher still knows, so it covers the time results are kept.

use crate::dispatcher::status::Numbers;
use crate::dispatcher::{Page, SharedJournalReport};
use crate::http::jobs::paging::{ListRefusals, Next, Paged, Paging};
use crate::http::problem::ApiError;
use crate::http::service::Service;
use crate::policy::job::JobId;
use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::Serialize;
use std::borrow::Cow;
use std::cmp::Reverse;
use utoipa::ToSchema;

/// Metrics of all jobs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobMetricsReport)]
pub(crate) struct Report {
    /// Total number of jobs on all pages.
    total: usize,
    /// Newest first.
    jobs: Vec<Line>,
    /// URL of the next page, if any.
    next: Next,
    /// Averages over completed jobs.
    averages: Averages,
    /// Processing times of completed jobs in milliseconds, from first start to end.
    processing_ms: Option<Distribution>,
    /// Queueing times of started jobs in milliseconds, from acceptance to first start.
    queue_ms: Option<Distribution>,
    /// Peak memory of completed jobs in bytes.
    peak_bytes: Option<Distribution>,
    /// Share of failed jobs among those completed or failed, 0 to 1.
    error_rate: Option<f64>,
    /// Capacity of the service.
    capacity: Capacity,
    /// The journal and the hosts that share it; null if this host has a journal of its own.
    shared_journal: Option<SharedJournalReport>,
}

/// Metrics of a job.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobMetrics)]
struct Line {
    /// Job id.
    #[schema(value_type = String)]
    job_id: JobId,
    /// State of the job.
    status: &'static str,
    /// Error code if the job failed.
    error_code: Option<Cow<'static, str>>,
    /// Peak memory of all attempts.
    peak_bytes: u64,
    /// Time from first start to end.
    processing_ms: Option<i64>,
    /// Time from acceptance to first start.
    queue_ms: Option<i64>,
    /// Frames processed.
    frames: u32,
    /// Frames processed per second in the last attempt.
    frames_per_s: Option<f64>,
    /// Number of finished attempts.
    attempts: usize,
}

/// Averages over completed jobs.
#[derive(Debug, Serialize, ToSchema)]
struct Averages {
    /// Number of completed jobs.
    completed: usize,
    /// Peak memory.
    peak_bytes: Option<f64>,
    /// Time from first start to end.
    processing_ms: Option<f64>,
    /// Frames processed.
    frames: Option<f64>,
    /// Frames processed per second.
    frames_per_s: Option<f64>,
}

/// Distribution of values (nearest rank).
#[derive(Debug, PartialEq, Serialize, ToSchema)]
struct Distribution {
    mean: f64,
    p50: f64,
    p95: f64,
    max: f64,
}

/// Capacity of the service.
#[derive(Debug, Serialize, ToSchema)]
struct Capacity {
    /// Maximum number of concurrent attempts.
    workers: usize,
    /// Number of attempts that fit the memory budget.
    workers_by_memory: u64,
    /// Estimated videos per hour, from the completed jobs.
    videos_per_hour: Option<f64>,
}

/// Metrics of all jobs, with a page of single jobs
///
/// Averages and distributions are over all jobs that the service knows, on whatever page they are.
#[utoipa::path(get, path = "/api/metrics", tag = "operators",
    operation_id = "get_job_metrics", params(Paging),
    security(("bearer" = []), ("basic" = []), ()),
    responses((status = 200, description = "Metrics, and a page of jobs", body = Report),
        ListRefusals))]
pub(crate) async fn job_metrics(
    State(service): State<Service>,
    Paged(page): Paged,
) -> Result<Json<Report>, ApiError> {
    let mut jobs = service.dispatcher.numbers().await?;
    jobs.sort_unstable_by_key(|job| Reverse((job.created_at, job.job_id)));
    let lines: Vec<_> = jobs.into_iter().map(Line::of).collect();
    let config = &service.config;
    let capacity = Capacity {
        workers: config.workers,
        workers_by_memory: config.memory_budget_bytes / config.worker_memory_bytes_max.max(1),
        videos_per_hour: None,
    };
    let shared_journal = service.dispatcher.health().await?.shared_journal;
    Ok(Json(Report { shared_journal, ..Report::of(lines, capacity).paginate(page) }))
}

impl Line {
    fn of(job: Numbers) -> Self {
        Self {
            job_id: job.job_id,
            status: job.status,
            error_code: job.error_code,
            peak_bytes: job.peak_bytes,
            processing_ms: between(job.started_at, job.completed_at),
            queue_ms: between(Some(job.created_at), job.started_at),
            frames: job.frames,
            frames_per_s: job.wall_ms.map(|ms| f64::from(job.frames) * 1000.0 / ms as f64),
            attempts: job.attempts,
        }
    }
}

/// Milliseconds between two times; 0 if the wall clock was set back in between.
fn between(from: Option<Timestamp>, to: Option<Timestamp>) -> Option<i64> {
    Some((to?.as_millisecond() - from?.as_millisecond()).max(0))
}

impl Report {
    fn of(jobs: Vec<Line>, capacity: Capacity) -> Self {
        let completed: Vec<_> = jobs.iter().filter(|job| job.status == "completed").collect();
        let failed = jobs.iter().filter(|job| job.status == "failed").count();
        let times = completed.iter().filter_map(|job| job.processing_ms).map(|ms| ms as f64);
        let processing_ms = Distribution::of(times);
        let speeds = Distribution::of(completed.iter().filter_map(|job| job.frames_per_s));
        let concurrent = (capacity.workers as u64).min(capacity.workers_by_memory) as f64;
        let mean_ms = processing_ms.as_ref().map(|times| times.mean).filter(|ms| *ms > 0.0);
        Self {
            averages: Averages {
                completed: completed.len(),
                peak_bytes: mean(completed.iter().map(|job| job.peak_bytes as f64)),
                processing_ms: mean_ms,
                frames: mean(completed.iter().map(|job| f64::from(job.frames))),
                frames_per_s: speeds.map(|speeds| speeds.mean),
            },
            queue_ms: Distribution::of(
                jobs.iter().filter_map(|job| job.queue_ms).map(|ms| ms as f64),
            ),
            peak_bytes: Distribution::of(completed.iter().map(|job| job.peak_bytes as f64)),
            error_rate: (completed.len() + failed > 0)
                .then(|| failed as f64 / (completed.len() + failed) as f64),
            capacity: Capacity {
                videos_per_hour: mean_ms.map(|ms| concurrent * 3_600_000.0 / ms),
                ..capacity
            },
            processing_ms,
            total: jobs.len(),
            jobs,
            next: Next::none(),
            shared_journal: None,
        }
    }

    /// Reduces the list of jobs to a page.
    fn paginate(mut self, page: Page) -> Self {
        self.jobs = self.jobs.into_iter().skip(page.offset).take(page.limit).collect();
        self.next = Next::after(page, "/api/metrics", self.total);
        self
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    Distribution::of(values).map(|values| values.mean)
}

impl Distribution {
    fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<_> = values.collect();
        values.sort_by(f64::total_cmp);
        let rank = |share: f64| {
            let rank = (share * values.len() as f64).ceil() as usize;
            values.get(rank.max(1) - 1).copied()
        };
        Some(Self {
            mean: values.iter().sum::<f64>() / values.len() as f64,
            p50: rank(0.5)?,
            p95: rank(0.95)?,
            max: rank(1.0)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        assert_eq!(Distribution::of(std::iter::empty()), None);
        let one = Distribution { mean: 7.0, p50: 7.0, p95: 7.0, max: 7.0 };
        assert_eq!(Distribution::of([7.0].into_iter()), Some(one));
        let many = Distribution { mean: 50.5, p50: 50.0, p95: 95.0, max: 100.0 };
        assert_eq!(Distribution::of((1..=100).rev().map(f64::from)), Some(many));
    }

    #[test]
    fn averages_include_completed_jobs_only() {
        let line = |status, processing_ms| Line {
            job_id: JobId::random(),
            status,
            error_code: None,
            peak_bytes: 10,
            processing_ms,
            queue_ms: None,
            frames: 30,
            frames_per_s: None,
            attempts: 1,
        };
        let jobs = vec![
            line("completed", Some(2000)),
            line("completed", Some(4000)),
            line("processing", None),
            line("failed", Some(90_000)),
            line("failed", Some(90_000)),
        ];
        let capacity = Capacity { workers: 4, workers_by_memory: 2, videos_per_hour: None };
        let report = Report::of(jobs, capacity);
        assert_eq!(report.averages.processing_ms, Some(3000.0));
        assert_eq!(report.error_rate, Some(0.5));
        assert_eq!(report.capacity.videos_per_hour, Some(2400.0));
    }
}
