//! Admits or refuses each request by the limits on its client and on all together.

use crate::http::connections::registry::{Accepted, RequestSlot};
use crate::http::connections::table::Limit;
use crate::http::middleware::client_address::{ClientAddress, Peer};
use crate::http::operators::health;
use crate::http::problem::ApiError;
use crate::http::service::Service;
use crate::http::upload::body::refuse;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Response};
use axum::middleware::Next;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Ends the request's entry when its answer is gone.
#[derive(Debug)]
struct Held(RequestSlot);

impl Drop for Held {
    fn drop(&mut self) {
        let RequestSlot { entrance: Accepted { id, connections }, number } = &self.0;
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
    let place = RequestSlot { entrance, number };
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
