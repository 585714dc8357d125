//! `/api/upload`: a video comes in, in a form or as it is, and becomes a job.
//!
//! 1. Capacity is asked for before a byte of the body is read.
//! 2. The body goes to a file as it comes.
//! 3. The file is on the disk (fsync) before the job is handed in, and the job before the 202.

pub(crate) mod body;
pub(crate) mod form;
pub(crate) mod idempotency;
pub(crate) mod options;
pub(crate) mod received_file;

use crate::dispatcher::Ticket;
use crate::dispatcher::status::Status;
use crate::http::middleware::clients::ClientPermit;
use crate::http::openapi::{Bytes, UploadRefusals};
use crate::http::problem::ApiError;
use crate::http::service::Service;
use crate::http::upload::body::{Chunks, refuse};
use crate::http::upload::form::{FormLimits, Received};
use crate::http::upload::options::{UploadOptions, VALUE_BYTES_MAX, describe, refuse_misspelt};
use crate::http::upload::received_file::{ReceivingFile, Taken};
use crate::policy::admission::Request as Admission;
use crate::policy::display_name::DisplayName;
use crate::policy::job::{JobId, Upload};
use crate::runner::attempt::origin::Origin;
use crate::store::artefacts::PartialUpload;
use crate::webhook::address::WebhookUrl;
use axum::Json;
use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use http_body::Body as _;
use serde::Serialize;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use tokio::task::spawn_blocking;
use utoipa::{IntoParams, ToSchema};

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

/// Query parameters of an upload.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `Order` reads")]
pub(crate) struct UploadQuery {
    /// File name of the video, if the body is the video itself.
    filename: Option<String>,
    /// Detection mode; `/api` lists the modes.
    #[param(schema_with = describe::modes, required = false)]
    mode: Option<String>,
    /// Process every n-th frame.
    #[param(minimum = 1, maximum = 1000)]
    interval: Option<u32>,
    /// Process this many frames per second; can't be combined with `interval`.
    #[param(minimum = 0.1, maximum = 240)]
    fps: Option<f64>,
    /// Maximum number of people to track.
    #[param(minimum = 1, maximum = 5)]
    max_people: Option<u32>,
    /// Smooth the movement of tracked people: on or off.
    #[param(schema_with = describe::smoothings, required = false)]
    smoothing: Option<String>,
    /// Output formats, separated by commas, as named in `urls` of a status; or all.
    #[param(schema_with = describe::formats, required = false)]
    formats: Option<String>,
    /// URL that receives a webhook when the job ends (Standard Webhooks), if configured.
    webhook_url: Option<String>,
}

/// Form fields of an upload.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `form` reads")]
pub(crate) struct UploadForm {
    /// The video.
    #[schema(format = Binary, value_type = String)]
    file: Vec<u8>,
    /// Detection mode; `/api` lists the modes.
    #[schema(schema_with = describe::modes, required = false)]
    mode: Option<String>,
    /// Process every n-th frame.
    #[schema(minimum = 1, maximum = 1000)]
    interval: Option<u32>,
    /// Process this many frames per second; can't be combined with `interval`.
    #[schema(minimum = 0.1, maximum = 240)]
    fps: Option<f64>,
    /// Maximum number of people to track.
    #[schema(minimum = 1, maximum = 5)]
    max_people: Option<u32>,
    /// Smooth the movement of tracked people: on or off.
    #[schema(schema_with = describe::smoothings, required = false)]
    smoothing: Option<String>,
    /// Output formats, separated by commas, as named in `urls` of a status; or all.
    #[schema(schema_with = describe::formats, required = false)]
    formats: Option<String>,
    /// URL that receives a webhook when the job ends (Standard Webhooks), if configured.
    webhook_url: Option<String>,
}

/// Upload a video as a form
///
/// Options can be form fields or query parameters. The response contains the job id and is sent
/// when the video is stored on disk; `Location` is the status of the job.
#[utoipa::path(post, path = "/api/upload", tag = "jobs",
    operation_id = "upload_video", params(UploadQuery, idempotency::Key),
    request_body(content(
        (UploadForm = "multipart/form-data"), (Bytes = "video/*"),
        (Bytes = "application/octet-stream"))),
    responses((status = 202, description = "A job", body = Accepted), UploadRefusals))]
pub(crate) async fn upload(State(service): State<Service>, request: Request) -> Response {
    receive(&service, request).await
}

/// Upload a video as the request body
///
/// Same as POST, with the video as the body.
#[utoipa::path(put, path = "/api/upload", tag = "jobs",
    operation_id = "upload_video_as_body", params(UploadQuery, idempotency::Key),
    request_body(content((Bytes = "video/*"), (Bytes = "application/octet-stream"))),
    responses((status = 202, description = "A job", body = Accepted), UploadRefusals))]
pub(crate) async fn put(State(service): State<Service>, request: Request) -> Response {
    receive(&service, request).await
}

/// Takes one upload.
async fn receive(service: &Service, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = body.size_hint().exact();
    let admitted = match UploadRequest::of(&parts).and_then(|upload| upload.check(service, bytes)) {
        Ok(upload) => begin(service, &parts, bytes, upload).await,
        Err(error) => Err(error),
    };
    match admitted {
        Ok((begun, stay)) => match take_in(service, body, begun).await {
            Ok(status) => {
                stay.became(status.job_id);
                accepted(status)
            }
            Err(error) => error.into_response(),
        },
        Err(error) => refuse(&parts, body, error),
    }
}

/// What an upload says before its body.
struct UploadRequest {
    envelope: UploadEncoding,
    filename: DisplayName,
    options: UploadOptions,
    /// SHA-256 of the client's key to this request.
    key: Option<String>,
}

/// What the body is.
enum UploadEncoding {
    /// A form with this boundary.
    Form(String),
    /// The video.
    None,
}

impl UploadRequest {
    fn of(parts: &Parts) -> Result<Self, ApiError> {
        let envelope = UploadEncoding::of(parts)?;
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|_| ApiError::MalformedQuery)?;
        let (mut filename, mut options) = (None, UploadOptions::default());
        for (name, value) in &pairs {
            if name == "filename" {
                if filename.replace(DisplayName::new(value)).is_some() {
                    return Err(ApiError::RepeatedField { field: "filename" });
                }
            } else if let Some(name) = UploadOptions::known(name) {
                options.take(
                    name,
                    Some(value).filter(|value| value.len() <= VALUE_BYTES_MAX).map(String::as_str),
                )?;
            } else {
                refuse_misspelt(name)?;
            }
        }
        let filename = filename.unwrap_or_else(|| DisplayName::new(""));
        Ok(Self { envelope, filename, options, key: idempotency::key(&parts.headers)? })
    }
}

impl UploadRequest {
    /// Whether what it says before its body, which has so many bytes, can be done.
    fn check(self, service: &Service, bytes: Option<u64>) -> Result<Self, ApiError> {
        check_webhook(service, &self.options)?;
        let upload_bytes_max = service.config.upload_bytes_max;
        match self.envelope {
            // What is not in a form has no bytes but the video's.
            UploadEncoding::None if bytes > Some(upload_bytes_max) => {
                Err(ApiError::UploadTooLarge { upload_bytes_max })
            }
            _ => Ok(self),
        }
    }
}

/// Whether whoever is to be told of the end can be.
pub(crate) fn check_webhook(service: &Service, options: &UploadOptions) -> Result<(), ApiError> {
    match options.webhook() {
        Some(_) if !service.webhooks.are_on() => Err(ApiError::WebhooksOff),
        _ => Ok(()),
    }
}

impl UploadEncoding {
    /// A body without a type is taken for what the method stands for: PUT for the video itself.
    fn of(parts: &Parts) -> Result<Self, ApiError> {
        let kind = match parts.headers.get(CONTENT_TYPE) {
            None if parts.method == Method::PUT => return Ok(Self::None),
            kind => kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default(),
        };
        let plain = kind.to_ascii_lowercase();
        if plain.starts_with("video/") || plain.starts_with("application/octet-stream") {
            return Ok(Self::None);
        }
        let boundary = multer::parse_boundary(kind).map_err(|_| ApiError::UnsupportedMediaType)?;
        Ok(Self::Form(boundary))
    }
}

/// A place in the queue, if the client may have one and there is one.
pub(crate) async fn admit(
    service: &Service,
    parts: &Parts,
    bytes: Option<u64>,
) -> Result<(Ticket, ClientPermit), ApiError> {
    let peer = parts.extensions.get().copied();
    let clients = &service.clients;
    let client = clients.client(peer, &parts.headers);
    if let Some(client) = client {
        for job in clients.jobs_at_limit(client) {
            if !is_unfinished(service, job).await? {
                clients.forget(client, job);
            }
        }
    }
    let stay = clients.admit(client)?;
    let ticket = service.dispatcher.admit(Admission { bytes }).await??;
    Ok((ticket.from(origin(parts)), stay))
}

/// The request's name.
pub(crate) fn origin(parts: &Parts) -> Origin {
    parts.extensions.get().cloned().unwrap_or(Origin::NONE)
}

/// An upload that may come in, and the file it goes to.
struct StartedUpload {
    upload: UploadRequest,
    ticket: Ticket,
    id: JobId,
    partial: PartialUpload,
    file: File,
}

/// Everything that can be refused before the body is read.
async fn begin(
    service: &Service,
    parts: &Parts,
    bytes: Option<u64>,
    upload: UploadRequest,
) -> Result<(StartedUpload, ClientPermit), ApiError> {
    let (ticket, stay) = admit(service, parts, bytes).await?;
    let (id, state) = (JobId::random(), service.state.clone());
    let (partial, file) = blocking(move || state.begin_upload(id)).await??;
    Ok((StartedUpload { upload, ticket, id, partial, file }, stay))
}

async fn take_in(service: &Service, body: Body, begun: StartedUpload) -> Result<Status, ApiError> {
    let StartedUpload { upload, ticket, id, partial, file } = begun;
    let mut file = tokio::fs::File::from_std(file);
    let chunks = Chunks::of(body, &service.config.http);
    let target = (&mut file, partial.path());
    let received = match upload.envelope {
        UploadEncoding::Form(boundary) => {
            let limits = FormLimits {
                upload_bytes_max: service.config.upload_bytes_max,
                http: &service.config.http,
            };
            form::receive(chunks, boundary, limits, target, upload.options).await?
        }
        UploadEncoding::None => Received {
            filename: upload.filename,
            video: as_it_is(service, chunks, target).await?,
            options: upload.options,
        },
    };
    check_webhook(service, &received.options)?;
    let webhook = received.options.webhook().cloned();
    let options = received.options.options()?;
    let file = file.into_std().await;
    blocking(move || partial.complete(&file)).await??;
    let upload = Upload {
        filename: received.filename,
        bytes: received.video.bytes,
        sha256: received.video.sha256,
        options,
        idempotency_key: upload.key,
    };
    submit(service, (ticket, id), upload, webhook).await
}

/// Makes an upload a job; whom to tell of its end is on the disk before it is accepted.
pub(crate) async fn submit(
    service: &Service,
    (ticket, id): (Ticket, JobId),
    upload: Upload,
    webhook: Option<WebhookUrl>,
) -> Result<Status, ApiError> {
    let Some(address) = webhook else {
        return Ok(service.dispatcher.submit(ticket, id, upload).await??);
    };
    let webhooks = &service.webhooks;
    if let Err(error) = webhooks.note(id, &address).await {
        let state = service.state.clone();
        blocking(move || state.remove(id)).await??;
        return Err(error.into());
    }
    let submitted = service.dispatcher.submit(ticket, id, upload).await;
    match &submitted {
        // A repeated request is the job of the first, which has its own note.
        Ok(Ok(status)) if status.job_id == id => webhooks.follow(id, &address),
        _ => webhooks.forget(id),
    }
    Ok(submitted??)
}

/// A body that is the video.
async fn as_it_is(
    service: &Service,
    mut chunks: Chunks,
    target: (&mut tokio::fs::File, &Path),
) -> Result<Taken, ApiError> {
    let mut intake = ReceivingFile::new(target, service.config.upload_bytes_max);
    while let Some(chunk) = chunks.next().await {
        intake.write(&chunk.map_err(|error| error.told(&service.config.http))?).await?;
    }
    intake.finish().await
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

/// Whether there is such a job, or an upload that will be it, and it is not over.
async fn is_unfinished(service: &Service, job: JobId) -> Result<bool, ApiError> {
    if let Some(status) = service.dispatcher.status(job).await? {
        return Ok(status.completed_at.is_none());
    }
    let uploads = Arc::clone(&service.resumables);
    Ok(blocking(move || uploads.find(job)).await??.is_some())
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    spawn_blocking(work).await.map_err(|_| ApiError::Internal)
}
