//! Routes for jobs: status, cancel, cleanup; and for operators the list of jobs and retries.

pub(crate) mod archive;
pub(crate) mod events;
pub(crate) mod files;
pub(crate) mod paging;
pub(crate) mod poses;
pub(crate) mod wait;

use crate::dispatcher::status::Status;
use crate::dispatcher::{Cancelled, Listing, Retried};
use crate::http::extract::JobIdParam;
use crate::http::jobs::paging::{ListRefusals, Next, Paged, Paging};
use crate::http::jobs::wait::Wait;
use crate::http::openapi::refusals::refusals;
use crate::http::problem::ApiError;
use crate::http::service::Service;
use crate::policy::job::JobId;
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

refusals! {
    JobRefusals: JobNotFound Stopping;
    CancelRefusals: JobNotFound AlreadyOver OtherOrigin Stopping;
    RetryRefusals: JobNotFound NotFailed VideoDeleted OtherOrigin OperatorsOnly TokenRequired
        Stopping;
    CleanupRefusals: JobNotFound OtherOrigin JournalUnreachable Stopping;
}

/// Get the status of a job
///
/// State, progress and options of the job; once it is completed also `statistics`, `warnings` and the `urls` of its results.
/// With `Prefer: wait=N` the response is sent when the job has ended or N seconds (at most 50) are over.
#[utoipa::path(get, path = "/api/status/{id}", tag = "jobs", operation_id = "get_status",
    params(("id" = String, Path, description = "Job id"),
        ("Prefer" = Option<String>, Header, description = "wait=N: seconds to wait for the end of the job")),
    responses((status = 200, description = "The status", body = Status,
        headers(("Preference-Applied" = String))), JobRefusals))]
pub(crate) async fn status(
    State(service): State<Service>,
    JobIdParam(id): JobIdParam,
    request: Request,
) -> Result<Response, ApiError> {
    let (applied, status) = match Wait::of(request.headers(), request.extensions()) {
        Some(wait) => wait.status(&service, id).await?,
        None => (None, service.dispatcher.status(id).await?),
    };
    let status = status.ok_or(ApiError::JobNotFound)?;
    Ok((applied, Json(status)).into_response())
}

/// Cancel a job
///
/// Responds when the worker, if any, has exited and its memory is free.
#[utoipa::path(post, path = "/api/cancel/{id}", tag = "jobs", operation_id = "cancel_job",
    params(("id" = String, Path, description = "Job id")),
    responses((status = 200, description = "The job is cancelled", body = Status), CancelRefusals))]
pub(crate) async fn cancel(
    State(service): State<Service>,
    JobIdParam(id): JobIdParam,
) -> Result<Json<Status>, ApiError> {
    match service.dispatcher.cancel(id).await? {
        Some(Cancelled::Now(status)) => Ok(Json(status)),
        Some(Cancelled::TooLate(status)) => Err(ApiError::AlreadyOver { status: status.status }),
        None => Err(ApiError::JobNotFound),
    }
}

/// Retry a failed job
///
/// Crashes of its video are forgotten, so that it is not refused as known to fail.
#[utoipa::path(post, path = "/api/retry/{id}", tag = "operators", operation_id = "retry_job",
    params(("id" = String, Path, description = "Job id")),
    security(("bearer" = []), ("basic" = []), ()),
    responses((status = 200, description = "The job is queued again", body = Status),
        RetryRefusals))]
pub(crate) async fn retry(
    State(service): State<Service>,
    JobIdParam(id): JobIdParam,
) -> Result<Json<Status>, ApiError> {
    match service.dispatcher.retry(id).await? {
        Some(Retried::Now(status)) => {
            tracing::info!(job = %id, "retried by an operator");
            Ok(Json(status))
        }
        Some(Retried::NotFailed(status)) => Err(ApiError::NotFailed { status: status.status }),
        Some(Retried::WithoutVideo) => Err(ApiError::VideoDeleted),
        None => Err(ApiError::JobNotFound),
    }
}

/// The response to a cleanup.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Removed {
    /// Id of the deleted job.
    #[schema(value_type = String)]
    job_id: JobId,
    /// A message for users.
    message: &'static str,
}

/// Delete a job and all its files
///
/// A running job is cancelled first.
#[utoipa::path(delete, path = "/api/cleanup/{id}", tag = "jobs", operation_id = "remove_job",
    params(("id" = String, Path, description = "Job id")),
    responses((status = 200, description = "The job is deleted", body = Removed), CleanupRefusals))]
pub(crate) async fn cleanup(
    State(service): State<Service>,
    JobIdParam(job_id): JobIdParam,
) -> Result<Json<Removed>, ApiError> {
    if service.dispatcher.remove(job_id).await?? {
        Ok(Json(Removed { job_id, message: "The job and all its files have been deleted." }))
    } else {
        Err(ApiError::JobNotFound)
    }
}

/// A list of jobs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobList {
    /// Total number of jobs on all pages.
    total: usize,
    /// Newest first.
    jobs: Vec<Status>,
    /// URL of the next page, if any.
    next: Next,
}

/// List jobs, newest first
///
/// All jobs that the service knows, including those that have ended and whose results have not expired.
#[utoipa::path(get, path = "/api/jobs", tag = "operators",
    operation_id = "list_jobs", params(Paging),
    security(("bearer" = []), ("basic" = []), ()),
    responses((status = 200, description = "A page of the list", body = JobList), ListRefusals))]
pub(crate) async fn list(
    State(service): State<Service>,
    Paged(page): Paged,
) -> Result<Json<JobList>, ApiError> {
    let Listing { total, jobs } = service.dispatcher.list(page).await?;
    Ok(Json(JobList { total, jobs, next: Next::after(page, "/api/jobs", total) }))
}
