//! Middleware that admits or refuses each request by the limits per client and in total.

use crate::http::connections::registry::{ConnectionHandle, RequestSlot};
use crate::http::connections::table::Limit;
use crate::http::middleware::client_address::Peer;
use crate::http::operators::health;
use crate::http::problem::ApiError;
use crate::http::service::Service;
use crate::http::upload::body::refuse;
use crate::policy::client::ClientAddress;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Response};
use axum::middleware::Next;
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

/// Counts a request, or refuses it. A refused request closes its connection, so that a client at
/// its limit can't repeat requests on it without being counted.
pub(crate) async fn admit(
    State(service): State<Service>,
    mut request: Request,
    next: Next,
) -> Response<Body> {
    let extensions = request.extensions();
    let (Some(Peer(peer)), Some(connection)) =
        (extensions.get::<Peer>().copied(), extensions.get::<ConnectionHandle>().cloned())
    else {
        return next.run(request).await;
    };
    let limits = &service.config.access.clients;
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
            let error = match limit {
                Limit::Client(max) => ApiError::TooManyConnections { connections_max: max },
                Limit::All(_) => ApiError::ConnectionsExhausted,
            };
            let (parts, body) = request.into_parts();
            return with_close(refuse(&parts, body, error));
        }
    };
    // The connection was closed to make room just before, so the response reaches no client.
    let Some(number) = number else { return with_close(closed_meanwhile()) };
    let slot = RequestSlot { connection, number };
    let guard = RequestGuard(slot.clone());
    request.extensions_mut().insert(slot);
    let response =
        next.run(request).await.map(|body| Body::new(CountedBody { body, _guard: guard }));
    if is_reserved { with_close(response) } else { response }
}

fn closed_meanwhile() -> Response<Body> {
    use axum::response::IntoResponse;
    ApiError::ConnectionsExhausted.into_response()
}

fn with_close(mut response: Response<Body>) -> Response<Body> {
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
