//! Admits or refuses each request by the limits per client and in total.

use crate::config::Config;
use crate::http::connections::registry::{ConnectionHandle, RequestSlot};
use crate::http::connections::table::Limit;
use crate::http::middleware::client_address::Peer;
use crate::http::operators::health;
use crate::http::problem::ApiError;
use crate::policy::client::ClientAddress;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Response};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Stops counting the request when its response has been sent or dropped.
#[derive(Debug)]
struct RequestGuard(RequestSlot);

impl Drop for RequestGuard {
    fn drop(&mut self) {
        let RequestSlot { connection: ConnectionHandle { id, connections }, number } = &self.0;
        connections.lock().finish(*id, *number);
    }
}

/// A counted request.
#[derive(Debug)]
pub(crate) struct Admitted {
    /// None if the request did not come over a counted connection.
    guard: Option<RequestGuard>,
    /// Whether it is beyond the limits.
    is_reserved: bool,
}

impl Admitted {
    /// Counts the request until its response has been sent.
    pub(crate) fn complete(self, response: Response<Body>) -> Response<Body> {
        let Some(guard) = self.guard else { return response };
        let response = response.map(|body| Body::new(CountedBody { body, _guard: guard }));
        if self.is_reserved { close(response) } else { response }
    }
}

/// Counts a request, or refuses it. The connection of a refused request has to be closed, so that a client at its limit
/// can't repeat requests on it without being counted.
pub(crate) fn begin(config: &Config, request: &mut Request) -> Result<Admitted, ApiError> {
    let extensions = request.extensions();
    let (Some(Peer(peer)), Some(connection)) =
        (extensions.get::<Peer>().copied(), extensions.get::<ConnectionHandle>().cloned())
    else {
        return Ok(Admitted { guard: None, is_reserved: false });
    };
    let limits = &config.access.clients;
    let client = ClientAddress::of_request(peer.ip(), request.headers(), &limits.trusted_proxies);
    let admitted =
        connection.connections.lock().begin(connection.id, client, limits.connections_max);
    let (number, is_reserved) = match admitted {
        Ok(number) => (number, false),
        Err(_) if health::PATHS.contains(&request.uri().path()) => {
            (connection.connections.lock().begin_reserved(connection.id, client), true)
        }
        Err(limit) => {
            connection
                .connections
                .count_refusal(limit, ["client_connections_max", "connections_max"]);
            return Err(match limit {
                Limit::Client(max) => ApiError::TooManyConnections { connections_max: max },
                Limit::All(_) => ApiError::ConnectionsExhausted,
            });
        }
    };
    // Without a number the connection was closed to make room just before, so the response reaches no client.
    let number = number.ok_or(ApiError::ConnectionsExhausted)?;
    let slot = RequestSlot { connection, number };
    let guard = Some(RequestGuard(slot.clone()));
    request.extensions_mut().insert(slot);
    Ok(Admitted { guard, is_reserved })
}

/// Closes the connection after a response.
pub(crate) fn close(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// A response body that counts its request until it is dropped.
struct CountedBody {
    body: Body,
    _guard: RequestGuard,
}

impl HttpBody for CountedBody {
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
