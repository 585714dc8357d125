//! The accept loop: connections in, each with deadlines, never more than may be.
//!
//! Which of them may stay is for `connections` to say, and what they may ask.
//!
//! Our own because `axum::serve` gives hyper no timer, and without one the deadline on a
//! request's header is never kept.

use crate::http::connections::least_rate::{LeastRate, RatedWrites};
use crate::http::connections::registry::{Connection, Connections};
use crate::http::middleware::client_address::Peer;
use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use nix::errno::Errno;
use socket2::SockRef;
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
use tower::ServiceExt;

/// Header from which no more is read, and most of a body read at once, in bytes. hyper looks at
/// this before it reads, and may read as much again: no header of twice the size gets in.
const BUFFER_BYTES_MAX: usize = 32 * 1024;

/// Bytes of answers that the kernel holds for one client before the first of them is sent
/// (tcp(7), `TCP_NOTSENT_LOWAT`). What is under way on a fast line does not count; without this a
/// client that takes nothing has 4 MiB of it filled.
const UNSENT_BYTES_MAX: u32 = 128 * 1024;

/// Pause after a connection could not be accepted: out of descriptors, most of the time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The same where another connection is about to close and leave its descriptor.
const ACCEPT_PAUSE_SHORT: Duration = Duration::from_millis(5);

/// How long answers under way may take once the service stops.
pub(crate) const CLOSING_MAX: Duration = Duration::from_secs(5);

/// Serves until `closing` is ready, then lets answers under way finish.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    connections: Arc<Connections>,
    closing: impl Future<Output = ()>,
) {
    let served = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(connections.limits().header_max)
        .max_buf_size(BUFFER_BYTES_MAX);
    let mut closing = pin!(closing);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener) => accepted,
            () = &mut closing => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                sleep(pause_after(&error, &connections)).await;
                continue;
            }
        };
        let Some(connection) = connections.open(peer.0) else { continue };
        let entrance = connection.entrance();
        let router = router.clone();
        let answer = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            request.extensions_mut().insert(entrance.clone());
            router.clone().oneshot(request)
        });
        let serving = http.serve_connection(TokioIo::new(patient(stream, &connections)), answer);
        tokio::spawn(run_to_exit(served.watch(serving), connection));
        if connections.are_full() {
            // Its header is read, where it is there already, before the next one needs room: a
            // connection that has begun a request makes room for nobody.
            yield_now().await;
        }
    }
    drop(listener);
    if timeout(CLOSING_MAX, served.shutdown()).await.is_err() {
        tracing::warn!("connections closed at shutdown");
    }
}

/// Serves a connection to its end, or until it has to make room.
async fn run_to_exit(serving: impl Future<Output = hyper::Result<()>>, connection: Connection) {
    tokio::select! {
        biased;
        () = connection.given_up() => tracing::debug!("idle connection closed to make room"),
        served = serving => {
            if let Err(error) = served {
                tracing::debug!(%error, "connection failed");
            }
        }
    }
}

/// A connection with limits on how long, and how little, its client may take what is written.
/// Reading has limits of its own, which differ between a header, a body and a stream of events.
fn patient(
    stream: TcpStream,
    connections: &Connections,
) -> impl AsyncRead + AsyncWrite + Unpin + use<> {
    let limits = connections.limits();
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.stall_max));
    let rate = LeastRate::new(limits.body_rate_bytes_per_s_min, limits.stall_max);
    RatedWrites::new(Box::pin(stream), rate)
}

async fn accept(listener: &TcpListener) -> io::Result<(TcpStream, Peer)> {
    let (stream, address) = listener.accept().await?;
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_BYTES_MAX)?;
    Ok((stream, Peer(address)))
}

fn pause_after(error: &io::Error, connections: &Connections) -> Duration {
    tracing::warn!(%error, "cannot accept a connection");
    let is_short =
        matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EMFILE | Errno::ENFILE));
    if is_short && connections.give_up() { ACCEPT_PAUSE_SHORT } else { ACCEPT_PAUSE }
}
