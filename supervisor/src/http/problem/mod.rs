//! The errors of handlers, and their responses as problem+json (RFC 9457).
//!
//! `detail` names the fault or limit of the request and what to do; the catalogue has the codes
//! with their general causes and remedies.

pub(crate) mod catalogue;
mod causes;
pub(crate) mod error;
pub(crate) mod page;

use axum::Json;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) use error::{ApiError, RETRY_AFTER_DEFAULT};

/// Marks the response to a request for which the disk refused a write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WriteRefused;

/// A problem document (RFC 9457).
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// URL of the error code.
    r#type: String,
    /// Name of the HTTP status.
    title: &'static str,
    /// HTTP status.
    status: u16,
    /// What is wrong, and what to do.
    detail: String,
    /// Stable code for programs.
    code: &'static str,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let entry = self.code().entry();
        let status = entry.status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let problem = Problem {
            r#type: format!("/api/problems/{}", entry.code),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: self.to_string(),
            code: entry.code,
        };
        let mut response = (status, Json(&problem)).into_response();
        response.extensions_mut().insert(problem);
        if matches!(self, Self::DiskRefuses) {
            response.extensions_mut().insert(WriteRefused);
        }
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if matches!(self, Self::TokenRequired) {
            for scheme in ["Bearer realm=\"bodyscript\"", "Basic realm=\"bodyscript\""] {
                headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
            }
        }
        if matches!(self, Self::UnsupportedContentCoding) {
            // RFC 9110, 12.5.3: of a response, what requests may have.
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        if let Some(retry_after) = self.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(retry_after.as_secs()));
        }
        response
    }
}
