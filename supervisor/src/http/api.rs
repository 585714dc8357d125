//! What every request passes before its handler, and every response after it, in this order.
//!
//! One function after the other, not a layer of the router each: a layer keeps a copy of all that are inside it for every
//! request, which is several times the memory of an upload in progress.

use crate::http::connections::admit::{self, close};
use crate::http::middleware::cors::Cors;
use crate::http::middleware::request_id::RequestIdentity;
use crate::http::middleware::{compress, cors, host, security_headers, transfer_coding};
use crate::http::problem::page::ErrorForm;
use crate::http::problem::{ApiError, WriteRefused};
use crate::http::service::LiveService;
use crate::http::upload::body::refuse;
use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use tower::ServiceExt;

/// The interface of the service.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) router: Router,
    pub(crate) live: LiveService,
}

impl Api {
    /// Responds to a request.
    pub(crate) async fn respond(self, mut request: Request) -> Response {
        let identity = RequestIdentity::assign(&mut request);
        let method = request.method().clone();
        let requests = self.live.service.requests.clone();
        let compressed = compress::compress(request, |request| self.answer(request));
        let mut response = identity.record(compressed).await;
        requests.count(&method, response.status());
        identity.add_to(&mut response);
        response
    }

    async fn answer(self, request: Request) -> Response {
        let cors = Cors::of(&self.live.config().access.cors_origins, &request);
        let form = ErrorForm::of(&request);
        let mut response = match cors.preflight() {
            Some(response) => response,
            None => form.apply(self.admit(request).await),
        };
        security_headers::add(&mut response);
        cors.add_to(&mut response);
        response
    }

    /// Counts the request while it is in progress, or refuses it.
    async fn admit(self, mut request: Request) -> Response {
        match admit::begin(&self.live.config(), &mut request) {
            Ok(admitted) => admitted.complete(self.check(request).await),
            Err(error) => close(refuse_request(request, error)),
        }
    }

    async fn check(self, request: Request) -> Response {
        if let Err(error) = transfer_coding::check(&request) {
            return close(refuse_request(request, error));
        }
        let checked = host::check(&request)
            .and_then(|()| cors::check(&self.live.config().access.cors_origins, &request));
        match checked {
            Ok(()) => self.route(request).await,
            Err(error) => refuse_request(request, error),
        }
    }

    async fn route(self, request: Request) -> Response {
        let handled = AssertUnwindSafe(self.router.oneshot(request)).catch_unwind().await;
        let response = match handled {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(_panic) => ApiError::Internal.into_response(),
        };
        // The writes of other requests will fail as well.
        if response.extensions().get::<WriteRefused>().is_some() {
            self.live.service.state.report_refused_write();
        }
        response
    }
}

fn refuse_request(request: Request, error: ApiError) -> Response {
    let (parts, body) = request.into_parts();
    refuse(&parts, body, error)
}
