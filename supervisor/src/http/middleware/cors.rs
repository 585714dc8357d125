//! CORS (Fetch standard) and refusal of cross-site writes.
//!
//! Only the origins in `cors_origins` are allowed. Not tower-http's layer, because that answers
//! every OPTIONS request itself, even one that is no preflight.

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

/// Headers of the response to a preflight.
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

/// Response headers that a page may read in addition to the safelisted ones.
const EXPOSED: &str = "Content-Disposition, Content-Range, Job-Id, Location, Retry-After, \
                       Tus-Checksum-Algorithm, Tus-Extension, Tus-Max-Size, Tus-Resumable, \
                       Tus-Version, Upload-Expires, Upload-Length, Upload-Metadata, Upload-Offset, \
                       X-Request-Id";

/// The values of `Sec-Fetch-Site` for pages of the service, and for the user's own doing.
const OWN_SITES: [&str; 2] = ["same-origin", "none"];

/// Refuses requests that change something and come from a page of another origin.
///
/// CORS alone does not prevent them: a browser sends a form to any origin without a preflight and
/// only withholds the response. `Sec-Fetch-Site` (Fetch Metadata) is sent by browsers only, and is
/// correct behind a proxy that changes the host name as well.
pub(crate) async fn refuse_cross_site_writes(
    State(service): State<Service>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let is_own = |site: &HeaderValue| {
        OWN_SITES.iter().any(|own| site.as_bytes().eq_ignore_ascii_case(own.as_bytes()))
    };
    let is_cross_site = !headers.get_all("sec-fetch-site").iter().all(is_own);
    if request.method().is_safe()
        || !is_cross_site
        || allowed_origin(&service.config.access.cors_origins, headers).is_some()
    {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    refuse(&parts, body, ApiError::OtherOrigin)
}

/// The origin of the request, if it is allowed.
fn allowed_origin<'a>(allowed: &[String], headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
    headers.get(ORIGIN).filter(|origin| {
        allowed.iter().any(|allowed| allowed == "*" || origin.as_bytes() == allowed.as_bytes())
    })
}

/// Answers preflights, and adds CORS headers to the responses for allowed origins.
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
        // Media elements load without CORS, so they need this header.
        let policy = HeaderName::from_static("cross-origin-resource-policy");
        headers.insert(policy, HeaderValue::from_static("cross-origin"));
    }
    response
}
