//! Compression of text responses for clients that accept gzip.
//!
//! Videos, images, archives and Parquet are compressed already. Event streams are excluded,
//! because a compressor would delay events. Responses to `HEAD` describe the uncompressed content.

use axum::extract::Request;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use http_body::Body;
use tower_http::compression::predicate::{Predicate, SizeAbove};
use tower_http::compression::{CompressionLayer, CompressionLevel};

/// Smaller responses are not worth compressing.
const BYTES_MIN: u64 = 1024;

const TEXT_TYPES: [&str; 5] = [
    "text/",
    "application/json",
    "application/problem+json",
    "image/svg+xml",
    "application/openmetrics-text",
];

/// Compresses text responses, at the fastest level: higher ones save little more.
pub(crate) fn layer() -> CompressionLayer<impl Predicate> {
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(SizeAbove::new(BYTES_MIN).and(IsText))
}

#[derive(Debug, Clone, Copy)]
struct IsText;

impl Predicate for IsText {
    fn should_compress<B: Body>(&self, response: &axum::http::Response<B>) -> bool {
        is_text(response.headers()) && response.extensions().get::<Uncompressed>().is_none()
    }
}

fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    TEXT_TYPES.iter().any(|prefix| kind.starts_with(prefix))
        && !kind.starts_with("text/event-stream")
}

/// Marks a response that must not be compressed.
#[derive(Debug, Clone, Copy)]
struct Uncompressed;

/// Excludes responses to `HEAD` from compression. Must be inside the compression layer.
pub(crate) async fn exclude_head(request: Request, next: Next) -> Response {
    let is_head = request.method() == Method::HEAD;
    let mut response = next.run(request).await;
    if is_head {
        response.extensions_mut().insert(Uncompressed);
    }
    response
}

/// Makes the `ETag` of a compressed response weak, because its bytes differ from those of the file
/// (RFC 9110, 8.8.1). Must be outside the compression layer.
pub(crate) async fn weaken_etag(request: Request, next: Next) -> Response {
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
