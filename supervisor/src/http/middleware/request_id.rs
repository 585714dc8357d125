//! Names each request, so that its answer and every line of the log it causes can be found by it.

use crate::runner::attempt::origin::Origin;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use std::time::Instant;
use tracing::Instrument;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Puts the request's [`Origin`] where handlers find it, and its name into the answer.
pub(crate) async fn correlate(mut request: Request, next: Next) -> Response {
    let headers = request.headers();
    let origin = Origin::of(only(headers, &REQUEST_ID), only(headers, &TRACEPARENT));
    let name = origin.request_id().and_then(|name| HeaderValue::try_from(name).ok());
    let span = tracing::info_span!(
        "request",
        request_id = origin.request_id(),
        trace_id = origin.trace_id(),
        method = request.method().as_str(),
        path = request.uri().path(),
    );
    request.extensions_mut().insert(origin);
    let begun = Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    let (status, time) = (response.status().as_u16(), begun.elapsed());
    span.in_scope(|| tracing::debug!(status, ?time, "answered"));
    response.headers_mut().extend(name.map(|name| (REQUEST_ID, name)));
    response
}

/// A header that is there once; twice it means nothing.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    value.to_str().ok()
}
