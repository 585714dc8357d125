//! `/api/tus`: resumable uploads (tus 1.0.0 with creation, creation-with-upload, termination,
//! expiration and checksum; <https://tus.io/protocols/resumable-upload>).
//!
//! POST creates an upload, PATCH appends to it, HEAD returns its offset. Each PATCH passes the
//! same admission as any upload; between requests an upload occupies disk space only. With the
//! last byte it becomes a job with the same id.

pub(crate) mod append;
pub(crate) mod completion;
pub(crate) mod headers;
pub(crate) mod refusals;

use crate::http::blocking::blocking;
use crate::http::extract::PathParam;
use crate::http::openapi::Bytes;
use crate::http::problem::ApiError;
use crate::http::service::{LiveService, Service};
use crate::http::upload::body::{discard, refuse};
use crate::http::upload::request::{check_content_coding, check_webhook};
use crate::http::upload::{admit, client_of, origin};
use crate::policy::admission::Request as Admission;
use crate::policy::job::JobId;
use crate::store::Pressure;
use crate::store::UploadLock;
use crate::store::{ResumableError, ResumableRecord, Resumables};
use append::Append;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::LOCATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use completion::{UploadState, complete, job_of};
use headers::{CHECKSUMS, Metadata, VERSION};
use jiff::Timestamp;
use refusals::{ResumableAppendRefusals, ResumableRefusals, ResumableStartRefusals};
use std::time::Duration;

/// How long a request waits for an older one to release the lock of the upload.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(10);

/// Interval of the search for expired uploads.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const LENGTH: HeaderName = HeaderName::from_static("upload-length");
const METADATA: HeaderName = HeaderName::from_static("upload-metadata");
const EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
const JOB: HeaderName = HeaderName::from_static("job-id");
const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const TUS_VERSION: HeaderName = HeaderName::from_static("tus-version");

/// Extractor that requires the supported protocol version.
pub(crate) struct ProtocolHeaders;

impl<S: Send + Sync> FromRequestParts<S> for ProtocolHeaders {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let version = parts.headers.get(TUS_RESUMABLE);
        version.filter(|version| *version == VERSION).map(|_| Self).ok_or(ApiError::TusVersion)
    }
}

/// Adds the protocol headers that every response has.
pub(crate) async fn add_protocol_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let version = HeaderValue::from_static(VERSION);
    if response.status() == StatusCode::PRECONDITION_FAILED {
        response.headers_mut().insert(TUS_VERSION, version.clone());
    }
    response.headers_mut().insert(TUS_RESUMABLE, version);
    response
}

/// Removes expired uploads until the service stops.
pub(crate) async fn sweep_periodically(live: LiveService) {
    let closing = live.current().closing;
    loop {
        tokio::select! {
            () = tokio::time::sleep(SWEEP_EVERY) => {}
            () = closing.cancelled() => return,
        }
        let service = live.current();
        let state = service.state.clone();
        let disk_free_bytes_min = service.config.disk_free_bytes_min;
        let pressure = blocking(move || Pressure::measure(&state, disk_free_bytes_min)).await;
        match service.resumables.sweep(pressure.unwrap_or_default()).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "resumable uploads expired"),
            // The journal has logged it.
            Err(ResumableError::Journal(error)) if error.may_pass() => {}
            Err(error) => tracing::error!(%error, "cannot delete expired resumable uploads"),
        }
    }
}

/// Supported tus version and extensions
///
/// For clients that adapt to the service; no request needs it.
#[utoipa::path(options, path = "/api/tus", tag = "resumable", operation_id = "get_tus_capabilities",
    responses((status = 204, description = "The capabilities, in headers", headers(
        ("Tus-Version" = String), ("Tus-Extension" = String), ("Tus-Max-Size" = u64),
        ("Tus-Checksum-Algorithm" = String)))))]
pub(crate) async fn capabilities(State(service): State<Service>) -> Response {
    let headers = [
        ("tus-version", VERSION.to_owned()),
        ("tus-extension", "creation,creation-with-upload,termination,expiration,checksum".into()),
        ("tus-max-size", service.config.upload_bytes_max.to_string()),
        ("tus-checksum-algorithm", CHECKSUMS.to_owned()),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// Create a resumable upload
///
/// `Upload-Metadata` contains the options of `/api/upload` and `filename`, values in base64. The
/// body may contain the first bytes. `Location` is the upload; when it is complete, `Job-Id` is
/// the id of the job.
#[utoipa::path(post, path = "/api/tus", tag = "resumable", operation_id = "create_resumable_upload",
    params(("Tus-Resumable" = String, Header, description = "1.0.0", pattern = r"^1\.0\.0$"),
        ("Upload-Length" = u64, Header, description = "Size of the video in bytes"),
        ("Upload-Metadata" = Option<String>, Header, description = "`filename` and options"),
        ("Upload-Checksum" = Option<String>, Header, description = "Digest of the body: sha1 or sha256",
            pattern = "^(sha1 [A-Za-z0-9+/]{27}=|sha256 [A-Za-z0-9+/]{43}=)$")),
    request_body(content((Bytes = "application/offset+octet-stream"))),
    responses((status = 201, description = "The upload is created", headers(
        ("Location" = String, description = "URL of the upload"), ("Upload-Offset" = u64),
        ("Upload-Expires" = String), ("Job-Id" = String), ("RateLimit-Policy" = String),
        ("RateLimit" = String))), ResumableStartRefusals))]
pub(crate) async fn create(
    State(service): State<Service>,
    _: ProtocolHeaders,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let client = client_of(&service, &parts);
    let mut response = match begin_upload(&service, &parts).await {
        Ok((append, record)) => {
            let id = append.lock.id();
            let has_bytes = headers::check_content_type(&parts.headers).is_ok();
            let state = match (has_bytes, record.is_complete()) {
                (true, _) => append::run(service.clone(), append, record, body).await,
                (false, true) => complete(&service, id, record, append.ticket).await,
                (false, false) => {
                    discard(body);
                    Ok(UploadState { record, job: None })
                }
            };
            let location = [(LOCATION, format!("/api/tus/{id}"))];
            match state {
                Ok(state) => (StatusCode::CREATED, location, response_headers(&service, &state))
                    .into_response(),
                Err(error) => (location, error).into_response(),
            }
        }
        Err(error) => refuse(&parts, body, error),
    };
    service.clients.add_quota(client, response.headers_mut());
    response
}

/// Append bytes to a resumable upload
///
/// At `Upload-Offset`, the current offset. A response with `Job-Id` means the upload is complete.
#[utoipa::path(patch, path = "/api/tus/{id}", tag = "resumable",
    operation_id = "append_to_resumable_upload",
    params(("id" = String, Path, description = "Upload id, also the id of the later job"),
        ("Tus-Resumable" = String, Header, description = "1.0.0", pattern = r"^1\.0\.0$"),
        ("Upload-Offset" = u64, Header, description = "Current offset in bytes"),
        ("Upload-Checksum" = Option<String>, Header, description = "Digest of the body: sha1 or sha256",
            pattern = "^(sha1 [A-Za-z0-9+/]{27}=|sha256 [A-Za-z0-9+/]{43}=)$")),
    request_body(content((Bytes = "application/offset+octet-stream"))),
    responses((status = 204, description = "The bytes are stored", headers(
        ("Upload-Offset" = u64), ("Upload-Expires" = String), ("Job-Id" = String))),
        ResumableAppendRefusals))]
pub(crate) async fn patch(
    State(service): State<Service>,
    PathParam(id): PathParam<String>,
    _: ProtocolHeaders,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let (append, record) = match begin_append(&service, &id, &parts).await {
        Ok(begun) => begun,
        Err(error) => return refuse(&parts, body, error),
    };
    // Frees the buffer that the header was received into.
    drop(parts);
    match append::run(service.clone(), append, record, body).await {
        Ok(state) => (StatusCode::NO_CONTENT, response_headers(&service, &state)).into_response(),
        Err(error) => error.into_response(),
    }
}

/// Get the offset of a resumable upload
///
/// Where an interrupted upload goes on, and the id of the job if it is complete.
#[utoipa::path(head, path = "/api/tus/{id}", tag = "resumable",
    operation_id = "get_resumable_upload",
    params(("id" = String, Path, description = "Upload id"),
        ("Tus-Resumable" = String, Header, description = "1.0.0", pattern = r"^1\.0\.0$")),
    responses((status = 200, description = "The state of the upload, in headers", headers(
        ("Upload-Offset" = u64), ("Upload-Length" = u64), ("Upload-Metadata" = String),
        ("Upload-Expires" = String), ("Job-Id" = String))), ResumableAppendRefusals))]
pub(crate) async fn head(
    State(service): State<Service>,
    PathParam(id): PathParam<String>,
    _: ProtocolHeaders,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, _) = request.into_parts();
    let (lock, record) = find(&service, &id).await?;
    let id = lock.id();
    let state = if let Some(job) = job_of(&service, id, &record).await? {
        UploadState { record, job: Some(job) }
    } else if record.is_complete() {
        // All bytes are stored, but the job could not be submitted before.
        let client = client_of(&service, &parts);
        let ticket = service.dispatcher.admit(Admission { client, bytes: Some(0) });
        completion::run(service.clone(), lock, record, ticket.await??).await?
    } else {
        UploadState { record, job: None }
    };
    let headers =
        [(LENGTH, state.record.length.to_string()), (METADATA, state.record.metadata.clone())];
    let headers: HeaderMap = headers
        .into_iter()
        .filter_map(|(name, value)| Some((name, HeaderValue::try_from(value).ok()?)))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    Ok((StatusCode::OK, headers, response_headers(&service, &state)).into_response())
}

/// Delete a resumable upload
///
/// Also deletes the job it became, if any.
#[utoipa::path(delete, path = "/api/tus/{id}", tag = "resumable",
    operation_id = "discard_resumable_upload",
    params(("id" = String, Path, description = "Upload id"),
        ("Tus-Resumable" = String, Header, description = "1.0.0", pattern = r"^1\.0\.0$")),
    responses((status = 204, description = "The upload is deleted"), ResumableRefusals))]
pub(crate) async fn delete(
    State(service): State<Service>,
    PathParam(id): PathParam<String>,
    _: ProtocolHeaders,
) -> Result<StatusCode, ApiError> {
    let (lock, _) = find(&service, &id).await?;
    let id = lock.id();
    service.resumables.remove(id).await?;
    service.dispatcher.remove(id).await??;
    Ok(StatusCode::NO_CONTENT)
}

/// PATCH, HEAD or DELETE for clients that can only send POST
///
/// The method is given in `X-HTTP-Method-Override`.
#[utoipa::path(post, path = "/api/tus/{id}", tag = "resumable",
    operation_id = "override_resumable_method",
    params(("id" = String, Path, description = "Upload id"),
        ("Tus-Resumable" = String, Header, description = "1.0.0", pattern = r"^1\.0\.0$"),
        ("X-HTTP-Method-Override" = String, Header, description = "PATCH, HEAD or DELETE",
            pattern = "^(PATCH|HEAD|DELETE)$"),
        ("Upload-Offset" = Option<u64>, Header, description = "With PATCH: current offset in bytes"),
        ("Upload-Checksum" = Option<String>, Header, description = "With PATCH: digest of the body",
            pattern = "^(sha1 [A-Za-z0-9+/]{27}=|sha256 [A-Za-z0-9+/]{43}=)$")),
    request_body(content((Bytes = "application/offset+octet-stream"))),
    responses((status = 200, description = "Same as HEAD", headers(
        ("Upload-Offset" = u64), ("Upload-Length" = u64), ("Upload-Metadata" = String),
        ("Upload-Expires" = String), ("Job-Id" = String))),
        (status = 204, description = "Same as PATCH and DELETE", headers(
        ("Upload-Offset" = u64), ("Upload-Expires" = String), ("Job-Id" = String))),
        ResumableAppendRefusals))]
pub(crate) async fn override_method(
    service: State<Service>,
    id: PathParam<String>,
    version: ProtocolHeaders,
    request: Request,
) -> Response {
    let method = request.headers().get("x-http-method-override").map(HeaderValue::as_bytes);
    match method {
        Some(b"PATCH") => patch(service, id, version, request).await,
        Some(b"HEAD") => head(service, id, version, request).await.into_response(),
        Some(b"DELETE") => delete(service, id, version).await.into_response(),
        _ => {
            let accepted = "PATCH, HEAD or DELETE";
            let (parts, body) = request.into_parts();
            let error = ApiError::InvalidHeader { header: "X-HTTP-Method-Override", accepted };
            refuse(&parts, body, error)
        }
    }
}

/// The headers that describe the state of an upload.
fn response_headers(service: &Service, state: &UploadState) -> HeaderMap {
    let UploadState { record, job } = state;
    let mut headers = HeaderMap::new();
    headers.insert(OFFSET, HeaderValue::from(record.offset));
    match job {
        Some(id) => {
            let id = HeaderValue::try_from(id.to_string()).expect("digits");
            headers.insert(JOB, id);
        }
        None => {
            let end = Timestamp::now() + service.resumables.time_left(record);
            // RFC 9110, 5.6.7.
            let end = end.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            headers.insert(EXPIRES, HeaderValue::try_from(end).expect("letters and digits"));
        }
    }
    headers
}

/// Validates and admits a new upload, and creates it.
async fn begin_upload(
    service: &Service,
    parts: &Parts,
) -> Result<(Append, ResumableRecord), ApiError> {
    let headers = &parts.headers;
    check_content_coding(headers)?;
    headers::check_query(&parts.uri)?;
    let length = headers::length(headers)?;
    let metadata = headers::metadata(headers)?;
    let parsed = Metadata::of(&metadata)?;
    parsed.check_names()?;
    let options = parsed.options;
    check_webhook(service, &options)?;
    options.options(service.models)?;
    let checksum = headers::checksum(headers)?;
    let upload_bytes_max = service.config.upload_bytes_max;
    if length > upload_bytes_max {
        return Err(ApiError::UploadTooLarge { upload_bytes_max });
    }
    let (ticket, permit) = admit(service, parts, Some(length)).await?;
    let id = JobId::random();
    let uploads_max = service.config.resumable.uploads_max;
    let lock = lock_upload(&service.resumables, id).await?;
    let record = service.resumables.create(id, length, metadata).await?;
    let record = record.ok_or(ApiError::TooManyResumable { uploads_max })?;
    permit.add_job(id);
    tracing::info!(job = %id, length, "resumable upload created");
    Ok((Append { lock, ticket, checksum }, record))
}

/// Validates and admits more bytes for an existing upload.
async fn begin_append(
    service: &Service,
    id: &str,
    parts: &Parts,
) -> Result<(Append, ResumableRecord), ApiError> {
    headers::check_content_type(&parts.headers)?;
    check_content_coding(&parts.headers)?;
    let offset = headers::offset(&parts.headers)?;
    let checksum = headers::checksum(&parts.headers)?;
    let (lock, record) = find(service, id).await?;
    if offset != record.offset {
        return Err(ApiError::OffsetConflict { offset: record.offset });
    }
    let bytes = Some(record.length - record.offset);
    let client = client_of(service, parts);
    let ticket = service.dispatcher.admit(Admission { client, bytes }).await??;
    Ok((Append { lock, ticket: ticket.from(origin(parts)), checksum }, record))
}

async fn find(service: &Service, id: &str) -> Result<(UploadLock, ResumableRecord), ApiError> {
    let id = id.parse().map_err(|_| ApiError::UploadNotFound)?;
    let uploads = &service.resumables;
    // Requests with unknown ids must not create locks.
    uploads.find(id).await?.ok_or(ApiError::UploadNotFound)?;
    let lock = lock_upload(uploads, id).await?;
    let mut record = uploads.find(id).await?.ok_or(ApiError::UploadNotFound)?;
    if record.offset > record.length {
        tracing::error!(job = %id, "the record of an upload is invalid");
        record.offset = record.length;
    }
    Ok((lock, record))
}

async fn lock_upload(uploads: &Resumables, id: JobId) -> Result<UploadLock, ApiError> {
    uploads.locks.take(id, LOCK_WAIT_MAX).await.ok_or(ApiError::UploadLocked)
}
