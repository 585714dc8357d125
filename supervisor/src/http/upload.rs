//! `POST /api/upload`: a video comes in and becomes a job.
//!
//! 1. Capacity is asked for before a byte of the body is read.
//! 2. The body goes to a file as it comes.
//! 3. The file is on the disk (fsync) before the job is handed in, and the job before the 202.

use super::Service;
use super::body::{Chunks, discard};
use super::error::ApiError;
use super::form::{FormLimits, receive};
use crate::admission::Request as Admission;
use crate::job::{JobId, Upload};
use crate::status::Status;
use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, EXPECT, LOCATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body::Body as _;
use serde::Serialize;
use tokio::task::spawn_blocking;

/// The answer to an upload.
#[derive(Debug, Serialize)]
struct Accepted {
    job_id: JobId,
    status: &'static str,
    message: String,
    file_size_mb: f64,
}

/// Takes one upload.
pub(super) async fn upload(State(service): State<Service>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = body.size_hint().exact();
    let admitted = match boundary(&parts.headers) {
        Ok(boundary) => admit(&service, bytes).await.map(|ticket| (ticket, boundary)),
        Err(error) => Err(error),
    };
    match admitted {
        Ok((ticket, boundary)) => match take_in(&service, body, boundary, ticket).await {
            Ok(status) => accepted(status),
            Err(error) => error.into_response(),
        },
        Err(error) => {
            // Who waits to be asked (RFC 9110, 10.1.1) sends nothing more once refused, and
            // reading would ask.
            if !parts.headers.contains_key(EXPECT) {
                discard(body);
            }
            error.into_response()
        }
    }
}

type Ticket = crate::dispatcher::Ticket;

async fn admit(service: &Service, bytes: Option<u64>) -> Result<Ticket, ApiError> {
    Ok(service.dispatcher.admit(Admission { bytes }).await??)
}

fn boundary(headers: &HeaderMap) -> Result<String, ApiError> {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| multer::parse_boundary(value).ok())
        .ok_or(ApiError::NotMultipart)
}

async fn take_in(
    service: &Service,
    body: Body,
    boundary: String,
    ticket: Ticket,
) -> Result<Status, ApiError> {
    let id = JobId::random();
    let state = service.state.clone();
    let (partial, file) = blocking(move || state.begin_upload(id)).await??;
    let mut file = tokio::fs::File::from_std(file);
    let chunks = Chunks::of(body, &service.config.http);
    let limits = FormLimits {
        upload_bytes_max: service.config.upload_bytes_max,
        http: &service.config.http,
    };
    let target = (&mut file, partial.path());
    let (received, options) = receive(chunks, boundary, limits, target).await?;
    let file = file.into_std().await;
    blocking(move || partial.complete(&file)).await??;
    let upload = Upload {
        filename: received.filename,
        bytes: received.bytes,
        sha256: received.sha256,
        options,
        idempotency_key: None,
    };
    Ok(service.dispatcher.submit(ticket, id, upload).await??)
}

fn accepted(status: Status) -> Response {
    let location = format!("/api/status/{}", status.job_id);
    let answer = Accepted {
        job_id: status.job_id,
        status: status.status,
        message: status.message,
        file_size_mb: status.file_size_mb,
    };
    (StatusCode::ACCEPTED, [(LOCATION, location)], Json(answer)).into_response()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    spawn_blocking(work).await.map_err(|_| ApiError::Internal)
}
