//! Responses of a host whose start waits for the database: it is alive, not ready, and refuses all other requests.
//!
//! Served by `service` in place of the interface, which needs the journal.

use crate::http::connections::admit::close;
use crate::http::middleware::request_id::RequestIdentity;
use crate::http::middleware::security_headers;
use crate::http::operators::health;
use crate::http::problem::ApiError;
use crate::http::upload::body::refuse;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};

/// Responds to a request. The connection is closed, so that the next request finds the interface once it is there.
pub(crate) async fn respond(mut request: Request) -> Response {
    let identity = RequestIdentity::assign(&mut request);
    let mut response = identity.record(answer(request)).await;
    security_headers::add(&mut response);
    identity.add_to(&mut response);
    close(response)
}

async fn answer(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    match parts.uri.path() {
        "/livez" => health::live().await.into_response(),
        "/readyz" => health::not_ready("the start waits for the database of the journal"),
        _ => refuse(&parts, body, ApiError::JournalUnreachable),
    }
}
