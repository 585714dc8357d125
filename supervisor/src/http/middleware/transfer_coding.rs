//! Refuses bodies with another transfer coding than `chunked`, once (RFC 9112, 6.1): hyper decodes the last coding of a
//! list only, and a proxy may find the end of such a body, and with it the next request, at another place.

use crate::http::problem::ApiError;
use axum::extract::Request;
use axum::http::header::TRANSFER_ENCODING;

/// Refuses a request with any other `Transfer-Encoding`; its connection has to be closed.
pub(crate) fn check(request: &Request) -> Result<(), ApiError> {
    let codings: Vec<_> = request.headers().get_all(TRANSFER_ENCODING).iter().collect();
    if codings.is_empty()
        || codings.len() == 1 && codings[0].as_bytes().eq_ignore_ascii_case(b"chunked")
    {
        return Ok(());
    }
    let accepted = "`chunked`, once";
    Err(ApiError::InvalidHeader { header: "Transfer-Encoding", accepted })
}
