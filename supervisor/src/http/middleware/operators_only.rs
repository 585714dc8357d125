//! Lets operators pass and nobody else, by what [`crate::http::access`] says of their request.

use crate::http::access::{Denied, Forwarded, Listener, Requester};
use crate::http::problem::ApiError;
use crate::http::service::Service;
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::{AUTHORIZATION, FORWARDED, HOST, HeaderName, VIA};
use axum::middleware::Next;
use axum::response::Response;

/// What proxies say of a request they pass on, each of them some of it.
const PASSED_ON: [HeaderName; 6] = [
    FORWARDED,
    VIA,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-real-ip"),
];

/// For addresses that are for operators.
pub(crate) async fn only(
    State(service): State<Service>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let headers = request.headers();
    let is_passed_on = PASSED_ON.iter().any(|name| headers.contains_key(name));
    let visit = Requester {
        // What says nothing came by the listener that opens less.
        listener: request.extensions().get::<Listener>().copied().unwrap_or_default(),
        authorization: headers.get(AUTHORIZATION).map(HeaderValue::as_bytes),
        // RFC 9112, 3.2.2: what the address itself names outranks the header.
        host: match request.uri().authority() {
            Some(named) => Some(named.as_str()),
            None => headers.get(HOST).and_then(|host| host.to_str().ok()),
        },
        passed_on: if is_passed_on { Forwarded::Yes } else { Forwarded::No },
    };
    match service.access.check(&visit) {
        Ok(()) => Ok(next.run(request).await),
        Err(Denied::Token) => Err(ApiError::TokenRequired),
        Err(Denied::Elsewhere) => Err(ApiError::OperatorsOnly),
    }
}
