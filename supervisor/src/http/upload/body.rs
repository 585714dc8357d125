//! The body of an upload as a stream of chunks, with limits on stalls, rate and total time.
//!
//! After the handler has refused an upload, a task reads and discards data for a while: closing the
//! connection while the client still sends can make its kernel discard the response unread (RFC 9112,
//! 9.6).

use crate::config::HttpLimits;
use crate::http::connections::minimum_rate::{MinimumRate, TooSlow};
use crate::http::problem::ApiError;
use crate::policy::open_upload::OpenUpload;
use axum::body::Body;
use axum::http::header::EXPECT;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::BodyExt;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::time::{Instant, timeout_at};

/// How long, and up to how many bytes, the body of a refused upload is read and discarded.
const LINGER: Duration = Duration::from_secs(5);
const LINGER_BYTES_MAX: usize = 64 << 20;

/// Why the body could not be received completely.
#[derive(Debug, Clone, Copy, Error, PartialEq, Eq)]
pub(crate) enum BodyError {
    #[error("no data received in time")]
    Stalled,
    #[error("the transfer took too long")]
    TooSlow,
    #[error("the transfer is too slow")]
    BelowRate,
    #[error("the connection was lost")]
    ProtocolError,
}

impl BodyError {
    /// The error for the client.
    pub(crate) const fn to_api_error(self, limits: &HttpLimits) -> ApiError {
        match self {
            Self::Stalled => ApiError::UploadStalled(limits.stall_max),
            Self::TooSlow => ApiError::UploadTooSlow(limits.upload_max),
            Self::BelowRate => ApiError::UploadBelowRate {
                bytes_per_s_min: limits.body_rate_bytes_per_s_min,
                window: limits.stall_max,
            },
            Self::ProtocolError => ApiError::UploadBroken,
        }
    }
}

/// The chunks of a body. What is left of it when this is dropped is discarded.
pub(crate) struct Chunks {
    /// None once it has ended or failed.
    body: Option<Body>,
    upload: Arc<OpenUpload>,
    stall_max: Duration,
    end: Instant,
    rate: MinimumRate,
}

impl Chunks {
    pub(crate) fn start(body: Body, upload: Arc<OpenUpload>, limits: &HttpLimits) -> Self {
        Self {
            body: Some(body),
            upload,
            stall_max: limits.stall_max,
            end: Instant::now() + limits.upload_max,
            rate: MinimumRate::new(limits.body_rate_bytes_per_s_min, limits.stall_max),
        }
    }

    /// The next chunk; none at the end of the body and after an error. A call that is dropped loses nothing.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        let chunk = self.read().await;
        match &chunk {
            Some(Ok(chunk)) => self.upload.receive(chunk.len(), Instant::now()),
            Some(Err(_)) => self.body = None,
            None if self.body.take().is_some() => self.upload.complete(),
            None => {}
        }
        chunk
    }

    async fn read(&mut self) -> Option<Result<Bytes, BodyError>> {
        let body = self.body.as_mut()?;
        loop {
            let now = Instant::now();
            let stall = now + self.stall_max;
            let frame = match timeout_at(stall.min(self.end), body.frame()).await {
                Err(_) if stall < self.end => return Some(Err(BodyError::Stalled)),
                Err(_) => return Some(Err(BodyError::TooSlow)),
                Ok(None) => return None,
                Ok(Some(Err(_))) => return Some(Err(BodyError::ProtocolError)),
                Ok(Some(Ok(frame))) => frame,
            };
            // Trailers are ignored.
            if let Ok(chunk) = frame.into_data() {
                return Some(match self.rate.record(now.elapsed(), chunk.len()) {
                    Ok(()) => Ok(chunk),
                    Err(TooSlow) => Err(BodyError::BelowRate),
                });
            }
        }
    }
}

impl Drop for Chunks {
    fn drop(&mut self) {
        if let Some(body) = self.body.take() {
            discard(body);
        }
    }
}

/// Sends an error response and discards the body of the request.
pub(crate) fn refuse(parts: &Parts, body: Body, error: ApiError) -> Response {
    // With `Expect: 100-continue` (RFC 9110, 10.1.1) a refused client sends no body, and reading
    // would make hyper send 100 Continue.
    if !parts.headers.contains_key(EXPECT) {
        discard(body);
    }
    error.into_response()
}

/// Reads and discards a body, up to a limit.
pub(crate) fn discard(body: Body) {
    tokio::spawn(linger(body));
}

async fn linger(mut body: Body) {
    let end = Instant::now() + LINGER;
    let mut bytes = 0;
    while bytes < LINGER_BYTES_MAX {
        match timeout_at(end, body.frame()).await {
            Ok(Some(Ok(frame))) => bytes += frame.data_ref().map_or(0, Bytes::len),
            _ => return,
        }
    }
}
