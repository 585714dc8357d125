//! A request says whom it is for, once (RFC 9112, 3.2): two readers of a request with two names, or
//! with none, may take it for two different ones.
//!
//! `http::router` has every request pass here. Which names are the service's own is not asked: a
//! proxy in front may call it anything.

use crate::http::problem::ApiError;
use crate::http::upload::body::refuse;
use axum::extract::Request;
use axum::http::Version;
use axum::http::header::HOST;
use axum::middleware::Next;
use axum::response::Response;

/// Refuses what has no `Host` and must have one, or has several.
pub(crate) async fn once(request: Request, next: Next) -> Response {
    let hosts = request.headers().get_all(HOST).iter().count();
    if hosts == 1 || hosts == 0 && request.version() < Version::HTTP_11 {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let accepted = "exactly one value, the host name of the service";
    refuse(&parts, body, ApiError::InvalidHeader { header: "Host", accepted })
}
