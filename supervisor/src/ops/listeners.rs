//! The two listeners of the service: the public one, and the operators'.
//!
//! `cli` opens them, from what the service manager passes or by binding them itself; `run` serves
//! them. Both lead to the same routes, and each request says which one it came by.

use crate::config::Config;
use crate::http::access::Listener;
use crate::http::connections::registry::Connections;
use crate::http::connections::server;
use crate::ops::systemd::Inherited;
use axum::{Extension, Router};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How long a start tries for an address that is in use.
const ADDRESS_PATIENCE: Duration = Duration::from_secs(2);

/// Between two tries.
const ADDRESS_PERIOD: Duration = Duration::from_millis(10);

/// Connections that wait to be accepted. One that finds the queue full is tried again by its kernel
/// after a second, so one client's burst must not fill it. The kernel has a limit of its own
/// (`net.core.somaxconn`).
const ACCEPT_QUEUE_MAX: u32 = 4096;

/// Why nobody is listened to: the operator's to mend.
#[derive(Debug, Error)]
pub enum ListenError {
    /// The public address.
    #[error("`listen`: cannot listen on {address}: {source}; is the port in use?")]
    Public {
        /// The address.
        address: SocketAddr,
        /// Why not.
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
        /// Why not.
        source: io::Error,
    },
    /// A passed socket that nobody is to be heard on.
    #[error(
        "`operator_listen` is off, but the service manager passes a socket named operator; \
         disable that socket unit or set the key"
    )]
    Off,
}

/// Where the service really listens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addresses {
    /// For everybody.
    pub public: SocketAddr,
    /// For operators.
    pub operators: Option<SocketAddr>,
}

/// The sockets that connections come in by.
#[derive(Debug)]
pub(crate) struct Listeners {
    public: TcpListener,
    operators: Option<TcpListener>,
}

impl Listeners {
    /// Takes the sockets that were passed, and binds the addresses of the others.
    ///
    /// # Errors
    /// When one of them cannot be listened on.
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

    /// Where they listen.
    ///
    /// # Errors
    /// When a socket does not say.
    pub(crate) fn addresses(&self) -> io::Result<Addresses> {
        let operators = self.operators.as_ref().map(TcpListener::local_addr).transpose()?;
        Ok(Addresses { public: self.public.local_addr()?, operators })
    }

    /// Serves the same routes on both until `closing`, then lets answers under way finish. The
    /// connections of the public one and of the operators' are counted apart, so that a crowd at
    /// one keeps nobody out of the other.
    pub(crate) async fn serve(
        self,
        router: Router,
        [public, operators]: [Arc<Connections>; 2],
        closing: CancellationToken,
    ) {
        let serve = |socket, listener: Listener, connections| {
            let router = router.clone().layer(Extension(listener));
            server::serve(socket, router, connections, closing.clone().cancelled_owned())
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
    wished: SocketAddr,
    inherited: Option<std::net::TcpListener>,
) -> io::Result<TcpListener> {
    let (key, news) = match listener {
        Listener::Public => ("listen", "listening"),
        Listener::Operators => ("operator_listen", "listening for operators"),
    };
    let is_inherited = inherited.is_some();
    let socket = match inherited {
        Some(socket) => TcpListener::from_std(socket)?,
        None => bind(wished).await?,
    };
    let address = socket.local_addr()?;
    tracing::info!(%address, is_inherited, "{news}");
    if is_inherited && wished != address {
        tracing::warn!("`{key}` is {wished} but ignored: the service manager passed a socket");
    }
    Ok(socket)
}

/// A worker that was being born when its supervisor was killed shares the listening sockets, as it
/// does the lock of the state folder, until it executes its program or ends.
async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let patience = Instant::now() + ADDRESS_PATIENCE;
    loop {
        match listen(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < patience => {
                sleep(ADDRESS_PERIOD).await;
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
    // A restart finds connections of the last run that have not quite ended.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(ACCEPT_QUEUE_MAX)
}
