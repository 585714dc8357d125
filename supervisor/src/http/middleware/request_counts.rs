//! Counts requests by method and status.

use crate::http::service::Service;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

/// Counts a request when its response is known.
pub(crate) async fn count(
    State(service): State<Service>,
    request: Request,
    next: Next,
) -> Response {
    let method = request.method().clone();
    let response = next.run(request).await;
    service.requests.count(&method, response.status());
    response
}
