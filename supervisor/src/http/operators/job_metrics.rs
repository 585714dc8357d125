//! `GET /api/metrics`: one line for each job, and what they have in common.
//!
//! Computed from the jobs that are remembered, so it covers the life of their results.

use crate::dispatcher::Page;
use crate::dispatcher::status::Numbers;
use crate::http::jobs::paging::{Next, Paged, Paging};
use crate::http::openapi::ListRefusals;
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

/// The numbers of all jobs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Report {
    /// How many jobs there are, on whatever page.
    total: usize,
    /// Newest first.
    jobs: Vec<Line>,
    /// Where the next page of them is, if there is one.
    next: Next,
    /// Means over the completed ones.
    averages: Averages,
    /// Of the completed ones, in milliseconds, from the first start to the end.
    processing_ms: Option<Distribution>,
    /// Of all that started, in milliseconds, from acceptance to the first start.
    queue_ms: Option<Distribution>,
    /// Of the completed ones, in bytes.
    peak_bytes: Option<Distribution>,
    /// Share of failed jobs among those completed or failed, 0 to 1.
    error_rate: Option<f64>,
    /// What the service can do.
    capacity: Capacity,
}

/// One job.
#[derive(Debug, Serialize, ToSchema)]
struct Line {
    /// Its id.
    #[schema(value_type = String)]
    job_id: JobId,
    /// Its state.
    status: &'static str,
    /// Why it failed.
    error_code: Option<Cow<'static, str>>,
    /// Most memory any attempt used.
    peak_bytes: u64,
    /// From its first start to its end.
    processing_ms: Option<i64>,
    /// From its acceptance to its first start.
    queue_ms: Option<i64>,
    /// Frames processed.
    frames: u32,
    /// Frames processed in a second of the last attempt.
    frames_per_s: Option<f64>,
    /// Attempts that are over.
    attempts: usize,
}

/// Means over the completed jobs.
#[derive(Debug, Serialize, ToSchema)]
struct Averages {
    /// How many there are.
    completed: usize,
    /// Most memory used.
    peak_bytes: Option<f64>,
    /// Time from the first start to the end.
    processing_ms: Option<f64>,
    /// Frames processed.
    frames: Option<f64>,
    /// Frames processed in a second.
    frames_per_s: Option<f64>,
}

/// How values are spread (nearest rank).
#[derive(Debug, PartialEq, Serialize, ToSchema)]
struct Distribution {
    mean: f64,
    p50: f64,
    p95: f64,
    max: f64,
}

/// What the service can do.
#[derive(Debug, Serialize, ToSchema)]
struct Capacity {
    /// Attempts at once.
    workers: usize,
    /// Attempts for which the memory budget has room.
    workers_by_memory: u64,
    /// Videos an hour, from what the completed ones took.
    videos_per_hour: Option<f64>,
}

/// The numbers of all jobs together, and of each, a page at a time
#[utoipa::path(get, path = "/api/metrics", tag = "operators",
    operation_id = "get_job_metrics", params(Paging),
    security(("bearer" = []), ("basic" = []), ()),
    responses((status = 200, description = "The numbers, and a page of jobs", body = Report),
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
    Ok(Json(Report::of(lines, capacity).cut_to(page)))
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

/// Nothing passes where the wall clock is set back in between.
fn between(from: Option<Timestamp>, to: Option<Timestamp>) -> Option<i64> {
    Some((to?.as_millisecond() - from?.as_millisecond()).max(0))
}

impl Report {
    fn of(jobs: Vec<Line>, capacity: Capacity) -> Self {
        let done: Vec<_> = jobs.iter().filter(|job| job.status == "completed").collect();
        let failed = jobs.iter().filter(|job| job.status == "failed").count();
        let times = done.iter().filter_map(|job| job.processing_ms).map(|ms| ms as f64);
        let processing_ms = Distribution::of(times);
        let speeds = Distribution::of(done.iter().filter_map(|job| job.frames_per_s));
        let at_once = (capacity.workers as u64).min(capacity.workers_by_memory) as f64;
        let mean_ms = processing_ms.as_ref().map(|times| times.mean).filter(|ms| *ms > 0.0);
        Self {
            averages: Averages {
                completed: done.len(),
                peak_bytes: mean(done.iter().map(|job| job.peak_bytes as f64)),
                processing_ms: mean_ms,
                frames: mean(done.iter().map(|job| f64::from(job.frames))),
                frames_per_s: speeds.map(|speeds| speeds.mean),
            },
            queue_ms: Distribution::of(
                jobs.iter().filter_map(|job| job.queue_ms).map(|ms| ms as f64),
            ),
            peak_bytes: Distribution::of(done.iter().map(|job| job.peak_bytes as f64)),
            error_rate: (done.len() + failed > 0)
                .then(|| failed as f64 / (done.len() + failed) as f64),
            capacity: Capacity {
                videos_per_hour: mean_ms.map(|ms| at_once * 3_600_000.0 / ms),
                ..capacity
            },
            processing_ms,
            total: jobs.len(),
            jobs,
            next: Next::none(),
        }
    }

    /// The same with a page of the jobs instead of all.
    fn cut_to(mut self, page: Page) -> Self {
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
    fn ranks_are_values_that_occurred() {
        assert_eq!(Distribution::of(std::iter::empty()), None);
        let one = Distribution { mean: 7.0, p50: 7.0, p95: 7.0, max: 7.0 };
        assert_eq!(Distribution::of([7.0].into_iter()), Some(one));
        let many = Distribution { mean: 50.5, p50: 50.0, p95: 95.0, max: 100.0 };
        assert_eq!(Distribution::of((1..=100).rev().map(f64::from)), Some(many));
    }

    #[test]
    fn jobs_without_an_end_spoil_no_average() {
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
