//! Refuses connections when the service is out of file descriptors: one descriptor is kept for that.
//!
//! Without it a connection would wait in the queue of the listener, without a response, until others end.

use crate::http::connections::admit::close;
use crate::http::problem::ApiError;
use axum::body::Body;
use axum::response::IntoResponse;
use http_body_util::{BodyExt, Limited};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::fs::File;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::timeout;

/// How long a refusal may take. No other connection is refused meanwhile.
const REFUSAL_MAX: Duration = Duration::from_millis(500);

/// Most bytes of a body that are read before the response.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// A descriptor that can be closed to free one.
#[derive(Debug)]
pub(crate) struct SpareDescriptor(Option<File>);

impl SpareDescriptor {
    pub(crate) fn open() -> Self {
        Self(File::open("/dev/null").ok())
    }

    /// Responds to the next connection with 503 and closes it; false if there is no descriptor for it.
    pub(crate) async fn refuse(&mut self, listener: &TcpListener) -> bool {
        if self.0.take().is_none() {
            *self = Self::open();
            return self.0.is_some();
        }
        // A connection is waiting, unless another thread has taken the descriptor or the client has left.
        let accepted = timeout(REFUSAL_MAX, listener.accept()).await;
        let is_accepted = matches!(accepted, Ok(Ok(_)));
        if let Ok(Ok((stream, _))) = accepted {
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(REFUSAL_MAX).keep_alive(false);
            let refusing = http.serve_connection(TokioIo::new(stream), service_fn(refusal));
            let _ = timeout(REFUSAL_MAX, refusing).await;
        }
        *self = Self::open();
        is_accepted
    }
}

async fn refusal(request: Request<Incoming>) -> Result<hyper::Response<Body>, Infallible> {
    // A small body is read: the client's kernel may drop the response if the connection is closed before.
    let _ = Limited::new(request.into_body(), BODY_BYTES_MAX).collect().await;
    Ok(close(ApiError::ConnectionsExhausted.into_response()))
}
