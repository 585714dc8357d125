//! The two listeners of the service: the public one and the operators'.
//!
//! `cli` opens them, from sockets passed by the service manager or by binding addresses; `service`
//! serves them. Both have the same routes, and each request carries its [`Listener`].

use crate::config::Config;
use crate::http::access::Listener;
use crate::http::connections::registry::Connections;
use crate::http::connections::server;
use crate::ops::systemd::Inherited;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How long a start retries an address that is in use.
const ADDRESS_WAIT_MAX: Duration = Duration::from_secs(2);

/// Pause between two tries.
const ADDRESS_PAUSE: Duration = Duration::from_millis(10);

/// Length of the accept queue. If it is full, the client's kernel retries only after a second, so
/// a burst of one client must not fill it. The kernel limits it too (`net.core.somaxconn`).
const ACCEPT_QUEUE_MAX: u32 = 4096;

/// Why a listener could not be opened.
#[derive(Debug, Error)]
pub enum ListenError {
    /// The public address.
    #[error("`listen`: cannot listen on {address}: {source}; is the port in use?")]
    Public {
        /// The address.
        address: SocketAddr,
        /// The cause.
        source: io::Error,
    },
    /// The operators' address.
    #[error(
        "`operator_listen`: cannot listen on {address}: {source}; if the port is in use, set \
         another address, or off"
    )]
    Operators {
        /// The address.
        address: SocketAddr,
        /// The cause.
        source: io::Error,
    },
    /// A socket for operators was passed although their listener is off.
    #[error(
        "`operator_listen` is off, but the service manager passes a socket named operator; \
         disable that socket unit or set the key"
    )]
    Off,
}

/// The actual addresses of the listeners.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addresses {
    /// The public listener.
    pub public: SocketAddr,
    /// The operator listener, if it is on.
    pub operators: Option<SocketAddr>,
}

/// The listening sockets.
#[derive(Debug)]
pub(crate) struct Listeners {
    public: TcpListener,
    operators: Option<TcpListener>,
}

impl Listeners {
    /// Uses passed sockets, and binds the configured address where none was passed.
    ///
    /// # Errors
    /// If an address cannot be listened on.
    pub(crate) async fn open(config: &Config, inherited: Inherited) -> Result<Self, ListenError> {
        let address = config.listen;
        let public = open(Listener::Public, address, inherited.public)
            .await
            .map_err(|source| ListenError::Public { address, source })?;
        let operators = match (config.operator_listen, inherited.operators) {
            (None, None) => None,
            (None, Some(_)) => return Err(ListenError::Off),
            (Some(address), passed) => {
                let opened = open(Listener::Operators, address, passed).await;
                Some(opened.map_err(|source| ListenError::Operators { address, source })?)
            }
        };
        Ok(Self { public, operators })
    }

    /// The actual addresses.
    ///
    /// # Errors
    /// If a socket has no address.
    pub(crate) fn addresses(&self) -> io::Result<Addresses> {
        let operators = self.operators.as_ref().map(TcpListener::local_addr).transpose()?;
        Ok(Addresses { public: self.public.local_addr()?, operators })
    }

    /// The same sockets once more. Each connection is accepted by one of those that serve them.
    ///
    /// # Errors
    /// If there are no more file descriptors.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        let again = |socket: &TcpListener| {
            TcpListener::from_std(socket.as_fd().try_clone_to_owned()?.into())
        };
        let operators = self.operators.as_ref().map(again).transpose()?;
        Ok(Self { public: again(&self.public)?, operators })
    }

    /// Serves both until `closing`, then lets responses in progress finish. The connections of each
    /// listener have their own limit, so that clients of one cannot keep out those of the other.
    pub(crate) async fn serve<F>(
        self,
        respond: impl Fn(Request<Body>) -> F + Clone + Send + 'static,
        [public, operators]: [Arc<Connections>; 2],
        closing: CancellationToken,
    ) where
        F: Future<Output = Response> + Send + 'static,
    {
        let serve = |socket, listener: Listener, connections| {
            let closing = closing.clone().cancelled_owned();
            server::serve((socket, listener), respond.clone(), connections, closing)
        };
        let public = serve(self.public, Listener::Public, public);
        match self.operators.map(|socket| serve(socket, Listener::Operators, operators)) {
            Some(operators) => drop(tokio::join!(public, operators)),
            None => public.await,
        }
    }
}

async fn open(
    listener: Listener,
    configured: SocketAddr,
    inherited: Option<std::net::TcpListener>,
) -> io::Result<TcpListener> {
    let (key, event) = match listener {
        Listener::Public => ("listen", "listening"),
        Listener::Operators => ("operator_listen", "listening for operators"),
    };
    let is_inherited = inherited.is_some();
    let socket = match inherited {
        Some(socket) => TcpListener::from_std(socket)?,
        None => bind(configured).await?,
    };
    let address = socket.local_addr()?;
    tracing::info!(%address, is_inherited, "{event}");
    if is_inherited && configured != address {
        tracing::warn!("`{key}` is {configured} but ignored: the service manager passed a socket");
    }
    Ok(socket)
}

/// Retries while the address is in use: after the supervisor was killed, a process it had cloned
/// for a worker shares the listening sockets until it executes the worker's program or exits.
async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let deadline = Instant::now() + ADDRESS_WAIT_MAX;
    loop {
        match listen(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline => {
                sleep(ADDRESS_PAUSE).await;
            }
            bound => return bound,
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // Connections of an earlier run may still be in TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(ACCEPT_QUEUE_MAX)
}
