//! Requires exactly one `Host` header (RFC 9112, 3.2): a proxy and the service may interpret a
//! request with several, or with none, differently.
//!
//! The value is not checked, because a proxy may use any name for the service.

use crate::http::problem::ApiError;
use crate::http::upload::body::refuse;
use axum::extract::Request;
use axum::http::Version;
use axum::http::header::HOST;
use axum::middleware::Next;
use axum::response::Response;

/// Refuses a request with several `Host` headers, or without one from HTTP/1.1 on.
pub(crate) async fn require_one_host(request: Request, next: Next) -> Response {
    let hosts = request.headers().get_all(HOST).iter().count();
    if hosts == 1 || hosts == 0 && request.version() < Version::HTTP_11 {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let accepted = "exactly one value, the host name of the service";
    refuse(&parts, body, ApiError::InvalidHeader { header: "Host", accepted })
}
