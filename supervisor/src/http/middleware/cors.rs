//! Which pages of other origins may call the service from a browser (Fetch standard, CORS).
//!
//! None, unless `cors_origins` names them. Own code because the library answers every OPTIONS
//! itself, also those that are no preflight.

use crate::http::problem::ApiError;
use crate::http::service::Service;
use crate::http::upload::body::refuse;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
    VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// What a page may ask with.
const PREFLIGHT: [(HeaderName, &str); 3] = [
    (ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST, PUT, PATCH, DELETE"),
    (
        ACCESS_CONTROL_ALLOW_HEADERS,
        "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, Range, Traceparent, Tus-Resumable, \
         Upload-Checksum, Upload-Length, Upload-Metadata, Upload-Offset, X-HTTP-Method-Override, \
         X-Request-Id",
    ),
    (ACCESS_CONTROL_MAX_AGE, "600"),
];

/// What a page may read of an answer, beside what every page may.
const EXPOSED: &str = "Content-Disposition, Content-Range, Job-Id, Location, Retry-After, \
                       Tus-Checksum-Algorithm, Tus-Extension, Tus-Max-Size, Tus-Resumable, \
                       Tus-Version, Upload-Expires, Upload-Length, Upload-Metadata, Upload-Offset, \
                       X-Request-Id";

/// Refuses to change anything for a page that may not call the service.
///
/// A browser sends a form to anywhere, without asking first; only reading the answer takes leave.
/// It says of every request whether a page of this origin made it (Fetch Metadata), which holds
/// behind a proxy that renames the host as well; programs do not.
pub(crate) async fn guard(
    State(service): State<Service>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    let is_foreign = matches!(site, Some(b"cross-site" | b"same-site"));
    if request.method().is_safe()
        || !is_foreign
        || allowed_origin(&service.config.access.cors_origins, headers).is_some()
    {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    refuse(&parts, body, ApiError::OtherOrigin)
}

/// The origin of the page that asks, if pages of it may.
fn allowed_origin<'a>(allowed: &[String], headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
    headers.get(ORIGIN).filter(|origin| {
        allowed.iter().any(|allowed| allowed == "*" || origin.as_bytes() == allowed.as_bytes())
    })
}

/// Answers preflights, and marks what an allowed page may read.
pub(crate) async fn cors(State(service): State<Service>, request: Request, next: Next) -> Response {
    let allowed = &service.config.access.cors_origins;
    if allowed.is_empty() {
        return next.run(request).await;
    }
    let origin = allowed_origin(allowed, request.headers()).cloned();
    let is_preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match &origin {
        Some(_) if is_preflight => (StatusCode::NO_CONTENT, PREFLIGHT).into_response(),
        _ => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        // Media elements of such a page load without asking first.
        let policy = HeaderName::from_static("cross-origin-resource-policy");
        headers.insert(policy, HeaderValue::from_static("cross-origin"));
    }
    response
}
