//! The results of a job: `/api/serve` for playback, `/api/download` as attachments.
//!
//! No file path is built from client input: an id is parsed into a [`crate::policy::job::JobId`],
//! a name into an [`Artefact`]; otherwise the response is 404.

use crate::dispatcher::Results;
use crate::http::extract::PathParam;
use crate::http::middleware::cors::Media;
use crate::http::openapi::Bytes;
use crate::http::openapi::refusals::refusals;
use crate::http::problem::ApiError;
use crate::http::service::Service;
use crate::policy::display_name::DisplayName;
use crate::policy::job::JobId;
use crate::store::ResultsOf;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, LAST_MODIFIED,
    RANGE,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::formats::Formats;
use std::path::Path;
use tower_http::services::ServeFile;
use utoipa::IntoResponses;

refusals! {
    FileRefusals: UnknownAddress JobNotFound FileNotFound NotCompleted ConditionFailed
        RangeNotSatisfiable StoreUnreachable Stopping;
}

/// The successful responses to a request for a file.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes the responses of `send`")]
pub(crate) enum FileAnswers {
    /// The file, with its own media type
    #[response(status = 200, content_type = "*/*", headers(
        ("Accept-Ranges" = String), ("Content-Length" = u64), ("ETag" = String),
        ("Last-Modified" = String)))]
    Whole(Bytes),
    /// The requested range
    #[response(status = 206, content_type = "*/*", headers(
        ("Accept-Ranges" = String), ("Content-Range" = String), ("ETag" = String),
        ("Last-Modified" = String)))]
    Part(Bytes),
    /// The address of the file in the store of results (`artefacts_redirect`), for downloads only
    #[response(status = 307, headers(
        ("Location" = String, description = "URL of the file in the store, valid for a short time")))]
    Elsewhere,
    /// The client's copy is current
    #[response(status = 304, headers(("ETag" = String)))]
    Current,
}

/// Get a result file
///
/// Supports a single byte range (RFC 9110, 14) and conditional requests.
#[utoipa::path(method(get, head), path = "/api/serve/{id}/{name}", tag = "results",
    operation_id = "get_result",
    params(("id" = String, Path, description = "Job id"),
        ("name" = String, Path, description = "File name, as in `urls` of the status")),
    responses(FileAnswers, FileRefusals))]
pub(crate) async fn serve(
    State(service): State<Service>,
    PathParam((id, name)): PathParam<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let artefact = Artefact::from_file_name(&name).ok_or(ApiError::FileNotFound)?;
    let Found { of, .. } = results(&service, job_id(&id)?).await?;
    send(&service.artefacts.result(of, artefact).await?, artefact, request).await
}

/// Download a result file
///
/// Same as `/api/serve`, with a `Content-Disposition` that names the file after the video.
#[utoipa::path(method(get, head), path = "/api/download/{id}/{kind}", tag = "results",
    operation_id = "download_result",
    params(("id" = String, Path, description = "Job id"),
        ("kind" = String, Path, description = "Output: a key of `urls` of the status")),
    responses(FileAnswers, FileRefusals))]
pub(crate) async fn download(
    State(service): State<Service>,
    PathParam((id, kind)): PathParam<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let artefact = Artefact::from_name(&kind).ok_or(ApiError::FileNotFound)?;
    let Found { of, filename, .. } = results(&service, job_id(&id)?).await?;
    let attachment = filename.attachment(artefact.file_name());
    if request.method() == Method::GET
        && let Some(url) = redirect(&service, of, artefact, &attachment).await?
    {
        return Ok(url);
    }
    let file = service.artefacts.result(of, artefact).await?;
    let mut response = send(&file, artefact, request).await?;
    let attachment = HeaderValue::try_from(attachment).map_err(|_| ApiError::Internal)?;
    response.headers_mut().insert(CONTENT_DISPOSITION, attachment);
    Ok(response)
}

/// The redirect to the shared store, if there is one and it is to serve downloads.
async fn redirect(
    service: &Service,
    of: ResultsOf,
    artefact: Artefact,
    attachment: &str,
) -> Result<Option<Response>, ApiError> {
    if !service.config.artefacts.as_ref().is_some_and(|artefacts| artefacts.redirect) {
        return Ok(None);
    }
    let url = service.artefacts.result_url(of, artefact, attachment).await?;
    Ok(url.map(|url| Redirect::temporary(&url).into_response()))
}

/// The results of a completed job.
pub(crate) struct Found {
    /// Which they are.
    pub of: ResultsOf,
    /// File name of the video.
    pub filename: DisplayName,
    /// The formats that were requested.
    pub formats: Formats,
}

fn job_id(text: &str) -> Result<JobId, ApiError> {
    text.parse().map_err(|_| ApiError::JobNotFound)
}

/// Finds the results of a job.
pub(crate) async fn results(service: &Service, id: JobId) -> Result<Found, ApiError> {
    match service.dispatcher.results(id).await? {
        Some(Results::Ready { of, filename, formats }) => Ok(Found { of, filename, formats }),
        Some(Results::NotReady { state }) => Err(ApiError::NotCompleted { status: state }),
        None => Err(ApiError::JobNotFound),
    }
}

/// Sends a file of results, or the part that is asked for.
pub(crate) async fn send(
    path: &Path,
    artefact: Artefact,
    request: Request,
) -> Result<Response, ApiError> {
    let mut file = ServeFile::new(path).ignore_multi_range_requests(true);
    let (parts, _) = request.into_parts();
    let mut request = Request::from_parts(parts, Body::empty());
    if let Some(range) = request.headers_mut().remove(RANGE)
        && request.method() == Method::GET
    {
        let size = tokio::fs::metadata(path).await.map_err(|error| unreadable(path, &error))?.len();
        let range = byte_ranges(&range, size);
        request.headers_mut().extend(range.map(|range| (RANGE, range)));
    }
    if request.headers().contains_key(IF_RANGE) {
        // `ServeFile` does not evaluate `If-Range` (RFC 9110, 13.1.5).
        let mut head = Request::new(Body::empty());
        *head.method_mut() = Method::HEAD;
        let current = file.try_call(head).await.map_err(|error| unreadable(path, &error))?;
        if !is_current(request.headers(), current.headers()) {
            request.headers_mut().remove(RANGE);
        }
    }
    let response = file.try_call(request).await.map_err(|error| unreadable(path, &error))?;
    let mut response = response.map(Body::new);
    match response.status() {
        StatusCode::RANGE_NOT_SATISFIABLE => {
            let range = response.headers_mut().remove(CONTENT_RANGE);
            let mut refusal = ApiError::RangeNotSatisfiable.into_response();
            refusal.headers_mut().extend(range.map(|range| (CONTENT_RANGE, range)));
            return Ok(refusal);
        }
        StatusCode::PRECONDITION_FAILED => return Err(ApiError::ConditionFailed),
        // The format was not requested, or the result expired after the lookup.
        StatusCode::NOT_FOUND => return Err(ApiError::FileNotFound),
        _ => {}
    }
    let headers = response.headers_mut();
    if headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(artefact.media_type()));
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if ["image/", "video/"].iter().any(|kind| artefact.media_type().starts_with(kind)) {
        response.extensions_mut().insert(Media);
    }
    Ok(response)
}

/// The ranges of bytes in a `Range` (RFC 9110, 14.1.2), within a file of this size. An invalid one must be ignored
/// (14.2), and a suffix longer than the file is the whole file; `ServeFile` refuses both.
pub(crate) fn byte_ranges(range: &HeaderValue, size: u64) -> Option<HeaderValue> {
    let (unit, set) = range.to_str().ok()?.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let within = |spec: &str| match spec.trim().split_once('-')? {
        ("", last) => Some(format!("-{}", position(last)?.min(size))),
        (first, "") => Some(format!("{}-", position(first)?)),
        (first, last) => {
            let (first, last) = (position(first)?, position(last)?);
            (first <= last).then(|| format!("{first}-{}", last.min(size.max(first))))
        }
    };
    let ranges: Option<Vec<String>> = set.split(',').map(within).collect();
    format!("bytes={}", ranges?.join(",")).try_into().ok()
}

/// A number of any length: no file has as many bytes as the largest one.
fn position(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

fn is_current(request: &HeaderMap, current: &HeaderMap) -> bool {
    let condition = request.get(IF_RANGE);
    condition == current.get(ETAG) || condition == current.get(LAST_MODIFIED)
}

/// The error for a file that cannot be read.
pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> ApiError {
    if error.kind() == std::io::ErrorKind::NotFound {
        return ApiError::JobNotFound;
    }
    tracing::error!(path = %path.display(), %error, "cannot read a result");
    ApiError::Internal
}
