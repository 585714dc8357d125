//! What clients ask about their jobs: status, cancel, cleanup; and the list for operators.

use super::Service;
use super::error::ApiError;
use crate::dispatcher::Cancelled;
use crate::job::JobId;
use crate::status::Status;
use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;

/// The id in an address. What cannot be an id is no job's.
pub(super) fn job_id(text: &str) -> Result<JobId, ApiError> {
    text.parse().map_err(|_| ApiError::JobNotFound)
}

/// `GET /api/status/{id}`
pub(super) async fn status(
    State(service): State<Service>,
    Path(id): Path<String>,
) -> Result<Json<Status>, ApiError> {
    let status = service.dispatcher.status(job_id(&id)?).await?;
    status.map(Json).ok_or(ApiError::JobNotFound)
}

/// `POST /api/cancel/{id}`: answers once the worker, if any, is gone and its memory free.
pub(super) async fn cancel(
    State(service): State<Service>,
    Path(id): Path<String>,
) -> Result<Json<Status>, ApiError> {
    match service.dispatcher.cancel(job_id(&id)?).await? {
        Some(Cancelled::Now(status)) => Ok(Json(status)),
        Some(Cancelled::TooLate(status)) => Err(ApiError::AlreadyOver { status: status.status }),
        None => Err(ApiError::JobNotFound),
    }
}

/// The answer to a cleanup.
#[derive(Debug, Serialize)]
pub(super) struct Removed {
    job_id: JobId,
    message: &'static str,
}

/// `DELETE /api/cleanup/{id}`: at any time; a job under way is cancelled first.
pub(super) async fn cleanup(
    State(service): State<Service>,
    Path(id): Path<String>,
) -> Result<Json<Removed>, ApiError> {
    let job_id = job_id(&id)?;
    if service.dispatcher.remove(job_id).await? {
        Ok(Json(Removed { job_id, message: "The job and all its files are removed." }))
    } else {
        Err(ApiError::JobNotFound)
    }
}

/// Every job there is.
#[derive(Debug, Serialize)]
pub(super) struct JobList {
    total: usize,
    jobs: Vec<Status>,
}

/// `GET /api/jobs`, newest first.
pub(super) async fn list(State(service): State<Service>) -> Result<Json<JobList>, ApiError> {
    let jobs = service.dispatcher.list().await?;
    Ok(Json(JobList { total: jobs.len(), jobs }))
}
