//! The body of an upload, chunk by chunk, with limits on its pauses, its pace and its whole time.
//!
//! A task of its own reads the connection and hands chunks over one at a time. When the handler
//! has given up on an upload, the task reads on for a while and throws away what comes: closing
//! a connection on a client that is still sending makes its kernel drop our answer unread
//! (RFC 9112, 9.6).

use crate::config::HttpLimits;
use crate::http::connections::least_rate::{LeastRate, TooSlow};
use crate::http::problem::ApiError;
use axum::body::Body;
use axum::http::header::EXPECT;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::Stream;
use http_body_util::BodyExt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// How long, and how many bytes, a refused upload is listened to.
const LINGER: Duration = Duration::from_secs(5);
const LINGER_BYTES_MAX: usize = 64 << 20;

/// Why a body ended before its end.
#[derive(Debug, Clone, Copy, Error, PartialEq, Eq)]
pub(crate) enum BodyError {
    #[error("no data received in time")]
    Stalled,
    #[error("the transfer took too long")]
    TooSlow,
    #[error("the transfer is too slow")]
    Creeping,
    #[error("the connection was lost")]
    ProtocolError,
}

impl BodyError {
    /// As the client is told.
    pub(crate) const fn told(self, limits: &HttpLimits) -> ApiError {
        match self {
            Self::Stalled => ApiError::UploadStalled(limits.stall_max),
            Self::TooSlow => ApiError::UploadTooSlow(limits.upload_max),
            Self::Creeping => ApiError::UploadCreeps {
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
    /// Starts reading.
    pub(crate) fn of(body: Body, limits: &HttpLimits) -> Self {
        let (sender, chunks) = mpsc::channel(1);
        tokio::spawn(pump(body, sender, limits.clone()));
        Self { chunks }
    }
}

impl Stream for Chunks {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.chunks.poll_recv(cx)
    }
}

/// Answers a request whose body is not wanted.
pub(crate) fn refuse(parts: &Parts, body: Body, error: ApiError) -> Response {
    // Who waits to be asked (RFC 9110, 10.1.1) sends nothing more once refused, and reading
    // would ask.
    if !parts.headers.contains_key(EXPECT) {
        discard(body);
    }
    error.into_response()
}

/// Reads a body that nobody wants.
pub(crate) fn discard(body: Body) {
    tokio::spawn(linger(body));
}

async fn pump(mut body: Body, chunks: mpsc::Sender<Result<Bytes, BodyError>>, limits: HttpLimits) {
    let end = Instant::now() + limits.upload_max;
    let mut rate = LeastRate::new(limits.body_rate_bytes_per_s_min, limits.stall_max);
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
            Ok(None) => return,
            Ok(Some(Err(_))) => Err(BodyError::ProtocolError),
            // Trailers mean nothing here.
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(chunk) => match rate.note(now.elapsed(), chunk.len()) {
                    Ok(()) => Ok(chunk),
                    Err(TooSlow) => Err(BodyError::Creeping),
                },
                Err(_) => continue,
            },
        };
        let is_last = chunk.is_err();
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
