//! The accept loop: serves each connection with deadlines, within the limits of `registry`.
//!
//! Not `axum::serve`, because that gives hyper no timer, without which hyper does not enforce its
//! deadline on request headers.

use crate::http::access::Listener;
use crate::http::connections::minimum_rate::{LimitedStream, MinimumRate};
use crate::http::connections::registry::{Connection, Connections};
use crate::http::connections::small_reads::SmallReads;
use crate::http::connections::spare_descriptor::SpareDescriptor;
use crate::http::middleware::client_address::Peer;
use axum::body::Body;
use axum::response::Response;
use futures_util::FutureExt;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use nix::errno::Errno;
use socket2::SockRef;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;

/// Maximum size of hyper's read buffer, in bytes. hyper checks it before a read that may add as
/// much again, so a header is always below twice this size.
const BUFFER_BYTES_MAX: usize = 32 * 1024;

/// Maximum unsent bytes in the kernel's send buffer of a connection (tcp(7),
/// `TCP_NOTSENT_LOWAT`), without data in flight. Otherwise a client that does not read fills up to
/// 4 MiB of kernel memory.
const UNSENT_BYTES_MAX: u32 = 128 * 1024;

/// Pause after a failed accept, usually for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Pause if an idle connection is about to close and free a descriptor.
const ACCEPT_PAUSE_SHORT: Duration = Duration::from_millis(5);

/// How long responses in progress may take when the service stops.
pub(crate) const CLOSING_MAX: Duration = Duration::from_secs(5);

/// Serves until `closing` completes, then waits for responses in progress.
pub(crate) async fn serve<F>(
    (listener, source): (TcpListener, Listener),
    respond: impl Fn(Request<Body>) -> F + Clone + Send + 'static,
    connections: Arc<Connections>,
    closing: impl Future<Output = ()>,
) where
    F: Future<Output = Response> + Send + 'static,
{
    let served = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(connections.limits().header_max)
        .max_buf_size(BUFFER_BYTES_MAX);
    let mut closing = pin!(closing);
    let mut spare = SpareDescriptor::open();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener) => accepted,
            () = &mut closing => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                wait_after(&error, &connections, &listener, &mut spare).await;
                continue;
            }
        };
        let Some(connection) = connections.open(peer.0) else { continue };
        let handle = connection.handle();
        let respond = respond.clone();
        let respond = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            request.extensions_mut().insert(source);
            request.extensions_mut().insert(handle.clone());
            respond(request).map(Ok::<_, Infallible>)
        });
        let serving =
            http.serve_connection(TokioIo::new(limit_transfers(stream, &connections)), respond);
        tokio::spawn(serve_until_closed(served.watch(serving), connection));
        if connections.are_full() {
            // Lets the new connection read a header that has already arrived, so that it is busy
            // and not closed as idle for the next connection.
            yield_now().await;
        }
    }
    drop(listener);
    if timeout(CLOSING_MAX, served.shutdown()).await.is_err() {
        tracing::warn!("connections with unfinished responses were closed at shutdown");
    }
}

/// Serves a connection until it ends or must make room.
async fn serve_until_closed(
    serving: impl Future<Output = hyper::Result<()>>,
    connection: Connection,
) {
    tokio::select! {
        biased;
        () = connection.evicted() => tracing::debug!("idle connection closed to make room"),
        served = serving => {
            if let Err(error) = served {
                tracing::debug!(%error, "connection failed");
            }
        }
    }
}

/// Limits how long and how slowly a client may receive written data, and how much a read returns. The
/// time of reads is limited elsewhere, differently for headers, bodies and event streams.
fn limit_transfers(
    stream: TcpStream,
    connections: &Connections,
) -> impl AsyncRead + AsyncWrite + Unpin + use<> {
    let limits = connections.limits();
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.stall_max));
    let rate = MinimumRate::new(limits.body_rate_bytes_per_s_min, limits.stall_max);
    LimitedStream::new(Box::pin(stream), SmallReads::new(connections.open_count()), rate)
}

async fn accept(listener: &TcpListener) -> io::Result<(TcpStream, Peer)> {
    let (stream, address) = listener.accept().await?;
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_BYTES_MAX)?;
    Ok((stream, Peer(address)))
}

/// Waits until a connection may be accepted again. Without descriptors, an idle connection is closed for the new one, or
/// that is refused.
async fn wait_after(
    error: &io::Error,
    connections: &Connections,
    listener: &TcpListener,
    spare: &mut SpareDescriptor,
) {
    tracing::warn!(%error, "cannot accept a connection");
    let is_short =
        matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EMFILE | Errno::ENFILE));
    if is_short && connections.evict_idle() {
        sleep(ACCEPT_PAUSE_SHORT).await;
    } else if !is_short || !spare.refuse(listener).await {
        sleep(ACCEPT_PAUSE).await;
    }
}
