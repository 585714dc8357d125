//! The open connections of one listener, and their requests and streams of events.

use crate::config::HttpLimits;
use crate::http::connections::table::{Capacity, Limit, Table};
use crate::http::middleware::client_address::{ClientAddress, is_trusted};
use crate::http::problem::ApiError;
use crate::http::settings::Settings;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What was refused, by the limit that was reached.
pub(crate) type Refused = Family<LimitLabel, Counter>;

/// The key of a limit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct LimitLabel {
    limit: &'static str,
}

/// The connections of one listener.
#[derive(Debug)]
pub(crate) struct Connections {
    table: Mutex<Table>,
    settings: watch::Receiver<Settings>,
    refused: Refused,
}

/// How many there are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectionCounts {
    pub(crate) connections: usize,
    pub(crate) requests: usize,
    pub(crate) streams: usize,
    /// Idle connections given up so far.
    pub(crate) given_up: u64,
}

impl Connections {
    /// None yet. Capacity is as in `http`; limits on clients follow the settings.
    pub(crate) fn new(http: &HttpLimits, settings: watch::Receiver<Settings>) -> Arc<Self> {
        let HttpLimits { connections_max, streams_max, .. } = *http;
        let table = Mutex::new(Table::new(Capacity { connections_max, streams_max }));
        Arc::new(Self { table, settings, refused: Refused::default() })
    }

    /// Enters a connection that was accepted; nothing if it may not be.
    pub(crate) fn open(self: &Arc<Self>, peer: SocketAddr) -> Option<Connection> {
        let own_max = {
            let settings = self.settings.borrow();
            let clients = &settings.config.access.clients;
            let is_proxy = is_trusted(peer.ip(), &clients.trusted_proxies);
            (!is_proxy).then_some(clients.connections_max)
        };
        let opened = self.lock().open(ClientAddress::of_peer(peer.ip()), own_max);
        match opened {
            Ok((id, given_up)) => Some(Connection { id, given_up, connections: self.clone() }),
            Err(limit) => {
                self.note(limit, ["client_connections_max", "connections_max"]);
                None
            }
        }
    }

    /// Closes a connection without a request; tells whether there was one.
    pub(crate) fn give_up(&self) -> bool {
        self.lock().give_up()
    }

    /// Whether one more connection takes the place of another.
    pub(crate) fn are_full(&self) -> bool {
        self.lock().is_full()
    }

    /// What the limits on bodies and headers are now.
    pub(crate) fn limits(&self) -> HttpLimits {
        self.settings.borrow().config.http.clone()
    }

    pub(crate) fn census(&self) -> ConnectionCounts {
        let table = self.lock();
        let in_use = table.in_use();
        ConnectionCounts {
            connections: table.connections(),
            requests: in_use.requests,
            streams: in_use.streams,
            given_up: table.given_up(),
        }
    }

    /// What was refused so far.
    pub(crate) fn refused(&self) -> Refused {
        self.refused.clone()
    }

    pub(crate) fn note(&self, limit: Limit, [of_client, of_all]: [&'static str; 2]) {
        let limit = match limit {
            Limit::Client(_) => of_client,
            Limit::All(_) => of_all,
        };
        tracing::debug!(limit, "limit on connections reached");
        self.refused.get_or_create(&LimitLabel { limit }).inc();
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open connection; left when dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    id: u64,
    connections: Arc<Connections>,
    given_up: CancellationToken,
}

impl Connection {
    /// Ready once the connection is to close to make room.
    pub(crate) async fn given_up(&self) {
        self.given_up.cancelled().await;
    }

    /// What its requests are counted by.
    pub(crate) fn entrance(&self) -> Accepted {
        Accepted { id: self.id, connections: self.connections.clone() }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.connections.lock().close(self.id);
    }
}

/// The way requests of one connection come in.
#[derive(Debug, Clone)]
pub(crate) struct Accepted {
    pub(crate) id: u64,
    pub(crate) connections: Arc<Connections>,
}

/// One request under way, for its handler.
#[derive(Debug, Clone)]
pub(crate) struct RequestSlot {
    pub(crate) entrance: Accepted,
    pub(crate) number: u64,
}

impl RequestSlot {
    /// The answer will be a stream of events, of which one client may have `own_max`.
    pub(crate) fn become_stream(&self, own_max: usize) -> Result<(), ApiError> {
        let Accepted { id, connections } = &self.entrance;
        let became = connections.lock().become_stream(*id, self.number, own_max);
        became.map_err(|limit| {
            connections.note(limit, ["client_streams_max", "streams_max"]);
            match limit {
                Limit::Client(max) => ApiError::TooManyStreams { streams_max: max },
                Limit::All(_) => ApiError::StreamsTaken,
            }
        })
    }
}
