//! CORS (Fetch standard) and refusal of cross-site writes.
//!
//! Only the origins in `cors_origins` are allowed. Not tower-http's layer, because that answers
//! every OPTIONS request itself, even one that is no preflight.

use crate::http::problem::ApiError;
use axum::extract::Request;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
    VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};

/// Headers of the response to a preflight.
const PREFLIGHT: [(HeaderName, &str); 3] = [
    (ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST, PUT, PATCH, DELETE"),
    (
        ACCESS_CONTROL_ALLOW_HEADERS,
        "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, Prefer, Range, Traceparent, Tus-Resumable, \
         Upload-Checksum, Upload-Length, Upload-Metadata, Upload-Offset, X-HTTP-Method-Override, \
         X-Request-Id",
    ),
    (ACCESS_CONTROL_MAX_AGE, "600"),
];

/// Response headers that a page may read in addition to the safelisted ones.
const EXPOSED: &str = "Content-Disposition, Content-Range, Job-Id, Location, Preference-Applied, RateLimit, \
                       RateLimit-Policy, Retry-After, \
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
pub(crate) fn check(allowed: &[String], request: &Request) -> Result<(), ApiError> {
    let headers = request.headers();
    let is_own = |site: &HeaderValue| {
        OWN_SITES.iter().any(|own| site.as_bytes().eq_ignore_ascii_case(own.as_bytes()))
    };
    let is_cross_site = !headers.get_all("sec-fetch-site").iter().all(is_own);
    if request.method().is_safe() || !is_cross_site || allowed_origin(allowed, headers).is_some() {
        return Ok(());
    }
    Err(ApiError::OtherOrigin)
}

/// The origin of the request, if it is allowed.
fn allowed_origin<'a>(allowed: &[String], headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
    headers.get(ORIGIN).filter(|origin| {
        allowed.iter().any(|allowed| allowed == "*" || origin.as_bytes() == allowed.as_bytes())
    })
}

/// Marks a response with a picture or a video, which pages of allowed origins may embed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Media;

/// What CORS requires of the response to a request.
#[derive(Debug)]
pub(crate) enum Cors {
    /// No origin is allowed.
    Off,
    /// The request comes from no allowed origin.
    Denied,
    /// The request comes from this origin.
    Allowed(HeaderValue),
    /// This origin asks whether it may send a request.
    Preflight(HeaderValue),
}

impl Cors {
    pub(crate) fn of(allowed: &[String], request: &Request) -> Self {
        if allowed.is_empty() {
            return Self::Off;
        }
        let is_preflight = request.method() == Method::OPTIONS
            && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        match allowed_origin(allowed, request.headers()).cloned() {
            None => Self::Denied,
            Some(origin) if is_preflight => Self::Preflight(origin),
            Some(origin) => Self::Allowed(origin),
        }
    }

    /// The response to a preflight.
    pub(crate) fn preflight(&self) -> Option<Response> {
        let is_preflight = matches!(self, Self::Preflight(_));
        is_preflight.then(|| (StatusCode::NO_CONTENT, PREFLIGHT).into_response())
    }

    /// Adds the headers for allowed origins.
    pub(crate) fn add_to(self, response: &mut Response) {
        if matches!(self, Self::Off) {
            return;
        }
        let is_media = response.extensions().get::<Media>().is_some();
        let headers = response.headers_mut();
        headers.append(VARY, HeaderValue::from_static("Origin"));
        // Media elements load without CORS and without saying from which origin, so they need this header.
        if is_media || !matches!(self, Self::Denied) {
            let policy = HeaderName::from_static("cross-origin-resource-policy");
            headers.insert(policy, HeaderValue::from_static("cross-origin"));
        }
        if let Self::Allowed(origin) | Self::Preflight(origin) = self {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        }
    }
}
