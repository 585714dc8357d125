//! The open connections of one listener, with their requests and event streams.

use crate::config::HttpLimits;
use crate::http::connections::table::{Capacity, Limit, Table};
use crate::http::middleware::client_address::is_trusted;
use crate::http::problem::ApiError;
use crate::http::settings::Settings;
use crate::policy::client::ClientAddress;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Number of refusals by limit.
pub(crate) type Refused = Family<LimitLabel, Counter>;

/// The limits whose refusals are counted.
const LIMITS: [&str; 4] =
    ["client_connections_max", "connections_max", "client_streams_max", "streams_max"];

/// Metric label: the configuration key of a limit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct LimitLabel {
    limit: &'static str,
}

/// The connections of one listener.
#[derive(Debug)]
pub(crate) struct Connections {
    table: Mutex<Table>,
    /// Their number, for each of them to read without the lock.
    open: Arc<AtomicUsize>,
    settings: watch::Receiver<Settings>,
    refused: Refused,
}

/// Current counts, for metrics.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectionCounts {
    pub(crate) connections: usize,
    pub(crate) requests: usize,
    pub(crate) streams: usize,
    /// Idle connections closed so far to make room.
    pub(crate) evicted: u64,
}

impl Connections {
    /// Starts empty. The capacity is fixed; the limits per client change with the settings.
    pub(crate) fn new(http: &HttpLimits, settings: watch::Receiver<Settings>) -> Arc<Self> {
        let HttpLimits { connections_max, streams_max, .. } = *http;
        let table = Mutex::new(Table::new(Capacity { connections_max, streams_max }));
        // Every limit is there from the start: Prometheus sees no increase in a counter that begins at 1.
        let refused = Refused::default();
        for limit in LIMITS {
            let _: Counter = refused.get_or_create_owned(&LimitLabel { limit });
        }
        Arc::new(Self { table, open: Arc::default(), settings, refused })
    }

    /// Counts an accepted connection; none if a limit is reached.
    pub(crate) fn open(self: &Arc<Self>, peer: SocketAddr) -> Option<Connection> {
        let own_max = {
            let settings = self.settings.borrow();
            let clients = &settings.config.access.clients;
            let is_proxy = is_trusted(peer.ip(), &clients.trusted_proxies);
            (!is_proxy).then_some(clients.connections_max)
        };
        let opened = self.lock().open(ClientAddress::of_peer(peer.ip()), own_max);
        match opened {
            Ok((id, evicted)) => {
                self.open.fetch_add(1, Ordering::Relaxed);
                Some(Connection { id, evicted, connections: self.clone() })
            }
            Err(limit) => {
                self.count_refusal(limit, ["client_connections_max", "connections_max"]);
                None
            }
        }
    }

    /// The current number of connections.
    pub(crate) fn open_count(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.open)
    }

    /// Closes an idle connection; returns whether there was one.
    pub(crate) fn evict_idle(&self) -> bool {
        self.lock().evict_idle()
    }

    /// Whether a new connection requires closing another.
    pub(crate) fn are_full(&self) -> bool {
        self.lock().is_full()
    }

    /// The current limits on headers and bodies.
    pub(crate) fn limits(&self) -> HttpLimits {
        self.settings.borrow().config.http.clone()
    }

    pub(crate) fn counts(&self) -> ConnectionCounts {
        let table = self.lock();
        let in_use = table.in_use();
        ConnectionCounts {
            connections: table.connections(),
            requests: in_use.requests,
            streams: in_use.streams,
            evicted: table.evicted(),
        }
    }

    /// The counter of refusals.
    pub(crate) fn refused(&self) -> Refused {
        self.refused.clone()
    }

    pub(crate) fn count_refusal(&self, limit: Limit, [of_client, of_all]: [&'static str; 2]) {
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

/// An open connection; it counts until dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    id: u64,
    connections: Arc<Connections>,
    evicted: CancellationToken,
}

impl Connection {
    /// Waits until the connection must close to make room.
    pub(crate) async fn evicted(&self) {
        self.evicted.cancelled().await;
    }

    /// The handle that its requests are counted with.
    pub(crate) fn handle(&self) -> ConnectionHandle {
        ConnectionHandle { id: self.id, connections: self.connections.clone() }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.connections.open.fetch_sub(1, Ordering::Relaxed);
        self.connections.lock().close(self.id);
    }
}

/// Identifies the connection of a request; an extension of each request.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionHandle {
    pub(crate) id: u64,
    pub(crate) connections: Arc<Connections>,
}

/// A request in progress; an extension that handlers use.
#[derive(Debug, Clone)]
pub(crate) struct RequestSlot {
    pub(crate) connection: ConnectionHandle,
    pub(crate) number: u64,
}

impl RequestSlot {
    /// Counts the request as an event stream, of which one client may have `own_max`.
    pub(crate) fn become_stream(&self, own_max: usize) -> Result<(), ApiError> {
        let ConnectionHandle { id, connections } = &self.connection;
        let result = connections.lock().become_stream(*id, self.number, own_max);
        result.map_err(|limit| {
            connections.count_refusal(limit, ["client_streams_max", "streams_max"]);
            match limit {
                Limit::Client(max) => ApiError::TooManyStreams { streams_max: max },
                Limit::All(_) => ApiError::StreamsExhausted,
            }
        })
    }
}
