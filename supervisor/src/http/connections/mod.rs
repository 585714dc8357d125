//! Who may have how many connections, requests and streams of events at once.
//!
//! `server` enters each connection when it is accepted, `admit` each request when its header is
//! there, handlers of event streams call `Place::become_stream`. What is entered is left again
//! when its guard drops. Two limits count for each client and two for all together:
//!
//! | what is counted | of one client | of all |
//! |---|---|---|
//! | connections, at accept, by the address of a peer that is no trusted proxy | `client_connections_max` | `connections_max` and 16 |
//! | requests and streams under way, by who the request comes from | `client_connections_max` | `connections_max` |
//! | streams among them | `client_streams_max` | `streams_max` |
//!
//! A trusted proxy, this host included, may open connections for anybody, so it is its clients'
//! requests that are counted. Connections without a request are no burden, because they are given
//! up as soon as there is no room for another one. Health checks are answered beyond all limits.

pub(crate) mod least_rate;
pub(crate) mod server;
pub(crate) mod table;

use crate::config::HttpLimits;
use crate::http::middleware::client_address::{ClientAddress, Peer, is_trusted};
use crate::http::operators::health;
use crate::http::problem::ApiError;
use crate::http::service::Service;
use crate::http::service::Settings;
use crate::http::upload::body::refuse;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Response};
use axum::middleware::Next;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use table::{Capacity, Limit, Table};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(crate) use table::RESERVED;

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

    fn note(&self, limit: Limit, [of_client, of_all]: [&'static str; 2]) {
        let limit = match limit {
            Limit::Client(_) => of_client,
            Limit::All(_) => of_all,
        };
        tracing::debug!(limit, "limit on connections reached");
        self.refused.get_or_create(&LimitLabel { limit }).inc();
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
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
    id: u64,
    connections: Arc<Connections>,
}

/// One request under way, for its handler.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    entrance: Accepted,
    number: u64,
}

impl Place {
    /// The answer will be a stream of events, which has limits of its own.
    pub(crate) fn become_stream(&self, service: &Service) -> Result<(), ApiError> {
        let Accepted { id, connections } = &self.entrance;
        let own_max = service.config.access.clients.streams_max;
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

/// Ends the request's entry when its answer is gone.
#[derive(Debug)]
struct Held(Place);

impl Drop for Held {
    fn drop(&mut self) {
        let Place { entrance: Accepted { id, connections }, number } = &self.0;
        connections.lock().finish(*id, *number);
    }
}

/// Lets a request in, or refuses it and closes its connection: kept open it would be asked again
/// without being counted.
pub(crate) async fn admit(
    State(service): State<Service>,
    mut request: Request,
    next: Next,
) -> Response<Body> {
    let extensions = request.extensions();
    let (Some(Peer(peer)), Some(entrance)) =
        (extensions.get::<Peer>().copied(), extensions.get::<Accepted>().cloned())
    else {
        return next.run(request).await;
    };
    let limits = &service.config.access.clients;
    let client = ClientAddress::of_request(peer.ip(), request.headers(), &limits.trusted_proxies);
    let begun = entrance.connections.lock().begin(entrance.id, client, limits.connections_max);
    let (number, is_reserved) = match begun {
        Ok(number) => (number, false),
        Err(_) if health::PATHS.contains(&request.uri().path()) => {
            (entrance.connections.lock().begin_reserved(entrance.id, client), true)
        }
        Err(limit) => {
            entrance.connections.note(limit, ["client_connections_max", "connections_max"]);
            let error = match limit {
                Limit::Client(max) => ApiError::TooManyConnections { connections_max: max },
                Limit::All(_) => ApiError::PlacesTaken,
            };
            let (parts, body) = request.into_parts();
            return closing(refuse(&parts, body, error));
        }
    };
    // Given up a moment ago: nobody is there to be answered.
    let Some(number) = number else { return closing(refused_late()) };
    let place = Place { entrance, number };
    let held = Held(place.clone());
    request.extensions_mut().insert(place);
    let response = next.run(request).await.map(|body| Body::new(Counted { body, _held: held }));
    if is_reserved { closing(response) } else { response }
}

fn refused_late() -> Response<Body> {
    use axum::response::IntoResponse;
    ApiError::PlacesTaken.into_response()
}

fn closing(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The body of an answer, which counts until it is gone.
struct Counted {
    body: Body,
    _held: Held,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
