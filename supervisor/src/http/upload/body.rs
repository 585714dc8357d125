//! The body of an upload as a stream of chunks, with limits on stalls, rate and total time.
//!
//! A separate task reads the connection and passes on one chunk at a time. After the handler has
//! refused an upload, the task reads and discards data for a while: closing the connection while
//! the client still sends can make its kernel discard the response unread (RFC 9112, 9.6).

use crate::config::HttpLimits;
use crate::http::connections::minimum_rate::{MinimumRate, TooSlow};
use crate::http::problem::ApiError;
use crate::policy::open_upload::OpenUpload;
use axum::body::Body;
use axum::http::header::EXPECT;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::Stream;
use http_body_util::BodyExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::mpsc;
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

/// The chunks of a body.
#[derive(Debug)]
pub(crate) struct Chunks {
    chunks: mpsc::Receiver<Result<Bytes, BodyError>>,
}

impl Chunks {
    /// Starts the task that reads the body.
    pub(crate) fn start(body: Body, upload: Arc<OpenUpload>, limits: &HttpLimits) -> Self {
        let (sender, chunks) = mpsc::channel(1);
        tokio::spawn(read_chunks(body, upload, sender, limits.clone()));
        Self { chunks }
    }
}

impl Stream for Chunks {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.chunks.poll_recv(cx)
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

async fn read_chunks(
    mut body: Body,
    upload: Arc<OpenUpload>,
    chunks: mpsc::Sender<Result<Bytes, BodyError>>,
    limits: HttpLimits,
) {
    let end = Instant::now() + limits.upload_max;
    let mut rate = MinimumRate::new(limits.body_rate_bytes_per_s_min, limits.stall_max);
    loop {
        let now = Instant::now();
        let stall = now + limits.stall_max;
        let frame = tokio::select! {
            frame = timeout_at(stall.min(end), body.frame()) => frame,
            () = chunks.closed() => return linger(body).await,
        };
        let chunk = match frame {
            Err(_) if stall < end => Err(BodyError::Stalled),
            Err(_) => Err(BodyError::TooSlow),
            Ok(None) => return upload.complete(),
            Ok(Some(Err(_))) => Err(BodyError::ProtocolError),
            // Trailers are ignored.
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(chunk) => match rate.record(now.elapsed(), chunk.len()) {
                    Ok(()) => Ok(chunk),
                    Err(TooSlow) => Err(BodyError::BelowRate),
                },
                Err(_) => continue,
            },
        };
        let is_last = chunk.is_err();
        upload.receive(chunk.as_ref().map_or(0, Bytes::len), Instant::now());
        if chunks.send(chunk).await.is_err() {
            return linger(body).await;
        }
        if is_last {
            return;
        }
    }
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
