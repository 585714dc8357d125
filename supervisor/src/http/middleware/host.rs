//! Requires exactly one `Host` header (RFC 9112, 3.2): a proxy and the service may interpret a
//! request with several, or with none, differently.
//!
//! The value is not checked, because a proxy may use any name for the service.

use crate::http::problem::ApiError;
use axum::extract::Request;
use axum::http::Version;
use axum::http::header::HOST;

/// Refuses a request with several `Host` headers, or without one from HTTP/1.1 on.
pub(crate) fn check(request: &Request) -> Result<(), ApiError> {
    let hosts = request.headers().get_all(HOST).iter().count();
    if hosts == 1 || hosts == 0 && request.version() < Version::HTTP_11 {
        return Ok(());
    }
    let accepted = "exactly one value, the host name of the service";
    Err(ApiError::InvalidHeader { header: "Host", accepted })
}
