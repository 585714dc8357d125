//! Compression of text responses for clients that accept gzip.
//!
//! Videos, images, archives and Parquet are compressed already. Streams that nothing may buffer are
//! excluded, because a compressor would delay their messages. Responses to `HEAD` describe the uncompressed content.

use axum::body::Body as AxumBody;
use axum::extract::Request;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::Response;
use http_body::Body;
use std::convert::Infallible;
use tower::{Layer, Service, service_fn};
use tower_http::compression::predicate::{Predicate, SizeAbove};
use tower_http::compression::{CompressionLayer, CompressionLevel};

/// Smaller responses are not worth compressing.
const BYTES_MIN: u64 = 1024;

const TEXT_TYPES: [&str; 6] = [
    "text/",
    "application/json",
    "application/x-ndjson",
    "application/problem+json",
    "image/svg+xml",
    "application/openmetrics-text",
];

/// Responds to a request, with a compressed response if it is text: at the fastest level, as higher ones save little
/// more.
pub(crate) async fn compress<F: Future<Output = Response>>(
    request: Request,
    answer: impl FnOnce(Request) -> F,
) -> Response {
    if request.method() == Method::HEAD {
        return answer(request).await;
    }
    let mut answer = Some(answer);
    let answer = service_fn(move |request| {
        let answer = answer.take().expect("one request");
        async { Ok::<_, Infallible>(answer(request).await) }
    });
    let layer = CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(SizeAbove::new(BYTES_MIN).and(IsText));
    let Ok(response) = layer.layer(answer).call(request).await;
    let mut response = response.map(AxumBody::new);
    weaken_etag(response.headers_mut());
    response
}

#[derive(Debug, Clone, Copy)]
struct IsText;

impl Predicate for IsText {
    fn should_compress<B: Body>(&self, response: &axum::http::Response<B>) -> bool {
        is_text(response.headers())
    }
}

fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    TEXT_TYPES.iter().any(|prefix| kind.starts_with(prefix))
        && headers.get("x-accel-buffering").is_none_or(|value| value != "no")
}

/// Makes the `ETag` of a compressed response weak, because its bytes differ from those of the file
/// (RFC 9110, 8.8.1).
fn weaken_etag(headers: &mut HeaderMap) {
    if headers.contains_key(CONTENT_ENCODING)
        && let Some(tag) = headers.get(ETAG).filter(|tag| tag.as_bytes().starts_with(b"\""))
        && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat())
    {
        headers.insert(ETAG, weak);
    }
}
