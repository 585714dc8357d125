//! Refuses bodies with another transfer coding than `chunked`, once (RFC 9112, 6.1): hyper decodes the last coding of a
//! list only, and a proxy may find the end of such a body, and with it the next request, at another place.

use crate::http::problem::ApiError;
use crate::http::upload::body::refuse;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::{CONNECTION, TRANSFER_ENCODING};
use axum::middleware::Next;
use axum::response::Response;

/// Refuses a request with any other `Transfer-Encoding`, and closes its connection.
pub(crate) async fn require_chunked(request: Request, next: Next) -> Response {
    let codings: Vec<_> = request.headers().get_all(TRANSFER_ENCODING).iter().collect();
    if codings.is_empty()
        || codings.len() == 1 && codings[0].as_bytes().eq_ignore_ascii_case(b"chunked")
    {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let accepted = "`chunked`, once";
    let mut response =
        refuse(&parts, body, ApiError::InvalidHeader { header: "Transfer-Encoding", accepted });
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
