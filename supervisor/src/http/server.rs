//! The accept loop: connections in, each with deadlines, never more than may be.
//!
//! Our own because `axum::serve` gives hyper no timer, and without one the deadline on a
//! request's header is never kept.

use super::clients::Peer;
use crate::config::HttpLimits;
use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt;

/// Header from which no more is read, and most of a body read at once, in bytes. hyper looks at
/// this before it reads, and may read as much again: no header of twice the size gets in.
const BUFFER_BYTES_MAX: usize = 32 * 1024;

/// Pause after a connection could not be accepted: out of descriptors, most of the time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long answers under way may take once the service stops.
pub(crate) const CLOSING_MAX: Duration = Duration::from_secs(5);

/// Serves until `closing` is ready, then lets answers under way finish.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: HttpLimits,
    closing: impl Future<Output = ()>,
) {
    let slots = Arc::new(Semaphore::new(limits.connections_max));
    let connections = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_max)
        .max_buf_size(BUFFER_BYTES_MAX);
    let mut closing = pin!(closing);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &slots) => accepted,
            () = &mut closing => break,
        };
        let (stream, peer, slot) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let mut stream = TimeoutStream::new(stream);
        // Reading has deadlines of its own, which differ between a header, a body and a stream
        // of events; writing has this one: a client that takes nothing holds a slot for nothing.
        stream.set_write_timeout(Some(limits.stall_max));
        let router = router.clone();
        let answer = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            router.clone().oneshot(request)
        });
        let connection = http.serve_connection(TokioIo::new(Box::pin(stream)), answer);
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke");
            }
            drop(slot);
        });
    }
    drop(listener);
    if timeout(CLOSING_MAX, connections.shutdown()).await.is_err() {
        tracing::warn!("connections are cut: they outlasted the service");
    }
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, Peer, OwnedSemaphorePermit)> {
    let slot = slots.clone().acquire_owned().await.expect("the slots are never closed");
    let (stream, address) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, Peer(address), slot))
}
