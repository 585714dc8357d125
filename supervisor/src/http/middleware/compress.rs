//! Which answers go out compressed: texts of some size, to clients that say they take gzip.
//!
//! Videos, pictures, archives and Parquet are compressed already. Streams of events must not wait
//! in a compressor, and a part of a file must be the bytes that were asked for. `HEAD` tells of
//! the plain content.

use axum::extract::Request;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use http_body::Body;
use tower_http::compression::predicate::{Predicate, SizeAbove};
use tower_http::compression::{CompressionLayer, CompressionLevel};

/// Texts below this gain nothing.
const BYTES_MIN: u64 = 1024;

const TEXTS: [&str; 5] = [
    "text/",
    "application/json",
    "application/problem+json",
    "image/svg+xml",
    "application/openmetrics-text",
];

/// Compresses texts. The fastest level: it gains most of what there is to gain.
pub(crate) fn layer() -> CompressionLayer<impl Predicate> {
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(SizeAbove::new(BYTES_MIN).and(IsText))
}

#[derive(Debug, Clone, Copy)]
struct IsText;

impl Predicate for IsText {
    fn should_compress<B: Body>(&self, response: &axum::http::Response<B>) -> bool {
        is_text(response.headers()) && response.extensions().get::<Plain>().is_none()
    }
}

fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    TEXTS.iter().any(|text| kind.starts_with(text)) && !kind.starts_with("text/event-stream")
}

/// Marks an answer that is not to be compressed.
#[derive(Debug, Clone, Copy)]
struct Plain;

/// Keeps answers to `HEAD` plain. Inside the compression.
pub(crate) async fn keep_head(request: Request, next: Next) -> Response {
    let is_head = request.method() == Method::HEAD;
    let mut response = next.run(request).await;
    if is_head {
        response.extensions_mut().insert(Plain);
    }
    response
}

/// Weakens the tag of what was compressed: the bytes are no longer those it was made for
/// (RFC 9110, 8.8.1). Outside the compression.
pub(crate) async fn weaken(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if headers.contains_key(CONTENT_ENCODING)
        && let Some(tag) = headers.get(ETAG).filter(|tag| tag.as_bytes().starts_with(b"\""))
        && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat())
    {
        headers.insert(ETAG, weak);
    }
    response
}
