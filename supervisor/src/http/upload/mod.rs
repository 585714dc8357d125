//! `/api/upload`: receives a video, as a form or as the plain body, and submits it as a job.
//!
//! 1. Capacity is checked before any byte of the body is read.
//! 2. The body is written to a file as it arrives.
//! 3. The file is on disk (fsync) before the job is submitted, and the job before the 202.

pub(crate) mod body;
pub(crate) mod description;
pub(crate) mod file_writer;
pub(crate) mod form;
mod form_bytes;
pub(crate) mod idempotency;
pub(crate) mod options;
pub(crate) mod received_file;
pub(crate) mod request;

use crate::dispatcher::status::Status;
use crate::dispatcher::{SubmitError, Ticket};
use crate::http::blocking::blocking;
use crate::http::jobs::wait::Wait;
use crate::http::middleware::clients::ClientPermit;
use crate::http::openapi::Bytes;
use crate::http::openapi::refusals::refusals;
use crate::http::problem::ApiError;
use crate::http::service::Service;
use crate::http::upload::body::{Chunks, refuse};
use crate::http::upload::description::{UploadForm, UploadQuery};
use crate::http::upload::file_writer::FileWriter;
use crate::http::upload::form::{FormLimits, Received};
use crate::http::upload::received_file::{ReceivedFile, ReceivingFile};
use crate::http::upload::request::{UploadEncoding, UploadRequest, check_webhook};
use crate::policy::admission::Request as Admission;
use crate::policy::client::ClientAddress;
use crate::policy::job::{JobId, Upload};
use crate::runner::attempt::origin::Origin;
use crate::store::PartialUpload;
use crate::webhook::address::WebhookUrl;
use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LOCATION, LOCATION};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use http_body::Body as _;
use serde::Serialize;
use std::fs::File;
use std::sync::Arc;
use tracing::Instrument;
use utoipa::ToSchema;

/// The response to an upload.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Accepted {
    /// Id of the job.
    #[schema(value_type = String)]
    job_id: JobId,
    /// State of the job: pending.
    status: &'static str,
    /// A message for users.
    message: String,
    /// Size of the video in MiB (2^20 bytes), to two places.
    file_size_mb: f64,
}

refusals! {
    UploadRefusals: UnsupportedMediaType UnsupportedContentCoding MalformedQuery MalformedForm MissingFile RepeatedField
        ConflictingFields InvalidField ModelNotInstalled WebhooksOff WebhookAddress UploadTooLarge FormTooLarge UploadStalled
        UploadTooSlow UploadBroken QueueFull MemoryShort DiskFull StoreUnreachable JournalUnreachable JournalLost Overloaded
        TooManyUploads TooManyJobs KeyReused KeyBusy OtherOrigin Paused Stopping;
}

/// Upload a video as a form
///
/// Options can be form fields or query parameters. The response contains the job id and is sent
/// when the video is stored on disk; `Location` is the status of the job. With `Prefer: wait=N` it is
/// the status itself if the job ends within N seconds (at most 50).
#[utoipa::path(post, path = "/api/upload", tag = "jobs",
    operation_id = "upload_video", params(UploadQuery, idempotency::Key,
        ("Prefer" = Option<String>, Header, description = "wait=N: seconds to wait for the end of the job")),
    request_body(content(
        (UploadForm = "multipart/form-data"), (Bytes = "video/*"),
        (Bytes = "application/octet-stream"))),
    responses((status = 202, description = "A job", body = Accepted, headers(
        ("Location" = String, description = "URL of the status of the job"),
        ("Preference-Applied" = String), ("RateLimit-Policy" = String), ("RateLimit" = String))),
        (status = 200, description = "A job that has ended within the time of `Prefer`",
            body = Status, headers(
            ("Location" = String, description = "URL of the status of the job"),
            ("Content-Location" = String), ("Preference-Applied" = String), ("RateLimit-Policy" = String), ("RateLimit" = String))),
        UploadRefusals))]
pub(crate) async fn upload(State(service): State<Service>, request: Request) -> Response {
    receive(&service, request).await
}

/// Upload a video as the request body
///
/// Same as POST, with the video as the body.
#[utoipa::path(put, path = "/api/upload", tag = "jobs",
    operation_id = "upload_video_as_body", params(UploadQuery, idempotency::Key,
        ("Prefer" = Option<String>, Header, description = "wait=N: seconds to wait for the end of the job")),
    request_body(content((Bytes = "video/*"), (Bytes = "application/octet-stream"))),
    responses((status = 202, description = "A job", body = Accepted, headers(
        ("Location" = String, description = "URL of the status of the job"),
        ("Preference-Applied" = String), ("RateLimit-Policy" = String), ("RateLimit" = String))),
        (status = 200, description = "A job that has ended within the time of `Prefer`",
            body = Status, headers(
            ("Location" = String, description = "URL of the status of the job"),
            ("Content-Location" = String), ("Preference-Applied" = String), ("RateLimit-Policy" = String), ("RateLimit" = String))),
        UploadRefusals))]
pub(crate) async fn put(State(service): State<Service>, request: Request) -> Response {
    receive(&service, request).await
}

/// Handles one upload, and tells how many more the client can begin.
async fn receive(service: &Service, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let client = client_of(service, &parts);
    let mut response = receive_one(service, parts, body).await;
    service.clients.add_quota(client, response.headers_mut());
    response
}

async fn receive_one(service: &Service, parts: Parts, body: Body) -> Response {
    let bytes = body.size_hint().exact();
    let admitted = match UploadRequest::of(&parts).and_then(|upload| upload.check(service, bytes)) {
        Ok(upload) => begin(service, &parts, bytes, upload).await,
        Err(error) => Err(error),
    };
    let (started, permit) = match admitted {
        Ok(admitted) => admitted,
        Err(error) => return refuse(&parts, body, error),
    };
    let wait = Wait::of(&parts.headers, &parts.extensions);
    // Frees the buffer that the header was received into.
    drop(parts);
    let done = match receive_body(service, body, started).await {
        Ok(received) => submit_received(service.clone(), received, permit).await,
        Err(error) => Err(error),
    };
    match (done, wait) {
        (Err(error), _) => error.into_response(),
        (Ok(status), None) => accepted(status),
        (Ok(status), Some(wait)) => await_end(service, status, wait).await,
    }
}

/// The response to an upload whose client waits for the end of the job: its status if it has ended, else the usual one.
async fn await_end(service: &Service, accepted_as: Status, wait: Wait) -> Response {
    // Whatever happens now, the job is accepted.
    let (applied, status) = wait.status(service, accepted_as.job_id).await.unwrap_or_default();
    match status.filter(|status| status.completed_at.is_some()) {
        Some(status) => {
            let address = status_address(status.job_id);
            let headers = [(LOCATION, address.clone()), (CONTENT_LOCATION, address)];
            (StatusCode::OK, applied, headers, Json(status)).into_response()
        }
        None => (applied, accepted(accepted_as)).into_response(),
    }
}

fn status_address(job: JobId) -> String {
    format!("/api/status/{job}")
}

/// Admits an upload: first by the limits of its client, then by those of the service.
pub(crate) async fn admit(
    service: &Service,
    parts: &Parts,
    bytes: Option<u64>,
) -> Result<(Ticket, ClientPermit), ApiError> {
    let client = client_of(service, parts);
    let clients = &service.clients;
    for job in clients.jobs_at_limit(client) {
        if !is_unfinished(service, job).await? {
            clients.forget(client, job);
        }
    }
    let permit = clients.admit(client)?;
    let ticket = service.dispatcher.admit(Admission { client, bytes }).await??;
    Ok((ticket.from(origin(parts)), permit))
}

/// The client that a request counts for.
pub(crate) fn client_of(service: &Service, parts: &Parts) -> ClientAddress {
    service.clients.client(parts.extensions.get().copied(), &parts.headers)
}

/// The request id and trace id of a request.
pub(crate) fn origin(parts: &Parts) -> Origin {
    parts.extensions.get().cloned().unwrap_or(Origin::NONE)
}

/// An admitted upload and its file.
struct StartedUpload {
    upload: UploadRequest,
    ticket: Ticket,
    id: JobId,
    partial: PartialUpload,
    file: File,
}

/// Admits an upload and creates its file, before the body is read.
async fn begin(
    service: &Service,
    parts: &Parts,
    bytes: Option<u64>,
    upload: UploadRequest,
) -> Result<(StartedUpload, ClientPermit), ApiError> {
    let (ticket, permit) = admit(service, parts, bytes).await?;
    let (id, state) = (JobId::random(), service.state.clone());
    let (partial, file) = blocking(move || state.begin_upload(id)).await??;
    Ok((StartedUpload { upload, ticket, id, partial, file }, permit))
}

/// An upload whose body has arrived, and its file, which may not be on the disk yet.
struct ReceivedUpload {
    ticket: Ticket,
    id: JobId,
    upload: Upload,
    webhook: Option<WebhookUrl>,
    partial: PartialUpload,
    file: Arc<File>,
}

async fn receive_body(
    service: &Service,
    body: Body,
    started: StartedUpload,
) -> Result<ReceivedUpload, ApiError> {
    let StartedUpload { upload, ticket, id, partial, file } = started;
    let file = FileWriter::new(file, partial.path());
    let chunks = Chunks::start(body, ticket.upload(), &service.config.http);
    let received = match upload.encoding {
        UploadEncoding::Form(boundary) => {
            let limits = FormLimits {
                upload_bytes_max: service.config.upload_bytes_max,
                http: &service.config.http,
            };
            form::receive(chunks, boundary, limits, &file, upload.options).await?
        }
        UploadEncoding::Plain => Received {
            filename: upload.filename,
            video: receive_plain(service, chunks, &file).await?,
            options: upload.options,
        },
    };
    check_webhook(service, &received.options)?;
    let webhook = received.options.webhook().cloned();
    let upload = Upload {
        filename: received.filename,
        bytes: received.video.bytes,
        sha256: received.video.sha256,
        options: received.options.options(service.models)?,
        idempotency_key: upload.key,
    };
    Ok(ReceivedUpload { ticket, id, upload, webhook, partial, file: file.file() })
}

/// Submits an upload as a job, whether or not the client waits for it: from the sync of its file on, only a job accounts
/// for that.
async fn submit_received(
    service: Service,
    received: ReceivedUpload,
    permit: ClientPermit,
) -> Result<Status, ApiError> {
    let ReceivedUpload { ticket, id, upload, webhook, partial, file } = received;
    let task = async move {
        blocking(move || partial.complete(&file)).await??;
        let status = share_and_submit(&service, (ticket, id), upload, webhook).await?;
        permit.add_job(status.job_id);
        Ok(status)
    };
    tokio::spawn(task.in_current_span()).await.map_err(|_| ApiError::Internal)?
}

/// Shares a complete upload with other hosts, if there are any, and submits it as a job.
pub(crate) async fn share_and_submit(
    service: &Service,
    (ticket, id): (Ticket, JobId),
    upload: Upload,
    webhook: Option<WebhookUrl>,
) -> Result<Status, ApiError> {
    if let Err(error) = service.artefacts.share_upload(id).await {
        let state = service.state.clone();
        blocking(move || state.remove_upload(id)).await??;
        return Err(error.into());
    }
    submit(service, (ticket, id), upload, webhook).await
}

/// Submits an upload as a job. Its webhook is recorded on disk before the job is accepted.
async fn submit(
    service: &Service,
    (ticket, id): (Ticket, JobId),
    upload: Upload,
    webhook: Option<WebhookUrl>,
) -> Result<Status, ApiError> {
    let Some(url) = webhook else {
        return Ok(service.dispatcher.submit(ticket, id, upload).await??);
    };
    let (webhooks, is_repeatable) = (&service.webhooks, ticket.is_repeatable());
    if let Err(error) = webhooks.record(id, &url).await {
        // Another host may have submitted it.
        if !is_repeatable {
            service.artefacts.remove_upload(id).await?;
        }
        return Err(error.into());
    }
    let submitted = service.dispatcher.submit(ticket, id, upload).await;
    match &submitted {
        // The job of an earlier request with the same key has its own webhook record.
        Ok(Ok(status)) if status.job_id == id => webhooks.deliver_at_end(id, &url),
        // It may be a job; the next start will know.
        Ok(Err(SubmitError::JournalUnreachable)) if is_repeatable => {}
        _ => webhooks.discard(id).await,
    }
    Ok(submitted??)
}

/// Receives a body that is the plain video.
async fn receive_plain(
    service: &Service,
    mut chunks: Chunks,
    file: &FileWriter,
) -> Result<ReceivedFile, ApiError> {
    let mut receiving = ReceivingFile::new(file, service.config.upload_bytes_max);
    while let Some(chunk) = chunks.next().await {
        receiving.write(chunk.map_err(|error| error.to_api_error(&service.config.http))?).await?;
    }
    Ok(receiving.finish())
}

fn accepted(status: Status) -> Response {
    let location = status_address(status.job_id);
    let body = Accepted {
        job_id: status.job_id,
        status: status.status,
        message: status.message,
        file_size_mb: status.file_size_mb,
    };
    (StatusCode::ACCEPTED, [(LOCATION, location)], Json(body)).into_response()
}

/// Whether there is an unfinished job or resumable upload with this id.
async fn is_unfinished(service: &Service, job: JobId) -> Result<bool, ApiError> {
    if let Some(status) = service.dispatcher.status(job).await? {
        return Ok(status.completed_at.is_none());
    }
    Ok(service.resumables.find(job).await?.is_some())
}
