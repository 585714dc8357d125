//! Restricts endpoints to operators, as decided by [`crate::http::access`].

use crate::http::access::{Denied, Forwarded, Listener, Requester};
use crate::http::problem::ApiError;
use crate::http::service::Service;
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::{AUTHORIZATION, FORWARDED, HOST, HeaderName, VIA};
use axum::middleware::Next;
use axum::response::Response;

/// Headers that proxies add to forwarded requests.
const PROXY_HEADERS: [HeaderName; 6] = [
    FORWARDED,
    VIA,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-real-ip"),
];

/// Refuses requests without operator access.
pub(crate) async fn require_operator(
    State(service): State<Service>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let headers = request.headers();
    let is_forwarded = PROXY_HEADERS.iter().any(|name| headers.contains_key(name));
    let requester = Requester {
        // Without the extension, the more restrictive listener is assumed.
        listener: request.extensions().get::<Listener>().copied().unwrap_or_default(),
        authorization: headers.get(AUTHORIZATION).map(HeaderValue::as_bytes),
        // The authority in the request target takes precedence over `Host` (RFC 9112, 3.2.2).
        host: match request.uri().authority() {
            Some(authority) => Some(authority.as_str()),
            None => headers.get(HOST).and_then(|host| host.to_str().ok()),
        },
        forwarded: if is_forwarded { Forwarded::Yes } else { Forwarded::No },
    };
    match service.access.check(&requester) {
        Ok(()) => Ok(next.run(request).await),
        Err(Denied::Token) => Err(ApiError::TokenRequired),
        Err(Denied::NotLocal) => Err(ApiError::OperatorsOnly),
    }
}
