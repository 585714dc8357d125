//! Request ids: in the response, and in every log line that the request causes.

use crate::runner::attempt::origin::Origin;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use std::time::Instant;
use tracing::{Instrument, Span};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The identity of a request, while it is answered.
pub(crate) struct RequestIdentity {
    id: Option<HeaderValue>,
    span: Span,
    started: Instant,
}

impl RequestIdentity {
    /// Adds the [`Origin`] to the extensions of the request.
    pub(crate) fn assign(request: &mut Request) -> Self {
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
        Self { id, span, started: Instant::now() }
    }

    /// Adds the ids to what is logged.
    pub(crate) fn record<T>(&self, answer: impl Future<Output = T>) -> impl Future<Output = T> {
        answer.instrument(self.span.clone())
    }

    /// Adds the id to the response.
    pub(crate) fn add_to(self, response: &mut Response) {
        let (status, time) = (response.status().as_u16(), self.started.elapsed());
        self.span.in_scope(|| tracing::debug!(status, ?time, "request answered"));
        response.headers_mut().extend(self.id.map(|id| (REQUEST_ID, id)));
    }
}

/// The value of a header that occurs exactly once.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    value.to_str().ok()
}
