//! Request ids: in the response, and in every log line that the request causes.

use crate::runner::attempt::origin::Origin;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use std::time::Instant;
use tracing::Instrument;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Adds the [`Origin`] to the extensions of the request, and its id to the response.
pub(crate) async fn assign_request_id(mut request: Request, next: Next) -> Response {
    let headers = request.headers();
    let origin = Origin::of(single(headers, &REQUEST_ID), single(headers, &TRACEPARENT));
    let id = origin.request_id().and_then(|id| HeaderValue::try_from(id).ok());
    let span = tracing::info_span!(
        "request",
        request_id = origin.request_id(),
        trace_id = origin.trace_id(),
        method = request.method().as_str(),
        path = request.uri().path(),
    );
    request.extensions_mut().insert(origin);
    let started = Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    let (status, time) = (response.status().as_u16(), started.elapsed());
    span.in_scope(|| tracing::debug!(status, ?time, "request answered"));
    response.headers_mut().extend(id.map(|id| (REQUEST_ID, id)));
    response
}

/// The value of a header that occurs exactly once.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    value.to_str().ok()
}
